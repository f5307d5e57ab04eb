"""Brings a model's parts to its device as a plan says, and takes them away again.

Others may use the device too: a `Machine` is asked before weights come, and it may take everything back with `release`
between two calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from .machine import HOST, Machine
from .plan import (
    ALL,
    LEAVES,
    LOSSY,
    STREAMED,
    USUAL_TOKENS,
    WORDS_FORMAT,
    WORKING,
    Free,
    Plan,
    check_mode,
    choose,
    peak,
    sizes,
    working,
)
from .storage import FORMATS, Packing, StoredLinear, packed_size
from .streaming import StreamedBlocks, spread, weights


class Placement:
    """Brings the parts to the device as a plan says, and takes them away again.

    Where a weight came from is kept, so that leaving copies nothing.
    """

    def __init__(self, parts: Any, machine: Machine, mode: str, free: int | None) -> None:
        """mode: one of MODES. free: bytes that the plan may count on; None takes what the machine says is free."""
        check_mode(mode)
        self._parts = parts
        self.machine = machine
        self.device = machine.device
        self._mode = mode
        self._free = free
        self._tokens = USUAL_TOKENS
        self._plan: Plan | None = None
        self.streamed: StreamedBlocks | None = None
        self._words: StreamedBlocks | None = None  # the text encoder's layers
        self._layers: nn.ModuleList | None = None  # the same as its own list, while they are streamed
        self._packed_blocks, self._packed_words = Packing(), Packing()
        self._home: dict[int, tuple[Tensor, Tensor]] = {}
        self._settled: dict[StoredLinear, int] = {}  # bytes of each on the device

    def use(self, mode: str) -> None:
        """Another mode: what is on the device leaves it, and the plan is made anew. QilError unless one of MODES."""
        check_mode(mode)
        if mode != self._mode:
            self.release()
            self._mode, self._plan = mode, None

    @property
    def plan(self) -> Plan:
        """Chosen when it is first asked for: what is free then counts, not what was free when the model was read."""
        if self._plan is None:
            self._plan = self._choose()
        return self._plan

    @plan.setter
    def plan(self, plan: Plan) -> None:
        self.release()
        self._plan = plan

    def _choose(self) -> Plan:
        form = LOSSY.get(self._mode)
        need = sizes(self._parts.transformer, self._parts.text_encoder, self._parts.vae, form)
        free = self._free
        if free is None:  # the more there is, the better: everything is asked for
            everything = peak(ALL, need, working(self._tokens))
            free = self.machine.make_room(self, everything) if self._mode not in (ALL, LEAVES) else 0
        return choose(self._mode, Free(free, self.machine.free_ram(), self.machine.pinnable()), need, self._tokens)

    def expect(self, tokens: int) -> None:
        """Prepare for a call with so many tokens: for more than any before, the plan is made anew."""
        if tokens > self._tokens:
            self._tokens = tokens
            if self._plan is not None and self._mode not in (ALL, LEAVES):
                self.release()
                self._plan = None

    @property
    def notes(self) -> list[str]:
        """What a user should know: why the plan is as it is, and what did not go as planned."""
        streams = (blocks.note for blocks in (self.streamed, self._words) if blocks is not None)
        return list(dict.fromkeys(filter(None, (self.plan.why, *streams))))

    @property
    def held(self) -> int:
        """Bytes of weights on the device that release() frees."""
        slots = sum(blocks.held for blocks in (self.streamed, self._words) if blocks is not None)
        packed = self._packed_blocks.held + self._packed_words.held + sum(self._settled.values())
        return sum(tensor.nbytes for tensor, _ in self._home.values()) + slots + packed

    def bring(self, module: nn.Module, beside: int = WORKING) -> Any:
        """The module, its weights on the device, with so many bytes free beside them."""
        self._bring_all([module], beside)
        return module

    def _bring_all(self, modules: Sequence[nn.Module], beside: int) -> None:
        lacking = sum(tensor.nbytes for module in modules for tensor in self._missing(module))
        self.machine.make_room(self, lacking + beside)
        for module in modules:
            self._move(module)

    def _missing(self, module: nn.Module) -> list[Tensor]:
        """Tensors that are not on the device; of layers that settle there, those that their weight is made of."""
        settled = {
            id(tensor) for layer in _settling(module) if layer in self._settled for tensor in layer.stored.tensors
        }
        return [
            tensor
            for tensor in weights(module)
            if id(tensor) not in self._home and id(tensor) not in settled and tensor.device != self.device
        ]

    def _move(self, module: nn.Module) -> None:
        for layer in _settling(module):
            if self.device != HOST and layer not in self._settled:
                self._settled[layer] = layer.settle(self.device).nbytes
        for tensor in self._missing(module):
            home = tensor.data
            tensor.data = home.to(self.device)
            self._home[id(tensor)] = (tensor, home)

    def _send_home(self, module: nn.Module) -> None:
        for layer in _settling(module):
            self._unsettle(layer)
        for tensor in weights(module):
            if id(tensor) in self._home:
                tensor.data = self._home.pop(id(tensor))[1]

    def _unsettle(self, layer: StoredLinear) -> None:
        if self._settled.pop(layer, None) is not None:
            layer.settled = None

    @contextmanager
    def words(self) -> Iterator[Any]:
        """The text encoder, ready to work on the device. It stays there until the transformer comes."""
        encoder = self._parts.text_encoder
        try:
            self._bring_words(encoder)
            yield encoder
        finally:
            if self._layers is not None:
                encoder.model.language_model.layers, self._layers = self._layers, None

    def _bring_words(self, encoder: Any) -> None:
        if self.plan.leaves:
            self._end_blocks()
        layers = encoder.model.language_model.layers
        if self.plan.words < len(layers):
            self._stream_words(encoder, list(layers))
        elif self.plan.mode in LOSSY:
            self._pack(self._packed_words, encoder, WORDS_FORMAT)
            self.bring(encoder)
        else:
            self.bring(encoder)

    def _pack(self, packing: Packing, module: nn.Module, form: str) -> None:
        """A module's linear layers on the device, in fewer bits, unless they are there."""
        if not packing.held:
            self.machine.make_room(self, packed_size(module, FORMATS[form]) + WORKING)
            packing.pack(module, FORMATS[form], self.device)

    def _stream_words(self, encoder: Any, layers: list[nn.Module]) -> None:
        language = encoder.model.language_model
        if self._words is None:
            self._words = StreamedBlocks(layers, self.machine, spread(len(layers), self.plan.words))
        self._layers, language.layers = language.layers, nn.ModuleList()
        self._bring_all([encoder, *(layers[i] for i in self._words.stay)], self._words.wanted + WORKING)
        language.layers = _StreamedList(self._layers, self._words)

    def end_words(self) -> None:
        """The text encoder leaves, where the plan does not have it stay: the transformer comes."""
        if self.plan.leaves:
            if self._words is not None:
                self._words.rest()
            self._packed_words.undo()
            self._send_home(self._parts.text_encoder)

    def _end_blocks(self) -> None:
        if self.streamed is not None:
            self.streamed.rest()
        self._packed_blocks.undo()
        self._send_home(self._parts.transformer)

    def blocks(self) -> Iterable[nn.Module]:
        """The transformer's blocks, each on the device when its turn comes; its other weights stay there."""
        transformer = self._parts.transformer
        self.end_words()
        if self.plan.mode == STREAMED:
            return self._streamed_blocks(transformer)
        if self.plan.mode in LOSSY:
            self._pack(self._packed_blocks, transformer.transformer_blocks, LOSSY[self.plan.mode])
        return self.bring(transformer, working(self._tokens)).transformer_blocks

    @contextmanager
    def modulation_layers(self) -> Iterator[Iterable[nn.Module]]:
        """The modulation layers of each block, on the device when their turn comes; afterwards none is there."""
        layers = self._parts.modulation.layers
        if self.device == HOST:
            yield layers
            return
        travelling = StreamedBlocks(layers, self.machine)
        self.machine.make_room(self, travelling.wanted + WORKING)
        try:
            yield travelling
        finally:
            travelling.rest()

    def _streamed_blocks(self, transformer: Any) -> StreamedBlocks:
        blocks = list(transformer.transformer_blocks)
        stay = spread(len(blocks), self.plan.resident)
        here = [blocks[i] for i in stay]
        here += [child for name, child in transformer.named_children() if name != "transformer_blocks"]
        if self.streamed is None:
            self.streamed = StreamedBlocks(blocks, self.machine, stay, self.plan.pinned)
        self._bring_all(here, self.streamed.wanted + working(self._tokens))
        return self.streamed

    def release(self) -> None:
        """Everything back to the host, the device's memory and pinned memory free. The next use brings it again."""
        for blocks in (self.streamed, self._words):
            if blocks is not None:
                blocks.rest()
        self.streamed = self._words = None
        self._packed_blocks.undo()
        self._packed_words.undo()
        for layer in list(self._settled):
            self._unsettle(layer)
        for tensor, data in self._home.values():
            tensor.data = data
        self._home.clear()
        self._parts.modulation.leave()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


def _settling(module: nn.Module) -> list[StoredLinear]:
    return [layer for layer in module.modules() if isinstance(layer, StoredLinear) and layer.settles]


class _StreamedList(nn.ModuleList):
    """A ModuleList whose iteration streams: the encoder's own forward needs no change."""

    def __init__(self, layers: nn.ModuleList, streamed: StreamedBlocks) -> None:
        super().__init__(layers)
        self._streamed = streamed

    def __iter__(self) -> Iterator[nn.Module]:
        return iter(self._streamed)
