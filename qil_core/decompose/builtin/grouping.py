"""Spending the layer budget: units (regions, texts) are merged, cheapest first, until they fit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .regions import Table, measure
from .segment import compact
from .text import between, find_texts, gaps, grounds, relabel
from .working import Floats, Labels, Mask, Working

MOST_UNITS = 150

WEIGHTS = (1.0, 3.0, 6.0, 1.0)
"""What a pixel of shapes, texts, strokes and glows counts when units are merged."""

CRUMB = 2.5e-4
"""Share of the picture below which a region is no unit of its own."""


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
        """These units, and one of a kind for every number 1.. of a map (h, w)."""
        there, kinds = numbers > 0, np.full(int(numbers.max()), kind, np.int8)
        labels = np.where(there, numbers + (len(self) - 1), self.labels).astype(np.int32)
        pieces = np.where(there, numbers + self.pieces.max(), self.pieces).astype(np.int32)
        return Units(labels, np.append(self.kinds, kinds), pieces)


def find_units(work: Working, regions: Labels) -> Units:
    """Texts found and gathered, slivers and crumbs given to their neighbours."""
    table = measure(regions, work.rgba)
    regions = _see_through(_absorbed(regions, table, _slivers(table), np.ones_like(table.area)), work)
    groups = find_texts(measure(regions, work.rgba), work.shape)
    labels, first = relabel(regions, groups)
    table = measure(labels, work.rgba)
    is_text = np.arange(len(table)) >= first
    crumbs = _crumbs(table.area, is_text)
    labels = _absorbed(labels, table, crumbs, np.where(is_text, 10, 1).astype(np.float32))
    return Units(labels, np.where(is_text, TEXT, SHAPE).astype(np.int8)[~crumbs], regions)


def _see_through(labels: Labels, work: Working) -> Labels:
    """Counters of letters and other small holes get the label of what shows through them."""
    table = measure(labels, work.rgba)
    ground = grounds(table)
    beyond = ground[ground]
    alone = table.border.max(1) > 0.8 * table.border.sum(1)
    small = np.maximum(table.width, table.height)[ground] < 0.2 * max(labels.shape)
    share, misfit = between(table.color, table.color[ground], table.color[beyond])
    same = (misfit < 25) & (share > np.where(table.stroke > 8, 0.9, 0.4))
    hole = alone & small & same & (ground > 0) & (beyond != np.arange(len(table)))
    number = np.where(hole, beyond, np.arange(len(table)))
    number[0] = 0
    return compact(np.asarray(number[labels], np.int32))


def _slivers(table: Table) -> Mask:
    """Thin regions whose colour is a mix of the two regions they lie between: what remains of blurred edges."""
    two = np.argsort(-table.border, axis=1, kind="stable")[:, :2]
    alone = table.border.max(1) / np.maximum(table.border.sum(1), 1)
    _, misfit = between(table.color, table.color[two[:, 0]], table.color[two[:, -1]])
    thin = (table.stroke <= 4.1) & (alone < 0.75) & (misfit < 25)
    thin[0] = False
    return np.asarray(thin)


def _crumbs(area: Floats, is_text: Mask) -> Mask:
    size = np.where(is_text, np.inf, area)
    size[0] = np.inf
    gone = size < area.sum() * CRUMB
    gone[np.argsort(-size, kind="stable")[MOST_UNITS:]] = True
    return np.asarray(gone & ~is_text)


def _absorbed(labels: Labels, table: Table, gone: Mask, pull: Floats) -> Labels:
    """Labels, without gaps, in which each region that goes has become its most fitting neighbour.

    pull: how strongly each region draws others; text does, for its alpha is solved at every pixel.
    """
    border, target = table.border.copy(), np.arange(len(table))
    for region in np.flatnonzero(gone)[np.argsort(table.area[gone], kind="stable")]:
        into = _most_fitting(region, border * pull, table)
        target[target == region] = into
        border[into] += border[region]
        border[:, into] += border[:, region]
        border[into, into] = 0
        border[region], border[:, region] = 0, 0
    number = np.cumsum(~gone) - 1
    return np.asarray(number[target][labels], np.int32)


def _most_fitting(region: int, border: Floats, table: Table) -> int:
    """The neighbour with the longest and most similar border; for what lies on bare background, the nearest region.

    Only specks become background, so that no i loses its dot.
    """
    unlike = np.abs(table.color - table.color[region]).max(1)
    fit = border[region] / (20 + unlike) ** 2
    if fit.argmax() == 0 and table.area[region] > 6 and fit[0] > 0.9 * fit.sum():
        near = _centre_distance(table, region) * (20 + unlike)
        near[[0, region]] = np.inf
        near[border.sum(1) == 0] = np.inf
        return int(near.argmin()) if np.isfinite(near).any() else 0
    return int(fit.argmax())


def _centre_distance(table: Table, region: int) -> Floats:
    box = table.box.astype(np.float32)
    gap = np.maximum(np.maximum(box[:, :2] - box[region, 2:], box[region, :2] - box[:, 2:]), 0)
    return np.asarray(np.hypot(gap[:, 0], gap[:, 1]) + 1)


def group_units(work: Working, units: Units, budget: int) -> Units:
    """Merge units until at most `budget` remain besides the background."""
    merging = _Merging(measure(units.labels, work.rgba), units)
    while merging.count > max(budget, 0):
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
        weight = np.sqrt(self.area[items]) * np.array(WEIGHTS)[kinds]
        unlike = np.abs(self.color[items][:, None] - self.color[items][None]).max(2) / 255
        touching = self.border[np.ix_(items, items)] > 0
        apart = np.where(touching, self._touching(items, unlike), self._apart(items, unlike))
        both, mixed = np.logical_and.outer(kinds == TEXT, kinds == TEXT), np.not_equal.outer(kinds, kinds)
        cost = np.minimum.outer(weight, weight) * np.where(both, 0.3 * apart, np.where(mixed, 3 * apart + 0.2, apart))
        np.fill_diagonal(cost, np.inf)
        return np.asarray(cost)

    def _touching(self, items: NDArray[np.int64], unlike: Floats) -> Floats:
        """How little neighbours belong together: little, when much of the smaller one's border is shared."""
        around = self.border[items].sum(1)
        share = self.border[np.ix_(items, items)] / np.maximum(np.minimum.outer(around, around), 1)
        return np.asarray((0.15 + 0.6 * unlike) * (0.15 + 0.5 * (1 - share)))

    def _apart(self, items: NDArray[np.int64], unlike: Floats) -> Floats:
        """How little things that do not touch belong together: colour, size and distance set them apart."""
        size = np.log2(self.area[items])
        gap = gaps(self.box[items], self.box[items]) / self.diagonal
        return np.asarray(0.05 + 0.5 * unlike + 0.1 * np.abs(np.subtract.outer(size, size)) + 0.2 * gap)

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
        """What remains, numbered without gaps."""
        kept = np.concatenate([[0], np.flatnonzero(self.alive)])
        number = np.zeros(len(self.target), np.int32)
        number[kept] = np.arange(len(kept))
        labels = number[self.target[self.labels]].astype(np.int32)
        return Units(labels, self.kinds[kept], self.pieces)
