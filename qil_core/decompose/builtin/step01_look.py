"""Step 1, look: the small copy of a picture on which things are looked for, and how noisy it is.

1. `working_copy`: the picture, premultiplied, reduced by means of areas.
2. `noise_level`: the noise of its calm parts (Immerkaer, "Fast noise variance estimation", 1996).
3. `evenness`: whether it is drawn in flat colours.
4. `jpeg`: where the picture shows blocks of JPEG, the ringing around its edges is measured and calmed.

All steps up to `step12_plan` work on this copy; `step13_render` goes back to the full picture for the edges.
"""

from __future__ import annotations

import numpy as np

from .jpeg import BLOCK_PX, CALM_LEFT, MIN_BLOCKINESS, blockiness, calmed, ringing
from .working import Floats, Working, reduced, strongest

WORKING_SIDE_PX = 1024
"""Longest side of the working copy in pixels. It bounds the time of steps 2 to 12, whatever the picture's size."""

SAME = 0.5
"""A difference between neighbours, in 1/255, that is none."""

MIN_EVEN = 0.6
"""Share of neighbours of the same colour above which a picture is drawn in flat colours.

Screens and slides have 0.9 and more, painted pictures less than 0.5.
"""

NOISE_KERNEL = ((1, -2, 1), (-2, 4, -2), (1, -2, 1))
"""Immerkaer's filter: the difference of two Laplacians, which does not see planes and straight edges."""

NOISE_GAIN = 6
"""By what the kernel multiplies white noise: the square root of the sum of its squares (a formula)."""

NORMAL_MEDIAN = 0.6745
"""Median of |x| for a normal distribution of standard deviation 1 (a formula)."""


def working_copy(picture: Floats) -> Working:
    """The working copy of straight-alpha (H, W, 4) in [0, 1]: premultiplied, at most WORKING_SIDE_PX a side."""
    rgba = np.ascontiguousarray(reduced(premultiplied(picture), WORKING_SIDE_PX)) * np.float32(255)
    noise = noise_level(rgba)
    reach = BLOCK_PX * rgba.shape[0] / picture.shape[0]
    around_edges = ringing(rgba, reach) if blockiness(picture) > MIN_BLOCKINESS else None
    if around_edges is None:
        return Working(rgba, noise, is_even=evenness(rgba) > MIN_EVEN)
    calm = calmed(rgba, float(around_edges.max()))
    return Working(calm, noise, CALM_LEFT * around_edges, evenness(calm) > MIN_EVEN)


def premultiplied(picture: Floats) -> Floats:
    """Colours times alpha; an opaque picture is returned as it is, without a copy."""
    if float(picture[..., 3].min()) >= 1:
        return picture
    return np.concatenate([picture[..., :3] * picture[..., 3:], picture[..., 3:]], axis=-1)


def evenness(rgba: Floats) -> float:
    """The share of neighbours in a row that have the same colour: (h, w, 4) in 0..255."""
    return float((strongest(rgba[:, 1:] - rgba[:, :-1]) < SAME).mean()) if rgba.shape[1] > 1 else 0.0


def noise_level(rgba: Floats) -> float:
    """Standard deviation of the noise in 1/255, from the green channel of (h, w, 4) in 0..255.

    The median of the filter's answers takes no notice of edges, which are few.
    """
    import cv2

    kernel = np.array(NOISE_KERNEL, np.float32)
    response = np.abs(cv2.filter2D(rgba[..., 1], -1, kernel, borderType=cv2.BORDER_REFLECT_101))
    return float(np.median(response)) / NORMAL_MEDIAN / NOISE_GAIN
