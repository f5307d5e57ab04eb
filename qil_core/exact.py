"""Exactness: a stack composites to its picture again, to within 1/255, and leaves no trace when it is taken apart.

1. `residual.given_upward`: what the composite lacks is given to the uppermost layer that is seen there.
2. `_mended`: where that is not enough, as in a picture with less alpha than the layers above the bottom hold, the least
   change of all layers' colours. Layer i shows with weight w_i = a_i * prod_{j above i} (1 - a_j) and the composite is
   sum_i w_i c_i, so a residual r is removed with the smallest change in the least-squares sense by
   c_i += r * w_i / sum_j w_j^2 (minimum-norm solution of one linear equation a pixel). Colours that leave [0, 1] are
   clipped, and what that costs is spread over the layers still free: at most N rounds.
3. `recomposition` measures how exact a stack is, and `edge_changes` what exactness has cost.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .composite import composite, premultiplied, visible_weights
from .errors import QilError
from .progress import Progress, part, silent
from .residual import REACH, ROUNDING, given_upward, ground_variance
from .stack import GRID, LayerStack, each_band, quantize

LEAST = 1e-6
"""A residual below this is none."""

TINY = 1e-9
"""What a divisor is at least: a weight or a transmittance below it counts as zero."""

SEEN = 10 / GRID
"""A change of colour that is plainly seen: `EdgeChanges` counts larger ones."""

ENOUGH = 1.2 * ROUNDING
"""A difference of colours times alpha up to this, 0.6/255, is left: rounding alone makes one of 0.5/255."""

GRID_SLACK = 1e-3
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


@dataclass(frozen=True)
class EdgeChanges:
    """What exactness has cost, as shares of the picture's pixels, counting changes of more than 10/255.

    soft: pixels where a layer that covers them in part has got another colour times alpha, or another alpha: it goes
    with the layer when that is moved. below: pixels where something below a visible layer shows otherwise than before:
    it stays behind.
    """

    soft: float
    below: float

    def as_dict(self) -> dict[str, float]:
        """The same as plain numbers."""
        return {"soft": self.soft, "below": self.below}

    def __str__(self) -> str:
        return f"{self.soft:.2%} of the pixels changed by over 10/255 in soft edges, {self.below:.2%} below them"


def make_exact(stack: LayerStack, target: Tensor, progress: Progress = silent) -> LayerStack:
    """The stack on the 8-bit grid, changed so that it composites to `target` and leaves no trace when it is moved.

    target: float32 (H, W, 4) in [0, 1]. Within 1/255 in every channel of every pixel. Pixels that are exact once they
    are rounded are only rounded. Raises QilError: the sizes differ.
    """
    _check_target(stack, target)
    out = torch.empty_like(stack.pixels)
    progress(0, "making the layers exact")
    variance = ground_variance(stack, target)

    def solve(rows: slice) -> None:
        top = max(rows.start - REACH, 0)
        wide, inner = slice(top, rows.stop + REACH), slice(rows.start - top, rows.stop - top)
        solved = given_upward(stack.pixels[:, wide], target[wide], variance[wide], inner)
        out[:, rows] = _mended(solved, target[rows])

    each_band(stack.pixels, solve, part(progress, 0.2, 1), "making the layers exact")
    return LayerStack(out, stack.names)


def _mended(layers: Tensor, target: Tensor) -> Tensor:
    """Layers (N, h, W, 4), those points changed that are still more than rounding off target (h, W, 4)."""
    shown = composite(LayerStack(layers, ("",) * len(layers)))
    seen = (premultiplied(shown) - premultiplied(target)).abs_().amax(-1) > ENOUGH
    straight = ((shown - target).abs_().amax(-1) > 1 / GRID) & (target[..., 3] > 0)  # files keep straight colours
    y, x = (seen | straight).nonzero().unbind(-1)
    if len(y):
        layers[:, y, x] = _least_change(layers[:, None, y, x], target[None, y, x])[:, 0]
    return layers


def _check_target(stack: LayerStack, target: Tensor) -> None:
    if target.shape != stack.pixels.shape[1:]:
        layer = tuple(stack.pixels.shape[1:])
        raise QilError(f"The picture is {tuple(target.shape)} and a layer is {layer}: they must match.")


def _least_change(pixels: Tensor, target: Tensor) -> Tensor:
    """Layers (N, h, w, 4) that composite to target (h, w, 4), with the least change of their colours."""
    alpha = _fit_alpha(pixels[..., 3], target[..., 3])
    weights = visible_weights(alpha)
    weights /= weights.sum(0).clamp(min=TINY)
    colors, target = (x[..., :3].movedim(-1, -3).contiguous() for x in (pixels, target))  # planes are faster here
    share = weights / weights.square().sum(0).clamp(min=TINY)
    residual = _residual(colors, weights, target)
    for color, taken in zip(colors, share, strict=True):
        color.addcmul_(taken, residual).clamp_(0, 1)
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
        fitted[i] = torch.minimum(fitted[i], (cap * GRID + GRID_SLACK).floor_() / GRID)
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


def edge_changes(before: LayerStack, after: LayerStack, progress: Progress = silent) -> EdgeChanges:
    """How much `make_exact` has changed a stack at and below its soft edges, band by band."""

    def compare(rows: slice) -> tuple[int, int]:
        soft, below = _changed(before.pixels[:, rows], after.pixels[:, rows])
        return int(soft.sum()), int(below.sum())

    soft, below = zip(*each_band(after.pixels, compare, progress, "measuring"), strict=True)
    area = after.height * after.width
    return EdgeChanges(sum(soft) / area, sum(below) / area)


def _changed(before: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
    """Where layers (N, h, W, 4) have changed plainly in soft edges, and where below something that is seen: (h, W)."""
    soft = torch.zeros(after.shape[1:3], dtype=torch.bool, device=after.device)
    below = torch.zeros_like(soft)
    was, shows = premultiplied(before[0]), premultiplied(after[0])
    for old, new in zip(before[1:], after[1:], strict=True):
        alpha = new[..., 3:]
        below |= ((shows - was).abs().amax(-1) > SEEN) & (alpha[..., 0] > 0)
        changed = (premultiplied(new) - premultiplied(old)).abs().amax(-1) > SEEN
        soft |= changed & (alpha[..., 0] < 1)
        was, shows = (premultiplied(x) + (1 - x[..., 3:]) * y for x, y in ((old, was), (new, shows)))
    return soft, below
