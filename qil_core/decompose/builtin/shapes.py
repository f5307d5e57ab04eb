"""Shapes: outlines, hulls, distances, and what a shape looks like where something above hides part of it.

Completion (`completed`), for each piece of a mask:
1. `_filling`: its holes are filled where something above fills them.
2. `_evident_shape`: the first of rectangle, tilted rectangle, ellipse and triangle that fits what is visible and whose
   outline is seen for the most part (`_is_evident`) continues it under what lies above.
`continued` adds the convex hulls of pieces that one cover links, where they are evident (`_evident_hulls`). Where no
shape is evident, it interpolates (`_between`): a hidden pixel belongs to the mask where what is visible around it does,
for the most part (push-pull: see `fill`), and only inside the convex hull of what it links.
Nothing is completed to more than twice what is visible.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...progress import Progress, silent
from .fill import smooth_fill
from .working import Floats, Mask, reported

Box = tuple[slice, slice]
"""Rows and columns of a part of a picture."""

MIN_FIT = 0.975
"""Least intersection over union of a shape and what is visible for the shape to be believed."""

MIN_OUTLINE_SEEN = 0.5
"""Share of a shape's outline that must be seen as the edge of what is visible."""

OUTLINE_PX = 2
"""How far a seen edge may be from the shape's outline."""

MAX_HIDDEN = 1.0
"""Largest area that is completed, as a multiple of the area that is visible."""

MAX_BETWEEN = 0.5
"""Largest area that interpolation adds to this, as a multiple of the area that is visible."""

MAX_PIECES = 40
"""How many pieces of a mask are looked at, the largest first."""

MIN_PIECE = 1e-3
"""Area of the smallest piece that is looked at, as a share of the largest one's."""

MIN_POINTS = 12
"""Least number of outline points to which an ellipse or triangle is fitted."""

MAX_REACH = 4
"""Where a fitted shape is longer than so many times its window, the fit has run away."""

MIN_FILLED = 0.97
"""Share of a hole that what lies above must fill: through another hole one sees what is below."""

TOUCH_PX = 2
"""How near an outline's point must be to what lies above to touch it."""

WINDOW_SPARE_PX = 8
"""The window around a piece is half as large again on each side, and so many pixels."""


def grown(mask: Mask, radius: int) -> Mask:
    """The mask with all pixels that are within so many rows and columns of it."""
    import cv2

    return np.asarray(cv2.dilate(mask.astype(np.uint8), np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)) > 0)


def box_around(mask: Mask, spare: int) -> Box:
    """The smallest box around a mask, with so many pixels more on each side; the first pixel for an empty one."""
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    if not len(rows):
        return slice(0, 1), slice(0, 1)
    (top, bottom), (left, right) = ((int(line[0]) - spare, int(line[-1]) + 1 + spare) for line in (rows, columns))
    return slice(max(0, top), min(mask.shape[0], bottom)), slice(max(0, left), min(mask.shape[1], right))


def contours(mask: Mask) -> list[NDArray[np.int32]]:
    """Outer contours (k, 1, 2), as x and y, of a mask's largest pieces, the largest first."""
    import cv2

    found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    pieces = sorted(((cv2.contourArea(c), -i) for i, c in enumerate(found)), reverse=True)[:MAX_PIECES]
    return [np.asarray(found[-i], np.int32) for area, i in pieces if area >= pieces[0][0] * MIN_PIECE]


def hulls(mask: Mask) -> Mask:
    """The convex hulls of a mask's pieces, together."""
    import cv2

    canvas = np.zeros(mask.shape, np.uint8)
    for contour in contours(mask):
        cv2.fillConvexPoly(canvas, cv2.convexHull(contour), 1)
    return canvas > 0


def completed(visible: Mask, above: Mask, progress: Progress = silent) -> Mask:
    """What is visible (h, w), and what evident shapes add to it under the layers above."""
    out = visible.copy()
    if not above.any():
        return out
    for contour in reported(contours(visible), progress, "completing shapes"):
        window, corner = _window(contour, visible.shape)
        out[window] |= _completed_piece(contour - corner, visible[window], above[window])
    return out


def continued(visible: Mask, above: Mask, progress: Progress = silent) -> Mask:
    """A layer's full extent (h, w): `completed`, and what interpolation adds between what is visible.

    Where one of them adds more than it may, the pixels with the most of the layer around them are taken.
    """
    out = completed(visible, above, progress)
    if not (visible.any() and above.any()):
        return out
    tight = box_around(visible, 0)
    box = box_around(visible, WINDOW_SPARE_PX + max(side.stop - side.start for side in tight) // 2)
    share = smooth_fill(visible[box].astype(np.float32)[..., None], (~above[box]).astype(np.float32))[..., 0]
    out[box] |= _evident_hulls(visible[box], above[box])
    whole = _surest(out[box] & ~visible[box], share, int(MAX_HIDDEN * visible.sum()))
    between = _between(visible[box], (share > 0.5) & above[box])
    out[box] = visible[box] | whole | _surest(between & ~whole, share, int(MAX_BETWEEN * visible.sum()))
    return out


def _evident_hulls(visible: Mask, above: Mask) -> Mask:
    """What the convex hulls of visible pieces that one cover links add under it, where they are evident."""
    import cv2

    _, linked = cv2.connectedComponents((above | visible).astype(np.uint8), connectivity=4)
    size = np.bincount(linked[visible])
    added = np.zeros_like(visible)
    for cover in np.argsort(-size, kind="stable")[:MAX_PIECES]:
        if size[cover]:
            seen = visible & (linked == cover)
            hull = _hull(seen)
            if _fits(hull, seen, above) and _is_evident(hull, seen, above):
                added |= hull & above
    return added


def _surest(mask: Mask, share: Floats, most: int) -> Mask:
    """The mask, or of a larger one so many pixels, those of the largest share."""
    return mask if mask.sum() <= most else mask & (share > np.sort(share[mask])[-most - 1])


def _between(visible: Mask, hidden: Mask) -> Mask:
    """The hidden pixels that are inside the convex hull of the visible ones which they link."""
    import cv2

    _, linked = cv2.connectedComponents((hidden | visible).astype(np.uint8), connectivity=4)
    size = np.bincount(linked[hidden], minlength=int(linked.max()) + 1)
    inside = np.zeros_like(visible)
    for piece in np.argsort(-size, kind="stable")[:MAX_PIECES]:
        if size[piece]:
            inside |= _hull(visible & (linked == piece))
    return hidden & inside


def _hull(mask: Mask) -> Mask:
    """The convex hull of all pieces of a mask together."""
    import cv2

    canvas, points = _canvas(mask), cv2.findNonZero(mask.astype(np.uint8))
    if points is not None:
        cv2.fillConvexPoly(canvas, cv2.convexHull(points), 1)
    return canvas > 0


def _window(contour: NDArray[np.int32], shape: tuple[int, ...]) -> tuple[Box, NDArray[np.int32]]:
    """The part of a picture around a contour, half as much again on each side, and its corner (x, y)."""
    low, high = contour[:, 0].min(0), contour[:, 0].max(0) + 1
    spare = (high - low) // 2 + WINDOW_SPARE_PX
    left, top = np.maximum(low - spare, 0)
    right, bottom = np.minimum(high + spare, (shape[1], shape[0]))
    return (slice(int(top), int(bottom)), slice(int(left), int(right))), np.array([left, top], np.int32)


def _completed_piece(contour: NDArray[np.int32], visible: Mask, above: Mask) -> Mask:
    import cv2

    inside = cv2.drawContours(_canvas(visible), [contour], -1, 1, cv2.FILLED) > 0
    piece = inside & (visible | _filling(inside & ~visible, above))
    return np.asarray(piece | (_evident_shape(contour, inside & visible, above) & above))


def _filling(holes: Mask, above: Mask) -> Mask:
    """The holes of a shape that what lies above fills: through the others one sees what is below."""
    import cv2

    count, pieces = cv2.connectedComponents(holes.astype(np.uint8), connectivity=4)
    size = np.bincount(pieces.ravel(), minlength=count)
    filled = np.bincount(pieces.ravel(), weights=above.ravel(), minlength=count) > MIN_FILLED * size
    filled[0] = False
    return np.asarray(filled[pieces])


def _evident_shape(contour: NDArray[np.int32], visible: Mask, above: Mask) -> Mask:
    """The first of rectangle, tilted rectangle, ellipse and triangle that is evident; else what is visible."""
    if not grown(visible, 1)[above].any():
        return visible
    for draw in (_rectangle, _tilted, _ellipse, _triangle):
        shape = draw(contour, visible, above)
        if _fits(shape, visible, above) and _is_evident(shape, visible, above):
            return shape
    return visible


def _fits(shape: Mask, visible: Mask, above: Mask) -> bool:
    shown = shape & ~above
    return bool((shown & visible).sum() >= MIN_FIT * (shown | visible).sum())


def _is_evident(shape: Mask, visible: Mask, above: Mask) -> bool:
    """Whether what a shape adds is no more than what is visible, and its outline is seen for the most part.

    Where the shape leaves the window, it has no outline.
    """
    if (shape & ~visible).sum() > MAX_HIDDEN * visible.sum():
        return False
    outline = shape & grown(~shape, 1)
    edge = visible & grown(~visible & ~above, 1)
    return bool(grown(edge, OUTLINE_PX)[outline].mean() >= MIN_OUTLINE_SEEN) if outline.any() else False


def _canvas(visible: Mask) -> NDArray[np.uint8]:
    return np.zeros(visible.shape, np.uint8)


def _rectangle(contour: NDArray[np.int32], visible: Mask, above: Mask) -> Mask:
    import cv2

    left, top, width, height = cv2.boundingRect(contour)
    shape = np.zeros(visible.shape, bool)
    shape[top : top + height, left : left + width] = True
    return shape


def _tilted(contour: NDArray[np.int32], visible: Mask, above: Mask) -> Mask:
    import cv2

    corners = cv2.boxPoints(cv2.minAreaRect(contour)).round().astype(np.int32)
    return np.asarray(cv2.fillConvexPoly(_canvas(visible), corners, 1) > 0)


def _triangle(contour: NDArray[np.int32], visible: Mask, above: Mask) -> Mask:
    """The triangle around the contour points that do not touch what lies above."""
    import cv2

    free = _free(contour, above)
    if len(free) < MIN_POINTS:
        return np.zeros(visible.shape, bool)
    corners = cv2.minEnclosingTriangle(free[:, None].astype(np.float32))[1]
    if corners is None or not np.isfinite(corners).all() or np.abs(corners).max() > MAX_REACH * max(visible.shape):
        return np.zeros(visible.shape, bool)
    return np.asarray(cv2.fillConvexPoly(_canvas(visible), corners.round().astype(np.int32), 1) > 0)


def _free(contour: NDArray[np.int32], above: Mask) -> NDArray[np.int32]:
    """The points (k, 2) of a contour that do not touch what lies above."""
    near = grown(above, TOUCH_PX)
    points = contour[:, 0]
    return points[~near[points[:, 1], points[:, 0]]]


def _ellipse(contour: NDArray[np.int32], visible: Mask, above: Mask) -> Mask:
    """The ellipse through the contour points that do not touch what lies above."""
    import cv2

    free = _free(contour, above)
    if len(free) < MIN_POINTS:
        return np.zeros(visible.shape, bool)
    fitted: Any = cv2.fitEllipseDirect(free.astype(np.float32))
    (x, y), axes, angle = fitted
    if not np.isfinite([x, y, *axes, angle]).all() or max(axes) > MAX_REACH * max(visible.shape):
        return np.zeros(visible.shape, bool)
    return np.asarray(cv2.ellipse(_canvas(visible), ((x, y), axes, angle), 1, -1) > 0)


def signed_distance(mask: Mask) -> Floats:
    """Distance (h, w) to the edge of a mask in pixels: positive inside, negative outside."""
    import cv2

    inside = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)
    outside = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5)
    far = np.float32(sum(mask.shape))
    if mask.all() or not mask.any():
        return np.full(mask.shape, far if mask.all() else -far, np.float32)
    return np.where(mask, inside - 0.5, 0.5 - outside).astype(np.float32)
