"""Step 13, render: full-resolution layers from the plans, with soft edges by matting against what lies below.

In the band around an edge a pixel is I = a F + (1 - a) B, where B is what the layers below show and F the
layer's own colour, carried there from its inside. In premultiplied RGBA the projection
p = (I - B).(F - B) / |F - B|^2 solves it, clear backgrounds included (Smith & Blinn, "Blue screen matting",
1996: the known-background case). It is as sure as the line from B to F is long, measured in the grain of the picture
and in how far I lies off that line; where it is unsure, alpha follows the distance to the edge (`_mixed`).

For each band of rows, which bounds the memory, and bottom first, each layer in its box:
1. `_unveiled`: the picture without the translucent panels above a layer.
2. `_layer_rows`: alpha is 1 inside, solved (`_mixed`) along edges that show, and from the completed extent where
   something above hides the layer. A panel's F is what it shows at full coverage.
3. `_over_shade`: the layer's shadows and glows lie under it.
The bands are drawn at the same time (see `parallel`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from ...parallel import each
from ...progress import Progress
from .shapes import Box
from .step12_plan import BOX_SPARE_PX, Plan, Plans, Shade
from .working import Floats, Mask

BAND_PX = 2.0
"""Half width, in working pixels, of the strip along an edge where alpha is solved."""

HIDDEN_PX = 1
"""How near to what lies above, in working pixels, an edge counts as hidden by it."""

CLEARED_PX = BOX_SPARE_PX / 2
"""How far outside a layer's extent, in working pixels, its colour is set to black: files become smaller."""

ROWS_PIXELS = 1 << 17
"""Pixels in a band of rows."""

ROUNDING = 0.004
"""Standard deviation of I, F and B, in 0..1, where there is no grain: rounding and overshoot of filters."""

SEEN_DEVIATIONS = 3
"""Standard deviations from B below which alpha is 0, and from F below which it is 1."""

EDGE_DEVIATION = 0.35
"""How far alpha may be from the one that the distance to the edge suggests: edges are wider or narrower."""


def render(picture: Floats, plans: Plans, out: Floats, progress: Progress) -> None:
    """Draw the layers (N, H, W, 4) of picture (H, W, 4), straight alpha in [0, 1], into out, which is 0 everywhere."""
    height, width = picture.shape[:2]
    step = max(1, ROWS_PIXELS // width)
    bands = [slice(top, min(top + step, height)) for top in range(0, height, step)]

    def draw(rows: slice) -> None:
        _render_rows(picture, plans, rows, out)

    each(bands, draw, torch.device("cpu"), progress, "cutting out the layers")


def _render_rows(picture: Floats, plans: Plans, rows: slice, out: Floats) -> None:
    frame = _Frame(picture.shape[:2], plans.size)
    below = np.zeros_like(picture[rows])
    bands = _unveiled(picture[rows], plans.layers, frame, rows)
    for i, (plan, band) in enumerate(zip(plans.layers, bands, strict=True)):
        view = frame.view(plan.box, rows)
        if view is None:
            continue
        under, shown = below[view.place], band[view.place]
        alpha, color = _layer_rows(shown, _shaded(under, plan, view), plan, view, plans.grain[plan.box])
        for shade in plan.shades:
            alpha, color = _over_shade(alpha, color, shade, view, shown[..., 3])
        layer, alpha = out[i, rows][view.place], alpha[..., None]
        layer[..., :3], layer[..., 3:] = color, alpha
        under *= 1 - alpha
        under[..., :3] += color * alpha
        under[..., 3:] += alpha


def _unveiled(band: Floats, plans: Sequence[Plan], frame: _Frame, rows: slice) -> list[Floats]:
    """For each plan the picture (rows, W, 4) without the translucent panels above it."""
    seen = [band]
    for plan in plans[:0:-1]:
        view = frame.view(plan.box, rows) if plan.opacity < 1 else None
        seen.append(_lifted(seen[-1], plan, view) if view else seen[-1])
    return seen[::-1]


def _lifted(band: Floats, plan: Plan, view: _View) -> Floats:
    """The picture (rows, W, 4) without a panel, right where that covers wholly."""
    share = np.float32(plan.opacity) * (view.enlarged(plan.visible) > 0)[..., None]
    color = view.enlarged(plan.color) / np.float32(255)
    lifted = band.copy()
    shown = lifted[view.place][..., :3]
    np.clip((shown - share * color) / (1 - share), 0, 1, out=shown)
    return lifted


def _shaded(below: Floats, plan: Plan, view: _View) -> Floats:
    """What lies below a layer, premultiplied (rows, columns, 4), with the layer's own shadow on it."""
    for shade in plan.shades:
        alpha = view.enlarged(shade.alpha)[..., None]
        color = np.append(shade.color / 255, 1).astype(np.float32)
        below = below * (1 - alpha) + color * alpha
    return below


def _layer_rows(band: Floats, below: Floats, plan: Plan, view: _View, rough: Floats) -> tuple[Floats, Floats]:
    """Alpha (rows, columns) and colour (rows, columns, 3) of one layer in its box. rough: its grain in 1/255."""
    color = view.enlarged(plan.color) / np.float32(255)
    distances = view.enlarged(np.dstack([plan.visible, plan.extent, plan.above, plan.rim]))
    visible, extent, above, rim = np.moveaxis(distances, 2, 0)
    alpha = np.where(visible >= BAND_PX, np.float32(1), np.float32(0))
    strip = (visible < BAND_PX) & (rim > -BAND_PX) & (above < -HIDDEN_PX)
    noise = view.enlarged(rough)[strip] / np.float32(255) + np.float32(ROUNDING)
    shown, depth = _premultiplied(band[strip]), visible[strip] * view.scale
    alpha[strip] = _mixed(shown, below[strip], color[strip], depth, noise, plan.opacity)
    hidden = above >= -HIDDEN_PX
    alpha[hidden] = np.clip(extent[hidden] * view.scale + 0.5, 0, 1)
    alpha = np.minimum(alpha, band[..., 3])
    own: Mask = (alpha >= band[..., 3]) & (alpha > 0) & (above < -BAND_PX) & (visible > 0)
    if plan.opacity == 1:
        np.copyto(color, band[..., :3], where=own[..., None])
    else:
        color[own] = _uncovered(band[own], below[own], plan.opacity)
    color[(alpha == 0) & (extent < -CLEARED_PX)] = 0
    return alpha * np.float32(plan.opacity), color


def _premultiplied(straight: Floats) -> Floats:
    return np.append(straight[..., :3] * straight[..., 3:], straight[..., 3:], axis=-1)


def _uncovered(band: Floats, below: Floats, opacity: float) -> Floats:
    """The colour (k, 3) of a layer that covers pixels (k, 4) wholly, with this opacity over what lies below."""
    return np.clip((band[:, :3] - (1 - opacity) * below[:, :3]) / opacity, 0, 1)


def _over_shade(alpha: Floats, color: Floats, shade: Shade, view: _View, most: Floats) -> tuple[Floats, Floats]:
    """The layer over its own shadow: alpha (rows, columns), at most `most`, and colour (rows, columns, 3)."""
    beneath = view.enlarged(shade.alpha) * (1 - alpha)
    total = np.minimum(alpha + beneath, most)
    part = np.where(total > 0, beneath / np.maximum(total, 1e-6), 0)[..., None]
    return total, color + (shade.color / np.float32(255) - color) * np.clip(part, 0, 1)


def _mixed(shown: Floats, below: Floats, color: Floats, depth: Floats, noise: Floats, opacity: float = 1) -> Floats:
    """Coverage (k,) of pixels shown (k, 4) whose layer has this colour (k, 3), over what lies below (k, 4).

    The mean of the projection p and of the alpha d that the depth (k,), in pixels, suggests, each weighted by the
    inverse of its variance: |F - B|^2 / (noise^2 + off^2) for p, where off is the distance of I from the line. What
    differs from B or from F by no more than the noise (k,) allows is not mixed. Where nothing lies below, alpha is that
    of the picture.
    """
    line = (np.concatenate([color, np.ones_like(color[:, :1])], 1) - below) * np.float32(opacity)
    change = shown - below
    length = np.maximum((line * line).sum(1), 1e-6)
    alpha = np.clip((change * line).sum(1) / length, 0, 1)
    rest = change - alpha[:, None] * line
    sure = length / (noise * noise + (rest * rest).sum(1))
    suggested = np.clip(depth + 0.5, 0, 1)
    prior = np.float32(1 / EDGE_DEVIATION**2)
    alpha = (alpha * sure + suggested * prior) / (sure + prior)
    least = np.minimum(SEEN_DEVIATIONS * noise / np.sqrt(length), 0.5)
    alpha[alpha < least] = 0
    alpha[alpha > 1 - least] = 1
    alone = below[:, 3] <= 0
    alpha[alone] = shown[alone, 3]
    return np.asarray(alpha, np.float32)


class _Frame:
    """The full picture (height, width) and its working copy (height, width)."""

    def __init__(self, full: tuple[int, ...], working: tuple[int, int]) -> None:
        self.full = full
        self.step = (working[0] / full[0], working[1] / full[1])

    def view(self, box: Box, rows: slice) -> _View | None:
        """The part of these rows that a box of the working copy covers; None where it covers nothing."""
        top, bottom = self._full(box[0], 0)
        left, right = self._full(box[1], 1)
        top, bottom = max(top, rows.start), min(bottom, rows.stop)
        if top >= bottom or left >= right:
            return None
        return _View(self.step, box, (top, bottom, left, right), rows.start)

    def _full(self, side: slice, axis: int) -> tuple[int, int]:
        """First and last full pixel, plus 1, whose centres a side of a box of the working copy covers."""
        first, last = (math.ceil(end / self.step[axis] - 0.5) for end in (side.start, side.stop))
        return max(0, first), min(self.full[axis], last)


class _View:
    """A rectangle (top, bottom, left, right) of the full picture, seen from a box of the working copy."""

    def __init__(
        self, step: tuple[float, float], box: Box, rectangle: tuple[int, int, int, int], first_row: int
    ) -> None:
        self.top, bottom, self.left, right = rectangle
        self.size = (right - self.left, bottom - self.top)
        self.place = (slice(self.top - first_row, bottom - first_row), slice(self.left, right))
        self.step, self.box = step, box
        self.scale = np.float32(max(1 / step[0], 1 / step[1]))

    def enlarged(self, small: Floats) -> Floats:
        """A map (h, w, ...) of the box at full size, within this rectangle; linear between pixel centres."""
        import cv2

        (step_y, step_x), (rows, columns) = self.step, self.box
        if step_x == 1 and step_y == 1:
            top, left = self.top - rows.start, self.left - columns.start
            return np.array(small[top : top + self.size[1], left : left + self.size[0]], np.float32)
        first = max(0, int((self.top + 0.5) * step_y - rows.start) - 2)
        last = int((self.top + self.size[1]) * step_y - rows.start) + 3
        origin_x = (self.left + 0.5) * step_x - 0.5 - columns.start
        origin_y = (self.top + 0.5) * step_y - 0.5 - rows.start - first
        matrix = np.array([[step_x, 0, origin_x], [0, step_y, origin_y]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        source = np.ascontiguousarray(small[first:last])
        return np.asarray(cv2.warpAffine(source, matrix, self.size, flags=flags, borderMode=cv2.BORDER_REPLICATE))
