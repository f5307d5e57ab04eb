"""Superpixels: small areas of nearly one colour, the units in which things are picked.

1. `_cells`: the calmest pixel of every square of a grid grows until it meets the others, along edges where there are
   any (watershed: Meyer, "Color image segmentation", 1992; OpenCV's).
2. `_halved`: a cell of two colours, such as a letter's stroke and its ground, becomes two superpixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .builtin.fill import nearest_label
from .builtin.table import boxes, touching_pairs
from .builtin.working import Floats, Labels

CELL_PX = 8
"""Side of a cell. With 6 and with 10 px as many things are found, to 0.01; smaller cells cost time."""

EDGE_BLUR_PX = 0.8
"""Standard deviation of the blur before gradients are measured."""

OFF_CENTER = 1.0
"""Gradient, in Lab per pixel, that a cell's seed in a corner must save against one in the middle."""

TWO_COLORS = 6.0
"""Standard deviation of a cell's colours along their main axis, in Lab, from which it is two superpixels."""

MIN_HALF_PX = 3
"""Smallest of the two."""

SPLIT_ROUNDS = 3
"""Rounds of finding the border between the two colours (Ridler and Calvard, 1978)."""


@dataclass(frozen=True, eq=False)
class Superpixels:
    """Superpixels 0..n-1 of a picture of h x w pixels; row i describes superpixel i.

    labels: (h, w). area: (n,) pixels. color: (n, 3), mean Lab. place: (n, 2), x and y of the middle, in pixels. rough:
    (n,), mean gradient in Lab per pixel. box: (n, 4), left, top, right, bottom. pairs: (k, 2), which touch, both ways
    round. sides: (k,), pixel sides that they share.
    """

    labels: Labels
    area: NDArray[np.float64]
    color: NDArray[np.float64]
    place: NDArray[np.float64]
    rough: NDArray[np.float64]
    box: NDArray[np.int64]
    pairs: NDArray[np.int64]
    sides: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.area)

    def means(self, values: NDArray[np.generic]) -> NDArray[np.float64]:
        """The mean of values (h, w) over every superpixel: (n,)."""
        return np.bincount(self.labels.ravel(), values.ravel(), len(self)) / self.area


def superpixels(rgb: Floats) -> Superpixels:
    """Superpixels of a picture (h, w, 3) in [0, 1], about one in CELL_PX x CELL_PX pixels."""
    import cv2

    lab = np.asarray(cv2.cvtColor(np.ascontiguousarray(rgb, np.float32), cv2.COLOR_RGB2Lab), np.float32)
    gradient = _gradient(lab)
    labels = _halved(_cells(lab, gradient), lab)
    height, width = labels.shape
    count, flat = int(labels.max()) + 1, labels.ravel()
    area = np.bincount(flat, minlength=count).astype(np.float64)
    y, x = np.mgrid[:height, :width] + 0.5
    measured = [np.bincount(flat, values.ravel(), count) / area for values in (*np.moveaxis(lab, 2, 0), x, y, gradient)]
    pairs, sides = touching_pairs(labels)
    table = np.stack(measured, 1)
    return Superpixels(labels, area, table[:, :3], table[:, 3:5], table[:, 5], boxes(labels, count), pairs, sides)


def _gradient(lab: Floats) -> Floats:
    """Length of the gradient of Lab, per pixel: (h, w)."""
    import cv2

    calm = cv2.GaussianBlur(lab, (0, 0), EDGE_BLUR_PX)
    slopes = [cv2.Scharr(calm, cv2.CV_32F, 1 - axis, axis, scale=1 / 32) for axis in (0, 1)]
    return np.asarray(np.sqrt((slopes[0] ** 2 + slopes[1] ** 2).sum(2)), np.float32)


def _cells(lab: Floats, gradient: Floats) -> Labels:
    """Cells (h, w), 1.., grown from the calmest pixel of every square."""
    import cv2

    colors = np.clip(lab * [2.55, 1, 1] + [0, 128, 128], 0, 255).astype(np.uint8)
    framed = cv2.copyMakeBorder(colors, 1, 1, 1, 1, cv2.BORDER_REPLICATE)  # OpenCV lets nothing grow into the border
    grown = np.asarray(cv2.watershed(framed, np.pad(_seeds(gradient), 1)), np.int32)[1:-1, 1:-1]
    return nearest_label(np.maximum(grown, 0))


def _seeds(gradient: Floats) -> Labels:
    """The calmest pixel of every square, numbered from 1, in zeros (h, w); of equally calm ones the most central."""
    height, width = gradient.shape
    rows, columns = -(-height // CELL_PX), -(-width // CELL_PX)
    y, x = np.mgrid[: rows * CELL_PX, : columns * CELL_PX]
    middle = (CELL_PX - 1) / 2
    price = OFF_CENTER * ((y % CELL_PX - middle) ** 2 + (x % CELL_PX - middle) ** 2) / CELL_PX**2
    price[:height, :width] += gradient
    price[height:] = price[:, width:] = np.inf
    squares = price.reshape(rows, CELL_PX, columns, CELL_PX).swapaxes(1, 2).reshape(rows * columns, -1)
    best = squares.argmin(1)
    number = np.arange(rows * columns)
    seeds = np.zeros(gradient.shape, np.int32)
    seeds[number // columns * CELL_PX + best // CELL_PX, number % columns * CELL_PX + best % CELL_PX] = number + 1
    return seeds


def _halved(cells: Labels, lab: Floats) -> Labels:
    """Superpixels (h, w), 0.., without gaps: each cell, or its pixels on either side along the main axis of colours."""
    _, numbers = np.unique(cells, return_inverse=True)
    flat = numbers.ravel()
    count = int(flat.max()) + 1
    area = np.bincount(flat, minlength=count)
    colors = lab.reshape(-1, 3).astype(np.float64)
    mean = np.stack([np.bincount(flat, colors[:, i], count) for i in range(3)], 1) / area[:, None]
    off = colors - mean[flat]
    spread = np.stack([np.bincount(flat, off[:, i] * off[:, j], count) for i in range(3) for j in range(3)], 1)
    variances, axes = np.linalg.eigh((spread / area[:, None]).reshape(-1, 3, 3))
    along = (off * axes[flat, :, 2]).sum(1)
    upper = along > _borders(along, flat, area)[flat]
    sizes = np.bincount(flat, upper, count)
    is_two = (variances[:, 2] > TWO_COLORS**2) & (np.minimum(sizes, area - sizes) >= MIN_HALF_PX)
    _, labels = np.unique(2 * flat + (upper & is_two[flat]), return_inverse=True)
    return np.asarray(labels.reshape(cells.shape), np.int32)


def _borders(along: NDArray[np.float64], flat: NDArray[np.int64], area: NDArray[np.int64]) -> NDArray[np.float64]:
    """Per cell the value between the means of what lies above it and below it."""
    border, total = np.zeros(len(area)), np.bincount(flat, along, len(area))
    for _ in range(SPLIT_ROUNDS):
        upper = along > border[flat]
        sizes, sums = np.bincount(flat, upper, len(area)), np.bincount(flat, along * upper, len(area))
        border = (sums / np.maximum(sizes, 1) + (total - sums) / np.maximum(area - sizes, 1)) / 2
    return border
