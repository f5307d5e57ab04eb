"""The true networks with random weights: speed and memory do not depend on what weights are.

Weights are drawn on the device, which takes seconds there and minutes on a CPU, one after another with one seed: two
networks of one kind on one device are the same numbers, wherever they are kept afterwards.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from qil_core.checkpoints.folders import SHIPPED, Files, read_json
from qil_core.model import vae
from qil_core.model.machine import HOST, Machine
from qil_core.model.models import LAYERED, Model
from qil_core.model.modulation import Modulation
from qil_core.model.parts import Parts, load_image_processor

SPREAD = 0.02
"""Standard deviation of weights: rows of 3072 of them keep a length about as it is, so that 60 blocks stay finite."""

NOWHERE = Path("/no/such/folder")
"""So that the shipped configurations count."""

Config = dict[str, Any]


@dataclass(frozen=True)
class Scale:
    """Sizes of the networks and of the work.

    sides: resolutions, the first one where nothing else is said. layers: the first one where nothing else is said.
    words: tokens of the prompt. caption: tokens that are written. limits: bytes of cards. steps: of a timed call.
    """

    transformer: Config
    text_encoder: Config
    vae: Config
    dtype: torch.dtype
    sides: tuple[int, ...]
    layers: tuple[int, ...]
    words: int
    caption: int
    limits: tuple[int, ...]
    steps: int = 4


def shipped(part: str) -> Config:
    """The published configuration of a part."""
    return read_json(SHIPPED / f"{part}.json")


TRUE = shipped("transformer")
"""The published layered transformer."""

FULL = Scale(
    TRUE,
    shipped("text_encoder"),
    shipped("vae"),
    torch.bfloat16,
    sides=(640, 1024),
    layers=(4, 2, 10),
    words=300,
    caption=32,
    limits=(8 << 30, 12 << 30, 16 << 30, 24 << 30),
)

TINY = Scale(
    {**TRUE, "num_layers": 3, "attention_head_dim": 16, "num_attention_heads": 2, "joint_attention_dim": 32}
    | {"axes_dims_rope": (4, 6, 6)},
    {
        **shipped("text_encoder"),
        **{"image_token_id": 1, "video_token_id": 2, "vision_start_token_id": 3, "vision_end_token_id": 4},
        "text_config": {
            "vocab_size": 400, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
            "num_attention_heads": 2, "num_key_value_heads": 1, "bos_token_id": 5, "eos_token_id": 6,
            "rope_theta": 1e6, "rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]},
        },
        "vision_config": {
            "depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "out_hidden_size": 32,
            "fullatt_block_indexes": [1], "window_size": 112,
        },
    },
    {**shipped("vae"), "base_dim": 4, "dim_mult": [1, 1, 1, 1], "num_res_blocks": 1},
    torch.float32,
    sides=(64, 96),
    layers=(3, 2),
    words=60,
    caption=2,
    limits=(1 << 30, 8 << 30),
)  # fmt: skip
"""The same in sizes that a CPU runs in seconds, so that every section can be tried where there is no GPU."""


def draw(module: nn.Module, device: torch.device, dtype: torch.dtype, home: torch.device) -> Any:
    """Give a module random weights, drawn on a device and then kept at home."""
    generator = torch.Generator(device).manual_seed(0)
    for name, empty in list(module.named_parameters()):
        weight = torch.empty(empty.shape, dtype=dtype, device=device)
        if "norm" in name and (weight.ndim == 1 or name.endswith("gamma")):
            weight.fill_(1)
        else:
            weight.normal_(0, SPREAD, generator=generator)
        owner, _, leaf = name.rpartition(".")
        setattr(module.get_submodule(owner), leaf, nn.Parameter(weight.to(home), requires_grad=False))
    for buffer in module.buffers():
        buffer.data = buffer.data.to(home)
    return module.eval()


def empty(kind: Any, **config: Any) -> nn.Module:
    """A module whose parameters are on the meta device."""
    from accelerate import init_empty_weights

    with init_empty_weights(include_buffers=False):
        return kind(**config)


def make_transformer(config: Config, device: torch.device, dtype: torch.dtype, home: torch.device | None = None) -> Any:
    """Stock diffusers' transformer, at home or where its weights are drawn."""
    from diffusers import QwenImageTransformer2DModel

    return draw(empty(QwenImageTransformer2DModel, **config), device, dtype, home or device)


def make_vae(config: Config, device: torch.device, dtype: torch.dtype, home: torch.device | None = None) -> Any:
    """Stock diffusers' VAE."""
    from diffusers import AutoencoderKLQwenImage

    return draw(empty(AutoencoderKLQwenImage, **config), device, dtype, home or device)


def make_text_encoder(config: Config, device: torch.device, dtype: torch.dtype, home: torch.device) -> Any:
    """Qwen2.5-VL, which never thinks of a last word by itself."""
    from transformers import GenerationConfig, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    module: Any = empty(Qwen2_5_VLForConditionalGeneration, config=Qwen2_5_VLConfig(**config))
    module.generation_config = GenerationConfig(do_sample=False, pad_token_id=0)
    return draw(module, device, dtype, home)


class Tokens:
    """A tokenizer without a file: words, signs and spaces are tokens, and so is each place of a picture."""

    def __init__(self, config: Config) -> None:
        names = {"<|image_pad|>": "image_token_id", "<|video_pad|>": "video_token_id"}
        names |= {f"<|vision_{end}|>": f"vision_{end}_token_id" for end in ("start", "end")}
        self._special = {mark: config[name] for mark, name in names.items()}
        self._most = config["text_config"]["vocab_size"] // 2  # special tokens of the true one lie above

    def __call__(self, texts: str | Sequence[str], return_tensors: str | None = None) -> Any:
        from transformers import BatchEncoding

        if isinstance(texts, str):
            return BatchEncoding({"input_ids": self._ids(texts)})
        ids = torch.tensor([self._ids(text) for text in texts])
        return BatchEncoding({"input_ids": ids, "attention_mask": torch.ones_like(ids)})

    def _ids(self, text: str) -> list[int]:
        return [self._special.get(word, self._any(word)) for word in re.findall(r"<\|\w+\|>|\w+|\W", text)]

    def _any(self, word: str) -> int:
        return 10 + zlib.crc32(word.encode()) % (self._most - 10)


def make_parts(scale: Scale, device: torch.device, model: Model = LAYERED) -> Parts:
    """All of a model's pieces in host memory, as `parts.load` gives them but for the file that is mapped there."""
    from diffusers import FlowMatchEulerDiscreteScheduler

    settings = model.settings
    transformer = make_transformer(scale.transformer | dict(settings.get("transformer", {})), device, scale.dtype, HOST)
    coder = make_vae(scale.vae | dict(settings.get("vae", {})), device, scale.dtype, HOST)
    return Parts(
        model=model,
        transformer=transformer,
        modulation=Modulation(transformer),
        vae=vae.for_single_frames(coder),
        text_encoder=make_text_encoder(scale.text_encoder, device, scale.dtype, HOST),
        tokenizer=Tokens(scale.text_encoder),
        image_processor=load_image_processor(Files(NOWHERE, NOWHERE, NOWHERE, NOWHERE)),
        scheduler=FlowMatchEulerDiscreteScheduler(**(shipped("scheduler") | dict(settings.get("scheduler", {})))),
        can_caption=True,
    )


class Watched(Machine):
    """A machine that counts the host memory which is pinned, in bytes, and may pin no more than so many of them."""

    def __init__(self, device: torch.device, most: int | None = None) -> None:
        super().__init__(device)
        self._most = most
        self.pinned = self.most_pinned = 0

    def pinnable(self) -> int:
        """As a machine does, within what was given."""
        return super().pinnable() if self._most is None else min(self._most, super().pinnable())

    def pin(self, buffer: torch.Tensor) -> bool:
        """As a machine does."""
        done = super().pin(buffer)
        self.pinned += buffer.nbytes if done else 0
        self.most_pinned = max(self.most_pinned, self.pinned)
        return done

    def unpin(self, buffer: torch.Tensor) -> None:
        """As a machine does."""
        super().unpin(buffer)
        self.pinned -= buffer.nbytes
