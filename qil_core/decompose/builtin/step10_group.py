"""Step 10, group: units are merged, two at a time, until they fit the number of layers that was asked for.

Agglomerative clustering: always the pair is merged whose merging costs least. The cost is the size of the smaller
unit, times how little the two belong together (`_Merging.costs`):
1. Neighbours belong together by likeness of colour and by the share of their border that they have in common.
2. Things apart belong together by likeness of colour and size, and by nearness.
3. Texts belong to texts, and hardly to anything else.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...progress import Progress, silent
from .step07_texts import gaps
from .table import Table, measure
from .units import KINDS, SHAPE, TEXT, Units
from .working import Floats, Working

SIZE_WEIGHTS = {"shape": 1.0, "text": 3.0, "strokes": 6.0, "glow": 1.0}
"""Factor on the size (the root of the area) of units by kind: texts and strokes mean more than their pixels."""

TEXTS_FACTOR = 0.3
"""Factor on how little two texts belong together."""

MIXED_FACTOR = 3
"""Factor on how little two units of different kinds belong together."""

MIXED_COST = 0.2
"""What is added for two units of different kinds."""

TOUCHING_BASE = 0.15
"""How little neighbours of one colour belong together."""

TOUCHING_UNLIKE = 0.6
"""What a difference of colour, as a share of 255, adds to that."""

SHARED_BASE = 0.15
"""Factor for neighbours of which one has all its border with the other."""

SHARED_WEIGHT = 0.5
"""What is added to that factor when they share no border."""

APART_BASE = 0.05
"""How little things apart of one colour and size belong together."""

APART_UNLIKE = 0.5
"""What a difference of colour, as a share of 255, adds to that."""

APART_SIZE = 0.1
"""What each doubling of the area adds."""

APART_GAP = 0.2
"""What distance, as a share of the picture's diagonal, adds."""


def group_units(work: Working, units: Units, budget: int, progress: Progress = silent) -> Units:
    """Merge units until at most `budget` remain besides the background."""
    merging = _Merging(measure(units.labels, work.rgba, progress), units)
    while merging.count > max(budget, 0):
        progress(1 - merging.count / len(units), "sorting them into layers")
        merging.merge(*merging.cheapest())
    return merging.result()


class _Merging:
    """Agglomerative merging of units 1..n-1; a merged unit lives on under the lower number."""

    def __init__(self, table: Table, units: Units) -> None:
        self.area = table.area.astype(np.float64)
        self.color = table.color.astype(np.float64)
        self.box = table.box.copy()
        self.border = table.border.astype(np.float64)
        self.kinds = units.kinds.copy()
        self.alive = np.arange(len(table)) > 0
        self.target = np.arange(len(table))
        self.labels, self.pieces = units.labels, units.pieces
        self.diagonal = float(np.hypot(*units.labels.shape))

    @property
    def count(self) -> int:
        return int(self.alive.sum())

    def cheapest(self) -> tuple[int, int]:
        """The pair of living units whose merging loses least, the lower number first."""
        items = np.flatnonzero(self.alive)
        first, second = divmod(int(self.costs(items).argmin()), len(items))
        return min(items[first], items[second]), max(items[first], items[second])

    def costs(self, items: NDArray[np.int64]) -> Floats:
        """Loss (n, n) of merging each pair: size of the smaller, times how little the two belong together."""
        kinds = self.kinds[items]
        weight = np.sqrt(self.area[items]) * np.array([SIZE_WEIGHTS[kind] for kind in KINDS])[kinds]
        unlike = np.abs(self.color[items][:, None] - self.color[items][None]).max(2) / 255
        touching = self.border[np.ix_(items, items)] > 0
        apart = np.where(touching, self._touching(items, unlike), self._apart(items, unlike))
        both, mixed = np.logical_and.outer(kinds == TEXT, kinds == TEXT), np.not_equal.outer(kinds, kinds)
        factor = np.where(both, TEXTS_FACTOR * apart, np.where(mixed, MIXED_FACTOR * apart + MIXED_COST, apart))
        cost = np.minimum.outer(weight, weight) * factor
        np.fill_diagonal(cost, np.inf)
        return np.asarray(cost)

    def _touching(self, items: NDArray[np.int64], unlike: Floats) -> Floats:
        """How little neighbours belong together: little, when much of the smaller one's border is shared."""
        around = self.border[items].sum(1)
        share = self.border[np.ix_(items, items)] / np.maximum(np.minimum.outer(around, around), 1)
        return np.asarray((TOUCHING_BASE + TOUCHING_UNLIKE * unlike) * (SHARED_BASE + SHARED_WEIGHT * (1 - share)))

    def _apart(self, items: NDArray[np.int64], unlike: Floats) -> Floats:
        """How little things that do not touch belong together: colour, size and distance set them apart."""
        size = np.log2(self.area[items])
        gap = gaps(self.box[items], self.box[items]) / self.diagonal
        different = np.abs(np.subtract.outer(size, size))
        return np.asarray(APART_BASE + APART_UNLIKE * unlike + APART_SIZE * different + APART_GAP * gap)

    def merge(self, first: int, second: int) -> None:
        """Unit `first` takes in unit `second`."""
        total = self.area[first] + self.area[second]
        self.color[first] = (self.color[first] * self.area[first] + self.color[second] * self.area[second]) / total
        self.area[first] = total
        self.box[first, :2] = np.minimum(self.box[first, :2], self.box[second, :2])
        self.box[first, 2:] = np.maximum(self.box[first, 2:], self.box[second, 2:])
        self.border[first] += self.border[second]
        self.border[:, first] += self.border[:, second]
        self.border[first, first] = 0
        self.kinds[first] = self.kinds[first] if self.kinds[first] == self.kinds[second] else SHAPE
        self.alive[second] = False
        self.target[self.target == second] = first

    def result(self) -> Units:
        """The living units, numbered without gaps."""
        kept = np.concatenate([[0], np.flatnonzero(self.alive)])
        number = np.zeros(len(self.target), np.int32)
        number[kept] = np.arange(len(kept))
        labels = number[self.target[self.labels]].astype(np.int32)
        return Units(labels, self.kinds[kept], self.pieces)
