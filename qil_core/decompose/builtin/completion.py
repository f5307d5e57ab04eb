"""Colours under what covers a layer: areas go on with crisp borders, textures run into each other.

1. `_areas_beside`: areas without an edge inside, of those that reach what is hidden the ones that show most there.
   Areas of like colours, such as a wall on both sides of a figure, are one, and so are the parts of a gradient.
2. `_nearest_area`: what is hidden belongs to the area, or to the small and textured ones together, that has most of the
   shares which push-pull interpolation carries there (see `fill`): borders go on and meet, as in flat art they do.
3. Each area's colours are carried on by themselves.
"""

from __future__ import annotations

import numpy as np

from .areas import connected, link_step, linked_areas
from .fill import nearest, smooth_fill
from .shapes import grown
from .working import Floats, Labels, Mask, strongest

RIM_PX = 6
"""How near to what is hidden, in working pixels, an area must show to go on under it."""

MIN_RIM_SHARE = 0.02
"""Share of this rim that an area must have to count by itself: crumbs go with the others."""

MAX_AREAS = 8
"""How many areas count by themselves, those with most of the rim: each costs one interpolation."""

ALIKE = 16
"""Difference of mean colours, in 1/255, up to which areas are one, whatever their own spread."""

ALIKE_PER_SPREAD = 2
"""What their standard deviations add to that: the halves of a gradient are one."""


def completed(colors: Floats, trust: Floats, hidden: Mask, noise: float) -> Floats:
    """Colours (h, w, 3) in 0..255 everywhere, from those trusted with weights (h, w), pure ones with 1.

    hidden: (h, w), where the layer goes on under others. noise: standard deviation of the picture's grain in 1/255.
    """
    out, sure = smooth_fill(colors, trust), trust == 1
    if not (hidden & ~sure).any():
        return out
    areas = _areas_beside(colors, sure, hidden, noise)
    if areas.max() == 0:
        return out
    belongs = _nearest_area(areas, sure)
    for area in range(int(areas.max()) + 1):
        here = (belongs == area) & hidden & ~sure
        if here.any():
            own = sure & (areas == area)
            out[here] = smooth_fill(colors, own.astype(np.float32))[here]
    return out


def _areas_beside(colors: Floats, sure: Mask, hidden: Mask, noise: float) -> Labels:
    """Areas 1.. (h, w) beside what is hidden, 0 elsewhere; none where all of the rim is one area."""
    pure = colors.reshape(-1, 3)[nearest(sure)[0]]  # the median in `linked_areas` looks across the edge
    linked = np.where(sure, linked_areas(pure, link_step(noise), sure), 0)
    rim = linked[sure & grown(hidden, RIM_PX)]
    count = np.bincount(rim, minlength=int(linked.max()) + 1)
    count[0] = 0
    chosen = np.argsort(-count, kind="stable")[:MAX_AREAS]
    chosen = chosen[count[chosen] > MIN_RIM_SHARE * max(len(rim), 1)]
    if not len(chosen) or (len(chosen) == 1 and count[chosen[0]] == len(rim)):
        return np.zeros_like(linked)
    means, spread = _moments(colors, linked, chosen)
    reach = ALIKE + ALIKE_PER_SPREAD * (spread[:, None] + spread[None])
    group = connected(strongest(means[:, None] - means[None]) <= reach)
    number = np.zeros(len(count), np.int32)
    number[chosen] = 1 + np.unique(group, return_inverse=True)[1]
    return np.asarray(number[linked])


def _moments(colors: Floats, areas: Labels, chosen: np.ndarray) -> tuple[Floats, Floats]:
    """Mean colours (k, 3) of chosen areas, and the standard deviations (k,) of the channel that varies most."""
    pixels = [colors[areas == area] for area in chosen]
    means = np.array([p.mean(0) for p in pixels], np.float32).reshape(-1, 3)
    return means, np.array([p.std(0).max() for p in pixels], np.float32)


def _nearest_area(areas: Labels, sure: Mask) -> Labels:
    """The area (h, w), 0 for all that are none, whose shares are largest."""
    shares = (areas[..., None] == np.arange(areas.max() + 1)).astype(np.float32)
    known = sure.astype(np.float32)
    carried = np.dstack([smooth_fill(shares[..., i : i + 1], known) for i in range(shares.shape[2])])
    return np.asarray(carried.argmax(2), np.int32)
