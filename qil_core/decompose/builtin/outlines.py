"""Outlines: a line between a shape and what it lies on belongs to the shape.

Drawn figures have outlines of one colour, which often run together where figures touch. Each pixel of such a line goes
to the nearest shape, so that the line is parted among the shapes it encloses, and figures are no longer one by it.
What reaches much further than the shape on the line's other side lies behind that, as sky and ground do, and gets none.
A line with the same on both sides is no outline but a stroke, and stays what it is.
"""

from __future__ import annotations

import numpy as np

from .fill import nearest_label
from .step05_regions import Indices, two_sides
from .table import Table
from .working import Floats, Labels, Mask

MAX_OUTLINE = 0.03
"""Width of the widest outline, as a share of the picture's longer side."""

MIN_LENGTH = 5
"""Longer side of an outline's box, in widths of it."""

MIN_BETWEEN = 0.5
"""Share of an outline's pixels that have one region on this side and another on that."""

MUCH_FURTHER = 4
"""How many times as large as that of a shape the box of what lies behind it is, at the least.

With 1.5 and 4, 0.80 and 0.78 of drawn figures are found, 0.59 and 0.62 of made-up compositions; without it 0.74, 0.60.
"""


def without_outlines(labels: Labels, table: Table, free: Mask) -> Labels:
    """The regions (h, w) with outlines given to what they enclose. free: (n,), which regions are outlines never."""
    thin = (table.stroke <= MAX_OUTLINE * max(labels.shape)) & (table.size >= MIN_LENGTH * table.stroke) & ~free
    thin[0] = False
    solid = np.where(thin[labels], 0, labels)
    if not solid.any():
        return labels
    outline = thin & (_between(labels, thin) > MIN_BETWEEN)
    inside = np.flatnonzero(outline[labels])
    one, other = _sides(labels, thin, inside)
    reach = (table.width * table.height).astype(np.float64)
    reach[0] = np.inf
    front = np.where(reach[one] > MUCH_FURTHER * reach[other], other, one)
    given = labels.ravel().copy()
    given[inside] = np.where(front > 0, front, nearest_label(solid).ravel()[inside])
    return given.reshape(labels.shape)


def _sides(labels: Labels, thin: Mask, inside: Indices) -> tuple[Labels, Labels]:
    """For pixels (k,) of thin regions, the nearest region that is not thin and the one on the opposite side."""
    near, behind, _ = two_sides(np.where(thin[labels], 0, labels + 1), inside)
    return labels.ravel()[near], labels.ravel()[behind]


def _between(labels: Labels, thin: Mask) -> Floats:
    """Share of each region's pixels (n,) on whose two sides different regions lie that are not thin."""
    inside = np.flatnonzero(thin[labels])
    one, other = _sides(labels, thin, inside)
    flat = labels.ravel()
    count = np.maximum(np.bincount(flat, minlength=len(thin)), 1)
    return np.asarray(np.bincount(flat[inside], weights=one != other, minlength=len(thin)) / count)
