"""Step 10, group: units become things, as many as the number of layers allows.

1. `merge_tree.grown_trees`: units that touch are merged to trees; each root is what stands alone on the background.
2. `_Choice.fill`: the roots that mean most are taken, and while layers are free, the node whose halves differ most is
   split, though never a photograph on a page (`_Choice._is_inset`). `_significance` is the root of the area times the
   contrast along the outline; scenery, which belongs to the picture's border, means little. Splitting a node gains a
   share of what merging it had cost.
3. `_Choice._paired`: when all layers are taken, two things far from each other share one, where they are so alike that
   less is lost than the next thing means: petals, birds, dots.
4. `_with_leftovers`: what got no layer goes to what it shares most of its outline with, mostly the background.
The trees are cut from their roots rather than by a height, since the background parts most things by itself; the idea
of picking disjoint nodes is that of Pont-Tuset et al., "Multiscale combinatorial grouping", 2017.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ...progress import Progress, silent
from .merge_tree import Node, Parts, grown_trees, joined, measured, with_bands, with_bridges
from .step07_texts import gaps
from .units import KINDS, SHAPE, TEXT, Units
from .working import Floats, Working

SPLIT_GAIN = 0.1
"""What splitting a node gains, as a share of the cost of merging it: things stay whole while others wait.
Flat from 0.05 to 0.15 on made-up compositions."""

MIN_MEANS = 0.05
"""The same for the count of layers: what a thing or split means at the least, as a share of the first thing.
From 0.04 to 0.06 the numbers of layers of drawn and made-up compositions are nearest to those of their things."""

SCENERY_MEANS = 0.1
"""Significance of scenery as a share of that of things: it comes when these have their layers, before these are split.
Flat from 0.1 to 0.3 on drawn figures; with 0.02 bands of ground are lost."""

MIN_BANDED = 0.9
"""Share of a node that must be scenery for its halves to be bands of that."""

KIND_MEANS = {"shape": 1.0, "text": 1.5, "strokes": 2.0, "glow": 1.0}
"""Factor on significance by kind: thin things mean more than their pixels."""

MIN_STANDS_FREE = {"shape": 1.0, "text": 0.3, "strokes": 0.1, "glow": 1.0}
"""A text or strokes mean less by the share of their outline that is on a thing, down to this: a label is part of it."""

MAX_TEXT_LAYERS = 2 / 3
"""Share of the layers that texts may take; above it they share layers."""

APART_BASE = 5.0
"""How unlike two equal things apart are, in Lab per pixel, the unit of an edge's strength."""

APART_COLOR = 1.0
"""What each unit of Lab between their colours adds."""

APART_SIZE = 2.0
"""What each doubling of the area adds."""

APART_GAP = 20.0
"""What a distance as long as the picture's diagonal adds."""

APART_TEXTS = 2.0
"""Factor for texts on the background: lines that belong together are one unit already."""

LETTERING = 0.5
"""Factor for two texts that lie on things rather than on the background."""

NEVER_LOST = 0.25
"""A thing that means more than this share of what the first one means shares a layer, however unlike, before it is left
in the background: of three equal shapes and one layer none stays behind."""

MIN_INSET_FILL = 0.95
"""Share of its box that an inset, a photograph on a page, fills: a rectangle with frayed edges."""

MIN_INSET_PARTS = 12
"""Least number of its parts: fewer are a drawing."""

MAX_INSET_PART = 0.5
"""Largest part as a share of an inset: a card has a ground of its own."""

MIN_ON_GROUND = 0.5
"""Share of its outline that a shape must have with the background to share a layer with one far from it."""


def group_units(work: Working, units: Units, budget: int, least: float = 0.0, progress: Progress = silent) -> Units:
    """At most `budget` units besides the background: things that touch or are alike.

    least: what a thing or split must mean at the least, as a share of what the first thing means.
    """
    parts = measured(work, units.labels, units.kinds)
    return _grouped(with_bands(with_bridges(parts)), units, budget, least, progress)


def group_scene(work: Working, units: Units, budget: int, least: float = 0.0, progress: Progress = silent) -> Units:
    """The same for the parts of a scene, of which scenery is background, and whose colours are no flat ones."""
    return _grouped(measured(work, units.labels, units.kinds), units, budget, least, progress)


def _grouped(parts: Parts, units: Units, budget: int, least: float, progress: Progress) -> Units:
    roots = grown_trees(parts, progress)
    choice = _Choice(max(budget, 0), parts, units.labels.shape)
    choice.fill(roots, least)
    return _relabelled(units, _with_leftovers(parts, choice.things, roots), choice.things)


def _significance(node: Node) -> float:
    """How much a layer of its own is worth: of the unit of merging costs, Lab per pixel times root of area."""
    return _worth(node) * max(node.on_ground / max(node.outline, 1), MIN_STANDS_FREE[KINDS[node.kind]])


def _worth(node: Node) -> float:
    """The same, wherever the thing lies: what is lost when it gets no layer, not even one with what is alike."""
    size, free = float(np.sqrt(node.area)), 1 - (1 - SCENERY_MEANS) * node.scenery
    return KIND_MEANS[KINDS[node.kind]] * size * (node.contrast + 1) * free


def _split_gain(node: Node) -> float:
    """What splitting a node gains: bands of scenery are things of their own, and come before things are split."""
    if node.scenery > MIN_BANDED:
        return min(_worth(child) for child in node.children)
    return SPLIT_GAIN * node.cost


class _Choice:
    """The things that get a layer, at most `most`, of a picture of this shape."""

    def __init__(self, most: int, parts: Parts, shape: tuple[int, ...]) -> None:
        self.parts, self.pixels, self.diagonal = parts, shape[0] * shape[1], float(np.hypot(shape[0], shape[1]))
        self.most_texts = most
        self.turn = itertools.count()  # of equal gains the first comes first
        self.things: list[Node] = []
        self.most = most
        self.queue: list[tuple[float, int, bool, Node]] = []

    def fill(self, roots: Sequence[Node], least: float) -> None:
        """Take roots, split nodes and pair what is alike, always what gains most, until a gain is less than `least`."""
        shapes = sum(root.kind != TEXT for root in roots)
        self.most_texts = max(1, round(MAX_TEXT_LAYERS * self.most), self.most - shapes)
        for root in roots:
            self._wait(_significance(root), False, root)
        largest = 0.0
        while self.queue:
            gain, _, split, node = heapq.heappop(self.queue)
            if -gain < least * largest:
                return
            if not split:
                largest = largest or -gain
                gained = np.inf if -gain > NEVER_LOST * largest else _worth(node)
                self._try([*self.things, node], [node], gained)
            elif any(thing is node for thing in self.things):
                others = [thing for thing in self.things if thing is not node]
                self._try([*others, *node.children], node.children, -gain)

    def _wait(self, gain: float, split: bool, node: Node) -> None:
        heapq.heappush(self.queue, (-gain, next(self.turn), split, node))

    def _try(self, things: list[Node], new: Sequence[Node], gain: float) -> None:
        """Take a new list of things, where it fits or two of it may share a layer."""
        if len(things) > self.most or self._too_many_texts(things):
            paired = self._paired(things, gain)
            if paired is None:
                return
            things = paired
        self.things = things
        for node in new:
            if node.children and not self._is_inset(node):
                self._wait(_split_gain(node), True, node)

    def _too_many_texts(self, things: Sequence[Node]) -> bool:
        return sum(thing.kind == TEXT for thing in things) > self.most_texts

    def _is_inset(self, node: Node) -> bool:
        """Whether many parts, none of them most of it, fill a rectangle: a photograph on a slide, say."""
        width, height = node.box[2:] - node.box[:2]
        largest = self.parts.area[list(node.parts)].max()
        full = node.area * self.pixels > MIN_INSET_FILL * width * height
        return bool(full and len(node.parts) >= MIN_INSET_PARTS and largest < MAX_INSET_PART * node.area)

    def _paired(self, things: list[Node], gain: float) -> list[Node] | None:
        """The list with its two most alike things as one, where sharing a layer loses less than is gained."""
        unlike = _unlike(things, self.diagonal)
        root = np.sqrt([thing.area for thing in things])
        unlike[unlike * np.minimum.outer(root, root) >= gain] = np.inf
        if not np.isfinite(unlike).any():
            return None
        first, second = divmod(int(unlike.argmin()), len(things))
        others = [thing for i, thing in enumerate(things) if i not in (first, second)]
        return [*others, joined(things[first], things[second])]


def _unlike(things: Sequence[Node], diagonal: float) -> Floats:
    """How little each two things (n, n) belong in one layer; inf for unlike kinds and shapes that stand on others."""
    box, size = np.stack([thing.box for thing in things]), np.log2([thing.area for thing in things])
    color, kind = np.stack([thing.color for thing in things]), np.array([thing.kind for thing in things])
    unlike = APART_BASE + APART_COLOR * np.linalg.norm(color[:, None] - color[None], axis=2)
    unlike += APART_SIZE * np.abs(np.subtract.outer(size, size)) + APART_GAP * gaps(box, box) / diagonal
    standing = np.array([thing.on_ground > MIN_ON_GROUND * thing.outline for thing in things])
    lettering = np.logical_and.outer(~standing, ~standing)
    unlike *= np.where(np.logical_and.outer(kind == TEXT, kind == TEXT), np.where(lettering, LETTERING, APART_TEXTS), 1)
    free = standing | (kind != SHAPE)
    unlike[~np.logical_and.outer(free, free) | np.not_equal.outer(kind, kind)] = np.inf
    np.fill_diagonal(unlike, np.inf)
    return np.asarray(unlike)


def _with_leftovers(parts: Parts, things: Sequence[Node], roots: Sequence[Node]) -> NDArray[np.int32]:
    """Number of the thing (n,), 1.., that each part goes to, 0 being the background."""
    number = np.zeros(len(parts.area), np.int32)
    for i, thing in enumerate(things, 1):
        number[list(thing.parts)] = i
    taken = number > 0
    taken[0] = True
    for root in roots:
        own = list(root.parts)
        if not taken[own[0]]:
            beside = parts.border[own].sum(0) * taken
            number[own] = int(np.bincount(number, weights=beside).argmax())
    return number


def _relabelled(units: Units, number: NDArray[np.int32], things: Sequence[Node]) -> Units:
    kinds = np.array([SHAPE, *(thing.kind for thing in things)], np.int8)
    return replace(units, labels=number[units.labels].astype(np.int32), kinds=kinds)
