"""From the names that other tools give weights to the names of diffusers and transformers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from .stored import Readers, Weight, joined

if TYPE_CHECKING:
    from torch import Tensor

# The VAE: Wan's names

WAN_ENDS = (
    (r"\.residual\.0\.gamma$", ".norm1.gamma"),
    (r"\.residual\.2\.(weight|bias)$", r".conv1.\1"),
    (r"\.residual\.3\.gamma$", ".norm2.gamma"),
    (r"\.residual\.6\.(weight|bias)$", r".conv2.\1"),
    (r"\.shortcut\.", ".conv_shortcut."),
)
WAN_STARTS = (
    (r"^conv1\.", "quant_conv."),
    (r"^conv2\.", "post_quant_conv."),
    (r"^(encoder|decoder)\.conv1\.", r"\1.conv_in."),
    (r"^(encoder|decoder)\.head\.0\.", r"\1.norm_out."),
    (r"^(encoder|decoder)\.head\.2\.", r"\1.conv_out."),
    (r"^(encoder|decoder)\.middle\.0\.", r"\1.mid_block.resnets.0."),
    (r"^(encoder|decoder)\.middle\.1\.", r"\1.mid_block.attentions.0."),
    (r"^(encoder|decoder)\.middle\.2\.", r"\1.mid_block.resnets.1."),
    (r"^encoder\.downsamples\.", "encoder.down_blocks."),
)
UPSAMPLES = re.compile(r"^decoder\.upsamples\.(\d+)\.")


def vae_names(readers: Readers) -> Readers:
    """AutoencoderKLQwenImage's names for a VAE in its own or in Wan's layout."""
    if "decoder.head.2.weight" not in readers:
        return readers
    blocks = _up_blocks(readers)
    return {_vae_name(name, blocks): weight for name, weight in readers.items()}


def _vae_name(name: str, blocks: dict[int, str]) -> str:
    name = UPSAMPLES.sub(lambda found: blocks[int(found[1])], name)
    return _renamed(name, WAN_STARTS + WAN_ENDS)


def _renamed(name: str, table: Iterable[tuple[str, str]]) -> str:
    """A name after all of a table's patterns, each with what takes its place."""
    for pattern, to in table:
        name = re.sub(pattern, to, name)
    return name


def _up_blocks(names: Iterable[str]) -> dict[int, str]:
    """Where each of the decoder's numbered layers goes: an upsampler ends its block, and a new block begins."""
    names = list(names)
    numbers = sorted({int(found[1]) for name in names if (found := UPSAMPLES.match(name))})
    upsamplers = {int(name.split(".")[2]) for name in names if UPSAMPLES.match(name) and ".resample." in name}
    places, block, layer = {}, 0, 0
    for number in numbers:
        if number in upsamplers:
            places[number] = f"decoder.up_blocks.{block}.upsamplers.0."
            block, layer = block + 1, 0
        else:
            places[number] = f"decoder.up_blocks.{block}.resnets.{layer}."
            layer += 1
    return places


# The text encoder: ComfyUI's, transformers' older and newer, and llama.cpp's names

ROOTS = re.compile(r"^(model\.)?(language_model\.)?(model\.)?(?=(layers|embed_tokens|norm|visual|lm_head)\.)")
LLAMA = (
    (r"^token_embd\.", "embed_tokens."),
    (r"^output_norm\.", "norm."),
    (r"^output\.", "lm_head."),
    (r"^blk\.(\d+)\.attn_([qkv])\.", r"layers.\1.self_attn.\2_proj."),
    (r"^blk\.(\d+)\.attn_output\.", r"layers.\1.self_attn.o_proj."),
    (r"^blk\.(\d+)\.attn_norm\.", r"layers.\1.input_layernorm."),
    (r"^blk\.(\d+)\.ffn_norm\.", r"layers.\1.post_attention_layernorm."),
    (r"^blk\.(\d+)\.ffn_(gate|up|down)\.", r"layers.\1.mlp.\2_proj."),
)


def text_encoder_names(readers: Readers, wanted: Iterable[str]) -> Readers:
    """The names `wanted` of the installed transformers' model; versions differ in where its parts hang."""
    full = {bare_name(name): name for name in wanted}
    return {full.get(bare, bare): weight for name, weight in readers.items() for bare in [bare_name(name)]}


def bare_name(name: str) -> str:
    """A text encoder's name without the roots that versions differ in: layers.0..., embed_tokens..., visual..."""
    return ROOTS.sub("", _renamed(name, LLAMA))


# The text encoder's vision part in a GGUF file of its own (mmproj): llama.cpp's names

VISION = (
    (r"^v\.patch_embd\.", "visual.patch_embed.proj."),
    (r"^v\.post_ln\.", "visual.merger.ln_q."),
    (r"^mm\.(\d+)\.", r"visual.merger.mlp.\1."),
    (r"^v\.blk\.(\d+)\.ln([12])\.", r"visual.blocks.\1.norm\2."),
    (r"^v\.blk\.(\d+)\.attn_out\.", r"visual.blocks.\1.attn.proj."),
    (r"^v\.blk\.(\d+)\.attn_qkv\.", r"visual.blocks.\1.attn.qkv."),
    (r"^v\.blk\.(\d+)\.ffn_(gate|up|down)\.", r"visual.blocks.\1.mlp.\2_proj."),
)
PATCHES = "v.patch_embd.weight"
QUERY = re.compile(r"^(v\.blk\.\d+\.attn_)q\.(weight|bias)$")


def vision_names(readers: Readers) -> Readers:
    """The text encoder's names for the weights of an mmproj file, those that it has in pieces put together."""
    return {_renamed(name, VISION): weight for name, weight in _together(readers).items()}


def _together(readers: Readers) -> Readers:
    """The patches' two frames, and queries, keys and values, as one weight each."""
    whole = dict(readers)
    if f"{PATCHES}.1" in readers:
        frames = [whole.pop(PATCHES), whole.pop(f"{PATCHES}.1")]
        out, channels, *sides = frames[0].shape
        whole[PATCHES] = joined(frames, _as_frames, (out, channels, 2, *sides))
    for name in readers:
        names = [f"{found[1]}{part}.{found[2]}" for found in [QUERY.match(name)] if found for part in "qkv"]
        if names and all(each in whole for each in names):
            parts: list[Weight] = [whole.pop(each) for each in names]
            rows = sum(part.shape[0] for part in parts)
            whole[name.replace("attn_q.", "attn_qkv.")] = joined(parts, _below_each_other, (rows, *parts[0].shape[1:]))
    return whole


def _as_frames(frames: list[Tensor]) -> Tensor:
    import torch

    return torch.stack(frames, 2)


def _below_each_other(parts: list[Tensor]) -> Tensor:
    import torch

    return torch.cat(parts)
