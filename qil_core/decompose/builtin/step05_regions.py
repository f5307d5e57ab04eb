"""Step 5, regions: the working copy is cut into areas of one colour or gradient, bounded by edges.

1. `areas.linked_areas`: neighbours that hardly differ are linked; areas with a core become seeds (`_with_core`).
2. `absorb_edges`: a pixel between two seeds is a mix of their colours, and goes to the one it has more of. A pixel
   that no mix explains belongs to something thin; such pixels form regions of their own.
3. `_without_background`: regions that are mostly background become 0, apart from marks on something larger.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...progress import Progress, silent
from .areas import compact, link_step, linked_areas, steep
from .fill import nearest
from .lines import between
from .step01_look import noise_level
from .step03_ground import Background
from .table import boxes, inner_depth, touching_pairs
from .working import Floats, Labels, Mask, Tolerance, Working

Indices = NDArray[np.int64]

MIN_SEED_PX = 24
"""Smallest smooth area, in working pixels, that is a seed; smaller ones are edges, or are found as thin things."""

CORE_DEPTH_PX = 1.5
"""How deep a seed must be somewhere: less is a line one or two pixels wide."""

MIN_CALMED_NOISE = 1.0
"""Noise, in 1/255, above which it is calmed before neighbours are linked."""

CALMED_NOISES = 8.0
"""How far colours that are averaged may differ, the three channels summed, in standard deviations of the noise."""

CALMED_PX = 2.0
"""Standard deviation of the distance over which they are averaged, in working pixels."""

MAX_EDGE_PX = 4
"""How far from a seed, in working pixels, an anti-aliased edge may spread."""

MIX = Tolerance(10, 3)
"""How far an edge's pixel may be from a mix of the colours on its two sides."""

EDGE_OVERSHOOT = 0.15
"""Share of an edge's contrast by which its pixels may miss the mix in addition: scaling filters overshoot."""

MAX_REGIONS = 1500
"""How many seeds, and how many thin pieces, are kept, the largest: it bounds the time of a noisy picture."""

MIN_THIN_PX = 4
"""Smallest thin region in working pixels."""

MIN_COVERED = 0.5
"""Share of a region, its inner part counting most, that something must cover for it not to be background."""

INNER_DEPTH_PX = 3
"""Depth at which a pixel counts fully for this; towards the edge its weight falls with the fourth power."""

MAX_MARK = 0.12
"""Largest area of a mark, as a share of the region it lies on."""

MIN_MARK_BORDER = 0.5
"""Share of a mark's border that it must have with the one region it lies on."""

MIN_HOLDER_SIDE = 0.2
"""Longest side of the region that a mark lies on, as a share of the picture's, at least."""


def find_regions(work: Working, background: Background, progress: Progress = silent) -> Labels:
    """Region of every working pixel (h, w): 0 is background, 1.. are regions; numbers have no gaps."""
    progress(0, "finding regions")
    return _regions(work, background, _smooth_areas(work), progress)


def find_parted_regions(work: Working, background: Background, progress: Progress = silent) -> Labels:
    """The same, where nothing is linked with its ground: a blurred edge links a card that is hardly brighter.

    Where colours are not even, nothing is linked along an edge either.
    """
    step, parts = link_step(work.noise), background.front.astype(np.int32)
    if not work.is_even:
        parts += 2 * steep(work.rgba, step)
    return _regions(work, background, linked_areas(work.rgba, step, parts), progress)


def _smooth_areas(work: Working) -> Labels:
    """Areas (h, w) of hardly differing neighbours.

    In noise, steps must be so large that areas leak through the blur of their edges; so it is calmed first, by a
    bilateral filter (Tomasi & Manduchi, 1998), which keeps edges.
    """
    import cv2

    if work.noise < MIN_CALMED_NOISE:
        return linked_areas(work.rgba, link_step(work.noise))
    rgb = np.ascontiguousarray(work.rgba[..., :3])
    calm = cv2.bilateralFilter(rgb, -1, CALMED_NOISES * work.noise, CALMED_PX)
    rgba = np.dstack([calm, work.rgba[..., 3:]])
    return linked_areas(rgba, link_step(noise_level(rgba)))


def _regions(work: Working, background: Background, smooth: Labels, progress: Progress) -> Labels:
    """Regions from areas of hardly differing neighbours (h, w)."""
    if background.kind == "inpainted":  # nothing but the cut itself parts what stands out from what it stands on
        smooth = np.where(background.front, smooth + smooth.max() + 1, smooth)
    seeds = _with_core(smooth)
    labels = absorb_edges(work.rgba, seeds, MIX.around(work.local_noise), progress)
    progress(1, "finding regions")
    return compact(_without_background(labels, background.front))


def _with_core(areas: Labels) -> Labels:
    """The areas that are large enough and more than lines: at most MAX_REGIONS; 0 elsewhere."""
    size = np.bincount(areas.ravel())
    core = np.zeros(len(size), bool)
    core[areas[inner_depth(areas) > CORE_DEPTH_PX]] = True
    size = size * core
    least = max(MIN_SEED_PX, _nth_largest(size, MAX_REGIONS))
    return np.where(size[areas] >= least, areas, 0).astype(np.int32)


def _nth_largest(sizes: NDArray[np.int64], number: int) -> int:
    """The size that at most so many have or exceed, ties aside."""
    at = -min(number, len(sizes))
    return int(np.partition(sizes, at)[at])


def absorb_edges(rgba: Floats, seeds: Labels, tolerance: Floats, progress: Progress = silent) -> Labels:
    """Give the pixels between seeds (0 in `seeds`) to the seed they look like; what no mix explains is thin.

    An anti-aliased pixel is a mix of the nearest seed's colour and the colour found as far behind it.
    """
    if not seeds.any():
        return np.ones_like(seeds)
    free = np.flatnonzero(seeds == 0)
    near, behind, distance = two_sides(seeds, free)
    progress(0.3, "finding regions")
    colors, flat = rgba.reshape(-1, 4), seeds.reshape(-1)
    share, misfit = between(colors[free], colors[near], colors[behind], EDGE_OVERSHOOT)
    progress(0.7, "finding regions")
    result, thin = flat.copy(), np.zeros(flat.shape, bool)
    result[free] = np.where(share < 0.5, flat[near], flat[behind])
    allowed = np.broadcast_to(tolerance, seeds.shape).reshape(-1)[free]
    thin[free] = (misfit >= allowed) | (distance > MAX_EDGE_PX)
    return _with_thin_regions(result.reshape(seeds.shape), thin.reshape(seeds.shape), int(seeds.max()) + 1)


def two_sides(seeds: Labels, free: Indices) -> tuple[Indices, Indices, Floats]:
    """For free pixels (k,): the nearest seed pixel, the nearest one on the opposite side, and the distance.

    Pixels are named by their flat index.
    """
    height, width = seeds.shape
    nearest_seed, far = nearest(seeds > 0)
    near, distance = nearest_seed.reshape(-1), far.reshape(-1)
    (y, x), (seed_y, seed_x) = divmod(free, width), divmod(near[free], width)
    further = 1 + 2 / np.maximum(distance[free], 1)  # two pixels beyond the mirror image of the nearest one
    away_y = np.clip(y + further * (y - seed_y), 0, height - 1).round().astype(np.int64)
    away_x = np.clip(x + further * (x - seed_x), 0, width - 1).round().astype(np.int64)
    return near[free], near[away_y * width + away_x], distance[free]


def _with_thin_regions(labels: Labels, thin: Mask, first: int) -> Labels:
    """The map with each connected thin piece as a region of its own, numbered from `first`."""
    import cv2

    count, pieces = cv2.connectedComponents(thin.astype(np.uint8), connectivity=8)
    areas = np.bincount(pieces.ravel(), minlength=count)
    areas[0] = 0
    kept = areas >= max(MIN_THIN_PX, _nth_largest(areas, MAX_REGIONS))
    return np.where(kept[pieces], pieces + first, labels).astype(np.int32)


def _without_background(labels: Labels, front: Mask) -> Labels:
    """Regions whose inner part is mostly background become 0, except marks on something larger.

    White letters on a blue panel on a white page are no holes in the panel.
    """
    inner = (np.minimum(inner_depth(labels), INNER_DEPTH_PX) ** 4).ravel()
    covered = np.bincount(labels.ravel(), weights=inner * front.ravel())
    behind = covered < MIN_COVERED * np.maximum(np.bincount(labels.ravel(), weights=inner), 1e-9)
    return np.where((behind & ~_marks(labels, behind))[labels], 0, labels).astype(np.int32)


def _marks(labels: Labels, behind: Mask) -> Mask:
    """Which background-coloured regions lie inside another region that is much larger, and large."""
    count = len(behind)
    area = np.bincount(labels.ravel(), minlength=count)
    box = boxes(labels, count)
    pairs, sides = touching_pairs(labels)
    total = np.bincount(pairs[:, 0], weights=sides, minlength=count)
    holder, held = pairs[:, 1], pairs[:, 0]
    large = (box[:, 2:] - box[:, :2]).max(1) > MIN_HOLDER_SIDE * max(labels.shape)
    inside = (sides > MIN_MARK_BORDER * total[held]) & ~behind[holder] & large[holder]
    inside &= area[held] < MAX_MARK * area[holder]
    out = np.zeros(count, bool)
    out[held[inside]] = True
    return out & behind
