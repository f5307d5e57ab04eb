"""Units: what layers are made of. A unit is a region, the letters of a text, strokes of one colour, or a glow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .working import Labels

SHAPE, TEXT, STROKES, GLOW = range(4)
KINDS = ("shape", "text", "strokes", "glow")


@dataclass(frozen=True)
class Units:
    """labels: (h, w), unit of each pixel, 0 is background. kinds: per unit. pieces: (h, w), the regions in them."""

    labels: Labels
    kinds: NDArray[np.int8]
    pieces: Labels

    def __len__(self) -> int:
        return len(self.kinds)

    def with_more(self, numbers: Labels, kind: int) -> Units:
        """These units and one of a kind for every number 1.. of a map (h, w), without those that are covered whole."""
        there, kinds = numbers > 0, np.full(int(numbers.max()), kind, np.int8)
        labels = np.where(there, numbers + (len(self) - 1), self.labels).astype(np.int32)
        pieces = np.where(there, numbers + self.pieces.max(), self.pieces).astype(np.int32)
        return Units(labels, np.append(self.kinds, kinds), pieces)._without_empty()

    def _without_empty(self) -> Units:
        """The units that have a pixel, and the background, numbered without gaps."""
        kept = np.union1d(0, self.labels)
        return Units(np.searchsorted(kept, self.labels).astype(np.int32), self.kinds[kept], self.pieces)

    def in_order(self, order: NDArray[np.int64]) -> Units:
        """The same units, renumbered: order[i] becomes i."""
        rank = np.empty(len(self), np.int32)
        rank[order] = np.arange(len(order))
        return Units(rank[self.labels], self.kinds[order], self.pieces)
