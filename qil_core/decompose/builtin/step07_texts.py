"""Step 7, texts: small pieces of one colour and one size, close together, on one ground.

1. `_like_letters`: regions that may be letters, by size, stroke width, fill and contrast to what they lie on.
2. `_near`: two of them belong together when they are close, of like size and colour, and on one ground.
3. `_connected`: such pairs chain up to groups; `_reads_as_text` drops rows of windows, dots and leaves. It demands
   more where OCR has read what is straight (`step07_reading`).
4. `_with_small_parts`: dots, accents, short words and letters that touch join the group they lie in.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...progress import Progress, silent
from .areas import connected
from .lines import between
from .table import Table
from .working import Floats, Labels, Mask


class Demands(NamedTuple):
    """What a group of pieces must show to be taken for text; spreads are standard deviations as shares of the mean.

    letters: how many pieces. stroke: spread of their strokes' widths, which are even in a font (Epshtein et al.,
    "Detecting text in natural scenes with stroke width transform", 2010). size: spread of their sizes. off: how far,
    in letter sizes, they stand off the line or arc that fits them best. rows: from how many letters on they may be
    rows of a paragraph, on no one line.
    """

    letters: int
    stroke: float
    size: float
    off: float
    rows: float


ALONE = Demands(letters=4, stroke=0.25, size=0.5, off=0.45, rows=12)
"""Where nothing reads. On posters, slides and pages, true groups have a stroke spread of 0.04 to 0.2 and stand off by
0.02 to 0.4 (rows: more); leaves, twigs, teeth and windows have 0.3 to 0.9 or are few."""

BESIDE_A_READER = Demands(letters=6, stroke=0.2, size=0.35, off=0.3, rows=np.inf)
"""Where what is straight was read already: words along arcs and the like are looked for."""

MANY_LETTERS = 10
"""So many pieces on one line are text, however uneven their strokes: parts of Chinese and Japanese characters are."""

MIN_LETTER_PX = 5
"""Longer side of the smallest letter in working pixels."""

MAX_LETTER_SIDE = 0.3
"""Width and height of the largest letter, as shares of the picture's."""

MAX_STROKE = 0.62
"""Width of a letter's strokes, as a share of its longer side."""

MIN_LETTER_FILL = 0.12
"""Share of its box that a letter fills at least."""

MIN_GROUND_BORDER = 0.6
"""Share of its border that a letter has with the one region it lies on."""

MIN_CONTRAST = 30
"""Least difference of colour, in 1/255, between a letter and what it lies on."""

MAX_GAP = 0.9
"""Largest clear distance between neighbouring letters, in sizes of the larger one."""

MAX_SIZE_RATIO = 2.6
"""How many times as large as its neighbour a letter may be: an "l" beside a "." is joined later."""

MAX_UNLIKE = 45
"""How much, in 1/255, the colours of neighbouring letters may differ: gradients and blur."""

MAX_HULL_FILL = 0.83
"""Mean share of their convex hulls that letters fill: solid shapes fill more."""

MAX_PART_HEIGHT = 1.8
"""Height of a part that joins a text, in letter sizes."""

MAX_PART_WIDTH = 6
"""Width of such a part, in letter sizes: letters that touch are one region."""

MAX_PART_STROKE = 0.7
"""Width of its strokes, in letter sizes."""

MAX_PART_GAP = 0.8
"""Its clear distance to a letter, in letter sizes."""

MAX_PAPER_SHARE = 0.6
"""How far a part's colour may be from the ink towards the paper: blurred dots are pale."""

MAX_OFF_INK = 40
"""How far, in 1/255, a part's colour may be off the line from ink to paper."""

LINEAR_LIGHT_OVERSHOOT = 0.2
"""Share of the contrast of ink and paper that is forgiven in addition: edges drawn in linear light leave the line."""


def find_texts(
    table: Table, shape: tuple[int, int], read: Mask, demands: Demands, progress: Progress = silent
) -> list[NDArray[np.int64]]:
    """Groups of region numbers that are text, largest first, for a picture of shape (h, w).

    read: (n,), the regions that are known to be part of a text, or to be none.
    """
    progress(0, "looking for texts")
    letters = np.flatnonzero(_like_letters(table, shape) & ~read)
    groups = [g for g in _connected(letters, _near(table, letters), progress) if _reads_as_text(table, g, demands)]
    groups = _with_small_parts(table, groups, read, progress)
    return sorted(groups, key=lambda g: -float(table.area[g].sum()))


def _reads_as_text(table: Table, group: NDArray[np.int64], demands: Demands) -> bool:
    """Letters differ in shape, fill their hulls loosely, have even strokes and stand on lines; leaves do not."""
    if len(group) < demands.letters or float((table.area[group] / table.hull[group]).mean()) > MAX_HULL_FILL:
        return False
    is_even = _spread(table.stroke[group]) < demands.stroke and _spread(table.size[group]) < demands.size
    if _off_line(table, group) < demands.off:
        return is_even or len(group) >= max(MANY_LETTERS, demands.letters)
    return len(group) >= demands.rows and _spread(table.stroke[group]) < demands.stroke


def _spread(values: NDArray) -> float:
    return float(values.std() / max(float(values.mean()), 1e-6))


def _off_line(table: Table, group: NDArray[np.int64]) -> float:
    """How far pieces stand off the arc (a parabola in their own axes) that fits them best, in their median size."""
    center = (table.box[group, :2] + table.box[group, 2:]) / 2
    center = center - center.mean(0)
    along, off = (center @ np.linalg.svd(center, full_matrices=False)[2].T).T
    bend = np.polyval(np.polyfit(along, off, 2), along)
    return float(np.sqrt(((off - bend) ** 2).mean()) / np.median(table.size[group]))


def _like_letters(table: Table, shape: tuple[int, int]) -> Mask:
    """Which regions (n,) may be letters."""
    size, box = table.size, np.maximum(table.width * table.height, 1)
    on_one = table.border.max(1) / np.maximum(table.border.sum(1), 1)
    contrast = np.abs(table.color - table.color[table.ground]).max(1)
    like = (size >= MIN_LETTER_PX) & (table.height <= MAX_LETTER_SIDE * shape[0])
    like &= (table.width <= MAX_LETTER_SIDE * shape[1]) & (table.stroke <= MAX_STROKE * size)
    like &= (table.area >= MIN_LETTER_FILL * box) & (on_one > MIN_GROUND_BORDER) & (contrast > MIN_CONTRAST)
    like[0] = False
    return np.asarray(like)


def _near(table: Table, items: NDArray[np.int64]) -> Mask:
    """Which of the items belong together, pair by pair: (n, n)."""
    size, ground = table.size[items].astype(np.float32), table.ground[items]
    larger, smaller = np.maximum.outer(size, size), np.minimum.outer(size, size)
    return np.asarray(
        (gaps(table.box[items], table.box[items]) <= MAX_GAP * larger)
        & (larger <= MAX_SIZE_RATIO * smaller)
        & _alike(table.color[items])
        & np.equal.outer(ground, ground)
    )


def gaps(first: NDArray[np.int64], second: NDArray[np.int64]) -> Floats:
    """Clear distance between boxes (n, 4) and (m, 4): (n, m), 0 where they touch."""
    left = np.maximum.outer(first[:, 0], second[:, 0]) - np.minimum.outer(first[:, 2], second[:, 2])
    top = np.maximum.outer(first[:, 1], second[:, 1]) - np.minimum.outer(first[:, 3], second[:, 3])
    return np.asarray(np.hypot(np.maximum(left, 0), np.maximum(top, 0)), np.float32)


def _alike(colors: Floats) -> Mask:
    return np.asarray(np.abs(colors[:, None] - colors[None]).max(2) < MAX_UNLIKE)


def _connected(items: NDArray[np.int64], near: Mask, progress: Progress) -> list[NDArray[np.int64]]:
    """Connected groups of items under a symmetric relation."""
    progress(0.5, "looking for texts")
    label = connected(near)
    return [items[label == k] for k in np.unique(label)]


def _with_small_parts(
    table: Table, groups: list[NDArray[np.int64]], read: Mask, progress: Progress
) -> list[NDArray[np.int64]]:
    """The groups with what belongs to their lines: dots, accents, short words, letters that touch.

    Of several lines that a part lies near it belongs to the one whose ink is most like it, so parts of an ink's own
    colour come first, and pale ones when all of these have found their line.
    """
    progress(0.7, "gathering texts")
    out, taken = list(groups), read.copy()
    taken[np.concatenate([[0], *groups]).astype(int)] = True
    for most in (MAX_UNLIKE, np.inf) if out else ():
        while True:
            free = np.flatnonzero(~taken)
            unlike = np.stack([_unlike(table, group, free) for group in out])
            found, nearest = unlike.min(0) < most, unlike.argmin(0)
            if not found.any():
                break
            taken[free[found]] = True
            out = [np.concatenate([group, free[found & (nearest == k)]]) for k, group in enumerate(out)]
    return out


def _unlike(table: Table, group: NDArray[np.int64], free: NDArray[np.int64]) -> Floats:
    """How unlike a group's ink the colours of the free regions (n,) are, in 1/255: infinite for those that are none of
    its parts, since these have its colour, be it blurred, at most its size, and lie close."""
    size = float(np.median(table.size[group]))
    fits = (table.height[free] <= MAX_PART_HEIGHT * size) & (table.width[free] <= MAX_PART_WIDTH * size)
    fits &= table.stroke[free] <= MAX_PART_STROKE * size
    fits[fits] = (gaps(table.box[free[fits]], table.box[group]) <= MAX_PART_GAP * size).any(1)
    ink, paper = np.median(table.color[group], axis=0), np.median(table.color[table.ground[group]], axis=0)
    share, misfit = between(table.color[free], ink, paper, LINEAR_LIGHT_OVERSHOOT)
    fits &= (share < MAX_PAPER_SHARE) & (misfit < MAX_OFF_INK)
    return np.where(fits, np.abs(table.color[free] - ink).max(1), np.inf).astype(np.float32)


def relabel(labels: Labels, groups: list[NDArray[np.int64]]) -> tuple[Labels, int]:
    """A label map in which each group has one number; those numbers come last, the first of them is returned."""
    count = int(labels.max()) + 1
    first = count - sum(len(g) for g in groups)
    table = np.zeros(count, np.int32)
    others = np.setdiff1d(np.arange(count), np.concatenate(groups)) if groups else np.arange(count)
    table[others] = np.arange(len(others))
    for i, group in enumerate(groups):
        table[group] = first + i
    return table[labels], first
