"""Step 8 for charts: axes, a grid, what is drawn between them and the marks beside them are one unit.

1. `with_rules`: the long rule above a footer, or below a header, is part of its text.
2. `_frames`: strokes along the picture's sides, of which some cross, are axes and a grid; a closed frame is none.
3. `with_charts`: what differs from the ground within them, and the marks around them, become one unit of strokes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from .shapes import Box, grown
from .step03_ground import FIT, Background
from .step07_reading import MARGIN, Texts
from .units import STROKES, TEXT, Units
from .working import Labels, Mask, Working, strongest

MIN_AXIS = 0.06
"""Length of the shortest axis as a share of the picture's longer side."""

MAX_CHART = 0.5
"""Share of the picture that a chart takes at most: longer lines part the picture."""

MIN_GROUND = 0.4
"""Share of its box in which a chart shows the ground: less is a scene with straight edges."""

MARKS_REACH = 0.04
"""How far from the axes marks may reach, as a share of the picture's longer side."""

MAX_CLOSED = 0.5
"""Share of the right side that lines take at most: a frame around something is no chart."""

MIN_MARGIN_RULE = 0.4
"""Length of a header's or footer's rule at the least, as a share of the picture's width."""

RULE_REACH = 0.05
"""How far from such a rule its text may be, as a share of the picture's height."""

RULE_SIDE_PX = 4
"""How far from a rule, in working pixels, its blur has ended."""

SIDE_PX = 3
"""Width of that side in working pixels."""


def with_charts(
    work: Working, background: Background, units: Units, texts: Texts, strokes: Labels
) -> tuple[Units, Labels]:
    """The units with charts among them, and the strokes (h, w) that are no part of one."""
    if not (work.is_even and background.has_formula):
        return units, strokes
    apart = strongest(work.rgba[..., :3] - background.model) > FIT.around(work.local_noise)
    for frame in _frames(strokes > 0):
        if (~apart[frame]).mean() < MIN_GROUND:
            continue
        inside = np.zeros(strokes.shape, bool)
        inside[frame] = True
        around = grown(inside, round(MARKS_REACH * max(strokes.shape)))
        inside = grown(inside, SIDE_PX)
        chart = (inside & apart & (texts.numbers == 0)) | (around & (texts.marks > 0)) | (inside & (strokes > 0))
        units, strokes = _drawn(units, chart), np.where(inside, 0, strokes).astype(np.int32)
    return units, strokes


def with_rules(work: Working, texts: Texts, strokes: Labels) -> Texts:
    """The texts with the long rules in a page's margins that stand close to one: a footer's belongs to it.

    The ground is the same on both sides of such a rule; otherwise it is the edge of a bar.
    """
    import cv2

    height = strokes.shape[0]
    length = round(MIN_MARGIN_RULE * strokes.shape[1]) | 1  # even kernels shift
    lines = cv2.morphologyEx((strokes > 0).astype(np.uint8), cv2.MORPH_OPEN, np.ones((1, length), np.uint8))
    _, pieces, stats, _ = cv2.connectedComponentsWithStats(lines, connectivity=8)
    numbers = texts.numbers.copy()
    for piece, (_, top, _, high, _) in enumerate(stats[1:].tolist(), 1):
        reach = round(RULE_REACH * height)
        near = numbers[max(0, top - reach) : top + high + reach]
        in_margin = top < MARGIN * height or top + high > (1 - MARGIN) * height
        beside = [int(np.clip(row, 0, height - 1)) for row in (top - RULE_SIDE_PX, top + high + RULE_SIDE_PX)]
        above, below = (np.median(work.rgba[row][(pieces == piece).any(0)], axis=0) for row in beside)
        if in_margin and near.any() and np.abs(above - below).max() < FIT.at(work.noise):
            numbers[pieces == piece] = np.bincount(near[near > 0]).argmax()
    return replace(texts, numbers=numbers)


def _drawn(units: Units, chart: Mask) -> Units:
    """The units with this one in place of those that lie in it for the most part."""
    in_chart = np.bincount(units.labels[chart], minlength=len(units))
    gone = (2 * in_chart > np.bincount(units.labels.ravel(), minlength=len(units))) & (units.kinds != TEXT)
    gone[0] = False
    return units.with_more((chart | gone[units.labels]).astype(np.int32), STROKES)


def _frames(strokes: Mask) -> Iterator[Box]:
    """The boxes of axes and grids in a mask (h, w)."""
    import cv2

    length = round(MIN_AXIS * max(strokes.shape)) | 1
    across, down = (
        np.asarray(cv2.morphologyEx(strokes.astype(np.uint8), cv2.MORPH_OPEN, np.ones(size, np.uint8))) > 0
        for size in ((1, length), (length, 1))
    )
    near = grown(across | down, 1).astype(np.uint8)
    _, numbers, stats, _ = cv2.connectedComponentsWithStats(near, connectivity=8)
    for number, (left, top, width, height, _) in enumerate(stats[1:].tolist(), 1):
        one = numbers == number
        closed = (one & down)[top : top + height, left + width - SIDE_PX - 2 : left + width].any(1).mean()
        if (
            (one & across).any()
            and (one & down).any()
            and closed < MAX_CLOSED
            and width * height < MAX_CHART * one.size
        ):
            yield slice(top, top + height), slice(left, left + width)
