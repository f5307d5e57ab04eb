"""Which colours an edit has changed, and which only wavered: noise and a shift of tone of everything are no edit."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..filters import box_mean, grown, spread
from .colors import RIDGE

TONE = 10 / 255
"""Shifts of tone of all colours alike, up to this, are no edit: editors make them by themselves."""

CHANGE = 0.025
"""A colour that changed by less has not changed: 6/255, about twice what can just be seen."""

WAVER = 0.015
"""What an answer may be off over many pixels, as seen with the backdrop: faint colours can be off by more. Benchmark
`editing`: without it noise that is 7 px wide changes 12 of 35 layers."""

NOISE_WEIGHT = 1.2
"""Standard deviations of the answer's own noise that are no change. Without them noise of 0.04 changes 18 of 35."""

SURE = 1.6
"""A changed region has a pixel that is over the threshold by this factor."""

ALIKE = 2 * CHANGE
"""Colours whose shifts differ from the median shift by less share it. Benchmark `editing`: when all count, colours on
white are 22 % more off."""

FAINT_SHARE = 0.1
"""Alpha, as a share of the layer's largest, below which a pixel says nothing of what changed."""

CHANGED_SHARE = 0.3
"""Faint pixels have changed where this share of the pixels beside them has."""

CONTRAST_FLOOR = 1e-3
"""Variance of colours (a spread of 8/255) below which no change of contrast is read from them."""


class Tone(NamedTuple):
    """Shift of a layer's colours, offset + gain * colour, each (3,)."""

    offset: Tensor
    gain: Tensor

    def at(self, colors: Tensor) -> Tensor:
        """The shift of colours (..., 3), -TONE..TONE."""
        return (self.offset + self.gain * colors).clamp(-TONE, TONE)


def tone_of(answer: Tensor, colors: Tensor, alpha: Tensor, backdrop: Tensor) -> Tone:
    """The shift that most of a layer's colours (h, w, 3) share in the answer; none when that is more than TONE."""
    seen = alpha > FAINT_SHARE * alpha.max()
    weight, before = alpha[seen][:, None], colors[seen]
    shift = (answer - backdrop)[seen] / weight + backdrop[seen] - before
    middle = shift.median(dim=0).values
    same = (shift - middle).abs().amax(-1, keepdim=True) < ALIKE
    if bool((middle.abs() > TONE).any()) or not bool(same.any()):
        return Tone(colors.new_zeros(3), colors.new_zeros(3))
    weight = weight.square() * same
    weight = weight / weight.sum()
    mean, center = (weight * shift).sum(0), (weight * before).sum(0)
    covariance = (weight * (shift - mean) * (before - center)).sum(0)
    gain = covariance / ((weight * (before - center).square()).sum(0) + CONTRAST_FLOOR)
    return Tone(mean - gain * center, gain)


def changed(answer: Tensor, colors: Tensor, alpha: Tensor, backdrop: Tensor) -> Tensor:
    """Where the subject's colours are not those (h, w, 3) it had: 0..1 with soft borders, (h, w).

    Compared are the colours that best explain windows of 5, which noise hardly moves. Faint pixels, of which one sees
    nothing, have changed where those beside them have.
    """
    error = answer - backdrop - alpha[..., None] * (colors - backdrop)
    planes = torch.cat([error * alpha[..., None], alpha.square()[..., None]], -1).permute(2, 0, 1)[None]
    window = box_mean(planes, 2)[0]
    amount = window[:3].abs().amax(0) / (window[3] + RIDGE)
    noise = (WAVER + NOISE_WEIGHT * _noise(error, alpha)) * window[3].sqrt() / (window[3] + RIDGE)
    low = CHANGE + noise
    mask = connected(amount > low, amount > SURE * low)
    if not bool(mask.any()):
        return torch.zeros_like(alpha)
    trust = (alpha / alpha.max() - FAINT_SHARE).clamp(min=0).square()
    share = spread((mask * trust)[..., None], trust)[..., 0]
    return feathered(torch.maximum(share > CHANGED_SHARE, mask))


def feathered(mask: Tensor, radius: int = 2) -> Tensor:
    """A mask (h, w), grown by a pixel or two, with a soft border outside of that; 0 away from it."""
    return box_mean(grown(mask, 2 * radius)[None, None], radius)[0, 0].clamp(0, 1)


def _noise(error: Tensor, alpha: Tensor) -> float:
    """Standard deviation of what differs from pixel to pixel, where the layer is (Hampel's median deviation)."""
    planes = error.permute(2, 0, 1)[None]
    fine = (planes - box_mean(planes, 1))[0].abs().amax(0)[alpha > 0]
    return float(fine.median()) if len(fine) else 0.0


def connected(low: Tensor, high: Tensor) -> Tensor:
    """The connected parts of a mask that hold a pixel of another one, bool (h, w): hysteresis, as Canny's (1986)."""
    import cv2
    import numpy as np

    count, labels = cv2.connectedComponents(low.cpu().numpy().astype(np.uint8))
    found = np.zeros(count, bool)
    found[np.unique(labels[high.cpu().numpy() & low.cpu().numpy()])] = True
    found[0] = False
    return torch.from_numpy(found[labels]).to(low.device)
