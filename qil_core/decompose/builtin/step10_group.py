"""Step 10, group: units become things, as many as the number of layers allows.

1. `merge_tree.grown_trees`: units that touch are merged to trees; each root is what stands alone on the background.
2. `_Choice.fill`: the roots that mean most are taken, and where layers are left, the node is split whose halves differ
   most. `_significance`: root of the area times contrast along the outline; scenery, which comes with the picture's
   border, means little. Splitting a node gains a share of what merging it had cost.
3. `_Choice._paired`: when the layers are used up, two things far from each other share one layer, where they are more
   alike than the next thing is dear: petals, birds, dots.
4. `_with_leftovers`: what got no layer goes to what it shares most of its outline with, mostly the background.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ...progress import Progress, silent
from .merge_tree import Node, Parts, grown_trees, joined, measured, with_scenery
from .step03_ground import Background
from .step07_texts import gaps
from .units import KINDS, SHAPE, TEXT, Units
from .working import Floats, Working

SPLIT_GAIN = 0.1
"""What splitting a node gains, as a share of the cost of merging it: things stay whole while others wait.
Flat from 0.05 to 0.15 on made-up compositions."""

SCENERY_MEANS = 0.02
"""Significance of scenery as a share of that of things: it comes when these have their layers."""

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
"""Factor for texts: lines that belong together are one unit already."""

MIN_ON_GROUND = 0.5
"""Share of its outline that a thing must have with the background to share a layer with one far from it."""


def group_units(
    work: Working, background: Background, units: Units, budget: int, progress: Progress = silent
) -> Units:
    """At most `budget` units besides the background: things that touch or are alike."""
    if len(units) - 1 <= budget:
        return units
    parts = measured(work, units.labels, units.kinds)
    if background.kind != "inpainted":  # there step 8 has made it background
        parts = with_scenery(parts)
    roots = grown_trees(parts, progress)
    choice = _Choice(max(budget, 0), float(np.hypot(*units.labels.shape)))
    choice.fill(roots)
    return _relabelled(units, _with_leftovers(parts, choice.things, roots), choice.things)


def _significance(node: Node) -> float:
    """How much a layer of its own is worth: of the unit of merging costs, Lab per pixel times root of area."""
    kind = KINDS[node.kind]
    factor = KIND_MEANS[kind] * max(node.on_ground / max(node.outline, 1), MIN_STANDS_FREE[kind])
    return factor * float(np.sqrt(node.area)) * (node.contrast + 1) * (1 - node.scenery + SCENERY_MEANS)


class _Choice:
    """The things that get a layer, at most `most`, of a picture with this diagonal in pixels."""

    def __init__(self, most: int, diagonal: float) -> None:
        self.diagonal = diagonal
        self.things: list[Node] = []
        self.most = most
        self.queue: list[tuple[float, int, bool, Node]] = []

    def fill(self, roots: Sequence[Node]) -> None:
        """Take roots, split nodes and pair what is alike, always what gains most."""
        for root in roots:
            self._wait(_significance(root), False, root)
        while self.queue:
            gain, _, split, node = heapq.heappop(self.queue)
            if not split:
                self._try([*self.things, node], [node], -gain)
            elif any(thing is node for thing in self.things):
                others = [thing for thing in self.things if thing is not node]
                self._try([*others, *node.children], node.children, -gain)

    def _wait(self, gain: float, split: bool, node: Node) -> None:
        heapq.heappush(self.queue, (-gain, len(self.queue), split, node))

    def _try(self, things: list[Node], new: Sequence[Node], gain: float) -> None:
        """Take a new list of things, where it fits or two of it may share a layer."""
        if len(things) > self.most or self._too_many_texts(things):
            paired = self._paired(things, gain)
            if paired is None:
                return
            things = paired
        self.things = things
        for node in new:
            if node.children:
                self._wait(SPLIT_GAIN * node.cost, True, node)

    def _too_many_texts(self, things: Sequence[Node]) -> bool:
        texts = sum(thing.kind == TEXT for thing in things)
        return texts > max(1, round(MAX_TEXT_LAYERS * self.most))

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
    """How little each two things (n, n) belong in one layer; inf where they do not stand on the background alone."""
    box, size = np.stack([thing.box for thing in things]), np.log2([thing.area for thing in things])
    color, kind = np.stack([thing.color for thing in things]), np.array([thing.kind for thing in things])
    unlike = APART_BASE + APART_COLOR * np.linalg.norm(color[:, None] - color[None], axis=2)
    unlike += APART_SIZE * np.abs(np.subtract.outer(size, size)) + APART_GAP * gaps(box, box) / diagonal
    unlike *= np.where(np.equal.outer(kind, kind) & (kind == TEXT), APART_TEXTS, 1)
    free = np.array([thing.on_ground > MIN_ON_GROUND * thing.outline for thing in things])
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
