"""Tiny random-weight files in ComfyUI's layout, and the test-only nodes (a custom node of the server) that load them.

The transformer goes through ComfyUI's own loader and model class; only its sizes, which ComfyUI has written into the
class (24 heads of 128), are taken from the file. The VAE goes through core's Load VAE as it is. The text encoder's 7B
sizes cannot be changed, so a stand-in gives fixed embeddings for each text.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
from safetensors.torch import save_file
from torch import Tensor

WIDTH = 32
SIZES = {
    "attention_head_dim": 16,
    "num_attention_heads": 2,
    "joint_attention_dim": WIDTH,
    "axes_dims_rope": (4, 6, 6),
}
"""Of the transformer; all else is as in the real one, but for two blocks instead of 60."""

LAYERED, PLAIN = "tiny_layered.safetensors", "tiny_plain.safetensors"
RGBA_VAE, RGB_VAE = "tiny_layered_vae.safetensors", "tiny_rgb_vae.safetensors"


# The files: made by the tests' Python, which has diffusers


def transformer(seed: int = 0) -> Any:
    """The diffusers model whose weights are in LAYERED."""
    from diffusers import QwenImageTransformer2DModel

    torch.manual_seed(seed)
    layered = {"use_additional_t_cond": True, "use_layer3d_rope": True}
    return _spread(QwenImageTransformer2DModel(num_layers=2, in_channels=64, out_channels=16, **SIZES, **layered))


def vae(channels: int = 4, seed: int = 0) -> Any:
    """The diffusers model whose weights are in RGBA_VAE; all sizes but the width are as in the real one."""
    from diffusers import AutoencoderKLQwenImage

    torch.manual_seed(seed)
    return _spread(AutoencoderKLQwenImage(base_dim=4, input_channels=channels))


def build(models: Path) -> None:
    """Write all files into ComfyUI's folder of models."""
    layered = transformer().state_dict()
    plain = {name: weight for name, weight in layered.items() if "addition_t" not in name}
    for name, weights in ((LAYERED, layered), (PLAIN, plain)):
        _write(models / "diffusion_models" / name, {f"model.diffusion_model.{key}": w for key, w in weights.items()})
    for name, channels in ((RGBA_VAE, 4), (RGB_VAE, 3)):
        _write(models / "vae" / name, wan_names(vae(channels).state_dict()))


def _spread(module: Any) -> Any:
    """Random biases and norms too, so that a weight in the wrong place shows in the numbers."""
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim < 2 or parameter.shape[1:].numel() == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return module.eval()


def _write(path: Path, weights: dict[str, Tensor]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: weight.contiguous() for name, weight in weights.items()}, path)


TO_WAN = (
    (r"^quant_conv\.", "conv1."),
    (r"^post_quant_conv\.", "conv2."),
    (r"coder\.conv_in\.", "coder.conv1."),
    (r"coder\.conv_out\.", "coder.head.2."),
    (r"coder\.norm_out\.", "coder.head.0."),
    (r"mid_block\.resnets\.0\.", "middle.0."),
    (r"mid_block\.attentions\.0\.", "middle.1."),
    (r"mid_block\.resnets\.1\.", "middle.2."),
    (r"down_blocks\.", "downsamples."),
    (r"norm1\.gamma", "residual.0.gamma"),
    (r"norm2\.gamma", "residual.3.gamma"),
    (r"(\d)\.conv1\.", r"\1.residual.2."),
    (r"(\d)\.conv2\.", r"\1.residual.6."),
    (r"conv_shortcut\.", "shortcut."),
)


def wan_names(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """A VAE of diffusers under Wan's names, which ComfyUI's file has; written apart from qil_core's own table."""
    return {_wan_name(name): weight for name, weight in weights.items()}


def _wan_name(name: str) -> str:
    up = re.match(r"decoder\.up_blocks\.(\d)\.(resnets|upsamplers)\.(\d)\.", name)
    if up:  # a block is three residual layers and an upsampler
        place = int(up[1]) * 4 + (3 if up[2] == "upsamplers" else int(up[3]))
        name = f"decoder.upsamples.{place}.{name[up.end() :]}"
    for pattern, to in TO_WAN:
        name = re.sub(pattern, to, name)
    return name


# The nodes: run in ComfyUI's Python


def embedding(text: str, width: int = WIDTH) -> Tensor:
    """What the stand-in text encoder gives: (1, tokens, width), the count of tokens by the length of the text."""
    generator = torch.Generator().manual_seed(zlib.crc32(text.encode()))
    return torch.randn(1, 3 + len(text) // 4, width, generator=generator)


class StandInEncoder:
    """As much of a CLIP as nodes use."""

    def __init__(self, key: str, width: int) -> None:
        self.key, self.width = key, width

    def tokenize(self, text: str, **_: Any) -> dict[str, str]:
        return {self.key: text}

    def encode_from_tokens_scheduled(self, tokens: dict[str, str], **_: Any) -> list[Any]:
        return [[embedding(tokens[self.key], self.width), {}]]


class TinyTextEncoder:
    RETURN_TYPES = ("CLIP",)
    FUNCTION = "make"
    CATEGORY = "_for_testing"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"key": ("STRING", {"default": "qwen25_7b"}), "width": ("INT", {"default": WIDTH})}}

    def make(self, key: str, width: int) -> tuple[Any]:
        return (StandInEncoder(key, width),)


class TinyDiffusionModel:
    RETURN_TYPES = ("MODEL",)
    FUNCTION = "load"
    CATEGORY = "_for_testing"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"name": ("STRING", {"default": LAYERED})}}

    def load(self, name: str) -> tuple[Any]:
        """Core's Load Diffusion Model, with sizes of its own."""
        import comfy.sd
        import folder_paths

        path = folder_paths.get_full_path_or_raise("diffusion_models", name)
        with _tiny_sizes():
            return (comfy.sd.load_diffusion_model(path, {"dtype": torch.float32}),)


class PatchedDiffusionModel(TinyDiffusionModel):
    """A MODEL as a GGUF loader gives it, with its own operations and patcher, and with patches of all common kinds."""

    def load(self, name: str) -> tuple[Any]:
        """Weights are stored halved; operations double them. Attention is halved, and so is the model's answer."""
        import comfy.ops
        import comfy.sd
        import comfy.utils
        import folder_paths
        from comfy.model_patcher import ModelPatcher

        class Operations(comfy.ops.manual_cast):
            class Linear(comfy.ops.manual_cast.Linear):
                def forward(self, x: Tensor) -> Tensor:
                    return torch.nn.functional.linear(x, 2 * self.weight.to(x), self.bias)

        class Patcher(ModelPatcher):
            """Clones are of the class of what is cloned."""

        path = folder_paths.get_full_path_or_raise("diffusion_models", name)
        weights = {
            key: weight / 2 if weight.ndim == 2 and key.endswith("weight") else weight
            for key, weight in comfy.utils.load_torch_file(path).items()
        }
        options = {"dtype": torch.float32, "custom_operations": Operations}
        with _tiny_sizes():
            loaded = comfy.sd.load_diffusion_model_state_dict(weights, options, disable_dynamic=True)
        loaded.__class__ = Patcher
        model = loaded.clone()
        weight = "diffusion_model.transformer_blocks.0.attn.to_q.weight"
        model.add_patches({weight: (torch.randn(32, 32, generator=torch.Generator().manual_seed(9)) / 8,)})
        model.model_options["transformer_options"]["optimized_attention_override"] = halved_attention
        model.set_model_unet_function_wrapper(
            lambda call, given: call(given["input"], given["timestep"], **given["c"]) / 2
        )
        return (model,)


def halved_attention(attention: Any, *given: Any, **more: Any) -> Tensor:
    """An attention override."""
    return attention(*given, **more) / 2


@contextmanager
def _tiny_sizes() -> Iterator[None]:
    """ComfyUI's detection reads what kind of model a file holds as always, and then gets these sizes."""
    from comfy import model_detection

    detect = model_detection.detect_unet_config
    with mock.patch.object(model_detection, "detect_unet_config", lambda *a, **k: detect(*a, **k) | SIZES):
        yield


class SmallBucket:
    """A native layered model that sees a smaller picture than the node offers: seconds become tenths."""

    RETURN_TYPES = ("LAYERED_MODEL",)
    FUNCTION = "make"
    CATEGORY = "_for_testing"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"model": ("LAYERED_MODEL",), "resolution": ("INT", {"default": 160})}}

    def make(self, model: Any, resolution: int) -> tuple[Any]:
        return (replace(model, sampling=replace(model.sampling, resolution=resolution)),)


class PatchedModel:
    """A MODEL as other nodes change it: other weights, another attention, or a patcher of another class."""

    RETURN_TYPES = ("MODEL",)
    FUNCTION = "patch"
    CATEGORY = "_for_testing"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"model": ("MODEL",), "how": (["weights", "attention", "class"],)}}

    def patch(self, model: Any, how: str) -> tuple[Any]:
        changed = model.clone()
        if how == "weights":
            name = "diffusion_model.img_in.weight"
            more = 0.1 * torch.randn(WIDTH, 64, generator=torch.Generator().manual_seed(0))
            assert changed.add_patches({name: ("diff", (more,))}) == [name]
        if how == "attention":
            changed.model_options["transformer_options"]["optimized_attention_override"] = halved_attention
        if how == "class":  # as GGUF loaders have one of their own, which knows how their weights are unpacked
            changed.__class__ = _other_class(type(changed))
        return (changed,)


def _other_class(base: type[Any]) -> type[Any]:
    """A patcher that leaves a mark in the output folder when it is what is sampled."""

    class OtherPatcher(base):  # type: ignore[misc]
        def pre_run(self) -> None:
            import folder_paths

            (Path(folder_paths.get_output_directory()) / "other_patcher.txt").write_text("sampled")
            super().pre_run()

    return OtherPatcher


class TakeApart:
    """The layers as a decomposer gives them, before they are made exact."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "run"
    CATEGORY = "_for_testing"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        numbers = {"layers": ("INT", {"default": 2}), "seed": ("INT", {"default": 0})}
        return {"required": {"model": ("LAYERED_MODEL",), "image": ("IMAGE",), **numbers}}

    def run(self, model: Any, image: Tensor, layers: int, seed: int) -> tuple[Tensor]:
        picture = torch.cat([image[0], torch.ones_like(image[0, ..., :1])], -1)[..., :4]
        request = SimpleNamespace(layers=layers, seed=seed, prompt="")
        return (model.decompose(picture, request, lambda fraction, what: None).stack.pixels,)


class KeepTensor:
    """Writes an image or a latent as it is, in float32, into the output folder."""

    RETURN_TYPES = ()
    FUNCTION = "keep"
    CATEGORY = "_for_testing"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"name": ("STRING", {})}, "optional": {"image": ("IMAGE",), "latent": ("LATENT",)}}

    def keep(self, name: str, image: Tensor | None = None, latent: dict[str, Tensor] | None = None) -> dict[str, Any]:
        import folder_paths

        tensor = image if latent is None else latent["samples"]
        save_file({"tensor": tensor.contiguous()}, Path(folder_paths.get_output_directory()) / f"{name}.safetensors")
        return {}


NODE_CLASS_MAPPINGS = {
    "TinyTextEncoder": TinyTextEncoder,
    "TinyDiffusionModel": TinyDiffusionModel,
    "PatchedDiffusionModel": PatchedDiffusionModel,
    "SmallBucket": SmallBucket,
    "PatchedModel": PatchedModel,
    "TakeApart": TakeApart,
    "KeepTensor": KeepTensor,
}
