"""Colour spaces: stored sRGB, linear light, OKLab and its polar form OKLCh.

sRGB curve: IEC 61966-2-1. OKLab matrices: Björn Ottosson, "A perceptual color space for image processing" (2020).
"""

from __future__ import annotations

from contextlib import suppress

import torch
from torch import Tensor

from .errors import QilError
from .text import quoted

MAX_COLOR = 64
"""Characters of a colour that are read; the longest that CSS has are half as long."""

_RGB_TO_LMS = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
_LMS_TO_LAB = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)


def srgb_to_linear(rgb: Tensor) -> Tensor:
    """Stored sRGB values in [0, 1] to linear light in [0, 1]."""
    return torch.where(rgb <= 0.04045, rgb / 12.92, ((rgb.clamp(min=0) + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(light: Tensor) -> Tensor:
    """Linear light in [0, 1] to stored sRGB values in [0, 1]."""
    return torch.where(light <= 0.0031308, light * 12.92, 1.055 * light.clamp(min=0) ** (1 / 2.4) - 0.055)


def _matrix(rows: tuple[tuple[float, ...], ...], like: Tensor) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64).to(like.device, like.dtype)


def srgb_to_oklab(rgb: Tensor) -> Tensor:
    """Stored sRGB (..., 3) to OKLab: L in [0, 1], a and b about -0.4..0.4."""
    lms = srgb_to_linear(rgb) @ _matrix(_RGB_TO_LMS, rgb).T
    cone = lms.sign() * lms.abs() ** (1 / 3)
    return cone @ _matrix(_LMS_TO_LAB, rgb).T


def oklab_to_linear(lab: Tensor) -> Tensor:
    """OKLab (..., 3) to linear-light RGB, which leaves [0, 1] for colours outside the sRGB gamut."""
    cone = lab @ torch.linalg.inv(_matrix(_LMS_TO_LAB, lab)).T
    return cone**3 @ torch.linalg.inv(_matrix(_RGB_TO_LMS, lab)).T


def oklab_to_srgb(lab: Tensor) -> Tensor:
    """OKLab (..., 3) to stored sRGB in [0, 1]; colours outside the gamut are clipped (see `into_gamut`)."""
    return linear_to_srgb(oklab_to_linear(lab).clamp(0, 1))


def into_gamut(lab: Tensor) -> Tensor:
    """OKLab with chroma lowered, at the same lightness and hue, until the colour fits sRGB (bisection, 2^-12)."""
    lightness = lab[..., :1].clamp(0, 1)
    chroma = lab[..., 1:]
    low, high = torch.zeros_like(lightness), torch.ones_like(lightness)
    fits = _in_gamut(torch.cat([lightness, chroma], -1))
    for _ in range(12):
        middle = (low + high) / 2
        inside = _in_gamut(torch.cat([lightness, chroma * middle], -1))
        low, high = torch.where(inside, middle, low), torch.where(inside, high, middle)
    return torch.cat([lightness, chroma * torch.where(fits, torch.ones_like(low), low)], -1)


def _in_gamut(lab: Tensor) -> Tensor:
    light = oklab_to_linear(lab)
    return ((light >= -1e-4) & (light <= 1 + 1e-4)).all(-1, keepdim=True)


def parse_color(text: str) -> tuple[float, float, float]:
    """ "#ff8800", "#f80" or a CSS colour such as "orange" or "rgb(255, 136, 0)" as stored sRGB values in [0, 1].

    QilError for what is no colour, and for one out of range, as "rgb(300, 0, 0)" is.
    """
    from PIL import ImageColor

    rgb: tuple[int, ...] = ()
    with suppress(ValueError):
        rgb = ImageColor.getrgb(text.strip()[:MAX_COLOR])[:3]
    if len(rgb) != 3 or not all(0 <= value <= 255 for value in rgb):
        raise QilError(f'{quoted(text)} is not a colour: write it as "#ff8800" or as a CSS name such as "orange".')
    red, green, blue = rgb
    return red / 255, green / 255, blue / 255
