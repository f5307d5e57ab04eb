"""Cutting the working copy into regions: areas of one colour or gradient, bounded by edges."""

from __future__ import annotations

import numpy as np

from .background import Background
from .regions import boxes, inner_depth, touching_pairs
from .working import Floats, Labels, Mask, Working

SEED_AREA = 24
"""Smallest smooth area, in working pixels, that can hold a region of its own without being a thin stroke."""

REACH = 4
"""How far, in working pixels, an anti-aliased edge may spread."""


MOST_STROKES = 1500
"""How many thin pieces are looked at, the largest first."""


def find_regions(work: Working, background: Background) -> Labels:
    """Region of every working pixel (h, w): 0 is background, 1.. are regions; numbers have no gaps."""
    smooth = linked_areas(work.rgba, link_step(work.noise))
    if background.kind == "inpainted":  # nothing but the cut itself parts what stands out from what it stands on
        smooth = np.where(background.front, smooth + smooth.max() + 1, smooth)
    seeds = _with_core(smooth, SEED_AREA)
    labels = absorb_edges(work.rgba, seeds, 10 + 3 * work.noise)
    return compact(_without_background(labels, background.front))


def link_step(noise: float) -> float:
    """Largest step between neighbours, in 1/255, inside one region."""
    return float(np.clip(5 + 3 * noise, 5, 16))


def linked_areas(rgba: Floats, step: float) -> Labels:
    """Connected areas (h, w), 1.., in which neighbours differ by less than step.

    Pixels and the links between them are drawn on a grid of twice the size, whose components are the areas.
    """
    import cv2

    calm = rgba.clip(0, 255).astype(np.uint8)
    calm = np.dstack([cv2.medianBlur(np.ascontiguousarray(calm[..., c]), 3) for c in range(4)]).astype(np.int16)
    height, width = rgba.shape[:2]
    grid = np.zeros((2 * height - 1, 2 * width - 1), np.uint8)
    grid[::2, ::2] = 1
    grid[1::2, ::2] = np.abs(np.diff(calm, axis=0)).max(2) < step
    grid[::2, 1::2] = np.abs(np.diff(calm, axis=1)).max(2) < step
    _, areas = cv2.connectedComponents(grid, connectivity=4)
    return np.ascontiguousarray(areas[::2, ::2])


def _with_core(areas: Labels, least: int) -> Labels:
    """The areas that are large enough and not just lines: at most MOST_STROKES; 0 elsewhere."""
    size = np.bincount(areas.ravel())
    core = np.zeros(len(size), bool)
    core[areas[inner_depth(areas) > 1.5]] = True
    size = size * core
    least = max(least, int(np.sort(size)[-min(MOST_STROKES, len(size))]))
    return np.where(size[areas] >= least, areas, 0).astype(np.int32)


def absorb_edges(rgba: Floats, seeds: Labels, tolerance: float) -> Labels:
    """Give the pixels between seeds (0 in `seeds`) to the seed they look like; what no mix explains is a stroke.

    An anti-aliased pixel is a mix of the nearest seed's colour and the colour found as far behind it. A pixel
    that is no such mix belongs to something thin; touching ones form regions of their own.
    """
    if not seeds.any():
        return np.ones_like(seeds)
    open_ = seeds == 0
    near, behind, distance = _two_sides(seeds)
    colors = rgba.reshape(-1, 4)
    share, misfit = _mix(rgba, colors[near], colors[behind])
    flat = seeds.ravel()
    result = np.where(share < 0.5, flat[near], flat[behind])
    explained = (misfit < tolerance) & (distance <= REACH)
    return _add_strokes(np.where(open_, result, seeds), open_ & ~explained, int(seeds.max()) + 1)


def _two_sides(seeds: Labels) -> tuple[Labels, Labels, Floats]:
    """Flat index of the nearest seed pixel, of the nearest one on the opposite side, and the distance."""
    import cv2

    height, width = seeds.shape
    distance, marks = cv2.distanceTransformWithLabels(
        (seeds == 0).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    place = np.zeros(int(marks.max()) + 1, np.int32)
    index = np.arange(height * width, dtype=np.int32).reshape(height, width)
    place[marks[seeds > 0]] = index[seeds > 0]
    near = place[marks]
    y, x = np.mgrid[:height, :width]
    further = 1 + 2 / np.maximum(distance, 1)
    away_y = np.clip(y + further * (y - near // width), 0, height - 1).round().astype(np.int32)
    away_x = np.clip(x + further * (x - near % width), 0, width - 1).round().astype(np.int32)
    return near, near[away_y, away_x], np.asarray(distance, np.float32)


def _mix(rgba: Floats, first: Floats, second: Floats) -> tuple[Floats, Floats]:
    """Where each pixel lies on the line from the first colour to the second (0..1), and how far off it.

    A strong edge may miss its line by 15 %: scaling filters overshoot.
    """
    line = second - first
    length = (line * line).sum(-1)
    share = np.clip(((rgba - first) * line).sum(-1) / np.maximum(length, 1e-6), 0, 1)
    misfit = np.abs(rgba - first - line * share[..., None]).max(-1) - 0.15 * np.abs(line).max(-1)
    return share.astype(np.float32), misfit.astype(np.float32)


def _add_strokes(labels: Labels, thin: Mask, first: int) -> Labels:
    import cv2

    count, strokes = cv2.connectedComponents(thin.astype(np.uint8), connectivity=8)
    areas = np.bincount(strokes.ravel(), minlength=count)
    areas[0] = 0
    kept = areas >= max(4, np.partition(areas, -min(MOST_STROKES, count))[-min(MOST_STROKES, count)])
    return np.where(kept[strokes], strokes + first, labels).astype(np.int32)


def _without_background(labels: Labels, front: Mask) -> Labels:
    """Regions whose inner part is mostly background become 0, except marks on something larger.

    White letters on a blue panel on a white page are no holes in the panel.
    """
    inner = (np.minimum(inner_depth(labels), 3) ** 4).ravel()
    covered = np.bincount(labels.ravel(), weights=inner * front.ravel())
    behind = covered < 0.5 * np.maximum(np.bincount(labels.ravel(), weights=inner), 1e-9)
    return np.where((behind & ~_marks(labels, behind))[labels], 0, labels).astype(np.int32)


def _marks(labels: Labels, behind: Mask) -> Mask:
    """Which background-coloured regions lie inside another region that is much larger, and large."""
    count = len(behind)
    area = np.bincount(labels.ravel(), minlength=count)
    box = boxes(labels, count)
    pairs, sides = touching_pairs(labels)
    total = np.bincount(pairs[:, 0], weights=sides, minlength=count)
    holder, held = pairs[:, 1], pairs[:, 0]
    large = (box[:, 2:] - box[:, :2]).max(1) > 0.2 * max(labels.shape)
    inside = (sides > 0.5 * total[held]) & ~behind[holder] & large[holder] & (area[held] < 0.12 * area[holder])
    out = np.zeros(count, bool)
    out[held[inside]] = True
    return out & behind


def compact(labels: Labels) -> Labels:
    """The same map with its labels numbered without gaps; 0 stays 0."""
    present = np.bincount(labels.ravel()) > 0
    present[0] = True
    return np.asarray((np.cumsum(present) - 1)[labels], np.int32)
