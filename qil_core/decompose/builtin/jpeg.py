"""What JPEG leaves in a picture: steps at the borders of its blocks of 8 x 8, and ringing around edges.

Each block is quantised by itself (ITU-T T.81, 1992), so the error of an edge fills its block and ends with it.

1. `blockiness`: how much more often a step between neighbours sticks out at multiples of 8 than between those (after
   Wang, Sheikh & Bovik, "No-reference perceptual quality assessment of JPEG compressed images", 2002, but counted).
2. `ringing`: where that shows, the spread of colours near edges, which would be calm there without JPEG.
3. `calmed`: a bilateral filter (Tomasi & Manduchi, 1998) takes most of it off.
"""

from __future__ import annotations

import numpy as np

from .working import Floats, Mask, strongest

BLOCK_PX = 8
"""Side of a block (the format's rule)."""

MIN_BLOCKINESS = 0.01
"""Blockiness above which a picture has been a JPEG: 36 drawn scenes lie below 0, nearly all above it at quality 90."""

MAX_STEP = 12
"""A step between neighbours counts below this, in 1/255: larger ones are edges of things."""

MIN_EXCESS = 0.5
"""By how much, in 1/255, a step must exceed both steps beside it, or fall short of both, to count."""

SAMPLED_ROWS = 64
"""Blockiness is read in bands of so many rows."""

SAMPLED_BANDS = 12
"""In how many bands at the most: it bounds the time of a large picture."""

EDGE_CONTRAST = 40
"""Contrast in 1/255 within 3 x 3 pixels from which a pixel is an edge that rings."""

BLUR_PX = 2
"""Within so many pixels of an edge, an edge's own blur is seen, not ringing."""

WINDOW_PX = 7
"""Side of the window in which the spread of ringing is measured."""

MIN_IN_WINDOW = 12
"""Pixels of such a window that must be near edges, and not on them, for it to count."""

CALM_ROUNDS = 2
"""How often the bilateral filter runs: the second time takes off the steps that the first one leaves."""

CALM_REACH_PX = 9
"""Diameter of the bilateral filter's window: a block."""

CALM_SIGMA_PX = 3
"""Standard deviation of the bilateral filter in space."""

CALM_PER_RINGING = 5
"""Its standard deviation in colour, in standard deviations of the ringing: ringing is within, edges are outside."""

CALM_LEFT = 0.3
"""Share of the ringing that the filter leaves: from 0.1 to 0.6 as many regions are found right."""


def blockiness(picture: Floats) -> float:
    """How much more often steps stick out at block borders than elsewhere: -1..1, for (H, W, 4) in [0, 1].

    Of the two directions, the one that shows it less; two standard errors are taken off.
    """
    luma = np.float32(255) * (picture[..., :3] @ np.array([0.299, 0.587, 0.114], np.float32))
    return min(_blockiness_across(_banded(lines)) for lines in (luma, np.ascontiguousarray(luma.T)))


def _banded(luma: Floats) -> Floats:
    """At most SAMPLED_BANDS bands of rows, evenly spread: (rows, W)."""
    starts = np.unique(np.linspace(0, max(len(luma) - SAMPLED_ROWS, 0), SAMPLED_BANDS).astype(int))
    rows = np.unique((starts[:, None] + np.arange(SAMPLED_ROWS)).clip(max=len(luma) - 1))
    return luma[rows]


def _blockiness_across(luma: Floats) -> float:
    """The same from left to right: of steps that differ from both beside them, the share that are larger."""
    steps = np.abs(np.diff(luma, axis=1))
    if steps.shape[1] < 3 * BLOCK_PX:
        return -1.0
    before, step, after = steps[:, :-2], steps[:, 1:-1], steps[:, 2:]
    small = np.maximum(np.maximum(before, after), step) < MAX_STEP
    larger = (small & (step > np.maximum(before, after) + MIN_EXCESS)).sum(0)
    smaller = (small & (step < np.minimum(before, after) - MIN_EXCESS)).sum(0)
    counted = np.array([[count[at::BLOCK_PX].sum() for at in range(BLOCK_PX)] for count in (larger, larger + smaller)])
    shares = counted[0] / np.maximum(counted[1], 1)
    border = BLOCK_PX - 2  # the step between columns 7 and 8, the first of `step` being that between 1 and 2
    return float(shares[border] - np.median(shares) - 1 / np.sqrt(max(counted[1, border], 1)))


def ringing(rgba: Floats, reach: float) -> Floats | None:
    """Standard deviation of ringing (h, w) in 1/255 in a copy (h, w, 4) in 0..255; None where no edge shows any.

    reach: how far ringing goes, in pixels of this copy. The spread is the median over windows beside edges, and twice
    as far, where only colour rings (its blocks are 16 x 16), half of it.
    """
    import cv2

    contrast = cv2.morphologyEx(np.ascontiguousarray(rgba), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)).max(2)
    distance = cv2.distanceTransform((contrast <= EDGE_CONTRAST).astype(np.uint8), cv2.DIST_L2, 5)
    spread = _spread(rgba[..., :3], (distance > BLUR_PX) & (distance <= reach))
    if spread == 0:
        return None
    return np.where(distance <= reach, spread, np.where(distance <= 2 * reach, spread / 2, 0)).astype(np.float32)


def _spread(rgb: Floats, beside: Mask) -> float:
    """The median over windows of the standard deviation of pixels beside edges: the largest of the channels'."""
    import cv2

    weight, size = beside.astype(np.float32), (WINDOW_PX, WINDOW_PX)
    count = cv2.boxFilter(weight, -1, size, normalize=False)
    among = np.maximum(count, 1)[..., None]
    mean = cv2.boxFilter(rgb * weight[..., None], -1, size, normalize=False) / among
    square = cv2.boxFilter(rgb * rgb * weight[..., None], -1, size, normalize=False) / among
    deviation = strongest(np.sqrt(np.maximum(square - mean * mean, 0)))[beside & (count >= MIN_IN_WINDOW)]
    return float(np.median(deviation)) if len(deviation) else 0.0


def calmed(rgba: Floats, spread: float) -> Floats:
    """A copy (h, w, 4) in 0..255 without most of its ringing, edges kept; alpha stays as it is."""
    import cv2

    rgb = np.ascontiguousarray(rgba[..., :3])
    for _ in range(CALM_ROUNDS):
        rgb = np.asarray(cv2.bilateralFilter(rgb, CALM_REACH_PX, CALM_PER_RINGING * spread, CALM_SIGMA_PX))
    return np.dstack([rgb, rgba[..., 3]])
