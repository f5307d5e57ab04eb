"""What devices can do beside computing: the one place that asks what kind of device it is.

`torch.cuda` is NVIDIA's and AMD's (ROCm), `torch.xpu` Intel's, `torch.mps` Apple's. Others, such as DirectML's
"privateuseone", compute and copy like any, and need nothing more than that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from ..errors import QilError

KINDS = ("cuda", "xpu", "mps")
"""Of GPUs, in the order in which they are looked for."""

WITHOUT_COMPLEX = ("mps", "privateuseone", "npu")
"""Kinds of device on which complex numbers are missing or came late."""

AMPERE = 8
"""Major compute capability of NVIDIA's first GPUs that compute in bf16."""

OUT_OF_MEMORY = (
    "CUDA error: out of memory",
    "HIP error: out of memory",
    "MPS backend out of memory",
    "OUT_OF_DEVICE_MEMORY",  # XPU
    "not enough GPU video memory",  # DirectML
)
"""What errors of other types than torch.OutOfMemoryError say when memory is used up."""


def default_device() -> torch.device:
    """The GPU that is there, or the CPU."""
    return next((torch.device(kind) for kind in KINDS if _is_there(kind)), torch.device("cpu"))


def device_of(name: str) -> torch.device:
    """A device by torch's name, such as cuda:1, xpu, mps or cpu. Raises QilError when it cannot be used here."""
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, ImportError, NotImplementedError) as error:
        there = ", ".join([*filter(_is_there, KINDS), "cpu"])
        why = str(error).splitlines()[0]
        raise QilError(f'The device "{name}" cannot be used here ({why}). There is: {there}.') from None
    return device


def numbered(device: torch.device) -> torch.device:
    """The device with its number, as tensors there name it: "mps" and "mps:0" are two devices to torch."""
    if device.index is not None or device.type in ("cpu", "meta"):
        return device
    ask = _of(device, "current_device")
    return torch.device(device.type, 0 if ask is None else int(ask()))


def _is_there(kind: str) -> bool:
    module = getattr(torch, kind, None)
    return module is not None and bool(module.is_available())


def name_of(device: torch.device) -> str:
    """For people."""
    ask = _of(device, "get_device_name")
    if ask is not None:
        return str(ask(device))
    return "no GPU" if device.type == "cpu" else device.type.upper()


def usual_dtype(device: torch.device) -> torch.dtype:
    """bf16 where the device computes in it, else float32: in float16 the model's numbers overflow."""
    return torch.bfloat16 if _has_bf16(device) else torch.float32


def _has_bf16(device: torch.device) -> bool:
    if device.type == "cuda" and torch.version.hip is None:
        return bool(torch.cuda.get_device_capability(device)[0] >= AMPERE)
    if device.type == "xpu":
        return bool(torch.xpu.is_bf16_supported())
    if device.type == "mps":
        return bool(torch.backends.mps.is_macos_or_newer(14, 0))
    return device.type != "privateuseone"


def has_complex(device: torch.device) -> bool:
    """Whether complex numbers can be relied on there."""
    return device.type not in WITHOUT_COMPLEX


def has_fp8(device: torch.device) -> bool:
    """Whether there are float8 tensors, which is tried on what is neither CUDA nor the CPU."""
    if device.type in ("cpu", "cuda"):
        return True
    try:
        torch.zeros(1, device=device).to(torch.float8_e4m3fn)
    except (TypeError, RuntimeError, AssertionError):
        return False
    return True


def has_pinning(device: torch.device) -> bool:
    """Whether the device reads registered host memory by itself, beside its computing, into memory of its own."""
    return device.type == "cuda" and not is_unified(device)


def is_unified(device: torch.device) -> bool:
    """Whether the device's memory is the host's: what lies in both lies there twice."""
    if device.type != "cuda" or not torch.cuda.is_available():
        return device.type == "mps"
    return bool(getattr(torch.cuda.get_device_properties(device), "is_integrated", False))


def free_memory(device: torch.device, free_ram: Callable[[], int]) -> int | None:
    """Bytes that are free on a device; None where nothing says so. free_ram: of the host."""
    if device.type == "mps":  # the system gives no more than it recommends, and no more than there is
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


def synchronize(device: torch.device) -> None:
    """Wait for the device."""
    wait = _of(device, "synchronize")
    if wait is not None:
        wait()


def forget_peak(device: torch.device) -> None:
    """Begin to watch how much memory is taken."""
    forget = _of(device, "reset_peak_memory_stats")
    if forget is not None:
        forget(device)


def peak(device: torch.device) -> int | None:
    """Bytes that were taken at the most since then; None where nothing says so."""
    ask = _of(device, "max_memory_allocated")
    return None if ask is None else int(ask(device))


def is_oom(error: BaseException) -> bool:
    """Whether an error says that a device's memory is used up: torch's own, or a kernel's or a library's."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in OUT_OF_MEMORY)


def _of(device: torch.device, name: str) -> Callable[..., Any] | None:
    """A function of torch's module for this kind of device, where it has one."""
    return None if device.type in ("cpu", "meta") else getattr(getattr(torch, device.type, None), name, None)
