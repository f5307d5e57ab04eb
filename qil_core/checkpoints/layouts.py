"""From the names that other tools give weights to the names of diffusers and transformers."""

from __future__ import annotations

import re
from collections.abc import Iterable

from .stored import Readers

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
    for pattern, to in (*WAN_STARTS, *WAN_ENDS):
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
    for pattern, to in LLAMA:
        name = re.sub(pattern, to, name)
    return ROOTS.sub("", name)
