"""Where the weights live: one choice, `memory`, made once for a model and a device, when it is first used.

auto takes the first of the lossless modes that fits the memory that is free, keeping as many blocks on the GPU as
there is room for. Storage in fewer bits is lossy, so it is only used when it is asked for. Others may use the device
too: a `Room` is asked before weights come, and whoever gave it may take everything back with `release` between two
calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import QilError
from . import modulation
from .storage import FORMATS, store
from .streaming import StreamedBlocks, spread, weights

ALL, LEAVES, STREAMED = "all on the GPU", "text encoder leaves", "streamed"
LOSSLESS = (ALL, LEAVES, STREAMED)
LOSSY = {f"{name} storage (lossy)": name for name in FORMATS}
MODES = ("auto", *LOSSLESS, *LOSSY)
GIB = 1 << 30
WORKING = 4 * GIB
"""Kept free for activations and the VAE: 640 px with 4 layers needs 2.5 GiB, 1024 px needs 4."""
SLOTS = 2
"""Blocks that are on the device at a time when they are streamed."""
HOST = torch.device("cpu")
UNLIMITED = 1 << 62
"""What is free where nothing has to be brought: weights on the CPU are there already."""


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
    """mode: one of MODES but auto. resident: transformer blocks that stay on the device.

    streams_words: whether the text encoder too comes block by block; else it comes whole while nothing else is there.
    """

    mode: str
    resident: int
    streams_words: bool = False

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
    check_mode(mode)
    if mode == "auto":
        mode = next((m for m in LOSSLESS if _peak(m, need) <= free), STREAMED)
    streams_words = mode not in (ALL, LEAVES) and need.text_encoder + need.vae + WORKING > free
    if mode != STREAMED:
        return Plan(mode, need.blocks, streams_words)
    room = free - WORKING - need.vae - (need.transformer - need.block * need.blocks) - SLOTS * need.block
    return Plan(STREAMED, max(0, min(need.blocks - 1, room // need.block)), streams_words)


def check_mode(mode: str) -> None:
    """QilError unless it is one of MODES."""
    if mode not in MODES:
        raise QilError(f'Unknown memory mode "{mode}". Use one of: {", ".join(MODES)}.')


def smaller(plan: Plan) -> Plan | None:
    """The next plan that needs less memory; None when there is none."""
    if plan.mode == ALL:
        return replace(plan, mode=LEAVES)
    least = replace(plan, streams_words=True) if plan.mode in LOSSY else Plan(STREAMED, 0, streams_words=True)
    return None if plan == least else least


def _peak(mode: str, need: Sizes) -> int:
    if mode == ALL:
        return need.transformer + need.text_encoder + need.vae + WORKING
    return max(need.transformer, need.text_encoder) + need.vae + WORKING


class Placement:
    """Brings the parts to the device as a plan says, and takes them away again.

    Where a weight came from is kept, so that leaving copies nothing.
    """

    def __init__(self, parts: Any, device: torch.device, mode: str, free: int | None, make_room: Room) -> None:
        """mode: one of MODES. free: bytes that the plan may count on; None takes what make_room says is free."""
        check_mode(mode)
        self._parts = parts
        self.device = device
        self._mode = mode
        self._free = free
        self._make_room = make_room
        self.streamed: StreamedBlocks | None = None
        self._words: StreamedBlocks | None = None  # the text encoder's layers
        self._layers: nn.ModuleList | None = None  # the same as its own list, while they are streamed
        self._packed = False  # whether the blocks' weights are in fewer bits already
        self._home: dict[int, tuple[Tensor, Tensor]] = {}

    @cached_property
    def plan(self) -> Plan:
        """Chosen when it is first asked for: what is free then counts, not what was free when the model was read."""
        need = sizes(self._parts.transformer, self._parts.text_encoder, self._parts.vae)
        free = self._free
        if free is None:  # the more there is, the better: everything is asked for
            free = self._make_room(self, _peak(ALL, need)) if self._mode not in (ALL, LEAVES) else 0
        return choose(self._mode, free, need)

    @property
    def held(self) -> int:
        """Bytes of weights on the device that release() frees."""
        slots = sum(blocks.held for blocks in (self.streamed, self._words) if blocks is not None)
        return sum(tensor.nbytes for tensor, _ in self._home.values()) + slots

    def bring(self, module: nn.Module) -> Any:
        """The module, its weights on the device."""
        self._ask([module])
        self._move(module)
        return module

    def _ask(self, modules: Iterable[nn.Module], more: int = 0) -> None:
        """Have room made for what these modules still lack on the device, for `more` bytes and for working."""
        lacking = sum(tensor.nbytes for module in modules for tensor in self._missing(module))
        self._make_room(self, lacking + more + WORKING)

    def _missing(self, module: nn.Module) -> list[Tensor]:
        return [
            tensor
            for tensor in weights(module)
            if id(tensor) not in self._home and tensor.device != self.device and not tensor.is_meta
        ]

    def _move(self, module: nn.Module) -> None:
        for tensor in self._missing(module):
            home = tensor.data
            tensor.data = home.to(self.device)
            self._home[id(tensor)] = (tensor, home)

    def _send_home(self, module: nn.Module) -> None:
        for tensor in weights(module):
            if id(tensor) in self._home:
                tensor.data = self._home.pop(id(tensor))[1]

    @contextmanager
    def words(self) -> Iterator[Any]:
        """The text encoder, ready to work on the device."""
        encoder = self._parts.text_encoder
        leaves = self.plan.mode != ALL
        try:
            self._bring_words(encoder)
            yield encoder
        finally:
            if leaves:
                self._stop_words(encoder)

    def _bring_words(self, encoder: Any) -> None:
        if self.plan.streams_words:
            self._stream_words(encoder)
            return
        if self.plan.mode != ALL:
            self._send_home(self._parts.transformer)
            self._rest()
        self.bring(encoder)

    def _stream_words(self, encoder: Any) -> None:
        language = encoder.model.language_model
        if self._words is None:
            self._words = StreamedBlocks(list(language.layers), self.device)
        self._layers, language.layers = language.layers, nn.ModuleList()
        self._ask([encoder], self._words.wanted)
        self._move(encoder)
        language.layers = _StreamedList(self._layers, self._words)

    def _stop_words(self, encoder: Any) -> None:
        if self._layers is not None:
            encoder.model.language_model.layers, self._layers = self._layers, None
        self._rest()
        self._send_home(encoder)

    def blocks(self) -> Iterable[nn.Module]:
        """The transformer's blocks, each on the device when its turn comes; its other weights stay there."""
        transformer = self._parts.transformer
        modulation.move_tables(transformer, self.device)
        if self.plan.mode == STREAMED:
            return self._streamed_blocks(transformer)
        if self.plan.mode in LOSSY and not self._packed:
            for block in transformer.transformer_blocks:
                store(block, LOSSY[self.plan.mode], self.device)
            self._packed = True
        return self.bring(transformer).transformer_blocks

    def _streamed_blocks(self, transformer: Any) -> StreamedBlocks:
        blocks = list(transformer.transformer_blocks)
        stay = spread(len(blocks), self.plan.resident)
        here = [blocks[i] for i in stay]
        here += [child for name, child in transformer.named_children() if name != "transformer_blocks"]
        if self.streamed is None or self.streamed.stay != stay:
            self.streamed = StreamedBlocks(blocks, self.device, stay, SLOTS)
        self._ask(here, self.streamed.wanted)
        for module in here:
            self._move(module)
        return self.streamed

    def release(self) -> None:
        """Everything back to the host, the device's memory free. The next use brings it again."""
        self._rest()
        for tensor, data in self._home.values():
            tensor.data = data
        self._home.clear()
        modulation.move_tables(self._parts.transformer, HOST)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _rest(self) -> None:
        """Free the places of streamed blocks, once copies ahead that nobody will use have arrived there."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        for blocks in (self.streamed, self._words):
            if blocks is not None:
                blocks.rest()


Room = Callable[[Placement, int], int]
"""Called before weights come to a placement's device, with the bytes that it wants free there. Frees what it can, and
gives the bytes that are free then. It may keep the placement (not for longer than that lives) and later call its
`release`, but never while one of the model's calls is under way."""


def as_it_is(placement: Placement, wanted: int) -> int:
    """A Room that frees nothing."""
    device = placement.device
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else UNLIMITED


class _StreamedList(nn.ModuleList):
    """A ModuleList whose iteration streams: the encoder's own forward needs no change."""

    def __init__(self, layers: nn.ModuleList, streamed: StreamedBlocks) -> None:
        super().__init__(layers)
        self._streamed = streamed

    def __iter__(self) -> Iterator[nn.Module]:
        return iter(self._streamed)
