"""Our models in ComfyUI's list of loaded models: others make room for it, and it makes room for others."""

from __future__ import annotations

import weakref

import comfy.model_management as management
import torch
from comfy.model_patcher import ModelPatcher

from ..qil_core.model.machine import HOST, UNLIMITED, Guest, Machine

COMPUTED = (torch.bfloat16, torch.float32)
"""Types in which Qwen-Image's numbers do not overflow, as ComfyUI lists them (supported_models.QwenImage)."""


def stand_in(label: str) -> torch.nn.Module:
    """What ComfyUI takes for the model; it has no weights: a Placement moves those.

    ComfyUI's log names it by its class, which is the label without hyphens: QwenImageEdit2509.
    """
    return type(label.replace("-", ""), (torch.nn.Module,), {})()


def dtype(device: torch.device) -> torch.dtype:
    """The type in which ComfyUI would have Qwen-Image compute on a device: bf16 or float32, or what it was told to use.

    Other than there, this is not the type of stored weights: those stay as they are in their file.
    """
    stored = management.unet_dtype(device, supported_dtypes=list(COMPUTED))
    return management.unet_manual_cast(stored, device, list(COMPUTED)) or stored


class SharedMachine(Machine):
    """ComfyUI's memory: other models leave for ours, and ours for others. Pinned memory counts as ComfyUI's own."""

    def __init__(self, device: torch.device, label: str = "Qwen-Image-Layered") -> None:
        super().__init__(device)
        self.tenant = Tenant(device, label)

    def make_room(self, guest: Guest, wanted: int) -> int:
        """ComfyUI unloads other models until `wanted` bytes are free, if it can."""
        return self.tenant.make_room(guest, wanted)

    def pinnable(self) -> int:
        """What is left of the share of RAM that ComfyUI pins at the most, within a share of what is free."""
        left = int(management.MAX_PINNED_MEMORY - management.TOTAL_PINNED_MEMORY)
        return max(0, min(left, super().pinnable()))

    def pin(self, buffer: torch.Tensor) -> bool:
        """Through ComfyUI, which then knows; it says in its log when the system refuses."""
        return bool(management.pin_memory(buffer))

    def unpin(self, buffer: torch.Tensor) -> None:
        """Through ComfyUI too."""
        management.unpin_memory(buffer)

    def is_oom(self, error: BaseException) -> bool:
        """As ComfyUI sees it."""
        known = getattr(management, "is_oom", None)  # older ones have none
        return super().is_oom(error) or bool(known and known(error))


class Tenant(ModelPatcher):
    """A placement's entry in the list. Whoever keeps its machine keeps it; it does not keep the placement.

    It is there in whole or not at all: evicting it is the placement's release, and the next make_room enters it again.
    """

    def __init__(self, device: torch.device, label: str = "Qwen-Image-Layered") -> None:
        super().__init__(stand_in(label), device, HOST)
        self._placement: weakref.ref[Guest] | None = None

    def make_room(self, guest: Guest, wanted: int) -> int:
        """See `SharedMachine.make_room`."""
        self._placement = weakref.ref(guest)
        try:
            management.load_models_gpu([self], memory_required=wanted, force_full_load=True)
        except BaseException:
            guest.release()  # the entry may be lost, and what is not in the list could not be evicted
            raise
        if self.load_device == HOST:
            return UNLIMITED
        return int(management.get_free_memory(self.load_device) - management.extra_reserved_memory())

    def _tenant(self) -> Guest | None:
        return self._placement() if self._placement is not None else None

    def loaded_size(self) -> int:
        """Bytes that evicting it frees."""
        placement = self._tenant()
        return placement.held if placement is not None else 0

    def model_size(self) -> int:
        """The same: nothing is left to load but what make_room was asked for."""
        return self.loaded_size()

    def partially_load(
        self, device_to: torch.device, extra_memory: float = 0, force_patch_weights: bool = False
    ) -> int:
        """Only enters it in the list: the placement brings its weights when their stage begins."""
        self.model.device = device_to
        return 0

    def partially_unload(
        self, device_to: torch.device, memory_to_free: float = 0, force_patch_weights: bool = False
    ) -> int:
        """Frees nothing, so that ComfyUI evicts all of it."""
        return 0

    def detach(self, unpatch_all: bool = True) -> torch.nn.Module:
        """Leaves the list. unpatch_all: its memory is wanted; False when it is only entered anew, or is no more."""
        placement = self._tenant() if unpatch_all else None
        if placement is not None:
            placement.release()
        return super().detach(unpatch_all)
