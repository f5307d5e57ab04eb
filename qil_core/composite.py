"""Putting a stack back together: "over" on stored sRGB values, blend modes, linear light on request.

Porter & Duff 1984 ("over") and W3C "Compositing and Blending Level 1", sections 5 and 9. The sRGB transfer
curve is IEC 61966-2-1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .blend import Blend, blend_mode, normal
from .color import linear_to_srgb, srgb_to_linear
from .errors import QilError
from .stack import LayerStack, each_band

TINY = 1e-9


def composite(stack: LayerStack, modes: Sequence[str] = (), linear: bool = False) -> Tensor:
    """Flatten a stack, bottom to top: float32 (H, W, 4), straight alpha, in [0, 1]; clear pixels are black.

    modes: one blend mode a layer, bottom first (the bottom one meets nothing and stays as it is); empty is
    all normal. linear: add up light instead of stored sRGB values. Raises QilError for an unknown mode or a
    wrong count of modes.
    """
    flatten = _flattener(_blends(modes, len(stack)), linear)
    out = torch.empty_like(stack.pixels[0])
    each_band(stack.pixels, lambda rows: flatten(stack.pixels[:, rows], out[rows]))
    return out


def modes_for(text: str, count: int) -> list[str]:
    """Blend modes for `count` layers from a text: one a line or comma, bottom first; one alone serves every layer."""
    given = [mode.strip() for mode in text.replace(",", "\n").splitlines() if mode.strip()]
    return given * count if len(given) == 1 else given


def onto_color(flat: Tensor, color: Tensor) -> Tensor:
    """A straight-alpha picture (H, W, 4) on an opaque colour (3,): float32 (H, W, 4) with alpha 1."""
    alpha = flat[..., 3:]
    return torch.cat([flat[..., :3] * alpha + color * (1 - alpha), torch.ones_like(alpha)], dim=-1)


def _blends(modes: Sequence[str], count: int) -> list[Blend]:
    if modes and len(modes) != count:
        raise QilError(f"{len(modes)} blend modes were given for {count} layers: give one a layer, or none.")
    return [blend_mode(mode) for mode in modes]


def _flattener(blends: Sequence[Blend], linear: bool) -> Callable[[Tensor, Tensor], None]:
    over = _over if all(b is normal for b in blends) else lambda pixels, out: _blend(pixels, out, blends)
    return (lambda pixels, out: _in_linear_light(over, pixels, out)) if linear else over


def _over(pixels: Tensor, out: Tensor) -> None:
    """Top to bottom, channel by channel: `through` is the light that the layers above let pass."""
    alpha = pixels[-1, ..., 3]
    through = 1 - alpha
    sums = [pixels[-1, ..., c] * alpha for c in range(3)]
    for layer in reversed(pixels[:-1].unbind()):
        weight = layer[..., 3] * through
        for c in range(3):
            sums[c].addcmul_(layer[..., c], weight)
        through -= weight
    total = 1 - through
    scale = 1 / total.clamp(min=TINY)
    for c in range(3):
        torch.mul(sums[c], scale, out=out[..., c])
    out[..., 3] = total
    out.clamp_(0, 1)  # rounding alone can leave 1 by a few ulp


def _blend(pixels: Tensor, out: Tensor, blends: Sequence[Blend]) -> None:
    """W3C: co = as (1 - ab) cs + as ab B(cb, cs) + (1 - as) ab cb, premultiplied; ao = as + ab (1 - as)."""
    below = pixels[0, ..., 3:]
    sums = pixels[0, ..., :3] * below
    for layer, blend in zip(pixels[1:].unbind(), blends[1:], strict=True):
        color, alpha = layer[..., :3], layer[..., 3:]
        backdrop = (sums / below.clamp(min=TINY)).clamp(0, 1)
        sums = sums * (1 - alpha) + alpha * torch.lerp(color, blend(backdrop, color), below)
        below = alpha + below * (1 - alpha)
    out[..., :3] = (sums / below.clamp(min=TINY)).clamp_(0, 1)
    out[..., 3:] = below.clamp(0, 1)


def _in_linear_light(over: Callable[[Tensor, Tensor], None], pixels: Tensor, out: Tensor) -> None:
    over(torch.cat([srgb_to_linear(pixels[..., :3]), pixels[..., 3:]], dim=-1), out)
    out[..., :3] = linear_to_srgb(out[..., :3])


def visible_weights(alpha: Tensor) -> Tensor:
    """Weight (N, ...) with which each layer shows in the "over" composite, for alpha (N, ...) bottom first."""
    through = torch.ones_like(alpha)
    for i in range(len(alpha) - 2, -1, -1):
        torch.mul(through[i + 1], 1 - alpha[i + 1], out=through[i])
    return through * alpha


def premultiplied(image: Tensor) -> Tensor:
    """An image (..., 4) with its colours multiplied by alpha."""
    return torch.cat([image[..., :3] * image[..., 3:], image[..., 3:]], dim=-1)
