"""Weights of the transformer's blocks in fewer bits. Lossy: nothing of this is used unless it is asked for.

Only storage is small: a weight is unpacked to the compute type each time that its layer runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FP8_MAX = 448.0
"""The largest value of float8_e4m3fn."""

INT8_MAX = 127.0
"""Levels of int8 on each side of 0; -128 is not used, so that both sides are alike."""

LEAST_SCALE = 1e-12
"""Of weights that are all 0, so that nothing is divided by 0."""

GROUP = 64
"""Neighbouring weights that share a scale in nf4."""

NF4 = (
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
    -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
)  # fmt: skip
"""The levels of 4-bit NormalFloat: quantiles of a normal distribution (Dettmers et al., QLoRA, 2023, appendix E)."""

Packed = tuple[Tensor, Tensor]
"""Codes, and the scales that they are multiplied by."""


@dataclass(frozen=True)
class Format:
    """pack(weight (out, in)) and unpack(codes, scales), which gives it back in the scales' type, in any shape."""

    pack: Callable[[Tensor], Packed]
    unpack: Callable[[Tensor, Tensor], Tensor]


def _row_scales(weight: Tensor, largest: float) -> Tensor:
    return (weight.abs().amax(1, keepdim=True).float() / largest).clamp_min(LEAST_SCALE).to(weight.dtype)


def pack_fp8(weight: Tensor) -> Packed:
    """e4m3 with a scale a row."""
    scales = _row_scales(weight, FP8_MAX)
    return (weight.float() / scales.float()).clamp(-FP8_MAX, FP8_MAX).to(torch.float8_e4m3fn), scales


def pack_int8(weight: Tensor) -> Packed:
    """-127..127 with a scale a row."""
    scales = _row_scales(weight, INT8_MAX)
    return (weight.float() / scales.float()).round().clamp(-INT8_MAX, INT8_MAX).to(torch.int8), scales


def unpack_rows(codes: Tensor, scales: Tensor) -> Tensor:
    """Codes times their row's scale."""
    return codes.to(scales.dtype) * scales


def pack_nf4(weight: Tensor) -> Packed:
    """Two levels a byte, the first in the high half; the scale is the largest value of GROUP weights."""
    flat = weight.flatten()
    groups = F.pad(flat, (0, -len(flat) % GROUP)).view(-1, GROUP)
    scales = groups.abs().amax(1, keepdim=True).clamp_min(LEAST_SCALE)
    levels = torch.tensor(NF4, device=weight.device)
    middles = (levels[1:] + levels[:-1]) / 2
    codes = torch.bucketize(groups.float() / scales.float(), middles).to(torch.uint8)
    return codes[:, ::2] << 4 | codes[:, 1::2], scales


def unpack_nf4(codes: Tensor, scales: Tensor) -> Tensor:
    """Groups of weights (groups, GROUP); a table of all bytes gives both of their levels at once."""
    levels = torch.tensor(NF4, device=codes.device, dtype=scales.dtype)
    pairs = torch.cartesian_prod(levels, levels)
    return F.embedding(codes.int(), pairs).flatten(1) * scales


FORMATS = {
    "fp8": Format(pack_fp8, unpack_rows),
    "int8": Format(pack_int8, unpack_rows),
    "nf4": Format(pack_nf4, unpack_nf4),
}


class StoredLinear(nn.Module):
    """Stands in for a linear layer whose weight (out, in) is packed."""

    codes: Tensor
    scales: Tensor

    def __init__(self, linear: nn.Linear, form: Format, device: torch.device) -> None:
        """device: where packing is computed; what is packed lies where the weight lay."""
        super().__init__()
        weight = linear.weight
        self._shape, self._unpack = weight.shape, form.unpack
        codes, scales = form.pack(weight.to(device))
        self.register_buffer("codes", codes.to(weight.device))
        self.register_buffer("scales", scales.to(weight.device))
        self.bias = linear.bias

    def forward(self, x: Tensor) -> Tensor:
        weight = self._unpack(self.codes, self.scales).flatten()[: self._shape.numel()].view(self._shape)
        return F.linear(x, weight, self.bias)


def store(module: nn.Module, name: str, device: torch.device) -> None:
    """Pack all linear layers inside a module in place, as FORMATS has the name."""
    for owner in list(module.modules()):
        for leaf, child in list(owner.named_children()):
            if isinstance(child, nn.Linear):
                setattr(owner, leaf, StoredLinear(child, FORMATS[name], device))
