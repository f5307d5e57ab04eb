"""What a placement asks of the computer that it runs on: memory on the device, memory of the host, pinned memory.

`Machine` is a process of our own; nodes/memory.py has ComfyUI's, which shares its memory with other models.
"""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

HOST = torch.device("cpu")

UNLIMITED = 1 << 62
"""Bytes that are free where nothing has to be brought: weights on the CPU are there already."""

PIN_SHARE = 0.5
"""Of the host's free memory, the share that may be pinned: pinned memory is never swapped, so others need the rest."""


CGROUP = Path("/sys/fs/cgroup")
"""Where Linux says what a container may use of the machine (control groups, version 2)."""


def left_in_container(cgroup: Path) -> int | None:
    """Bytes of memory that this container may still take; None where there is none, or it has no limit.

    What holds nothing but files counts as free: it is given back when the limit is near.
    """
    try:
        limit = (cgroup / "memory.max").read_text().strip()
        used = int((cgroup / "memory.current").read_text())
        about = dict(line.split() for line in (cgroup / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):  # no such system, or one that says it otherwise
        return None
    return int(limit) - used + int(about.get("file", 0)) if limit.isdigit() else None


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
        """device: "cuda" without a number is the current one, so that tensors there are on this very device."""
        if device.type == "cuda" and device.index is None:
            device = torch.device("cuda", torch.cuda.current_device())
        self.device = device

    def make_room(self, guest: Guest, wanted: int) -> int:
        """Bytes that are free on the device, after what can be freed for the wanted bytes has been freed.

        Called before weights come. A machine may keep the guest (not for longer than that lives) and later call its
        `release`, but never while one of the model's calls is under way.
        """
        return torch.cuda.mem_get_info(self.device)[0] if self.device.type == "cuda" else UNLIMITED

    def free_ram(self) -> int:
        """Bytes of host memory that are free, or that hold nothing but files which could be read again."""
        import psutil  # comes with accelerate and with ComfyUI

        available = int(psutil.virtual_memory().available)
        left = left_in_container(CGROUP)
        return available if left is None else max(0, min(available, left))

    def pinnable(self) -> int:
        """Bytes of host memory that may be pinned now; 0 where the device reads no pinned memory."""
        return int(PIN_SHARE * self.free_ram()) if self.device.type == "cuda" else 0

    def pin(self, buffer: Tensor) -> bool:
        """Let the device read a host buffer by itself; False when the system refuses, which leaves no error behind.

        torch's own pinned memory is rounded up to a power of two: 512 MiB for a block of 432.
        """
        if self.device.type != "cuda":
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
        if isinstance(error, torch.OutOfMemoryError):
            return True
        # Not only the allocator, a kernel or a library may find no memory: torch has another error for that.
        return isinstance(error, RuntimeError) and "CUDA error: out of memory" in str(error)


class HostBuffer:
    """Bytes of host memory that the device reads by itself where the machine allows it. Given back when dropped."""

    def __init__(self, size: int, machine: Machine) -> None:
        self.bytes = torch.empty(size, dtype=torch.uint8)
        self.is_pinned = machine.pin(self.bytes)
        if self.is_pinned:
            weakref.finalize(self, machine.unpin, self.bytes)
