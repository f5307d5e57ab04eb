"""Changing the colours of one layer, perceptually (OKLCh); alpha keeps its bits.

Every recolouring is a function of OKLab pixels. What leaves the sRGB gamut is brought back by lowering chroma,
so hue and lightness stay. A recolouring that changes nothing keeps every bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .color import into_gamut, linear_to_srgb, oklab_to_linear, srgb_to_oklab
from .errors import QilError
from .stack import LayerStack, each_band

Rgb = tuple[float, float, float]
Recolor = Callable[[Tensor], Tensor]
"""Maps OKLab (P, 3) to OKLab (P, 3)."""


@dataclass(frozen=True)
class HueTurn:
    """Turn every hue by `degrees` around the colour circle (red to yellow is about 80 degrees in OKLCh)."""

    degrees: float

    def __call__(self, lab: Tensor) -> Tensor:
        cos, sin = math.cos(math.radians(self.degrees)), math.sin(math.radians(self.degrees))
        lightness, a, b = lab.unbind(-1)
        return torch.stack([lightness, a * cos - b * sin, a * sin + b * cos], -1)


@dataclass(frozen=True)
class Colorize:
    """Give everything one hue and chroma; light and dark stay, shifted to the target's mean by match_lightness 0..1."""

    color: Rgb
    mean_lightness: float
    match_lightness: float = 1.0

    def __call__(self, lab: Tensor) -> Tensor:
        target = _lab(self.color, lab)
        shift = (target[0] - self.mean_lightness) * self.match_lightness
        lightness = (lab[:, :1] + shift).clamp(0, 1)
        return torch.cat([lightness, target[1:].expand(len(lab), 2)], -1)


@dataclass(frozen=True)
class ReplaceColor:
    """Move one colour to another; shades of it keep their difference from it.

    tolerance: OKLab distance up to which a colour counts fully (0.02 is just visible, 0.2 a wide range);
    softness: further distance over which the effect fades out.
    """

    old: Rgb
    new: Rgb
    tolerance: float = 0.1
    softness: float = 0.05

    def __call__(self, lab: Tensor) -> Tensor:
        old, new = _lab(self.old, lab), _lab(self.new, lab)
        distance = (lab - old).norm(dim=-1, keepdim=True)
        share = (1 - (distance - self.tolerance) / max(self.softness, 1e-6)).clamp(0, 1)
        return lab + (new - old) * share


@dataclass(frozen=True)
class Adjust:
    """Tone and colourfulness.

    lightness: added, -1..1. chroma: factor 0..4. contrast: factor 0..4 about L = 0.5. gamma: 0.1..10, over 1 darkens.
    """

    lightness: float = 0.0
    chroma: float = 1.0
    contrast: float = 1.0
    gamma: float = 1.0

    def __call__(self, lab: Tensor) -> Tensor:
        level = lab[:, :1].clamp(0, 1) ** self.gamma
        level = (level - 0.5) * self.contrast + 0.5 + self.lightness
        return torch.cat([level.clamp(0, 1), lab[:, 1:] * self.chroma], -1)


def recolor(stack: LayerStack, index: int | Sequence[int], change: Recolor, strength: float = 1.0) -> LayerStack:
    """The stack with layer `index`, or several layers, recoloured; alpha and every other layer keep their bits.

    strength: 0..1, share of the change. Raises QilError when it is out of range, and where there is no such layer.
    """
    if not 0 <= strength <= 1:
        raise QilError(f"Strength must be 0 to 1, got {strength:g}.")
    indices = [index] if isinstance(index, int) else index
    return stack.each_changed(indices, lambda layer: _recolored(layer.clone(), change, strength))


def _recolored(layer: Tensor, change: Recolor, strength: float) -> Tensor:
    each_band(layer, lambda rows: _recolor_band(layer[rows], change, strength))
    return layer


def _recolor_band(pixels: Tensor, change: Recolor, strength: float) -> None:
    """Only visible pixels whose colour really changes are written, so what the change leaves alone keeps its bits."""
    visible = pixels[..., 3] > 0
    rgb = pixels[visible][:, :3]
    lab = srgb_to_oklab(rgb)
    goal = torch.lerp(lab, change(lab), strength)
    changed = (goal - lab).abs().amax(-1) > 1e-6
    rgb[changed] = linear_to_srgb(oklab_to_linear(into_gamut(goal[changed])).clamp(0, 1)).clamp(0, 1)
    pixels[visible] = torch.cat([rgb, pixels[visible][:, 3:]], -1)


def mean_lightness(layer: Tensor) -> float:
    """Mean OKLab lightness 0..1 of a layer (H, W, 4), weighted by alpha; 0.5 when it is empty."""

    def sums(rows: slice) -> tuple[float, float]:
        alpha = layer[rows][..., 3]
        weighted = srgb_to_oklab(layer[rows][..., :3])[..., 0] * alpha
        return float(weighted.sum(dtype=torch.float64)), float(alpha.sum(dtype=torch.float64))

    total, weight = (sum(part) for part in zip(*each_band(layer, sums), strict=True))
    return total / weight if weight else 0.5


def _lab(color: Rgb, like: Tensor) -> Tensor:
    return srgb_to_oklab(torch.tensor(color, dtype=like.dtype, device=like.device))
