"""Exactness: the least change of the layers' colours that makes a stack composite to its picture again.

Layer i shows with weight w_i = a_i * prod_{j above i} (1 - a_j) and the composite is sum_i w_i c_i, so a
residual r is removed exactly, with the smallest change in the least-squares sense, by
c_i += r * w_i / sum_j w_j^2 (minimum-norm solution of one linear equation a pixel). Colours that leave
[0, 1] are clipped and the rest is spread over the layers still free: at most N rounds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .composite import composite, premultiplied, visible_weights
from .errors import QilError
from .progress import Progress, silent
from .stack import GRID, LayerStack, each_band, quantize

LEAST = 1e-6
"""A residual below this is none."""

TINY = 1e-9
"""What a divisor is at least: a weight or a transmittance below it counts as zero."""

ROUNDING = 1e-3
"""How far, in steps of the 8-bit grid, a float32 alpha may lie below a grid value and still count as that value."""


@dataclass(frozen=True)
class Recomposition:
    """How far a stack's composite is from its picture.

    Both are measured on what is shown, which is premultiplied RGBA: colours times alpha, and alpha itself. A colour
    without alpha, or with so little that files round it to 0, counts as little as it is seen.
    max_error: largest difference of any channel of any pixel, in units of 1/255.
    psnr: over all channels of all pixels, in dB; infinite when nothing differs.
    """

    max_error: float
    psnr: float

    def as_dict(self) -> dict[str, float | None]:
        """The same as plain numbers; an infinite PSNR is None."""
        return {"max_error": self.max_error, "psnr": None if self.psnr == float("inf") else self.psnr}

    def __str__(self) -> str:
        return f"max error {self.max_error:.2f}/255, PSNR {self.psnr:.1f} dB (of colours times alpha, and of alpha)"


def make_exact(stack: LayerStack, target: Tensor, progress: Progress = silent) -> LayerStack:
    """The stack on the 8-bit grid, its colours changed as little as possible so that it composites to `target`.

    target: float32 (H, W, 4) in [0, 1]. The bottom layer's alpha absorbs what alpha is missing; then
    colours are solved. Within 1/255 in every channel of every pixel, unless the layers above the bottom
    already hold more alpha than the target: those are thinned from the top down first.
    """
    _check_target(stack, target)
    out = torch.empty_like(stack.pixels)

    def solve(rows: slice) -> None:
        out[:, rows] = _exact_band(stack.pixels[:, rows], target[rows])

    each_band(stack.pixels, solve, progress, "making the layers exact")
    return LayerStack(out, stack.names)


def _check_target(stack: LayerStack, target: Tensor) -> None:
    if target.shape != stack.pixels.shape[1:]:
        layer = tuple(stack.pixels.shape[1:])
        raise QilError(f"The picture is {tuple(target.shape)} and a layer is {layer}: they must match.")


def _exact_band(pixels: Tensor, target: Tensor) -> Tensor:
    alpha = _fit_alpha(pixels[..., 3], target[..., 3])
    weights = visible_weights(alpha)
    weights /= weights.sum(0).clamp(min=TINY)
    colors, target = (x[..., :3].movedim(-1, -3).contiguous() for x in (pixels, target))  # planes are faster here
    share = weights / weights.square().sum(0).clamp(min=TINY)
    residual = _residual(colors, weights, target)
    for color, part in zip(colors, share, strict=True):
        color.addcmul_(part, residual).clamp_(0, 1)
    left = (_residual(colors, weights, target).abs_().amax(0) > LEAST).nonzero()
    if len(left):  # colours that were clipped
        y, x = left.unbind(-1)
        for channel in range(3):
            points = colors[:, channel, y, x]
            _spread_residual(points, weights[:, y, x], target[channel, y, x])
            colors[:, channel, y, x] = points
    return torch.cat([quantize(colors).movedim(1, -1), alpha[..., None]], dim=-1)


def _residual(colors: Tensor, weights: Tensor, target: Tensor) -> Tensor:
    """What colors (N, 3, h, w) with weights (N, h, w) lack of target (3, h, w)."""
    residual = target.clone()
    for color, weight in zip(colors, weights, strict=True):
        residual.addcmul_(weight, color, value=-1)
    return residual


def _fit_alpha(alpha: Tensor, target: Tensor) -> Tensor:
    """Alpha on the grid whose "over" is `target`: upper layers capped by it, the bottom layer solved."""
    fitted = quantize(alpha)
    clear = torch.ones_like(target)
    for i in range(len(alpha) - 1, 0, -1):
        cap = (1 - (1 - target) / clear).clamp_(min=0)
        cap = torch.where(clear > 0, cap, torch.ones_like(cap))
        fitted[i] = torch.minimum(fitted[i], (cap * GRID + ROUNDING).floor_() / GRID)
        clear = clear * (1 - fitted[i])
    bottom = 1 - (1 - target) / clear.clamp(min=TINY)
    hidden = clear <= TINY
    fitted[0] = torch.where(hidden, fitted[0], quantize(bottom.clamp_(0, 1)))
    return fitted


def _spread_residual(colors: Tensor, weights: Tensor, target: Tensor) -> None:
    """Change colors (N, P) of one channel in place so that sum_i w_i c_i = target (P,); weights sum to 1."""
    for _ in range(len(colors)):
        residual = target - (weights * colors).sum(0)
        if float(residual.abs().max()) < LEAST:
            return
        free = torch.where(residual > 0, colors < 1, colors > 0)
        push = weights * free
        strength = (push * push).sum(0)
        colors.add_(push * torch.where(strength > 0, residual / strength, 0)).clamp_(0, 1)


def recomposition(stack: LayerStack, target: Tensor, progress: Progress = silent) -> Recomposition:
    """Measure a stack's "over" composite against target (H, W, 4) in [0, 1], band by band."""
    _check_target(stack, target)

    def compare(rows: slice) -> tuple[float, float]:
        shown = premultiplied(composite(LayerStack(stack.pixels[:, rows], stack.names)))
        difference = (shown - premultiplied(target[rows])).abs_()
        return float(difference.max()), float(difference.square_().sum(dtype=torch.float64))

    worst, squares = zip(*each_band(stack.pixels, compare, progress, "measuring"), strict=True)
    mse = sum(squares) / target.numel()
    return Recomposition(max(worst) * GRID, float("inf") if mse == 0 else -10 * math.log10(mse))
