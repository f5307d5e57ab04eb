"""A table of regions: area, colour, box, stroke width, convex hull and neighbours of each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ...progress import Progress, silent
from .working import Floats, Labels, Mask, reported

PURE_DEPTH_PX = 2
"""Depth at which a pixel shows its region's own colour; towards the edge its weight falls with the fourth power."""

MAX_HULL_BOX = 8
"""Regions whose box is over this part (an eighth) of the picture get no hull: letters and their like are smaller."""


@dataclass(frozen=True)
class Table:
    """Measures of regions 0..n-1 of a label map; row i describes region i. All lengths in working pixels.

    area, stroke, hull: (n,); stroke is the width of the thickest part, hull the area of the convex hull (at least
    `area`, which it is for large regions). color: (n, 4) in 0..255. box: (n, 4), left, top, right, bottom.
    border: (n, n), how many pixel sides regions i and j share (0 on the diagonal).
    """

    area: Floats
    color: Floats
    box: NDArray[np.int64]
    stroke: Floats
    hull: Floats
    border: Floats

    def __len__(self) -> int:
        return len(self.area)

    @property
    def width(self) -> NDArray[np.int64]:
        return self.box[:, 2] - self.box[:, 0]

    @property
    def height(self) -> NDArray[np.int64]:
        return self.box[:, 3] - self.box[:, 1]

    @property
    def size(self) -> NDArray[np.int64]:
        """The longer side of each region's box."""
        return np.maximum(self.width, self.height)

    @cached_property
    def ground(self) -> NDArray[np.int64]:
        """For each region, the one it shares most of its border with: what it lies on or in."""
        return np.asarray(self.border.argmax(1))


def measure(labels: Labels, rgba: Floats, progress: Progress = silent) -> Table:
    """Measure every region of labels (h, w) over a picture (h, w, 4) in 0..255."""
    progress(0, "measuring regions")
    count = int(labels.max()) + 1
    flat = labels.ravel()
    area: Floats = np.bincount(flat, minlength=count).astype(np.float32)
    deep = inner_depth(labels)
    depth = deep.ravel()
    weight = np.minimum(depth, PURE_DEPTH_PX) ** 4
    mass = np.maximum(np.bincount(flat, weights=weight, minlength=count), 1e-9)
    color = [np.bincount(flat, weights=weight * rgba[..., c].ravel(), minlength=count) / mass for c in range(4)]
    stroke = np.zeros(count)
    ridge = np.flatnonzero(ridges(deep))
    np.maximum.at(stroke, flat[ridge], depth[ridge])
    box = boxes(labels, count)
    return Table(
        area, np.stack(color, 1).astype(np.float32), box,
        (2 * stroke).astype(np.float32), hull_areas(labels, box, area, progress), shared_borders(labels, count),
    )  # fmt: skip


def hull_areas(labels: Labels, box: NDArray[np.int64], area: Floats, progress: Progress = silent) -> Floats:
    """Area in pixels of each region's convex hull."""
    import cv2

    out = area.astype(np.float32)
    for region, (left, top, right, bottom) in enumerate(reported(box.tolist(), progress, "measuring regions")):
        if region == 0 or (bottom - top) * (right - left) > labels.size / MAX_HULL_BOX or not area[region]:
            continue
        inside = labels[top:bottom, left:right] == region
        points = cv2.findNonZero(inside.astype(np.uint8))
        hull = cv2.fillConvexPoly(np.zeros(inside.shape, np.uint8), cv2.convexHull(points), 1)
        out[region] = max(out[region], hull.sum())
    return out


def inner_depth(labels: Labels) -> Floats:
    """Distance of each pixel to the nearest pixel of another region, about 1 at an edge: (h, w)."""
    import cv2

    edge = edges(labels)
    depth = cv2.distanceTransform((~edge).astype(np.uint8), cv2.DIST_L2, 5)
    return np.minimum(depth, sum(labels.shape)).astype(np.float32) + 1


def boxes(labels: Labels, count: int) -> NDArray[np.int64]:
    """Tight boxes (count, 4) of the labels 0..count-1; empty ones are (0, 0, 0, 0)."""
    outer = edges(labels)  # a region's extremes lie on its edge or on the picture's
    outer[[0, -1]] = True
    outer[:, [0, -1]] = True
    y, x = np.nonzero(outer)
    found = labels[y, x]
    low, high = np.full((count, 2), sum(labels.shape)), np.zeros((count, 2), np.int64)
    for axis, place in enumerate((x, y)):
        np.minimum.at(low[:, axis], found, place)
        np.maximum.at(high[:, axis], found, place + 1)
    return np.where(high.max(1, keepdims=True) > 0, np.concatenate([low, high], 1), 0)


def ridges(depth: Floats) -> Mask:
    """Pixels (h, w) that are no less deep than their neighbours: among them is the deepest of every region."""
    import cv2

    return np.asarray(depth >= np.asarray(cv2.dilate(depth, np.ones((3, 3), np.uint8))))


def edges(labels: Labels) -> Mask:
    """Pixels (h, w) that have a neighbour of another label."""
    edge = np.zeros(labels.shape, bool)
    across, down = labels[:, 1:] != labels[:, :-1], labels[1:] != labels[:-1]
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    edge[1:] |= down
    edge[:-1] |= down
    return edge


def touching_pairs(labels: Labels) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of different labels that touch (k, 2), both ways round, and how many pixel sides they share (k,)."""
    first = np.concatenate([labels[:, 1:].ravel(), labels[1:].ravel()])
    second = np.concatenate([labels[:, :-1].ravel(), labels[:-1].ravel()])
    count = int(labels.max()) + 1
    different = np.flatnonzero(first != second)
    first, second = first[different].astype(np.int64), second[different].astype(np.int64)
    codes, sides = np.unique(np.minimum(first, second) * count + np.maximum(first, second), return_counts=True)
    pairs = np.stack([codes // count, codes % count], 1)
    return np.concatenate([pairs, pairs[:, ::-1]]), np.concatenate([sides, sides])


def shared_borders(labels: Labels, count: int) -> Floats:
    """How many pixel sides each pair of labels 0..count-1 shares: symmetric (count, count)."""
    pairs, sides = touching_pairs(labels)
    table = np.zeros((count, count), np.float32)
    np.add.at(table, (pairs[:, 0], pairs[:, 1]), sides)
    return table
