"""Exactness: the least change of the layers' colours that makes a stack composite to its picture again.

Layer i shows with weight w_i = a_i * prod_{j above i} (1 - a_j) and the composite is sum_i w_i c_i, so a
residual r is removed exactly, with the smallest change in the least-squares sense, by
c_i += r * w_i / sum_j w_j^2 (minimum-norm solution of one linear equation a pixel). Colours that leave
[0, 1] are clipped and the rest is spread over the layers still free: at most N rounds.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .composite import composite
from .errors import QilError
from .progress import Progress, silent
from .stack import GRID, LayerStack, bands, quantize

LEAST = 1e-6
"""A residual below this is none."""


@dataclass(frozen=True)
class Recomposition:
    """How far a stack's composite is from its picture.

    max_error: largest difference of any channel of any pixel, in units of 1/255; colour counts where there is alpha.
    psnr: over premultiplied RGBA, in dB; infinite when nothing differs.
    """

    max_error: float
    psnr: float

    def as_dict(self) -> dict[str, float | None]:
        """The same as plain numbers; an infinite PSNR is None."""
        return {"max_error": self.max_error, "psnr": None if self.psnr == float("inf") else self.psnr}

    def __str__(self) -> str:
        return f"max error {self.max_error:.2f}/255, PSNR {self.psnr:.1f} dB"


def visible_weights(alpha: Tensor) -> Tensor:
    """Weight (N, ...) with which each layer shows in the "over" composite, for alpha (N, ...) bottom first."""
    through = torch.ones_like(alpha)
    for i in range(len(alpha) - 2, -1, -1):
        torch.mul(through[i + 1], 1 - alpha[i + 1], out=through[i])
    return through * alpha


def make_exact(stack: LayerStack, target: Tensor, progress: Progress = silent) -> LayerStack:
    """The stack on the 8-bit grid, its colours changed as little as possible so that it composites to `target`.

    target: float32 (H, W, 4) in [0, 1]. The bottom layer's alpha absorbs what alpha is missing; then
    colours are solved. Within 1/255 in every channel of every pixel, unless the layers above the bottom
    already hold more alpha than the target: those are thinned from the top down first.
    """
    _check_target(stack, target)
    out = torch.empty_like(stack.pixels)
    for rows in bands(stack.pixels):
        progress(rows.start / stack.height, "making the layers exact")
        out[:, rows] = _exact_band(stack.pixels[:, rows], target[rows])
    return LayerStack(out, stack.names)


def _check_target(stack: LayerStack, target: Tensor) -> None:
    if target.shape != stack.pixels.shape[1:]:
        layer = tuple(stack.pixels.shape[1:])
        raise QilError(f"The picture is {tuple(target.shape)} and a layer is {layer}: they must match.")


def _exact_band(pixels: Tensor, target: Tensor) -> Tensor:
    alpha = _fit_alpha(pixels[..., 3], target[..., 3])
    weights = visible_weights(alpha)
    weights /= weights.sum(0).clamp(min=1e-9)
    colors, target = (x[..., :3].movedim(-1, -3).contiguous() for x in (pixels, target))  # planes are faster here
    share = weights / weights.square().sum(0).clamp(min=1e-9)
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
        fitted[i] = torch.minimum(fitted[i], (cap * GRID + 1e-3).floor_() / GRID)
        clear = clear * (1 - fitted[i])
    bottom = 1 - (1 - target) / clear.clamp(min=1e-9)
    hidden = clear <= 1e-9
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
    worst, squares = 0.0, 0.0
    for rows in bands(stack.pixels):
        progress(rows.start / stack.height, "measuring")
        ours = composite(LayerStack(stack.pixels[:, rows], stack.names))
        want = target[rows]
        difference = (ours - want).abs_()
        difference[..., :3] *= want[..., 3:] > 0
        worst = max(worst, float(difference.max()))
        squares += float((premultiplied(ours) - premultiplied(want)).square_().sum(dtype=torch.float64))
    mse = squares / target.numel()
    return Recomposition(worst * GRID, float("inf") if mse == 0 else -10 * float(torch.tensor(mse).log10()))


def premultiplied(image: Tensor) -> Tensor:
    """An image (..., 4) with its colours multiplied by alpha."""
    return torch.cat([image[..., :3] * image[..., 3:], image[..., 3:]], dim=-1)
