"""Things said by boxes and clicks: masks for Layers from Masks, without any weights (picking.py).

1. `read_boxes`, `read_points`: as ComfyUI's own nodes give them, from anybody.
2. `pointed_masks`: masks or boxes say what the things are, and clicks correct the one that they lie in or nearest to.
   Clicks alone make one thing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from ..errors import QilError
from ..stack import Box
from .builtin.working import Floats, Mask
from .likeness import Point
from .mask_order import MAX_MASKS, sized
from .picking import Picker, Picking

Click = tuple[Point, bool]
"""Where, and whether that is in the thing."""

MAX_POINTS = 1000
"""Clicks of a kind: ten for each of a hundred masks."""


def read_boxes(given: Any, width: int, height: int) -> list[Box]:
    """Boxes as SAM3 Detect and Bounding Box give them, for a picture of this size: one, a list, or a list of one frame.

    Each is an object with x, y, width and height in pixels; other keys, such as a score, are left alone. What reaches
    beyond the picture is cut off. Raises QilError: another type, too many, not a number, a box beside the picture.
    """
    boxes = [given] if isinstance(given, dict) else given
    if isinstance(boxes, list) and len(boxes) == 1 and isinstance(boxes[0], list):
        boxes = boxes[0]
    if not isinstance(boxes, list) or not all(isinstance(box, dict) for box in boxes):
        _refuse("boxes", "objects with x, y, width and height, for one picture", given)
    if not 1 <= len(boxes) <= MAX_MASKS:
        raise QilError(f"{len(boxes)} boxes were given, 1 to {MAX_MASKS} are possible: the node before found them.")
    return [_box(box, Box(0, 0, width, height)) for box in boxes]


def _box(given: dict[str, Any], picture: Box) -> Box:
    x, y, width, height = (_number(f"boxes: {key}", given.get(key)) for key in ("x", "y", "width", "height"))
    if min(width, height) > 0:
        sides = (_side(side) for side in (x, y, x + width, y + height))
        if found := Box(*sides).overlap(picture):
            return found
    size = f"{picture.width} x {picture.height}"
    raise QilError(
        f"boxes: the box at {x:g}, {y:g} of {width:g} x {height:g} pixels shows nothing of the picture of {size}: "
        "give boxes of this picture, in its pixels."
    )


def _side(value: float) -> int:
    """To a whole pixel, and to what a comparison with a picture can tell: 1e300 is a number too."""
    return round(min(max(value, -1e9), 1e9))


def read_points(what: str, text: str, width: int, height: int) -> list[Point]:
    """Points as ComfyUI's nodes give them, '[{"x": 120, "y": 40}, ...]' in pixels; none of an empty text.

    Raises QilError: no such JSON, too many, a point beside the picture.
    """
    if not text.strip():
        return []
    try:
        points = json.loads(text)
    except (ValueError, RecursionError):
        points = None
    if not isinstance(points, list) or not all(isinstance(point, dict) for point in points):
        _refuse(what, 'JSON such as [{"x": 120, "y": 40}]', text)
    if len(points) > MAX_POINTS:
        raise QilError(f"{what}: {len(points)} points were given, at most {MAX_POINTS} are possible.")
    return [_point(what, point, width, height) for point in points]


def _point(what: str, given: dict[str, Any], width: int, height: int) -> Point:
    x, y = (_number(f"{what}: {key}", given.get(key)) for key in ("x", "y"))
    if not (0 <= x < width and 0 <= y < height):
        raise QilError(
            f"{what}: the point {x:g}, {y:g} is not in the picture of {width} x {height} pixels: "
            "give points of this picture, in its pixels."
        )
    return Point(int(x) + 0.5, int(y) + 0.5)  # the middle of the pixel that is named


def _number(what: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e300 or not math.isfinite(value):
        _refuse(what, "a number", value)
    return float(value)


def _refuse(what: str, expected: str, value: Any) -> NoReturn:
    raise QilError(f"{what}: expected {expected}, got {value!a:.60}.")


def pointed_masks(
    rgb: Floats, masks: Sequence[Floats], boxes: Sequence[Box], inside: Sequence[Point], outside: Sequence[Point]
) -> list[Floats]:
    """Masks (h, w) in 0..1 of the things of a picture (H, W, 3) in 0..1, in the order of the masks or of the boxes.

    masks or boxes: what the things are; all boxes share out the pixels among them. inside, outside: each corrects the
    thing that it lies in, the smallest of several, or is nearest to; without masks and boxes all are of one thing.
    Raises QilError: masks and boxes, or nothing at all; masks of another aspect.
    """
    if masks and boxes:
        raise QilError("Masks and boxes were given: link masks, or boxes without masks.")
    if not (masks or boxes or inside):
        raise QilError("Nothing says what the things are: link masks or boxes, or give points in a thing.")
    if not (boxes or inside or outside):
        return list(masks)
    picker, shape = Picker(rgb), rgb.shape[:2]
    clicks = [*((point, True) for point in inside), *((point, False) for point in outside)]
    if masks:
        return _corrected(picker, masks, shape, clicks)
    picking = picker.boxes(boxes) if boxes else picker.mask(np.zeros(shape, bool))
    return [mask.astype(np.float32) for mask in _clicked(picking, clicks).masks()]


def _corrected(
    picker: Picker, masks: Sequence[Floats], shape: tuple[int, int], clicks: Sequence[Click]
) -> list[Floats]:
    """The masks, those that a click is meant for corrected; they may overlap, so each is corrected by itself."""
    areas, out = [sized(mask, shape, i).inside for i, mask in enumerate(masks)], list(masks)
    meant = [_meant(areas, point) for point, _ in clicks]
    for i in set(meant):
        own = [click for click, of in zip(clicks, meant, strict=True) if of == i]
        out[i] = _clicked(picker.mask(areas[i]), own).masks()[0].astype(np.float32)
    return out


def _clicked(picking: Picking, clicks: Sequence[Click]) -> Picking:
    """The same after clicks, each for the thing that it is meant for."""
    areas = picking.masks()
    for point, is_inside in clicks:
        picking = picking.clicked(_meant(areas, point), point, is_inside)
    return picking


def _meant(areas: Sequence[Mask], point: Point) -> int:
    """Which of some areas (H, W) a click corrects."""
    return min(range(len(areas)), key=lambda i: (_away(areas[i], point), int(areas[i].sum())))


def _away(area: Mask, point: Point) -> float:
    """How far a click is from an area, in pixels; infinite from an empty one."""
    rows, columns = np.nonzero(area)
    if area[int(point.y), int(point.x)] or not len(rows):
        return 0.0 if len(rows) else math.inf
    return float(np.hypot(columns + 0.5 - point.x, rows + 0.5 - point.y).min())
