"""What devices can do beside computing, by the names that torch has for it: no other file asks for one kind of GPU.

`torch.cuda` is NVIDIA's and AMD's (ROCm), `torch.xpu` Intel's, `torch.mps` Apple's. Others, such as DirectML's
"privateuseone", compute and copy like any, and have nothing of this.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

UNIFIED = ("mps",)
"""Kinds whose devices always use the host's memory; integrated ones of other kinds say so themselves."""


def default_device() -> torch.device:
    """The GPU that is there, or the CPU."""
    for kind in ("cuda", "xpu", "mps"):
        module = getattr(torch, kind, None)
        if module is not None and module.is_available():
            return torch.device(kind)
    return torch.device("cpu")


def has_streams(device: torch.device) -> bool:
    """Whether copies to the device run beside its computing."""
    return device.type in ("cuda", "xpu")


def streams(device: torch.device) -> Any:
    """The module that has Stream, Event, stream and current_stream for a device that has_streams."""
    return getattr(torch, device.type)


def has_pinning(device: torch.device) -> bool:
    """Whether the device reads host memory by itself that is registered with it, and has memory of its own."""
    return device.type == "cuda" and not is_unified(device)


def is_unified(device: torch.device) -> bool:
    """Whether the device's memory is the host's: what lies in both lies there twice."""
    if device.type in UNIFIED:
        return True
    if device.type != "cuda":
        return False
    return bool(getattr(torch.cuda.get_device_properties(device), "is_integrated", False))


def free_memory(device: torch.device, free_ram: Callable[[], int]) -> int | None:
    """Bytes that are free on a device; None where nothing says so. free_ram: of the host."""
    if device.type == "mps":  # the system takes no more than it recommends, and no more than there is
        return max(0, min(free_ram(), torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()))
    ask = _of(device, "mem_get_info")
    if ask is None:
        return None
    free = int(ask(device)[0])
    return min(free, free_ram()) if is_unified(device) else free


def empty_cache(device: torch.device) -> None:
    """Give memory that torch keeps for later back to the system."""
    forget = _of(device, "empty_cache")
    if forget is not None:
        forget()


def forget_peak(device: torch.device) -> None:
    """Begin to watch how much memory is taken."""
    forget = _of(device, "reset_peak_memory_stats")
    if forget is not None:
        forget(device)


def peak(device: torch.device) -> int | None:
    """Bytes that were taken at the most since then; None where nothing says so."""
    ask = _of(device, "max_memory_allocated")
    return None if ask is None else int(ask(device))


def _of(device: torch.device, name: str) -> Callable | None:
    """A function of torch's module for this kind of device, where it has one."""
    return None if device.type in ("cpu", "meta") else getattr(getattr(torch, device.type, None), name, None)
