"""Words for the form of a layer: the simple figure that its alpha is, if it is one.

1. `_outer`: the one part of the layer, its holes filled; a hole in the middle makes a ring of a circle.
2. `_candidates`: the least box at any angle, the same with round corners, the ellipse through the outline, the
   triangle around it. Where the layer is cut off by the picture's border, an ellipse is fitted to what is not.
3. The figure that differs least is the form, where it differs by no more than MAX_OFF of the area.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..stack import Box

Mask = NDArray[np.bool_]
Floats = NDArray[np.float32]

MAX_SIDE_PX = 256
"""Longest side at which forms are looked at: an edge is then at most half a percent off."""

SOLID = 0.5
"""Alpha from which a pixel belongs to a form."""

MIN_PART = 0.97
"""Share of a layer's area that its largest part must have to be its form: the rest is specks."""

MAX_OFF = 0.03
"""Area in which a figure may differ, as a share of the part's: an octagon differs from a circle by 0.05."""

MAX_OFF_PX = 0.5
"""The same for small parts, as a rim of so many pixels along their outline: pixels are no finer."""

CLEARER = 0.005
"""By how much less of its area a less simple figure must differ to be the form."""

MAX_ROUND_RATIO = 1.1
"""Up to so unequal sides an ellipse is called a circle and a rectangle a square: less is not seen."""

MIN_LINE_RATIO = 10.0
"""From so unequal sides on a rectangle is called a line."""

MIN_RADIUS = 0.06
"""Radius of corners, in shorter sides, from which a rectangle is called rounded: 2 px of 32."""

MIN_ARC_POINTS = 24
"""Points of an outline that an ellipse is fitted to at the least."""

MAX_REACH = 3
"""How much longer than the part an ellipse may be of which the picture's border cuts some off."""

MIN_HOLE = 0.04
"""Area of a ring's hole at the least, as a share of the ring's circle."""


class Figure(NamedTuple):
    """A figure's word, and its area as a mask."""

    word: str
    mask: Mask


def form_of(solid: Mask, cut: tuple[bool, bool, bool, bool] = (False, False, False, False)) -> str:
    """The form of a layer's solid pixels (h, w), cropped to their box: "circle", "rounded rectangle"; "" of none.

    cut: whether the picture's border is at the left, top, right and bottom of the crop.
    """
    found = _outer(solid)
    if found is None:
        return ""
    outer, contour, hole = found
    form = _nearest(outer, contour, _candidates(outer, contour, cut))
    if not hole.any():
        return form
    box = _crop(hole)
    is_ring = form == "circle" and hole.sum() > MIN_HOLE * outer.sum() and form_of(box) == "circle"
    return "ring" if is_ring else ""


def cut_sides(box: Box, width: int, height: int) -> tuple[bool, bool, bool, bool]:
    """At which sides a box touches the border of a picture."""
    return box.left <= 0, box.top <= 0, box.right >= width, box.bottom >= height


def _outer(solid: Mask) -> tuple[Mask, NDArray[np.int32], Mask] | None:
    """The largest part without its holes, its outline (n, 1, 2), and its holes; None where there are several parts."""
    import cv2

    padded = np.pad(solid, 1).astype(np.uint8)
    outlines, _ = cv2.findContours(padded, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not outlines:
        return None
    contour = np.asarray(max(outlines, key=cv2.contourArea), np.int32)
    outer = cv2.drawContours(np.zeros_like(padded), [contour], 0, 1, -1) > 0
    total, own = int(padded.sum()), int((padded > 0)[outer].sum())
    return (outer, contour, outer & (padded == 0)) if own >= MIN_PART * total else None


def _nearest(outer: Mask, contour: NDArray[np.int32], figures: Iterator[Figure]) -> str:
    """The word of the figure that differs least from a part, "" where all differ too much. The simplest come first."""
    area = int(outer.sum())
    best, form = max(MAX_OFF, MAX_OFF_PX * len(contour) / area), ""
    for figure in figures:
        off = int((outer ^ figure.mask).sum()) / area
        if off <= best:
            best, form = off - CLEARER, figure.word
    return form


def _crop(mask: Mask) -> Mask:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _candidates(outer: Mask, contour: NDArray[np.int32], cut: tuple[bool, bool, bool, bool]) -> Iterator[Figure]:
    """Figures near to a part, the simplest first."""
    import cv2

    points = contour.astype(np.float32)
    (middle, sides, degrees), area = cv2.minAreaRect(points), float(outer.sum())
    for spare in (1, 0):  # outlines run through the middles of pixels: upright edges lie half a pixel outside of them
        width, height = sides[0] + spare, sides[1] + spare
        box = (middle, (width, height), degrees)
        yield _rectangle(box, 0, outer)
        if not any(cut) and min(width, height) > 0:
            yield _ellipse(box, outer)
        radius = math.sqrt(max(0.0, width * height - area) / (4 - math.pi))
        if MIN_RADIUS * min(width, height) <= radius:
            yield _rectangle(box, min(radius, width / 2, height / 2), outer)
    if any(cut):
        yield from _cut_ellipse(contour, cut, outer)
    triangle = cv2.minEnclosingTriangle(points)[1]
    if triangle is not None and len(triangle):
        yield Figure("triangle", _within(np.reshape(triangle, (3, 2)), outer))


def _ellipse(ellipse: Any, like: Mask) -> Figure:
    """An ellipse ((x, y), (width, height), degrees)."""
    (width, height), (across, down) = ellipse[1], _axes(ellipse, like)
    word = "circle" if max(width, height) <= MAX_ROUND_RATIO * min(width, height) else "ellipse"
    return Figure(word, (2 * across / width) ** 2 + (2 * down / height) ** 2 <= 1)


def _axes(place: Any, like: Mask) -> tuple[Floats, Floats]:
    """How far each pixel (h, w) lies from the middle of ((x, y), (width, height), degrees), along and across."""
    (left, top), _, degrees = place
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    y, x = np.indices(like.shape, np.float32)
    x, y = x - left, y - top
    return np.abs(x * cos + y * sin), np.abs(y * cos - x * sin)


def _cut_ellipse(contour: NDArray[np.int32], cut: tuple[bool, bool, bool, bool], like: Mask) -> Iterator[Figure]:
    """The ellipse through the points of an outline that do not lie on the picture's border."""
    import cv2

    x, y = contour[:, 0].T
    height, width = like.shape
    near = zip(cut, (x <= 2, y <= 2, x >= width - 3, y >= height - 3), strict=True)
    free = contour[~np.any([at & beside for at, beside in near], axis=0)]
    if len(free) < MIN_ARC_POINTS:
        return
    fitted: Any = cv2.fitEllipseDirect(free.astype(np.float32))
    if np.isfinite([*fitted[0], *fitted[1]]).all() and 1 <= min(fitted[1]) <= max(fitted[1]) < MAX_REACH * sum(
        like.shape
    ):
        figure = _ellipse(fitted, like)
        inside = np.zeros(like.shape, bool)
        inside[1:-1, 1:-1] = True
        yield Figure(figure.word, figure.mask & inside)


def _rectangle(box: Any, radius: float, like: Mask) -> Figure:
    """A turned rectangle ((x, y), (width, height), degrees), its corners round or sharp."""
    (width, height), (across, down) = box[1], _axes(box, like)
    beyond = np.maximum(across - width / 2 + radius, 0), np.maximum(down - height / 2 + radius, 0)
    inside = (np.hypot(*beyond) <= radius) & (across <= width / 2) & (down <= height / 2)
    return Figure(f"rounded {_of_box(width, height)}" if radius else _of_box(width, height), inside)


def _of_box(width: float, height: float) -> str:
    low, high = sorted((width, height))
    if high > MIN_LINE_RATIO * low:
        return "line"
    return "square" if high <= MAX_ROUND_RATIO * low else "rectangle"


def _within(corners: Floats, like: Mask) -> Mask:
    """The pixels (h, w) whose middles lie in a triangle (3, 2) or up to half a pixel beside it."""
    y, x = np.indices(like.shape, np.float32)
    middle = corners.mean(0)
    inside = np.ones(like.shape, bool)
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        normal = np.array([end[1] - start[1], start[0] - end[0]]) / max(1e-6, float(np.hypot(*(end - start))))
        side = np.sign((middle - start) @ normal)
        inside &= side * ((x - start[0]) * normal[0] + (y - start[1]) * normal[1]) >= -0.5
    return inside
