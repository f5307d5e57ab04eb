"""Step 13, render: full-resolution layers from the plans, with soft edges by matting against what lies below.

In the band around an edge a pixel is I = a F + (1 - a) B, where B is what the layers below show and F the
layer's own colour, carried there from its inside. In premultiplied RGBA the projection
a = (I - B).(F - B) / |F - B|^2 solves it, clear backgrounds included (Smith & Blinn, "Blue screen matting",
1996: the known-background case).

For each band of rows, which bounds the memory, and bottom first:
1. `_unveiled`: the picture without the translucent panels above a layer.
2. `_layer_rows`: alpha is 1 inside, solved (`_projected`) along edges that show, and from the completed extent where
   something above hides the layer. A panel's F is what it shows at full coverage.
3. `_over_soft`: the layer's shadows and glows lie under it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...progress import Progress, part
from .step09_soft import Soft
from .step12_plan import Plan
from .working import Floats

BAND_PX = 2.0
"""Half width, in working pixels, of the strip along an edge where alpha is solved."""

HIDDEN_PX = 1
"""How near to what lies above, in working pixels, an edge counts as hidden by it."""

CLEARED_PX = 6
"""How far outside a layer's extent, in working pixels, its colour is set to black: files become smaller."""

ROWS_PIXELS = 1 << 18
"""Pixels in a band of rows."""

SLACK = 0.012
"""Difference of colours, in 0..1, below which a solved alpha is 0 or 1: rounding and overshoot of filters."""

SLACK_PER_NOISE = 2
"""What the noise adds to it, in standard deviations."""

MIN_SLACK = 0.01
"""Least such difference as a share of the contrast of F and B."""

MAX_SLACK = 0.2
"""Largest such difference as a share of the contrast of F and B."""

MIN_CONTRAST = 0.0048
"""Squared contrast of F and B, in 0..1, below which alpha is not solved but read from the distance to the edge."""


def render(picture: Floats, plans: Sequence[Plan], noise: float, out: Floats, progress: Progress) -> None:
    """Draw the layers (N, H, W, 4) of picture (H, W, 4), straight alpha in [0, 1], into out."""
    height, width = picture.shape[:2]
    step = max(1, ROWS_PIXELS // width)
    for top in range(0, height, step):
        rows = slice(top, min(top + step, height))
        _render_rows(picture, plans, noise / 255, rows, out, part(progress, top / height, rows.stop / height))


def _render_rows(
    picture: Floats, plans: Sequence[Plan], noise: float, rows: slice, out: Floats, progress: Progress
) -> None:
    view = _View(picture.shape[0], picture.shape[1], rows, plans[0].visible.shape)
    below = np.zeros_like(picture[rows])
    for i, (plan, band) in enumerate(zip(plans, _unveiled(picture[rows], plans, view), strict=True)):
        progress(i / len(plans), "cutting out the layers")
        alpha, color = _layer_rows(band, _shaded(below, plan, view), plan, view, noise)
        for soft in plan.softs:
            alpha, color = _over_soft(alpha, color, soft, view, band[..., 3])
        out[i, rows, :, :3], out[i, rows, :, 3] = color, alpha
        below *= (1 - alpha)[..., None]
        below[..., :3] += color * alpha[..., None]
        below[..., 3] += alpha


def _unveiled(band: Floats, plans: Sequence[Plan], view: _View) -> list[Floats]:
    """For each plan the picture (rows, W, 4) without the translucent panels above it."""
    seen = [band]
    for plan in plans[:0:-1]:
        seen.append(_lifted(seen[-1], plan, view) if plan.opacity < 1 else seen[-1])
    return seen[::-1]


def _lifted(band: Floats, plan: Plan, view: _View) -> Floats:
    """The picture (rows, W, 4) without a panel, right where that covers wholly."""
    share = np.float32(plan.opacity) * (view.enlarged(plan.visible) > 0)[..., None]
    color = view.enlarged(plan.color) / np.float32(255)
    return np.append(np.clip((band[..., :3] - share * color) / (1 - share), 0, 1), band[..., 3:], axis=2)


def _shaded(below: Floats, plan: Plan, view: _View) -> Floats:
    """What lies below a layer, premultiplied (rows, W, 4), with the layer's own shadow on it."""
    for soft in plan.softs:
        alpha = view.enlarged(soft.alpha)[..., None]
        color = np.append(soft.color / 255, 1).astype(np.float32)
        below = below * (1 - alpha) + color * alpha
    return below


def _layer_rows(band: Floats, below: Floats, plan: Plan, view: _View, noise: float) -> tuple[Floats, Floats]:
    """Alpha (rows, W) and colour (rows, W, 3) of one layer."""
    color = view.enlarged(plan.color) / np.float32(255)
    visible, extent, above = (view.enlarged(d) for d in (plan.visible, plan.extent, plan.above))
    alpha = np.where(visible >= BAND_PX, np.float32(1), np.float32(0))
    strip = (np.abs(visible) < BAND_PX) & (above < -HIDDEN_PX)
    shown, depth = _premultiplied(band[strip]), visible[strip] * view.scale
    alpha[strip] = _projected(shown, below[strip], color[strip], depth, noise, plan.opacity)
    hidden = above >= -HIDDEN_PX
    alpha[hidden] = np.clip(extent[hidden] * view.scale + 0.5, 0, 1)
    alpha = np.minimum(alpha, band[..., 3])
    own = (alpha >= band[..., 3]) & (alpha > 0) & (above < -BAND_PX) & (visible > 0)
    color[own] = _solved(band[own], below[own], plan.opacity)
    color[(alpha == 0) & (extent < -CLEARED_PX)] = 0
    return alpha * np.float32(plan.opacity), color


def _premultiplied(straight: Floats) -> Floats:
    return np.append(straight[..., :3] * straight[..., 3:], straight[..., 3:], axis=-1)


def _solved(band: Floats, below: Floats, opacity: float) -> Floats:
    """The colour (k, 3) of a layer that covers pixels (k, 4) wholly, with this opacity over what lies below."""
    if opacity == 1:
        return band[:, :3]
    return np.clip((band[:, :3] - (1 - opacity) * below[:, :3]) / opacity, 0, 1)


def _over_soft(alpha: Floats, color: Floats, soft: Soft, view: _View, most: Floats) -> tuple[Floats, Floats]:
    """The layer over its own shadow: alpha (rows, W), at most `most`, and colour (rows, W, 3)."""
    beneath = view.enlarged(soft.alpha) * (1 - alpha)
    total = np.minimum(alpha + beneath, most)
    part = np.where(total > 0, beneath / np.maximum(total, 1e-6), 0)[..., None]
    return total, color + (soft.color / np.float32(255) - color) * np.clip(part, 0, 1)


def _projected(shown: Floats, below: Floats, color: Floats, depth: Floats, noise: float, opacity: float = 1) -> Floats:
    """Coverage (k,) of pixels whose layer has this colour (k, 3); where it equals what lies below, from the depth."""
    line = (np.concatenate([color, np.ones_like(color[:, :1])], 1) - below) * np.float32(opacity)
    length = (line * line).sum(1)
    alpha = ((shown - below) * line).sum(1) / np.maximum(length, 1e-6)
    slack = (SLACK_PER_NOISE * noise + SLACK) / np.sqrt(np.maximum(length, 1e-6))
    slack = np.clip(slack, MIN_SLACK, MAX_SLACK)
    alpha = (alpha - slack) / (1 - 2 * slack)
    return np.clip(np.where(length > MIN_CONTRAST, alpha, depth + 0.5), 0, 1)


class _View:
    """A band of rows of the full picture, seen from the working copy."""

    def __init__(self, height: int, width: int, rows: slice, working: tuple[int, ...]) -> None:
        self.size = (width, rows.stop - rows.start)
        self.top = rows.start
        self.step = (working[1] / width, working[0] / height)
        self.scale = np.float32(max(1 / self.step[0], 1 / self.step[1]))

    def enlarged(self, small: Floats) -> Floats:
        """A working-size map (h, w, ...) at full size, within this band; linear between pixel centres."""
        import cv2

        step_x, step_y = self.step
        if step_x == 1 and step_y == 1:
            return np.array(small[self.top : self.top + self.size[1]], np.float32)
        first = max(0, int(self.top * step_y) - 2)
        last = int((self.top + self.size[1]) * step_y) + 3
        matrix = np.array([[step_x, 0, 0.5 * step_x - 0.5], [0, step_y, (self.top + 0.5) * step_y - 0.5 - first]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        large = cv2.warpAffine(small[first:last], matrix, self.size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(large, np.float32)
