"""Linear layers whose weights stay packed: a weight is unpacked on its device each time that its layer runs.

FORMATS packs weights that are not packed yet. That is lossy, so nothing of it is used unless it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..checkpoints.stored import Stored

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


@dataclass(frozen=True)
class Format:
    """pack gives a weight (out, in) packed, where it lies. size: bytes of a packed weight, scales included."""

    pack: Callable[[Tensor], Stored]
    size: float


def _row_scales(weight: Tensor, largest: float) -> Tensor:
    return (weight.abs().amax(1, keepdim=True).float() / largest).clamp_min(LEAST_SCALE).to(weight.dtype)


def pack_fp8(weight: Tensor) -> Stored:
    """e4m3 with a scale a row."""
    scales = _row_scales(weight, FP8_MAX)
    codes = (weight.float() / scales.float()).clamp(-FP8_MAX, FP8_MAX).to(torch.float8_e4m3fn)
    return Stored((codes, scales), unpack_rows, by_rows=False)


def pack_int8(weight: Tensor) -> Stored:
    """-127..127 with a scale a row."""
    scales = _row_scales(weight, INT8_MAX)
    codes = (weight.float() / scales.float()).round().clamp(-INT8_MAX, INT8_MAX).to(torch.int8)
    return Stored((codes, scales), unpack_rows, by_rows=False)


def unpack_rows(codes: Tensor, scales: Tensor) -> Tensor:
    """Codes times their row's scale, in the scales' type."""
    return codes.to(scales.dtype) * scales


def pack_nf4(weight: Tensor) -> Stored:
    """Two levels a byte, the first in the high half; the scale is the largest value of GROUP weights."""
    flat = weight.flatten()
    groups = F.pad(flat, (0, -len(flat) % GROUP)).view(-1, GROUP)
    scales = groups.abs().amax(1, keepdim=True).clamp_min(LEAST_SCALE)
    levels = torch.tensor(NF4, device=weight.device)
    codes = torch.bucketize(groups.float() / scales.float(), (levels[1:] + levels[:-1]) / 2).to(torch.uint8)
    pairs = torch.cartesian_prod(levels, levels).to(weight.dtype)
    return Stored((codes[:, ::2] << 4 | codes[:, 1::2], scales, pairs), partial(unpack_nf4, shape=weight.shape), False)


def unpack_nf4(codes: Tensor, scales: Tensor, pairs: Tensor, shape: torch.Size) -> Tensor:
    """A weight of this shape; pairs (256, 2): both levels of every byte."""
    return (F.embedding(codes.int(), pairs).flatten(1) * scales).flatten()[: shape.numel()].view(shape)


FORMATS = {
    "fp8": Format(pack_fp8, 1.0),
    "int8": Format(pack_int8, 1.0),
    "nf4": Format(pack_nf4, 0.5 + 2 / GROUP),
}


class _Keeping(nn.Module):
    """A layer whose weight stays as it is stored, in buffers that go where the layer goes."""

    def __init__(self, stored: Stored) -> None:
        super().__init__()
        self._unpack, self._by_rows = stored.unpack, stored.by_rows
        self.settles = stored.settles
        self._names = [f"stored{i}" for i in range(len(stored.tensors))]
        for name, tensor in zip(self._names, stored.tensors, strict=True):
            self.register_buffer(name, tensor)

    @property
    def stored(self) -> Stored:
        """What is stored, where it is now."""
        return Stored(tuple(getattr(self, name) for name in self._names), self._unpack, self._by_rows)

    @property
    def weight(self) -> Tensor:
        """The weight, unpacked where it lies."""
        return self.stored.value


class StoredLinear(_Keeping):
    """Stands in for a linear layer whose weight (out, in) stays packed."""

    bias: Tensor | None

    def __init__(self, stored: Stored, bias: Tensor | None, shape: tuple[int, int]) -> None:
        """shape: (out, in)."""
        super().__init__(stored)
        self.settled: Tensor | None = None
        self.out_features, self.in_features = shape
        self.register_buffer("bias", bias)

    def settle(self, device: torch.device) -> Tensor:
        """The weight on a device, where the layer then takes it from: a LoRA is merged once, not in every step."""
        there = self.stored._replace(tensors=tuple(tensor.to(device) for tensor in self.stored.tensors))
        self.settled = there.value
        return self.settled

    def forward(self, x: Tensor) -> Tensor:
        weight = self.stored.to(x.dtype) if self.settled is None else self.settled.to(x.dtype)
        return F.linear(x, weight, self.bias)


class StoredEmbedding(_Keeping):
    """Stands in for an embedding whose table stays packed: only the rows that are asked for are unpacked."""

    def __init__(self, stored: Stored, dtype: torch.dtype) -> None:
        super().__init__(stored)
        self._dtype = dtype

    def forward(self, ids: Tensor) -> Tensor:
        codes, *others = self.stored.tensors
        are_bytes = codes.dtype.itemsize == 1  # not every device looks rows of fp8 up
        rows = codes.view(torch.uint8)[ids].view(codes.dtype) if are_bytes else codes[ids]
        return self._unpack(rows, *others).to(self._dtype)


Layer = nn.Linear | StoredLinear
Place = tuple[nn.Module, str, Layer]
"""A linear layer, and where it hangs: its owner and its name there."""

WORTH_IT = 0.9
"""A layer that is stored in few bits already is packed anew only where that takes less than this share of its bytes."""


def _stored(layer: Layer) -> Stored:
    return layer.stored if isinstance(layer, StoredLinear) else Stored((layer.weight.data,))


def whole_weight(layer: Layer, dtype: torch.dtype) -> Tensor:
    """A layer's weight (out, in) as numbers, where the layer is."""
    return _stored(layer).to(dtype)


def _bytes(layer: Layer) -> int:
    return sum(tensor.nbytes for tensor in _stored(layer).tensors)


def worth_packing(module: nn.Module, form: Format) -> Iterator[Place]:
    """The linear layers inside a module that become smaller."""
    for owner in list(module.modules()):
        for leaf, child in list(owner.named_children()):
            if isinstance(child, Layer) and form.size * _count(child) < WORTH_IT * _bytes(child):
                yield owner, leaf, child


def _count(layer: Layer) -> int:
    return layer.in_features * layer.out_features


def packed_size(module: nn.Module, form: Format) -> int:
    """Bytes of a module's weights when those of its linear layers are packed."""
    layers = [layer for _, _, layer in worth_packing(module, form)]
    saved = sum(_bytes(layer) - int(form.size * _count(layer)) for layer in layers)
    return sum(tensor.nbytes for tensor in [*module.parameters(), *module.buffers()]) - saved


class Packing:
    """The linear layers of modules in fewer bits, while they are on a device; nothing is kept when they leave it."""

    def __init__(self) -> None:
        self._original: list[tuple[nn.Module, str, nn.Module]] = []
        self._packed: list[StoredLinear] = []

    @property
    def held(self) -> int:
        """Bytes of packed weights."""
        return sum(buffer.nbytes for layer in self._packed for buffer in layer.buffers())

    def pack(self, module: nn.Module, form: Format, device: torch.device) -> None:
        """Replace the linear layers inside a module by packed ones on the device, all of them or none."""
        try:
            for owner, leaf, linear in worth_packing(module, form):
                bias = None if linear.bias is None else linear.bias.data.to(device)
                stored = _stored(linear)
                weight = stored._replace(tensors=tuple(tensor.to(device) for tensor in stored.tensors)).value
                packed = StoredLinear(form.pack(weight), bias, (linear.out_features, linear.in_features))
                self._original.append((owner, leaf, linear))
                self._packed.append(packed)
                setattr(owner, leaf, packed)
        except BaseException:
            self.undo()
            raise

    def undo(self) -> None:
        """The original layers are back."""
        for owner, leaf, linear in self._original:
            setattr(owner, leaf, linear)
        self._original, self._packed = [], []
