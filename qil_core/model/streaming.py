"""Blocks whose weights live in host memory and visit the GPU two at a time, the next one travelling meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set

import torch
from torch import Tensor, nn

ALIGN = 256
"""Weights begin at multiples of this many bytes, as GPU kernels like it."""


class _Packed:
    """One block's weights in one stretch of host memory, and its parameters to point at a copy of it."""

    def __init__(self, module: nn.Module, pin: bool) -> None:
        self.module = module
        self._places: list[tuple[Tensor, int]] = []
        self.size = 0
        for tensor in weights(module):
            self._places.append((tensor, self.size))
            self.size += -(-tensor.numel() * tensor.element_size() // ALIGN) * ALIGN
        self.host = torch.empty(self.size, dtype=torch.uint8, pin_memory=pin)
        for tensor, at in self._places:
            _view(self.host, tensor, at).copy_(tensor)
        self.point_to(self.host)

    def point_to(self, buffer: Tensor) -> None:
        for tensor, at in self._places:
            tensor.data = _view(buffer, tensor, at)


def weights(module: nn.Module) -> list[Tensor]:
    """All tensors of a module that must be where it computes."""
    return [*module.parameters(), *module.buffers()]


def _view(buffer: Tensor, like: Tensor, at: int) -> Tensor:
    return buffer[at : at + like.numel() * like.element_size()].view(like.dtype).view(like.shape)


def spread(count: int, resident: int) -> frozenset[int]:
    """Which of `count` blocks stay on the device, when `resident` do: evenly among the others."""
    return frozenset(i * count // resident for i in range(resident))


class StreamedBlocks:
    """Iterating gives the blocks in order, each on the device with its weights while it is its turn.

    A block is valid until the next one is asked for. While one computes, the next ones travel, past the end too: the
    first blocks of the next round are on their way when a round ends. `moved` counts the bytes sent to the device.
    """

    def __init__(
        self, blocks: Sequence[nn.Module], device: torch.device, stay: Set[int] = frozenset(), slots: int = 2
    ) -> None:
        """stay: which blocks are on the device for good; they are not touched."""
        on_gpu = device.type == "cuda"
        self._packed = [None if i in stay else _Packed(block, pin=on_gpu) for i, block in enumerate(blocks)]
        self._order = [packed for packed in self._packed if packed]
        self._largest = max((packed.size for packed in self._order), default=0)
        self.stay, self._device, self._count = stay, device, slots
        self._slots: list[_Slot] = []
        self._blocks = list(blocks)
        self._stream = torch.cuda.Stream(device) if on_gpu else None
        self._sent = self._used = 0
        self.moved = 0

    def __len__(self) -> int:
        return len(self._blocks)

    def __iter__(self) -> Iterator[nn.Module]:
        self._begin()
        for block, packed in zip(self._blocks, self._packed, strict=True):
            if packed is None:
                yield block
                continue
            slot = self._slots[self._used % len(self._slots)]
            slot.wait()
            packed.point_to(slot.buffer)
            try:
                yield block
            finally:  # a round may be cut short; the slot is still in use then
                packed.point_to(packed.host)
                slot.release()
            self._used += 1
            self._send()

    @property
    def held(self) -> int:
        """Bytes of device memory that rest() frees."""
        return sum(slot.buffer.nbytes for slot in self._slots)

    @property
    def wanted(self) -> int:
        """Bytes of device memory that the next round has to take."""
        return 0 if self._slots or not self._order else self._count * self._largest

    def rest(self) -> None:
        """Leave the device, when nothing is on its way there. The weights stay packed for the next round."""
        self._slots = []
        self._sent = self._used = 0

    def _begin(self) -> None:
        if self._order and not self._slots:
            self._slots = [_Slot(self._largest, self._device) for _ in range(self._count)]
        if self._order and self._used % len(self._order):  # the last round was stopped half way
            if self._stream:
                self._stream.synchronize()
            self._sent = self._used = 0
        while self._sent < self._used + len(self._slots):
            self._send()

    def _send(self) -> None:
        packed = self._order[self._sent % len(self._order)]
        self._slots[self._sent % len(self._slots)].fill(packed.host, self._stream)
        self._sent += 1
        self.moved += packed.size


class _Slot:
    """Device memory for one block. Copies wait until the block before it was used; users wait until it is there."""

    def __init__(self, size: int, device: torch.device) -> None:
        self.buffer = torch.empty(size, dtype=torch.uint8, device=device)
        on_gpu = device.type == "cuda"
        self._arrived = torch.cuda.Event() if on_gpu else None
        self._free = torch.cuda.Event() if on_gpu else None

    def fill(self, host: Tensor, stream: torch.cuda.Stream | None) -> None:
        target = self.buffer[: len(host)]
        if stream is None or self._arrived is None or self._free is None:
            target.copy_(host)
            return
        with torch.cuda.stream(stream):
            stream.wait_event(self._free)
            target.copy_(host, non_blocking=True)
            self._arrived.record(stream)

    def wait(self) -> None:
        if self._arrived is not None:
            torch.cuda.current_stream().wait_event(self._arrived)

    def release(self) -> None:
        if self._free is not None:
            self._free.record(torch.cuda.current_stream())
