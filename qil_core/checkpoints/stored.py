"""A weight as it is stored: tensors of codes, scales and tables, and how they become numbers.

Where a file is mapped, its tensors are views of it. Unpacking is torch alone and happens on whatever device the tensors
have been brought to: in memory, on their way and at work a weight keeps the size that it has in its file.
"""

from __future__ import annotations

import mmap
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..errors import QilError

if TYPE_CHECKING:
    import torch
    from torch import Tensor


PIECE = 1 << 14
"""Bytes of codes that are unpacked at a time on a CPU: under 32 768 weights, from which on torch shares each of the
many small operations out among threads, and those wait for each other."""

HEADS = 8
"""Pieces whose scales are made ready at a time: a 16th of as many numbers, so they too stay under torch's threshold."""


@dataclass(frozen=True)
class InBlocks:
    """Unpacks rows of codes that consist of blocks, each with scales of its own.

    fields(codes) makes all blocks' scales ready and cuts the codes into blocks, tensors (blocks, ...); values(*fields)
    gives the weights (blocks, weights) of any of them. On a CPU the first takes as long as the second for few blocks,
    and hardly longer for many, since what takes time is the number of operations: it is done for HEADS pieces at once.
    """

    fields: Callable[[Tensor], tuple[Tensor, ...]]
    values: Callable[..., Tensor]

    def __call__(self, codes: Tensor) -> Tensor:
        return self.values(*self.fields(codes)).reshape(*codes.shape[:-1], -1)

    def pieces(self, codes: Tensor, rows: int) -> Iterator[Tensor]:
        """The values of so many rows at a time."""
        for several in codes.split(HEADS * rows):
            fields = self.fields(several)
            blocks = rows * len(fields[0]) // len(several)
            for piece in zip(*(field.split(blocks) for field in fields), strict=True):
                yield self.values(*piece)


def as_it_is(weight: Tensor) -> Tensor:
    """Of a weight that is stored as numbers."""
    return weight


class Stored(NamedTuple):
    """unpack(*tensors) gives the weight in its own shape, in the float type that its format is defined in.

    by_rows: the first tensor's rows are the weight's, and the others belong to all of them: rows can be unpacked alone.
    settles: unpacked it takes no more than its first tensor, so where it stays it may be unpacked once and for all.
    """

    tensors: tuple[Tensor, ...]
    unpack: Callable[..., Tensor] = as_it_is
    by_rows: bool = True
    settles: bool = False

    @property
    def value(self) -> Tensor:
        """The weight, where its tensors are."""
        return self.unpack(*self.tensors)

    def to(self, dtype: torch.dtype) -> Tensor:
        """The weight in another type: on a CPU in pieces that stay in its caches, which is several times faster."""
        import torch

        codes, *others = self.tensors
        if self.is_plain or not self.by_rows or codes.device.type != "cpu" or codes.dim() != 2 or not codes.numel():
            return self.value.to(dtype)
        rows = max(1, PIECE // codes[0].nbytes)
        if isinstance(self.unpack, InBlocks):
            pieces = self.unpack.pieces(codes, rows)
        else:
            pieces = (self.unpack(piece, *others) for piece in codes.split(rows))
        first = next(pieces)
        found = torch.empty(len(codes), first.numel() // min(rows, len(codes)), dtype=dtype)
        for part, piece in zip(found.split(rows), chain([first], pieces), strict=True):
            part.copy_(piece.view_as(part))
        return found

    @property
    def is_plain(self) -> bool:
        """Whether it is stored as numbers."""
        return self.unpack is as_it_is


@dataclass(frozen=True)
class Weight:
    """A weight in a file. Its shape and stored type (such as BF16, F8_E4M3 or Q8_0) are known; calling it reads it.

    stored: gives it as it is stored, which reads nothing of a mapped file yet.
    """

    shape: tuple[int, ...]
    dtype: str
    stored: Callable[[], Stored]

    def __call__(self) -> Tensor:
        return self.stored().value


def joined(weights: Sequence[Weight], join: Callable[[list[Tensor]], Tensor], shape: tuple[int, ...]) -> Weight:
    """A weight of this shape that several make up; each stays as it is stored until they are unpacked."""

    def stored() -> Stored:
        pieces = [weight.stored() for weight in weights]
        tensors = tuple(tensor for piece in pieces for tensor in piece.tensors)
        return Stored(tensors, partial(_join, pieces=[(p.unpack, len(p.tensors)) for p in pieces], join=join), False)

    return Weight(shape, weights[0].dtype, stored)


def _join(
    *tensors: Tensor,
    pieces: Sequence[tuple[Callable[..., Tensor], int]],
    join: Callable[[list[Tensor]], Tensor],
) -> Tensor:
    left = iter(tensors)
    return join([unpack(*islice(left, count)) for unpack, count in pieces])


Readers = dict[str, Weight]

NO_FLOATS = ("BOOL", "U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64", "F4", "F6_E2M3", "F6_E3M2", "F8_E8M0", "C64")
"""Stored types that are no weights by themselves: codes of some quantisation."""


def map_file(path: Path) -> mmap.mmap:
    """The file as read-only memory, which takes none before it is read and is given back when others need it."""
    try:
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise QilError(f"{path} cannot be mapped into memory ({error}).") from error


def view_of(mapped: mmap.mmap, start: int, dtype: torch.dtype, shape: tuple[int, ...]) -> Tensor:
    """A part of a mapped file as a tensor: read-only, whatever torch says. Raises ValueError or RuntimeError."""
    import torch

    count = prod(shape)
    if count == 0:
        return torch.empty(shape, dtype=dtype)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given buffer is not writable")
        stored = torch.frombuffer(mapped, dtype=torch.uint8, count=count * dtype.itemsize, offset=start)
    return stored.view(dtype).reshape(shape)
