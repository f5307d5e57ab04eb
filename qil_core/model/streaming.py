"""Blocks whose weights lie in a mapped file and visit the device two at a time, the next ones travelling meanwhile.

The way of a block: (1) a thread reads it from the file into a stage, a pinned buffer that is used again and again;
(2) from there it is copied into a slot on the device while other blocks compute; (3) the block's parameters point at
the slot while it is its turn. Blocks that are kept in pinned memory are read from the file only once. Devices
that read no pinned memory have no stages: the thread reads straight into the slot.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor, nn

from .devices import has_pinning
from .machine import HostBuffer, Machine

ALIGN = 256
"""Weights begin at multiples of this many bytes, as GPU kernels like it."""

SLOTS = 2
"""Blocks that are on the device at a time: one computes, one arrives."""

STAGES = 2
"""Pinned buffers on the way: one is filled while the other is copied to the device."""


def weights(module: nn.Module) -> list[Tensor]:
    """All tensors of a module that must be where it computes."""
    return [*module.parameters(), *module.buffers()]


def spread(count: int, chosen: int) -> frozenset[int]:
    """Which of `count` blocks are the chosen ones: evenly among the others."""
    return frozenset(i * count // chosen for i in range(chosen))


class _Block:
    """A block's weights: where they come from, and where each lies in a slot. keep: it is to stay in pinned memory."""

    def __init__(self, module: nn.Module, keep: bool) -> None:
        self.keep = keep
        self.kept: HostBuffer | None = None
        self.size = 0
        self._places: list[tuple[Tensor, Tensor, int]] = []
        for tensor in weights(module):
            self._places.append((tensor, tensor.data, self.size))
            self.size += -(-tensor.nbytes // ALIGN) * ALIGN

    def read_into(self, buffer: Tensor) -> None:
        for _, home, at in self._places:
            _view(buffer, home, at).copy_(home)

    def point_to(self, buffer: Tensor) -> None:
        for tensor, home, at in self._places:
            tensor.data = _view(buffer, home, at)

    def point_home(self) -> None:
        for tensor, home, _ in self._places:
            tensor.data = home


def _view(buffer: Tensor, like: Tensor, at: int) -> Tensor:
    return buffer[at : at + like.nbytes].view(like.dtype).view(like.shape)


class _Slot:
    """Device memory for one block. Copies wait until the block before it was used; users wait until it is there."""

    def __init__(self, size: int, device: torch.device) -> None:
        self.buffer = torch.empty(size, dtype=torch.uint8, device=device)
        self._device = device
        self._arrived = torch.cuda.Event() if has_pinning(device) else None
        self._free = torch.cuda.Event() if has_pinning(device) else None
        self.release()  # the memory may be what kernels that are under way have just given back

    def fill(self, source: Tensor, stream: torch.cuda.Stream) -> None:
        assert self._arrived is not None
        assert self._free is not None
        with torch.cuda.stream(stream):
            stream.wait_event(self._free)
            self.buffer[: len(source)].copy_(source, non_blocking=True)
            self._arrived.record(stream)

    def wait(self) -> None:
        if self._arrived is not None:
            torch.cuda.current_stream(self._device).wait_event(self._arrived)

    def release(self) -> None:
        if self._free is not None:
            self._free.record(torch.cuda.current_stream(self._device))


class _Stage:
    """A pinned buffer on the way of blocks, and when its last copy to the device was done."""

    def __init__(self, size: int, machine: Machine) -> None:
        self.buffer = HostBuffer(size, machine)
        self.sent = torch.cuda.Event()


class _Conveyor:
    """A thread that brings blocks to slots, in the order in which they were asked for."""

    def __init__(self, size: int, device: torch.device, machine: Machine) -> None:
        self._machine = machine
        self._thread = ThreadPoolExecutor(1, "qil-streaming")
        self._stream = torch.cuda.Stream(device) if has_pinning(device) else None
        self._stages = [_Stage(size, machine) for _ in range(STAGES)] if self._stream else []

    @property
    def is_pinned(self) -> bool:
        return all(stage.buffer.is_pinned for stage in self._stages)

    def send(self, block: _Block, slot: _Slot) -> Future[None]:
        return self._thread.submit(self._carry, block, slot)

    @torch.inference_mode()
    def _carry(self, block: _Block, slot: _Slot) -> None:
        if self._stream is None:
            block.read_into(slot.buffer)
            return
        if block.keep and block.kept is None:
            block.kept = self._pinned_copy(block)
            block.keep = block.kept is not None
        if block.kept is not None:
            slot.fill(block.kept.bytes, self._stream)
            return
        stage = self._stages.pop(0)
        self._stages.append(stage)
        stage.sent.synchronize()
        block.read_into(stage.buffer.bytes)
        slot.fill(stage.buffer.bytes[: block.size], self._stream)
        stage.sent.record(self._stream)

    def _pinned_copy(self, block: _Block) -> HostBuffer | None:
        copy = HostBuffer(block.size, self._machine)
        if not copy.is_pinned:
            return None
        block.read_into(copy.bytes)
        return copy

    def finish(self, arrivals: Iterable[Future[None]]) -> None:
        """Send nothing of this that has not set out yet, and return when the others are there."""
        for arrival in arrivals:
            if not arrival.cancel():
                arrival.exception()
        if self._stream is not None:
            self._stream.synchronize()


class StreamedBlocks:
    """Iterating gives the blocks in order, each on the device with its weights while it is its turn.

    A block is valid until the next one is asked for. While one computes, the next ones travel, past the end too: the
    first blocks of the next round are on their way when a round ends. `moved` counts the bytes sent to the device.
    """

    def __init__(
        self,
        blocks: Sequence[nn.Module],
        machine: Machine,
        stay: Set[int] = frozenset(),
        pinned: int = 0,
        slots: int = SLOTS,
    ) -> None:
        """stay: which blocks are on the device for good; they are not touched. pinned: how many of the others are to
        be kept in pinned memory, which the system may refuse.
        """
        keep = spread(len(blocks) - len(stay), pinned)
        others = [i for i in range(len(blocks)) if i not in stay]
        self._order = [_Block(blocks[i], n in keep) for n, i in enumerate(others)]
        self._streamed = dict(zip(others, self._order, strict=True))
        self._largest = max((block.size for block in self._order), default=0)
        self.stay, self._machine, self._count = stay, machine, slots
        self._blocks = list(blocks)
        self._slots: list[_Slot] = []
        self._conveyor: _Conveyor | None = None
        self._arrivals: deque[Future[None]] = deque()
        self._sent = self._used = 0
        self.moved = 0

    def __len__(self) -> int:
        return len(self._blocks)

    def __iter__(self) -> Iterator[nn.Module]:
        self._begin()
        for i, module in enumerate(self._blocks):
            block = self._streamed.get(i)
            if block is None:
                yield module
                continue
            slot = self._arrived()
            block.point_to(slot.buffer)
            try:
                yield module
            finally:  # a round may be cut short; the slot is still in use then
                block.point_home()
                slot.release()
            self._arrivals.popleft()
            self._used += 1
            self._send()

    def _arrived(self) -> _Slot:
        """The slot of the block whose turn it is, when its copy is under way and what comes after that waits for it."""
        try:
            self._arrivals[0].result()
        except BaseException:
            self.rest()
            raise
        slot = self._slots[self._used % len(self._slots)]
        slot.wait()
        return slot

    @property
    def held(self) -> int:
        """Bytes of device memory that rest() frees."""
        return sum(slot.buffer.nbytes for slot in self._slots)

    @property
    def wanted(self) -> int:
        """Bytes of device memory that the next round has to take."""
        return 0 if self._slots or not self._order else self._count * self._largest

    @property
    def pinned(self) -> int:
        """Bytes of blocks that are kept in pinned memory."""
        return sum(block.size for block in self._order if block.kept is not None)

    @property
    def note(self) -> str:
        """What a user should know about the way of the blocks; empty when all is as planned."""
        if self._conveyor is None or self._conveyor.is_pinned:
            return ""
        return "The system gave no pinned memory: blocks travel through ordinary memory, which is slower."

    def rest(self) -> None:
        """Leave the device. What is kept in pinned memory stays for the next round."""
        self._stop()
        self._conveyor = None
        self._slots = []

    def _stop(self) -> None:
        if self._conveyor is not None:
            self._conveyor.finish(self._arrivals)
        self._arrivals.clear()
        self._sent = self._used = 0

    def _begin(self) -> None:
        if self._order and self._used % len(self._order):  # the last round was stopped half way
            self._stop()
        if self._order and self._conveyor is None:
            device = self._machine.device
            self._slots = [_Slot(self._largest, device) for _ in range(self._count)]
            self._conveyor = _Conveyor(self._largest, device, self._machine)
        while self._sent < self._used + len(self._slots):
            self._send()

    def _send(self) -> None:
        assert self._conveyor is not None
        block = self._order[self._sent % len(self._order)]
        slot = self._slots[self._sent % len(self._slots)]
        self._arrivals.append(self._conveyor.send(block, slot))
        self._sent += 1
        self.moved += block.size
