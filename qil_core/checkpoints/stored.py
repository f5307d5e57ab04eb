"""A weight as it is stored: tensors of codes, scales and tables, and how they become numbers.

Where a file is mapped, its tensors are views of it. Unpacking is torch alone and happens on whatever device the tensors
have been brought to: in memory, on their way and at work a weight keeps the size that it has in its file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor


def as_it_is(weight: Tensor) -> Tensor:
    """Of a weight that is stored as numbers."""
    return weight


class Stored(NamedTuple):
    """unpack(*tensors) gives the weight in its own shape, in the float type that its format is defined in."""

    tensors: tuple[Tensor, ...]
    unpack: Callable[..., Tensor] = as_it_is

    @property
    def value(self) -> Tensor:
        """The weight, where its tensors are."""
        return self.unpack(*self.tensors)
