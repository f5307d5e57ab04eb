"""Thin strokes: hair-thin lines, lifted off before anything else is looked for.

A stroke thinner than a pixel shows nowhere its own colour F: its pixels are B + a (F - B), points on a line from what
lies behind. Pixels on one such line are one unit, and its alpha is solved everywhere, as that of letters. What lies
behind is the median around, which no thin line changes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .fill import smooth_fill
from .lines import by_color
from .segment import compact
from .working import Floats, Labels, Mask, Working

WINDOW = 11
"""Side in working pixels of the median's window: strokes are thinner than half of it."""

REACH = 0.12
"""Least length of strokes that belong together, as a share of the picture's longer side: letters are smaller."""

MOST_COLORS = 6
LEAST_SHARE = 1.5e-4
"""Share of the picture's pixels that strokes of one colour must have."""

EDGE = 40
"""Where what lies behind changes by more, what looks like a line may be the shadow along an edge."""

BUSY = 0.1
"""Where more than this share of the picture would be strokes, it is texture."""


@dataclass(frozen=True)
class Strokes:
    """numbers: (h, w), the colour of the strokes at each pixel, 1.., 0 for none. clean: the picture without them."""

    numbers: Labels
    clean: Working


def find_strokes(work: Working) -> Strokes:
    """The thin lines of a picture."""
    import cv2

    noise = 8 + 4 * work.noise
    behind = _median(work.rgba)
    square = np.ones((5, 5), np.uint8)
    low, high = cv2.erode(behind, square) - noise, cv2.dilate(behind, square) + noise
    apart = ((work.rgba < low) | (work.rgba > high)).any(2)
    lines = _long(np.asarray(apart), (high - low).max(2) > 2 * noise + EDGE)
    numbers = np.zeros(lines.shape, np.int32)
    if lines.mean() > BUSY:
        return Strokes(numbers, work)
    change = work.rgba - behind
    numbers[lines] = by_color(change[lines], behind[lines], 8 + 2 * work.noise, MOST_COLORS, LEAST_SHARE * lines.size)
    numbers = compact(_without_scraps(numbers))
    gone = cv2.dilate(lines.astype(np.uint8), square) > 0
    gone &= (np.abs(change).max(2) > 2) & (numbers.max() > 0)
    return Strokes(numbers, Working(smooth_fill(work.rgba, (~gone).astype(np.float32)), work.noise))


def _median(rgba: Floats) -> Floats:
    import cv2

    calm = rgba.round().clip(0, 255).astype(np.uint8)
    return np.asarray(cv2.medianBlur(calm, WINDOW), np.float32)


def _long(apart: Mask, edges: Mask) -> Mask:
    """The pieces of a mask that reach far and fill little of their boxes, as lines do and words do not.

    What runs along edges is no line: it may be the darkest of a shadow.
    """
    import cv2

    _, pieces, stats, _ = cv2.connectedComponentsWithStats(apart.astype(np.uint8), connectivity=8)
    long_side, short_side = stats[:, 2:4].max(1), stats[:, 2:4].min(1)
    fill = stats[:, 4] / (long_side * short_side)
    side = max(apart.shape)
    kept = (long_side > REACH * side) & (fill < np.where(short_side > REACH / 2 * side, 0.35, 0.22))
    kept |= (long_side > REACH * side) & (short_side <= WINDOW // 2)
    kept &= np.bincount(pieces.ravel(), weights=edges.ravel()) < 0.5 * stats[:, 4]
    kept[0] = False
    return np.asarray(kept[pieces])


def _without_scraps(numbers: Labels) -> Labels:
    """Without the colours whose pixels are for the most part in short pieces: edges and letters."""
    import cv2

    kept = np.zeros(int(numbers.max()) + 1, bool)
    for number in range(1, len(kept)):
        mask = (numbers == number).astype(np.uint8)
        _, pieces, stats, _ = cv2.connectedComponentsWithStats(cv2.dilate(mask, np.ones((3, 3), np.uint8)))
        long_ = stats[:, 2:4].max(1) > REACH * max(mask.shape)
        kept[number] = long_[pieces[mask > 0]].mean() > 0.6
    return np.where(kept[numbers], numbers, 0).astype(np.int32)
