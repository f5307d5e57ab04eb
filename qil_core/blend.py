"""Blend modes: a table of pure functions B(backdrop, source) on colours in [0, 1], shape (..., 3).

Sources: W3C "Compositing and Blending Level 1", section 9 (normal to luminosity, names as in CSS); the Photoshop
formulas as psd-tools gives them and as its test files show them, drawn by Photoshop (linear-dodge to divide); GIMP's
layer-mode documentation (grain-extract, grain-merge). Every result is in [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .errors import QilError
from .text import quoted

Blend = Callable[[Tensor, Tensor], Tensor]


def normal(b: Tensor, s: Tensor) -> Tensor:
    return s


def multiply(b: Tensor, s: Tensor) -> Tensor:
    return b * s


def screen(b: Tensor, s: Tensor) -> Tensor:
    return b + s - b * s


def overlay(b: Tensor, s: Tensor) -> Tensor:
    return hard_light(s, b)


def darken(b: Tensor, s: Tensor) -> Tensor:
    return torch.minimum(b, s)


def lighten(b: Tensor, s: Tensor) -> Tensor:
    return torch.maximum(b, s)


def color_dodge(b: Tensor, s: Tensor) -> Tensor:
    lit = torch.where(s < 1, (b / (1 - s)).clamp(max=1), 1.0)
    return torch.where(b <= 0, 0.0, lit)


def color_burn(b: Tensor, s: Tensor) -> Tensor:
    burnt = torch.where(s > 0, 1 - ((1 - b) / s).clamp(max=1), 0.0)
    return torch.where(b >= 1, 1.0, burnt)


def hard_light(b: Tensor, s: Tensor) -> Tensor:
    return torch.where(s <= 0.5, multiply(b, 2 * s), screen(b, 2 * s - 1))


def soft_light(b: Tensor, s: Tensor) -> Tensor:
    lift = torch.where(b <= 0.25, ((16 * b - 12) * b + 4) * b, b.clamp(min=0).sqrt())
    return torch.where(s <= 0.5, b - (1 - 2 * s) * b * (1 - b), b + (2 * s - 1) * (lift - b))


def difference(b: Tensor, s: Tensor) -> Tensor:
    return (b - s).abs()


def exclusion(b: Tensor, s: Tensor) -> Tensor:
    return b + s - 2 * b * s


def linear_dodge(b: Tensor, s: Tensor) -> Tensor:
    return (b + s).clamp(max=1)


def linear_burn(b: Tensor, s: Tensor) -> Tensor:
    return (b + s - 1).clamp(min=0)


def vivid_light(b: Tensor, s: Tensor) -> Tensor:
    # Not color-burn and color-dodge: with those a white or black backdrop wins, here a black or white source does.
    burnt = torch.where(s > 0, 1 - ((1 - b) / (2 * s)).clamp(max=1), 0.0)
    lit = torch.where(s < 1, (b / (2 - 2 * s)).clamp(max=1), 1.0)
    return torch.where(s <= 0.5, burnt, lit)


def pin_light(b: Tensor, s: Tensor) -> Tensor:
    return torch.where(s <= 0.5, torch.minimum(b, 2 * s), torch.maximum(b, 2 * s - 1))


def linear_light(b: Tensor, s: Tensor) -> Tensor:
    return (b + 2 * s - 1).clamp(0, 1)


def hard_mix(b: Tensor, s: Tensor) -> Tensor:
    total = b + s
    return torch.where(total == 1, b > 0.5, total > 1).to(b.dtype)  # complements go to the lighter backdrop


def subtract(b: Tensor, s: Tensor) -> Tensor:
    return (b - s).clamp(min=0)


def divide(b: Tensor, s: Tensor) -> Tensor:
    ratio = torch.where(s > 0, (b / s).clamp(max=1), 1.0)
    return torch.where(b <= 0, 0.0, ratio)


def grain_extract(b: Tensor, s: Tensor) -> Tensor:
    return (b - s + 0.5).clamp(0, 1)


def grain_merge(b: Tensor, s: Tensor) -> Tensor:
    return (b + s - 0.5).clamp(0, 1)


def _lum(c: Tensor) -> Tensor:
    return 0.3 * c[..., 0:1] + 0.59 * c[..., 1:2] + 0.11 * c[..., 2:3]


def _sat(c: Tensor) -> Tensor:
    return c.amax(-1, keepdim=True) - c.amin(-1, keepdim=True)


def _clip_color(c: Tensor) -> Tensor:
    lum, low, high = _lum(c), c.amin(-1, keepdim=True), c.amax(-1, keepdim=True)
    c = torch.where(low < 0, lum + (c - lum) * lum / (lum - low).clamp(min=1e-7), c)
    return torch.where(high > 1, lum + (c - lum) * (1 - lum) / (high - lum).clamp(min=1e-7), c).clamp(0, 1)


def _set_lum(c: Tensor, lum: Tensor) -> Tensor:
    return _clip_color(c + (lum - _lum(c)))


def _set_sat(c: Tensor, sat: Tensor) -> Tensor:
    low = c.amin(-1, keepdim=True)
    return (c - low) * sat / _sat(c).clamp(min=1e-7)


def hue(b: Tensor, s: Tensor) -> Tensor:
    return _set_lum(_set_sat(s, _sat(b)), _lum(b))


def saturation(b: Tensor, s: Tensor) -> Tensor:
    return _set_lum(_set_sat(b, _sat(s)), _lum(b))


def color(b: Tensor, s: Tensor) -> Tensor:
    return _set_lum(s, _lum(b))


def luminosity(b: Tensor, s: Tensor) -> Tensor:
    return _set_lum(b, _lum(s))


BLEND_MODES: dict[str, Blend] = {
    f.__name__.replace("_", "-"): f
    for f in (
        normal, multiply, screen, overlay, darken, lighten, color_dodge, color_burn, hard_light, soft_light,
        difference, exclusion, linear_dodge, linear_burn, vivid_light, pin_light, linear_light, hard_mix,
        subtract, divide, grain_extract, grain_merge, hue, saturation, color, luminosity,
    )
}  # fmt: skip
"""Every mode by its name, as ComfyUI's LAYERS document spells it."""


def blend_mode(name: str) -> Blend:
    """The function of a blend mode; QilError lists the modes when there is none of that name."""
    try:
        return BLEND_MODES[name.strip().lower().replace("_", "-").replace(" ", "-")]
    except KeyError:
        raise QilError(f"Unknown blend mode {quoted(name)}. Use one of: {', '.join(BLEND_MODES)}.") from None
