"""Step 2, strokes: hair-thin lines are lifted off before anything else is looked for.

A stroke thinner than a pixel shows its own colour F nowhere: its pixels are B + a (F - B), points on the line from
what lies behind to F (see `lines`).

1. `_median`: what lies behind is the median around a pixel, which no thin line changes.
2. Pixels that leave the range of the medians around them stand apart.
3. `_long`: of the pieces that they form, those are kept that reach far and fill little of their boxes, as lines do.
4. `lines.by_color`: pixels on one line between colours are strokes of one colour, and later one layer.
5. `_without_scraps`: colours that are found mostly in short pieces are edges and letters, not strokes.
6. `_filled` closes the picture where the strokes were.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...progress import Progress, silent
from .areas import compact
from .fill import nearest, smooth_fill
from .lines import by_color
from .shapes import grown
from .working import Floats, Labels, Mask, Tolerance, Working, strongest

MEDIAN_WINDOW_PX = 11
"""Side of the median's window in working pixels: strokes are thinner than half of it."""

AROUND_PX = 2
"""How far around a pixel medians are compared: an edge between two areas shifts by no more."""

APART = Tolerance(8, 4)
"""How far a pixel must be outside the range of the medians around it."""

ON_LINE = Tolerance(8, 2)
"""How far a stroke's pixel may be off the line between colours."""

MIN_LENGTH = 0.12
"""Least length of strokes that belong together, as a share of the picture's longer side: letters are smaller."""

MAX_FILL = 0.35
"""Share of its box that a piece may fill."""

MAX_FILL_NARROW = 0.22
"""The same for a piece whose box is narrower than half of MIN_LENGTH: a word fills its box more than a line."""

MAX_COLORS = 6
"""Of how many colours strokes are looked for."""

MIN_COLOR_SHARE = 1.5e-4
"""Share of the picture's pixels that strokes of one colour must have."""

MAX_STEP_BEHIND = 40
"""Where what lies behind changes by more, in 1/255, what looks like a line may be the shadow along an edge."""

MAX_SHARE_AT_STEPS = 0.5
"""Share of a piece's pixels that may lie at such steps."""

MAX_SHARE = 0.1
"""Where more than this share of the picture would be strokes, it is texture, and none is lifted."""

MIN_CHANGE = 2
"""Pixels near a stroke that change by no more, in 1/255, keep their colour when it is lifted."""

MIN_STEP_KEPT = 6
"""Least step, in 1/255, of what lies behind a stroke in a picture of flat colours that stays a step."""

MIN_EDGE_KEPT = 25
"""The same in other pictures: a ramp in place of an edge would link a thing with its ground."""

MIN_LONG_SHARE = 0.6
"""Share of a colour's pixels that must be in long pieces."""


@dataclass(frozen=True)
class Strokes:
    """numbers: (h, w), the colour of the strokes at each pixel, 1.., 0 for none. clean: the picture without them."""

    numbers: Labels
    clean: Working

    def without(self, texts: Mask, work: Working) -> Strokes:
        """The strokes that are no part of texts (h, w); those are back in the picture, as it was."""
        back = grown(texts, AROUND_PX)
        clean = np.where(back[..., None], work.rgba, self.clean.rgba)
        return Strokes(np.where(back, 0, self.numbers).astype(np.int32), replace(self.clean, rgba=clean))


def find_strokes(work: Working, progress: Progress = silent) -> Strokes:
    """The thin lines of a picture."""
    import cv2

    progress(0, "finding strokes")
    slack = APART.around(work.local_noise)[..., None]
    behind = _median(work.rgba)
    square = np.ones((2 * AROUND_PX + 1, 2 * AROUND_PX + 1), np.uint8)
    low, high = cv2.erode(behind, square) - slack, cv2.dilate(behind, square) + slack
    apart = ((work.rgba < low) | (work.rgba > high)).any(2)
    step = strongest(high - low - 2 * slack)
    lines = _long(np.asarray(apart), step > MAX_STEP_BEHIND)
    numbers = np.zeros(lines.shape, np.int32)
    if lines.mean() > MAX_SHARE:
        return Strokes(numbers, work)
    change, least = work.rgba - behind, MIN_COLOR_SHARE * lines.size
    numbers[lines] = by_color(change[lines], behind[lines], ON_LINE.at(work.noise), MAX_COLORS, least, progress)
    progress(1, "lifting strokes off")
    numbers = compact(_without_scraps(numbers))
    gone = grown(lines, AROUND_PX) & (strongest(change) > MIN_CHANGE) & (numbers.max() > 0)
    kept = step > (MIN_STEP_KEPT if work.is_even else MIN_EDGE_KEPT)
    return Strokes(numbers, replace(work, rgba=_filled(work, gone, kept)))


def _filled(work: Working, gone: Mask, at_steps: Mask) -> Floats:
    """The copy (h, w, 4) closed where strokes were. At edges that they crossed, the nearest colour is taken."""
    smooth = smooth_fill(work.rgba, (~gone).astype(np.float32))
    if gone.all():
        return smooth
    sharp = gone & at_steps
    smooth[sharp] = work.rgba.reshape(-1, 4)[nearest(~gone)[0][sharp]]
    return smooth


def _median(rgba: Floats) -> Floats:
    import cv2

    calm = rgba.round().clip(0, 255).astype(np.uint8)
    return np.asarray(cv2.medianBlur(calm, MEDIAN_WINDOW_PX), np.float32)


def _long(apart: Mask, at_steps: Mask) -> Mask:
    """The pieces of a mask that reach far and fill little of their boxes, as lines do and words do not.

    at_steps: where what lies behind changes. A piece that is mostly there may be the darkest part of a shadow.
    """
    import cv2

    _, pieces, stats, _ = cv2.connectedComponentsWithStats(apart.astype(np.uint8), connectivity=8)
    long_side, short_side, area = stats[:, 2:4].max(1), stats[:, 2:4].min(1), stats[:, cv2.CC_STAT_AREA]
    least = MIN_LENGTH * max(apart.shape)
    most = np.where(short_side > MIN_LENGTH / 2 * max(apart.shape), MAX_FILL, MAX_FILL_NARROW)
    straight = short_side <= MEDIAN_WINDOW_PX // 2  # a straight line along the picture fills its box
    kept = (long_side > least) & ((area / (long_side * short_side) < most) | straight)
    kept &= np.bincount(pieces.ravel(), weights=at_steps.ravel()) < MAX_SHARE_AT_STEPS * area
    kept[0] = False
    return np.asarray(kept[pieces])


def _without_scraps(numbers: Labels) -> Labels:
    """Without the colours whose pixels are for the most part in short pieces: edges and letters."""
    import cv2

    kept = np.zeros(int(numbers.max()) + 1, bool)
    for number in range(1, len(kept)):
        mask = numbers == number
        _, pieces, stats, _ = cv2.connectedComponentsWithStats(grown(mask, 1).astype(np.uint8))
        long_ = stats[:, 2:4].max(1) > MIN_LENGTH * max(mask.shape)
        kept[number] = long_[pieces[mask]].mean() > MIN_LONG_SHARE
    return np.where(kept[numbers], numbers, 0).astype(np.int32)
