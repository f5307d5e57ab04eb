"""Which model a file holds, by the names and shapes of its weights; no weight is read."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from ..errors import QilError
from .layouts import bare_name


class Kind(Enum):
    """What a file is, as a user would say it."""

    LAYERED_TRANSFORMER = "a Qwen-Image-Layered transformer"
    QWEN_IMAGE = "a plain Qwen-Image or Qwen-Image-Edit transformer"
    LAYERED_VAE = "a Qwen-Image-Layered VAE (4 channels)"
    RGB_VAE = "a plain Wan or Qwen-Image VAE (3 channels, no alpha)"
    OTHER_VAE = "another model's VAE"
    TEXT_ENCODER = "a Qwen2.5-VL text encoder"
    MMPROJ = "the vision part (mmproj) of a GGUF text encoder"
    OTHER_TEXT = "another text encoder"
    LORA = "a LoRA"
    CONTROLNET = "a ControlNet"
    FLUX = "a Flux transformer"
    WAN = "a Wan transformer"
    SD3 = "a Stable Diffusion 3 transformer"
    UNET = "a Stable Diffusion or SDXL model"
    UNKNOWN = "of a kind that is not known here"


WANTED = {
    Kind.LAYERED_TRANSFORMER: ("qwen_image_layered_bf16.safetensors", "models/diffusion_models"),
    Kind.LAYERED_VAE: ("qwen_image_layered_vae.safetensors", "models/vae"),
    Kind.QWEN_IMAGE: ("qwen_image_edit_2511_bf16.safetensors", "models/diffusion_models"),
    Kind.RGB_VAE: ("qwen_image_vae.safetensors", "models/vae"),
    Kind.TEXT_ENCODER: ("qwen_2.5_vl_7b.safetensors", "models/text_encoders"),
    Kind.LORA: ("one made for Qwen-Image", "models/loras"),
}
"""A file to look for, and the folder of ComfyUI in which it lies."""

Shapes = Mapping[str, Any]
"""Anything with a shape under the name of its weight: readers, or a state dict."""

LORA_PARTS = (".lora_", ".lora.", "lora_unet_", ".lokr_", ".hada_", ".oft_", "lycoris_")

MARKS: tuple[tuple[Kind, tuple[str, ...]], ...] = (
    (Kind.CONTROLNET, ("controlnet_blocks.0.weight", "control_img_in.weight", "zero_convs.0.0.weight")),
    (Kind.LAYERED_TRANSFORMER, ("time_text_embed.addition_t_embedding.weight",)),
    (Kind.FLUX, ("double_blocks.0.img_attn.qkv.weight", "single_transformer_blocks.0.proj_mlp.weight")),
    (Kind.WAN, ("blocks.0.cross_attn.q.weight", "blocks.0.attn2.to_q.weight")),
    (Kind.SD3, ("joint_blocks.0.x_block.attn.qkv.weight", "pos_embed.pos_embed")),
    (Kind.UNET, ("input_blocks.0.0.weight", "down_blocks.0.resnets.0.conv1.weight")),
    (Kind.MMPROJ, ("v.blk.0.attn_q.weight", "v.patch_embd.weight", "mm.0.weight")),
    (Kind.OTHER_TEXT, ("text_model.embeddings.token_embedding.weight", "shared.weight", "enc.blk.0.attn_q.weight")),
)
"""Each kind's own weights: one of them is enough. A ControlNet has its base's weights too, so it comes first."""

FIRST_CONVS = ("encoder.conv1.weight", "encoder.conv_in.weight")
LAST_CONVS = ("decoder.head.2.weight", "decoder.conv_out.weight")

WIDTH = 3584
"""Of Qwen2.5-7B."""


def recognize(weights: Shapes) -> Kind:
    """The kind of a file whose weights have been opened."""
    if any(part in name for name in weights for part in LORA_PARTS):
        return Kind.LORA
    for kind, names in MARKS:
        if any(name in weights for name in names):
            return kind
    if "txt_norm.weight" in weights and "transformer_blocks.0.attn.add_q_proj.weight" in weights:
        return Kind.QWEN_IMAGE
    return _vae(weights) or _text_encoder(weights) or Kind.UNKNOWN


def _vae(weights: Shapes) -> Kind | None:
    first, last = (_first_of(names, weights) for names in (FIRST_CONVS, LAST_CONVS))
    if first is None or last is None:
        return Kind.OTHER_VAE if first or last else None
    channels = {4: Kind.LAYERED_VAE, 3: Kind.RGB_VAE}
    same = len(first) == len(last) == 5 and first[1] == last[0]
    return channels.get(first[1], Kind.OTHER_VAE) if same else Kind.OTHER_VAE


def _first_of(names: tuple[str, ...], weights: Shapes) -> tuple[int, ...] | None:
    return next((tuple(weights[name].shape) for name in names if name in weights), None)


def _text_encoder(weights: Shapes) -> Kind | None:
    """Qwen2.5 has biases in its projections; Qwen2.5-VL a gated vision part, the 7B model a width of 3584."""
    shapes = {bare_name(name): tuple(weight.shape) for name, weight in weights.items()}
    query = shapes.get("layers.0.self_attn.q_proj.weight")
    if query is None:
        return None
    right = "visual.blocks.0.mlp.gate_proj.weight" in shapes or query[-1] == WIDTH
    return Kind.TEXT_ENCODER if right and "layers.0.self_attn.q_proj.bias" in shapes else Kind.OTHER_TEXT


def expect(weights: Shapes, wanted: Kind, path: Path) -> None:
    """Raises QilError when a file is of another kind: what it is, what was expected, and where that lies."""
    found = recognize(weights)
    if found is wanted:
        return
    example, folder = WANTED[wanted]
    names = f" (it has weights such as {', '.join(list(weights)[:3]) or 'none'})" if found is Kind.UNKNOWN else ""
    raise QilError(f"{path} is {found.value}{names}; expected {wanted.value}, such as {example}, in {folder}.")
