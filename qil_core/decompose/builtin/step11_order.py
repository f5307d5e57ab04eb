"""Step 11, occlusion order: which unit lies above which, and where the translucent panels go between them.

Evidence that unit A lies below unit B, in pixels of hidden area:
1. `_at_junctions`: at a T-junction, where three units meet, the outline that ends belongs to the lower one.
2. `_reached`: A's completed shape (see `shapes`) reaches under B.
3. `_at_crossings`: of two bundles of strokes that cross, the upper one is whole right beside the lower one's.
4. Kind: shapes lie below glows, these below strokes, and texts on top.
The sum over all pairs orders the units (`_sorted_by`); then `placed` puts each panel right above what it lies on.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...progress import Progress, silent
from .meetings import meetings
from .shapes import completed, grown
from .step06_panels import Panel
from .units import GLOW, KINDS, SHAPE, STROKES, Units
from .working import Labels, Mask

JUNCTION_WEIGHT = 2000.0
"""What a T-junction counts, in pixels of hidden area: it errs seldom."""

MAX_JUNCTIONS = 2000
"""How many points where three units meet are looked at."""

JUNCTION_RADIUS = 40
"""Radius of the disc that is read at a junction: this part (a fortieth) of the picture's longer side."""

MIN_RADIUS_PX = 6
"""The same radius in working pixels, at the least."""

RANKS = {"shape": 0, "glow": 1, "strokes": 2, "text": 3}
"""Where there is no other evidence, kinds lie in this order, the lowest first."""

RANK_WEIGHT = 4.0
"""What such a rank counts, in pixels of hidden area: less than anything seen."""

TOUCH_PX = 12
"""Pixels of a unit at a panel's edge that are more than a chance meeting."""

INSIDE_PX = 2
"""Depth in a panel, in working pixels, from which a unit is seen through it, and distance at which it is beside it."""

MIN_THROUGH_PX = 30
"""Pixels of a unit that must be seen through a panel for the panel to lie on it."""

MIN_THROUGH = 0.5
"""The same as a share of the unit's pixels at or within the panel."""

MIN_ENDING = 0.5
"""Share of a unit that must be under a panel or known to continue beside it for the panel to lie on it."""

Layer = int | Panel
"""What a layer is made of: a unit, by its number, or a panel."""


def occlusion_order(
    labels: Labels, kinds: NDArray[np.int8], progress: Progress = silent, known: NDArray[np.float64] | None = None
) -> NDArray[np.int64]:
    """Units bottom first, 0 (the background) leading, for a label map (h, w).

    known: (n, n), further evidence that unit i lies below unit j, in pixels of hidden area; negative: above.
    """
    small = labels[::2, ::2]  # half as fine is enough for areas; a thin unit may have no pixel there
    count = len(kinds)
    sizes = np.bincount(small.ravel(), minlength=count)
    below = JUNCTION_WEIGHT * _at_junctions(labels, kinds, progress) + (0 if known is None else known)
    for unit in range(1, count):
        progress(unit / count, "finding what covers what")
        if kinds[unit] == STROKES:
            below[unit] += _at_crossings(labels, kinds, unit)
        if kinds[unit] in (STROKES, GLOW):
            continue
        visible = small == unit
        beside = _pixels_beside(small, visible, count) > 0
        below[unit] += np.where(kinds == GLOW, 0, _reached(small, unit, beside, progress))
    rank = np.array([RANKS[kind] for kind in KINDS])[kinds]
    earlier = np.less.outer(rank, rank)
    return _sorted_by(below - below.T + RANK_WEIGHT * (earlier.astype(float) - earlier.T), sizes)


def _at_junctions(labels: Labels, kinds: NDArray[np.int8], progress: Progress) -> NDArray[np.float64]:
    """How much each shape (n, n) seems to lie below each other one where three units meet.

    The outline of what covers goes straight on there, as the bar of a T: its part of a disc is about a half, and the
    other two share the other half.
    """
    below = np.zeros((len(kinds), len(kinds)))
    radius = max(MIN_RADIUS_PX, max(labels.shape) // JUNCTION_RADIUS)
    row, column = np.mgrid[0.5 - radius : radius, 0.5 - radius : radius]
    disc, padded = np.hypot(row, column) <= radius, np.pad(labels, radius, constant_values=-1)
    progress(0, "finding what covers what")
    for y, x in meetings(labels, (3,))[:MAX_JUNCTIONS]:
        window = padded[y + 1 : y + 1 + 2 * radius, x + 1 : x + 1 + 2 * radius][disc]
        share = np.bincount(window[window >= 0], minlength=len(kinds)) / disc.sum()
        met = np.argsort(-share)[:3]
        bend = np.abs(share[met] - 0.5)
        bar = int(bend.argmin())
        if kinds[met[bar]] == SHAPE and met[bar]:
            below[met, met[bar]] += (kinds[met] == SHAPE) * (bend - bend[bar])
    return below


def _at_crossings(labels: Labels, kinds: NDArray[np.int8], unit: int) -> NDArray[np.int64]:
    """How many pixels of the other strokes (n,) lie beside these strokes: the upper ones are whole there."""
    return np.where(kinds == STROKES, _pixels_beside(labels, labels == unit, len(kinds)), 0)


def _reached(labels: Labels, unit: int, beside: Mask, progress: Progress) -> NDArray[np.int64]:
    """How many pixels of each other unit (n,) the completed shape of this one would take in.

    Completed under all others at once, and under each neighbour alone.
    """
    visible = labels == unit
    reached = np.bincount(labels[_reach(visible, (labels > 0) & ~visible, progress)], minlength=len(beside))
    for other in np.flatnonzero(beside[1:]) + 1:
        reached[other] = max(reached[other], _reach(visible, labels == other, progress).sum())
    return reached


def _reach(visible: Mask, others: Mask, progress: Progress) -> Mask:
    """Where others are that the completed shape of a mask takes in."""
    return completed(visible, others, lambda _, what: progress(0, what)) & others


def _pixels_beside(labels: Labels, mask: Mask, count: int) -> NDArray[np.int64]:
    """How many pixels of each of `count` units (count,) lie beside a mask."""
    return np.bincount(labels[grown(mask, 1) & ~mask], minlength=count)


def _sorted_by(below: NDArray[np.float64], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Numbers 0..n-1, 0 first, next always the one with the least evidence against it; of equals, the larger.

    below: (n, n), the evidence that i lies below j.
    """
    order, left = [0], sorted(range(1, len(below)), key=lambda unit: -sizes[unit])
    while left:
        against = [np.maximum(below[left, unit], 0).sum() for unit in left]
        order.append(left.pop(int(np.argmin(against))))
    return np.array(order)


def placed(units: Units, panels: Sequence[Panel]) -> list[Layer]:
    """The units but the background and the panels, bottom first: each panel right above what it lies on.

    What touches a panel and neither shows through it nor is seen to go on under it lies on it.
    """
    order: list[Layer] = list(range(1, len(units)))
    for panel in reversed(panels):
        under = [_lies_under(layer, units, panel) for layer in order]
        height = max((i + 1 for i, lies in enumerate(under) if lies), default=0)
        lower = list(zip(order[:height], under[:height], strict=True))
        upon = [layer for layer, lies in lower if not lies and _touch(layer, units, panel) > TOUCH_PX]
        order = [*(layer for layer, _ in lower if layer not in upon), panel, *upon, *order[height:]]
    return order


def _lies_under(layer: Layer, units: Units, panel: Panel) -> bool:
    """Whether a panel lies on a layer: for the most part it is seen through it, or to end at it. Strokes lie on it."""
    inside = panel.depth > INSIDE_PX
    if isinstance(layer, Panel):
        return bool(((layer.depth > 0) & inside).any())
    own = units.labels == layer
    through = int((own & inside).sum())
    ends = (own & (inside | panel.over)).sum() > MIN_ENDING * own.sum()
    seen = through > max(MIN_THROUGH_PX, MIN_THROUGH * _touch(layer, units, panel))
    return bool(units.kinds[layer] != STROKES and (ends or seen))


def _touch(layer: Layer, units: Units, panel: Panel) -> int:
    """How many pixels of a unit are within a panel or at its edge; none of another panel."""
    return 0 if isinstance(layer, Panel) else int(((units.labels == layer) & (panel.depth > -INSIDE_PX)).sum())
