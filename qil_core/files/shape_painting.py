"""What a shape is, and how shapes are drawn: over each other, as premultiplied pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..stack import Box
from .shape_fills import Color, Fill, Shadow
from .shape_outlines import Floats, Freeform, Outline, drawn, inset, moved


@dataclass(frozen=True)
class Stroke:
    """An opaque line of one colour along an outline, within it, so many pixels wide."""

    color: Color
    width: float


@dataclass(frozen=True)
class Shape:
    """An outline with its fill and its shadow, in pixels from the left top corner of the layer's content.

    stroke: the line around it, which lies within the outline; freeforms have none.
    """

    outline: Outline
    fill: Fill
    shadow: Shadow | None = None
    stroke: Stroke | None = None

    def moved(self, x: float, y: float) -> Shape:
        """The same shape elsewhere."""
        return Shape(moved(self.outline, x, y), self.fill.moved(x, y), self.shadow, self.stroke)

    def within_stroke(self, share: float = 1.0) -> Outline:
        """The outline without the line around it, or at a share of the line's width: 0.5 is its middle."""
        if self.stroke is None or isinstance(self.outline, Freeform):
            return self.outline
        return inset(self.outline, share * self.stroke.width)

    def box(self) -> Box:
        """The whole pixels that it may touch, without its shadow."""
        points = np.concatenate(self.outline.paths())
        left, top = np.floor(points.min(0)).astype(int)
        right, bottom = np.ceil(points.max(0)).astype(int)
        return Box(int(left), int(top), int(right), int(bottom))


def premultiplied(pixels: Floats) -> Floats:
    return np.concatenate([pixels[..., :3] * pixels[..., 3:], pixels[..., 3:]], -1)


def paint(below: Floats, shape: Shape) -> None:
    """Draw a shape over a premultiplied picture (h, w, 4), in place."""
    height, width = below.shape[:2]
    reach = shape.shadow.reach if shape.shadow else 1
    left, top, right, bottom = shape.box()
    box = Box(left - reach, top - reach, right + reach, bottom + reach).overlap(Box(0, 0, width, height))
    if box is None:
        return
    outline, window = moved(shape.outline, -box.left, -box.top), below[box.top : box.bottom, box.left : box.right]
    if shape.shadow:
        _over(window, shape.shadow.drawn(outline, box.height, box.width), np.array(shape.shadow.color, np.float32))
    if shape.stroke:
        _over(window, drawn(outline, box.height, box.width), np.array(shape.stroke.color, np.float32))
    filled = moved(shape.within_stroke(), -box.left, -box.top)
    alpha = drawn(filled, box.height, box.width) * np.float32(shape.fill.opacity)
    _over(window, alpha, shape.fill.colors(box.left, box.top, box.height, box.width))


def _over(below: Floats, alpha: Floats, colors: Floats) -> None:
    below *= (1 - alpha)[..., None]
    below[..., :3] += colors * alpha[..., None]
    below[..., 3] += alpha


def painted(shapes: Sequence[Shape], height: int, width: int) -> Floats:
    """The shapes as a premultiplied picture (height, width, 4): what find_shapes() compares with a layer."""
    picture = np.zeros((height, width, 4), np.float32)
    for shape in shapes:
        paint(picture, shape)
    return picture
