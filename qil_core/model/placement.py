"""Where the weights live: one choice, `memory`, made once for a model and a device.

auto takes the first of the lossless modes that fits the memory that is free, keeping as many blocks on the GPU as
there is room for. fp8 storage is lossy, so it is only ever used when it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import QilError
from . import modulation
from .streaming import StreamedBlocks, spread, weights

ALL, LEAVES, STREAMED, FP8 = "all on the GPU", "text encoder leaves", "streamed", "fp8 storage (lossy)"
MODES = ("auto", ALL, LEAVES, STREAMED, FP8)
LOSSLESS = (ALL, LEAVES, STREAMED)
GIB = 1 << 30
WORKING = 4 * GIB
"""Kept free for activations and the VAE: 640 px with 4 layers needs 2.5 GiB, 1024 px needs 4."""


@dataclass(frozen=True)
class Sizes:
    """Bytes of weights. transformer: without modulation layers. block: one transformer block."""

    transformer: int
    block: int
    blocks: int
    text_encoder: int
    vae: int


@dataclass(frozen=True)
class Plan:
    """mode: one of MODES but auto. resident: transformer blocks that stay on the device."""

    mode: str
    resident: int

    def __str__(self) -> str:
        return self.mode


def sizes(transformer: Any, text_encoder: nn.Module, vae: nn.Module) -> Sizes:
    """Measure modules; weights that are still on the meta device (modulation) do not count."""
    blocks = transformer.transformer_blocks
    return Sizes(weigh(transformer), weigh(blocks[0]), len(blocks), weigh(text_encoder), weigh(vae))


def weigh(module: nn.Module) -> int:
    """Bytes of a module's weights."""
    return sum(t.numel() * t.element_size() for t in weights(module) if not t.is_meta)


def choose(mode: str, free: int, need: Sizes) -> Plan:
    """The plan for a mode; auto takes the first lossless one that fits free bytes. Raises QilError: unknown mode."""
    if mode not in MODES:
        raise QilError(f'Unknown memory mode "{mode}". Use one of: {", ".join(MODES)}.')
    if mode == "auto":
        mode = next((m for m in LOSSLESS if _peak(m, need) <= free), STREAMED)
    if mode != STREAMED:
        return Plan(mode, need.blocks)
    room = free - WORKING - need.vae - (need.transformer - need.block * need.blocks) - 2 * need.block
    return Plan(STREAMED, max(0, min(need.blocks - 1, room // need.block)))


def smaller(plan: Plan) -> Plan | None:
    """The next plan that needs less memory; None when there is none."""
    order = [ALL, LEAVES, STREAMED]
    if plan.mode == STREAMED:
        return Plan(STREAMED, 0) if plan.resident else None
    if plan.mode == FP8:
        return None
    after = order[order.index(plan.mode) + 1]
    return Plan(after, 0 if after == STREAMED else plan.resident)


def _peak(mode: str, need: Sizes) -> int:
    if mode == ALL:
        return need.transformer + need.text_encoder + need.vae + WORKING
    return max(need.transformer, need.text_encoder) + need.vae + WORKING


class Placement:
    """Brings the parts to the device as a plan says, and takes them away again.

    Where a weight came from is kept, so that leaving copies nothing.
    """

    def __init__(self, parts: Any, plan: Plan, device: torch.device) -> None:
        self._parts = parts
        self.plan = plan
        self.device = device
        self.streamed: StreamedBlocks | None = None
        self._layers: nn.ModuleList | None = None  # the text encoder's own, while they are streamed
        self._home: dict[int, tuple[Tensor, Tensor]] = {}

    def bring(self, module: nn.Module) -> Any:
        """The module, its weights on the device."""
        for tensor in weights(module):
            if tensor.device != self.device and not tensor.is_meta:
                self._home[id(tensor)] = (tensor, tensor.data)
                tensor.data = tensor.data.to(self.device)
        return module

    def _send_home(self, module: nn.Module) -> None:
        for tensor in weights(module):
            if id(tensor) in self._home:
                tensor.data = self._home.pop(id(tensor))[1]

    @contextmanager
    def words(self) -> Iterator[Any]:
        """The text encoder, ready to work on the device."""
        encoder = self._parts.text_encoder
        if self.plan.mode == STREAMED:
            self._stream_words(encoder)
        else:
            if self.plan.mode != ALL:
                self._send_home(self._parts.transformer)
            self.bring(encoder)
        try:
            yield encoder
        finally:
            if self.plan.mode != ALL:
                self._stop_words(encoder)

    def _stream_words(self, encoder: Any) -> None:
        language = encoder.model.language_model
        self._layers, language.layers = language.layers, nn.ModuleList()
        self.bring(encoder)
        language.layers = _StreamedList(self._layers, self.device)

    def _stop_words(self, encoder: Any) -> None:
        if self._layers is not None:
            encoder.model.language_model.layers, self._layers = self._layers, None
        self._send_home(encoder)

    def blocks(self) -> Iterable[nn.Module]:
        """The transformer's blocks, each on the device when its turn comes; its other weights stay there."""
        transformer = self._parts.transformer
        modulation.move_tables(transformer, self.device)
        if self.plan.mode == STREAMED:
            return self._streamed_blocks(transformer)
        if self.plan.mode == FP8:
            self._to_fp8(transformer)
        return self.bring(transformer).transformer_blocks

    def _streamed_blocks(self, transformer: Any) -> StreamedBlocks:
        if self.streamed is None:
            blocks = list(transformer.transformer_blocks)
            stay = spread(len(blocks), self.plan.resident)
            for i in stay:
                self.bring(blocks[i])
            self.streamed = StreamedBlocks(blocks, self.device, stay)
        for name, child in transformer.named_children():
            if name != "transformer_blocks":
                self.bring(child)
        return self.streamed

    def _to_fp8(self, transformer: Any) -> None:
        if not getattr(transformer, "_stored_in_fp8", False):
            transformer.enable_layerwise_casting(torch.float8_e4m3fn, compute_dtype=transformer.dtype)
            transformer._stored_in_fp8 = True

    def release(self) -> None:
        """Everything back to the host, the device's memory free."""
        for tensor, data in self._home.values():
            tensor.data = data
        self._home.clear()
        modulation.move_tables(self._parts.transformer, torch.device("cpu"))
        self.streamed = None
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


class _StreamedList(nn.ModuleList):
    """A ModuleList whose iteration streams: the encoder's own forward needs no change."""

    def __init__(self, layers: nn.ModuleList, device: torch.device) -> None:
        super().__init__(layers)
        self._streamed = StreamedBlocks(list(layers), device)

    def __iter__(self) -> Iterator[nn.Module]:
        return iter(self._streamed)
