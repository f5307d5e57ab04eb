"""What a placement asks of the computer that it runs on: memory on the device, memory of the host, pinned memory.

`Machine` is a process of our own; nodes/memory.py has ComfyUI's, which shares its memory with other models.
"""

from __future__ import annotations

import weakref
from typing import Protocol

import torch
from torch import Tensor

from ..memory import CGROUP, free_ram
from . import devices

HOST = torch.device("cpu")

UNLIMITED = 1 << 62
"""Bytes that are free where nothing has to be brought: weights on the CPU are there already."""

PIN_SHARE = 0.5
"""Of the host's free memory, the share that may be pinned: pinned memory is never swapped, so others need the rest."""


class Guest(Protocol):
    """Whoever holds weights on the device: a placement."""

    @property
    def held(self) -> int:
        """Bytes of weights on the device that release() frees."""

    def release(self) -> None:
        """Everything back to the host."""


class Machine:
    """A process of our own: nobody else's models are there to be unloaded."""

    def __init__(self, device: torch.device) -> None:
        """device: without a number, such as "cuda", it is the current one of its kind."""
        self.device = devices.numbered(device)

    def make_room(self, guest: Guest, wanted: int) -> int:
        """Bytes that are free on the device, after what can be freed for the wanted bytes has been freed.

        Called before weights come. A machine may keep the guest (not for longer than that lives) and later call its
        `release`, but never while one of the model's calls is under way.
        """
        if self.device.type == HOST.type:
            return UNLIMITED
        return devices.free_memory(self.device, self.free_ram) or 0  # nothing is counted on that nothing vouches for

    def free_ram(self) -> int:
        """Bytes of host memory that are free, or that hold nothing but files which could be read again."""
        return free_ram(CGROUP)

    def pinnable(self) -> int:
        """Bytes of host memory that may be pinned now; 0 where the device reads no pinned memory."""
        return int(PIN_SHARE * self.free_ram()) if devices.has_pinning(self.device) else 0

    def pin(self, buffer: Tensor) -> bool:
        """Let the device read a host buffer by itself; False when the system refuses, which leaves no error behind.

        torch's own pinned memory is rounded up to a power of two: 512 MiB for a block of 432.
        """
        if not devices.has_pinning(self.device):
            return False
        refused = int(torch.cuda.cudart().cudaHostRegister(buffer.data_ptr(), buffer.nbytes, 0))
        if refused:
            self._forget(refused)
        return not refused

    def unpin(self, buffer: Tensor) -> None:
        """Undo `pin`."""
        torch.cuda.cudart().cudaHostUnregister(buffer.data_ptr())

    def _forget(self, refused: int) -> None:
        """CUDA reports a call that it refused once more at the next launch of a kernel: this is that one."""
        try:
            torch.zeros(1, device=self.device)
        except RuntimeError as error:
            if getattr(error, "error_code", refused) != refused:
                raise

    def is_oom(self, error: BaseException) -> bool:
        """Whether an error says that the device's memory is used up, and nothing else."""
        return devices.is_oom(error)


class HostBuffer:
    """Bytes of host memory that the device reads by itself where the machine allows it. Given back when dropped."""

    def __init__(self, size: int, machine: Machine) -> None:
        self.bytes = torch.empty(size, dtype=torch.uint8)
        self.is_pinned = machine.pin(self.bytes)
        if self.is_pinned:
            weakref.finalize(self, machine.unpin, self.bytes)
