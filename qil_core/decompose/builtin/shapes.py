"""What covers what, and the hidden part of what is covered."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .grouping import GLOW, SHAPE, STROKES
from .regions import labels_met
from .working import Floats, Labels, Mask

FIT = 0.975
"""How well a rectangle or ellipse must explain what is visible (intersection over union) to be believed."""


MOST_PIECES = 40
"""How many pieces of a layer are looked at, the largest first."""

MEETING = 2000.0
"""What a point where three units meet counts, in pixels of a shape's hidden part: it errs seldom."""

MOST_MEETINGS = 2000
"""How many such points are looked at."""

RANK = (0, 3, 2, 1)
"""Where nothing tells, shapes lie below glows, these below strokes, and texts on top."""

LIKELY = 4.0
"""What such a rank counts, in pixels of a shape's hidden part."""

SHOWING = 0.3
"""Share of an outline that must not touch what lies above, before a shape is read from it."""


def occlusion_order(labels: Labels, kinds: NDArray[np.int8]) -> NDArray[np.int64]:
    """Units bottom first, 0 (the background) leading, for a label map (h, w).

    What speaks for a unit's lying below another: where three meet, its outline ends and the other's goes on; its
    completed shape would reach under the other; its convex hull holds the other; its kind usually does.
    """
    small = labels[::2, ::2]
    count = int(labels.max()) + 1
    sizes = np.bincount(small.ravel(), minlength=count)
    below = MEETING * _junctions(labels, kinds)
    for unit in range(1, count):
        if kinds[unit] == STROKES:  # of two that cross, the upper one is whole right beside the lower one's
            below[unit] += np.where(kinds == STROKES, _beside(labels, labels == unit), 0)
        if kinds[unit] in (STROKES, GLOW):
            continue
        visible, others = small == unit, (small > 0) & (small != unit)
        reached = _reach(small, visible, others)
        beside = _beside(small, visible) > 0
        for other in np.flatnonzero(beside[1:]) + 1:
            reached[other] = max(reached[other], _reach(small, visible, small == other)[other])
        below[unit] += np.where(kinds == GLOW, 0, reached)
        held = np.bincount(small[hulls(visible) & others], minlength=count)
        below[unit] += np.where(held > 0.9 * sizes, 0.25 * held, 0)
        below[unit] += 1000 * (beside & (kinds == GLOW) & (kinds[unit] == SHAPE))
    earlier = np.less.outer(np.array(RANK)[kinds], np.array(RANK)[kinds])
    return _sorted_by(below - below.T + LIKELY * (earlier.astype(float) - earlier.T), sizes)


def _junctions(labels: Labels, kinds: NDArray[np.int8]) -> NDArray[np.float64]:
    """How much each shape (n, n) seems to lie below each other one where three units meet.

    The outline of what covers goes straight on there, as the bar of a T: its part of a disc is about a half, and the
    other two share the rest.
    """
    below = np.zeros((len(kinds), len(kinds)))
    arm = max(6, max(labels.shape) // 40)
    row, column = np.mgrid[0.5 - arm : arm, 0.5 - arm : arm]
    disc, padded = np.hypot(row, column) <= arm, np.pad(labels, arm, constant_values=-1)
    for y, x in np.argwhere(labels_met(labels) == 3)[:MOST_MEETINGS]:
        window = padded[y + 1 : y + 1 + 2 * arm, x + 1 : x + 1 + 2 * arm][disc]
        share = np.bincount(window[window >= 0], minlength=len(kinds)) / disc.sum()
        met = np.argsort(-share)[:3]
        bend = np.abs(share[met] - 0.5)
        bar = int(bend.argmin())
        if kinds[met[bar]] == SHAPE and bend[bar] < 0.12 and met[bar]:
            below[met, met[bar]] += (kinds[met] == SHAPE) * (bend - bend[bar])
    return below


def _beside(labels: Labels, mask: Mask) -> NDArray[np.int64]:
    """How many pixels of each unit lie beside a mask."""
    import cv2

    near = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    return np.bincount(labels[near & ~mask], minlength=int(labels.max()) + 1)


def _reach(labels: Labels, visible: Mask, others: Mask) -> NDArray[np.int64]:
    """How many pixels of each other unit the completed shape of this one would take in."""
    reached = completed(visible, others) & others
    return np.bincount(labels[reached], minlength=int(labels.max()) + 1)


def _sorted_by(below: NDArray[np.float64], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Numbers 0..n-1, 0 first, next always what the least speaks against: below[i, j] speaks for i before j.

    Of equals the larger is first.
    """
    order, rest = [0], sorted(range(1, len(below)), key=lambda unit: -sizes[unit])
    while rest:
        against = [np.maximum(below[rest, unit], 0).sum() for unit in rest]
        order.append(rest.pop(int(np.argmin(against))))
    return np.array(order)


def contours(mask: Mask) -> list[NDArray[np.int32]]:
    """Outer contours (k, 1, 2) of a mask's largest pieces, those below a thousandth of the largest left out."""
    import cv2

    found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    pieces = sorted(((cv2.contourArea(c), -i) for i, c in enumerate(found)), reverse=True)[:MOST_PIECES]
    return [np.asarray(found[-i], np.int32) for area, i in pieces if area >= pieces[0][0] * 1e-3]


def hulls(mask: Mask) -> Mask:
    """The convex hulls of a mask's pieces, together."""
    import cv2

    canvas = np.zeros(mask.shape, np.uint8)
    for contour in contours(mask):
        cv2.fillConvexPoly(canvas, cv2.convexHull(contour), 1)
    return canvas > 0


def completed(visible: Mask, above: Mask) -> Mask:
    """A layer's full extent: what is visible, and what a plausible shape adds to it under the layers above."""
    out = visible.copy()
    if not above.any():
        return out
    for contour in contours(visible):
        window, corner = _window(contour, visible.shape)
        out[window] |= _completed_piece(contour - corner, visible[window], above[window])
    return out


def _window(contour: NDArray[np.int32], shape: tuple[int, ...]) -> tuple[tuple[slice, slice], NDArray[np.int32]]:
    """The part of a picture around a contour, half as much again on each side, and its corner (x, y)."""
    low, high = contour[:, 0].min(0), contour[:, 0].max(0) + 1
    spare = (high - low) // 2 + 8
    left, top = np.maximum(low - spare, 0)
    right, bottom = np.minimum(high + spare, (shape[1], shape[0]))
    return (slice(int(top), int(bottom)), slice(int(left), int(right))), np.array([left, top], np.int32)


def _completed_piece(contour: NDArray[np.int32], visible: Mask, above: Mask) -> Mask:
    import cv2

    inside = cv2.drawContours(_canvas(visible), [contour], -1, 1, cv2.FILLED) > 0
    piece = inside & (visible | _filling(inside & ~visible, above))
    return np.asarray(piece | (_best_shape(contour, inside & visible, above) & above))


def _filling(holes: Mask, above: Mask) -> Mask:
    """The holes of a shape that what lies above fills: through the others one sees what is below."""
    import cv2

    count, pieces = cv2.connectedComponents(holes.astype(np.uint8), connectivity=4)
    size = np.bincount(pieces.ravel(), minlength=count)
    filled = np.bincount(pieces.ravel(), weights=above.ravel(), minlength=count) > 0.97 * size
    filled[0] = False
    return np.asarray(filled[pieces])


def _best_shape(contour: NDArray[np.int32], visible: Mask, above: Mask) -> Mask:
    """The first of rectangle, tilted rectangle, ellipse and hull that explains what is visible; else a closing.

    An outline that hardly shows proves nothing: then it is what is visible.
    """
    if len(_free(contour, above)) < SHOWING * len(contour):
        return visible
    for draw in (_rectangle, _tilted, _ellipse, _triangle):
        shape = draw(contour, visible, above)
        if _explains(shape, visible, above):
            return shape
    hull = hulls(visible)
    return hull if _explains(hull, visible, above) else _closed(visible)


def _closed(visible: Mask) -> Mask:
    """The mask with its narrow gaps closed: those below a thirtieth of the picture."""
    import cv2

    size = 2 * (max(visible.shape) // 60) + 3
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    return np.asarray(cv2.morphologyEx(visible.astype(np.uint8), cv2.MORPH_CLOSE, disc) > 0)


def _explains(shape: Mask, visible: Mask, above: Mask) -> bool:
    shown = shape & ~above
    return bool((shown & visible).sum() >= FIT * (shown | visible).sum())


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
    if len(free) < 12:
        return np.zeros(visible.shape, bool)
    corners = cv2.minEnclosingTriangle(free[:, None].astype(np.float32))[1]
    if corners is None or not np.isfinite(corners).all() or np.abs(corners).max() > 4 * max(visible.shape):
        return np.zeros(visible.shape, bool)
    return np.asarray(cv2.fillConvexPoly(_canvas(visible), corners.round().astype(np.int32), 1) > 0)


def _free(contour: NDArray[np.int32], above: Mask) -> NDArray[np.int32]:
    """The points (k, 2) of a contour that do not touch what lies above."""
    import cv2

    near = cv2.dilate(above.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    points = contour[:, 0]
    return points[~near[points[:, 1], points[:, 0]]]


def _ellipse(contour: NDArray[np.int32], visible: Mask, above: Mask) -> Mask:
    """The ellipse through the contour points that do not touch what lies above."""
    import cv2

    free = _free(contour, above)
    if len(free) < 12:
        return np.zeros(visible.shape, bool)
    fitted: Any = cv2.fitEllipseDirect(free.astype(np.float32))
    (x, y), axes, angle = fitted
    if not np.isfinite([x, y, *axes, angle]).all() or max(axes) > 4 * max(visible.shape):
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
