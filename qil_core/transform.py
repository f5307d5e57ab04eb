"""Moving, scaling, rotating, flipping and fading one layer.

A layer is flipped, then scaled, then rotated about its pivot, then moved. Identity changes no bit; whole-pixel
moves, flips and quarter turns copy pixels exactly; everything else is resampled on premultiplied values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from .errors import QilError
from .resample import KERNELS, MOST_STRETCH, resize, sampler
from .stack import Box, LayerStack, content_box, each_band

Filter = Literal["nearest", "bilinear", "bicubic", "lanczos"]
FILTERS = ("nearest", *KERNELS)
MAX_SCALE, MIN_SCALE = 100.0, 0.01


@dataclass(frozen=True)
class Placement:
    """Where a layer goes.

    dx, dy: pixels, right and down. scale_x, scale_y: 0.01..100. rotation: degrees, clockwise. flip_x mirrors left
    and right, flip_y top and bottom. opacity: 0..1, multiplies alpha. pivot: the centre of the layer's content,
    the centre of the canvas, or a point (x, y) in pixels.
    """

    dx: float = 0.0
    dy: float = 0.0
    scale_x: float = 1.0
    scale_y: float = 1.0
    rotation: float = 0.0
    flip_x: bool = False
    flip_y: bool = False
    opacity: float = 1.0
    pivot: Literal["content", "canvas"] | tuple[float, float] = "content"
    filter: Filter = "bicubic"


@dataclass(frozen=True)
class _Inverse:
    """Source point of a result point: x = xx * X + xy * Y + x0, y = yx * X + yy * Y + y0."""

    xx: float
    xy: float
    yx: float
    yy: float
    x0: float
    y0: float

    def __call__(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        return self.xx * x + (self.xy * y + self.x0), self.yx * x + (self.yy * y + self.y0)

    def seen_from(self, left: float, top: float, x_unit: float, y_unit: float) -> _Inverse:
        """The same in coordinates that begin at (left, top) and count in units of so many pixels."""
        across, down = (self.xx, self.xy, self.x0 - left), (self.yx, self.yy, self.y0 - top)
        xx, xy, x0 = (value / x_unit for value in across)
        yx, yy, y0 = (value / y_unit for value in down)
        return _Inverse(xx, xy, yx, yy, x0, y0)


def transform(stack: LayerStack, index: int | Sequence[int], placement: Placement) -> LayerStack:
    """The stack with layer `index` placed anew; every other layer keeps its bits.

    Several layers are placed as one: their content's centre is that of all of them together.
    Raises QilError: no such layer, a bad placement.
    """
    _check(placement)
    indices = [index] if isinstance(index, int) else index
    if placement.pivot == "content" and len(indices) > 1:
        placement = replace(placement, pivot=_center(stack, indices))
    return stack.each_changed(indices, lambda layer: transform_layer(layer, placement))


def _center(stack: LayerStack, indices: Sequence[int]) -> tuple[float, float] | Literal["content"]:
    """The centre of what several layers hold, in pixels; "content" where they are all empty."""
    box = content_box(stack.pixels[[stack.index(i) for i in indices], ..., 3].amax(0))
    return box.center if box else "content"


def transform_layer(layer: Tensor, placement: Placement) -> Tensor:
    """One layer (H, W, 4) float32, straight alpha, placed on a canvas of the same size."""
    box = content_box(layer[..., 3])
    if box is None:
        return layer
    inverse = _inverse(placement, _pivot(placement, layer, box))
    placed = _copy(layer, inverse) if _on_grid(inverse) else _resample(layer, box, inverse, placement)
    return _fade(placed, placement.opacity)


def _check(placement: Placement) -> None:
    if placement.filter not in FILTERS:
        raise QilError(f'Unknown filter "{placement.filter}". Use one of: {", ".join(FILTERS)}.')
    if not all(MIN_SCALE <= s <= MAX_SCALE for s in (placement.scale_x, placement.scale_y)):
        raise QilError(f"Scale must be {MIN_SCALE} to {MAX_SCALE}, got {placement.scale_x:g} x {placement.scale_y:g}.")
    if not 0 <= placement.opacity <= 1:
        raise QilError(f"Opacity must be 0 to 1, got {placement.opacity:g}.")
    if not all(map(math.isfinite, (placement.dx, placement.dy, placement.rotation))):
        raise QilError("Position and rotation must be finite numbers.")


def _pivot(placement: Placement, layer: Tensor, box: Box) -> tuple[float, float]:
    if placement.pivot == "content":
        return box.center
    if placement.pivot == "canvas":
        return layer.shape[1] / 2, layer.shape[0] / 2
    return placement.pivot


def _inverse(placement: Placement, pivot: tuple[float, float]) -> _Inverse:
    cos, sin = _turn(placement.rotation)
    sx = (-1 if placement.flip_x else 1) / placement.scale_x
    sy = (-1 if placement.flip_y else 1) / placement.scale_y
    xx, xy, yx, yy = cos * sx, sin * sx, -sin * sy, cos * sy
    px, py = pivot
    goal_x, goal_y = px + placement.dx, py + placement.dy
    x0, y0 = px - xx * goal_x - xy * goal_y, py - yx * goal_x - yy * goal_y
    straight = _is_permutation(xx, xy) and _is_permutation(yx, yy)
    if straight and placement.dx == round(placement.dx) and placement.dy == round(placement.dy):
        # a quarter turn about a half pixel would blur everything: it goes to the nearest pixel instead
        x0, y0 = math.floor(x0 + 0.5), math.floor(y0 + 0.5)
    return _Inverse(xx, xy, yx, yy, x0, y0)


def _turn(degrees: float) -> tuple[float, float]:
    """Cosine and sine, exact at quarter turns."""
    if degrees % 90 == 0:
        return ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))[int(degrees // 90) % 4]
    return math.cos(math.radians(degrees)), math.sin(math.radians(degrees))


def _is_permutation(xx: float, xy: float) -> bool:
    return {abs(xx), abs(xy)} == {0.0, 1.0}


def _on_grid(inverse: _Inverse) -> bool:
    turned = _is_permutation(inverse.xx, inverse.xy) and _is_permutation(inverse.yx, inverse.yy)
    return turned and inverse.x0 == round(inverse.x0) and inverse.y0 == round(inverse.y0)


def _copy(layer: Tensor, inverse: _Inverse) -> Tensor:
    """Pixels copied one to one: the inverse maps pixels to pixels."""
    if inverse.xx == 0:  # a quarter turn: the result's columns run along the source's rows
        source, across, down = layer.transpose(0, 1), (inverse.yx, inverse.y0), (inverse.xy, inverse.x0)
    else:
        source, across, down = layer, (inverse.xx, inverse.x0), (inverse.yy, inverse.y0)
    out = layer.new_zeros(layer.shape)
    columns, from_columns = _line(out.shape[1], source.shape[1], *across, out.device)
    rows, from_rows = _line(out.shape[0], source.shape[0], *down, out.device)
    out[rows[:, None], columns] = source[from_rows[:, None], from_columns]
    return out


def _line(size: int, source_size: int, step: float, start: float, device: torch.device) -> tuple[Tensor, Tensor]:
    """Result positions along one axis that have a source, and those sources."""
    to = torch.arange(size, device=device)
    source = torch.floor((to + 0.5) * step + start).long()
    held = (source >= 0) & (source < source_size)
    return to[held], source[held]


def _resample(layer: Tensor, box: Box, inverse: _Inverse, placement: Placement) -> Tensor:
    """Every result pixel whose footprint touches the content is sampled; the rest is clear."""
    content = layer[box.top : box.bottom, box.left : box.right]
    content, x_unit, y_unit = _shrunk(content, placement)
    widen = max(1.0, 1 / placement.scale_x / x_unit), max(1.0, 1 / placement.scale_y / y_unit)
    sample = sampler(content, placement.filter, widen)
    kind = torch.float32 if layer.device.type == "mps" else torch.float64  # MPS has no float64
    inverse = inverse.seen_from(box.left, box.top, x_unit, y_unit)
    columns = torch.arange(layer.shape[1], dtype=kind, device=layer.device) + 0.5
    out = layer.new_zeros(layer.shape)  # not zeros_like, which would copy the strides of a turned layer

    def fill(rows: slice) -> None:
        lines = torch.arange(rows.start, rows.stop, dtype=kind, device=layer.device)[:, None] + 0.5
        x, y = (at.flatten() for at in inverse(columns, lines))
        near = sample.touches(x, y).nonzero().flatten()
        out[rows].view(-1, 4).index_copy_(0, near, sample(x[near], y[near]))

    each_band(layer, fill)
    return out


def _shrunk(content: Tensor, placement: Placement) -> tuple[Tensor, float, float]:
    """Content that will shrink very much, shrunk part of the way along its axes; and its new pixel's size, (x, y)."""
    height, width = content.shape[:2]
    steps = (max(1, int(1 / scale / MOST_STRETCH * 2)) for scale in (placement.scale_x, placement.scale_y))
    across, down = (1, 1) if placement.filter == "nearest" else steps
    size = math.ceil(height / down), math.ceil(width / across)
    return resize(content[None], *size)[0], width / size[1], height / size[0]


def _fade(layer: Tensor, opacity: float) -> Tensor:
    layer[..., 3] *= opacity
    return layer
