"""What is hidden in a decomposer's layers, made as clean as what is seen beside it.

The picture shows a layer where nothing lies on it. What the layer's colours are off there tells how far they are off
where they are hidden, too:

1. `toned`: the mean difference is carried under what covers the layer.
2. `smoothed`: the noise is taken out of the colours by an adaptive Wiener filter (Lee, 1980), in the form of a guided
   filter (He, Sun and Tang, 2010), whose coefficients are means as well. Its gain is signal variance over variance. The
   noise's variance is measured in plain sight; the signal's is what a window's variance exceeds it by, but at least
   that of the texture which the picture shows beside it. So flat parts become flat, textures keep their strength, and
   edges of hidden things stay.

Both work at the decomposer's own size, on stacks (N, h, w, 4) in [0, 1], bottom layer first, whose alpha does not
waver (`restore.settled`): the faint alpha that noise gives to layers above would hide everything a little.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .composite import premultiplied, visible_weights
from .filters import box_mean, shrink, spread
from .parallel import each

PLAIN_SIGHT = 0.9
"""Least share with which a layer shows in a window of PLAIN_WINDOW pixels for its colours to be compared there."""

PLAIN_WINDOW = 9
"""Pixels: an edge that is this near and slightly off would be taken for a difference in tone."""

COVERED_RAMP = 4.0
"""How fast what is covered counts as hidden: wholly so from a quarter of its alpha on, as under thin strokes. On four
small scenes 2 makes the alpha error 2 per cent larger; under strokes hidden colours are then off twice as far."""

RADIUS = 3
"""Half width, in small pixels, of the windows whose variances are compared."""

MAD_TO_SIGMA = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""

TINY = 1e-8
"""Variance, of colours in 0..1, far below a step of the 8-bit grid; it keeps divisions defined."""


@dataclass(frozen=True)
class Sight:
    """What a picture shows of small layers.

    picture: (h, w, 3), premultiplied, at the layers' size. lacks: (h, w, 3), what their composite is short of it.
    trust: (N, h, w) in 0..1, how plainly each layer is seen. hidden: (N, h, w) in 0..1, how far it counts as covered.
    """

    picture: Tensor
    lacks: Tensor
    trust: Tensor
    hidden: Tensor


def look(layers: Tensor, picture: Tensor) -> Sight:
    """Compare small layers (N, h, w, 4) with the picture (H, W, 4) they were made of."""
    small = premultiplied(shrink(picture, *layers.shape[1:3]))[..., :3]
    alpha = layers[..., 3]
    seen = visible_weights(alpha)
    plain = -F.max_pool2d(-seen, PLAIN_WINDOW, stride=1, padding=PLAIN_WINDOW // 2)
    trust = ((plain - PLAIN_SIGHT) / (1 - PLAIN_SIGHT)).clamp(min=0)
    lacks = small - (seen[..., None] * layers[..., :3]).sum(0)
    return Sight(small, lacks, trust, (COVERED_RAMP * (alpha - seen)).clamp(0, 1))


def cleaned(layers: Tensor, picture: Tensor) -> Tensor:
    """Small layers whose hidden parts have the tones and the texture of what picture (H, W, 4) shows beside them."""
    sight = look(layers, picture)
    return smoothed(toned(layers, sight), sight)


def toned(layers: Tensor, sight: Sight) -> Tensor:
    """Layers whose hidden parts are off by what their plain sight is off, no longer."""
    out = layers.clone()

    def tone(i: int) -> None:
        shift = spread(sight.lacks * sight.trust[i, ..., None], sight.trust[i])
        out[i, ..., :3] += shift * sight.hidden[i, ..., None]

    each(range(len(layers) - 1), tone, layers.device)
    return out.clamp_(0, 1)


def smoothed(layers: Tensor, sight: Sight) -> Tensor:
    """Layers without noise in their hidden parts; nothing changes where a stack is nowhere in plain sight."""
    noise = noise_variance(sight)
    out = layers.clone()

    def smooth(i: int) -> None:
        if noise > TINY and bool(sight.hidden[i].any()):
            calm = _without_noise(layers[i], sight, sight.trust[i], noise)
            out[i, ..., :3] = torch.lerp(layers[i, ..., :3], calm, sight.hidden[i, ..., None])

    each(range(len(layers) - 1), smooth, layers.device)
    return out.clamp_(0, 1)


def noise_variance(sight: Sight) -> float:
    """Variance of the noise of a decomposer's colours, where they are in plain sight; 0 where none is.

    The median of absolute differences from the means around ignores edges, at which a decomposer's blur is off, too.
    """
    lacks = sight.lacks.permute(2, 0, 1)[None]
    deviation = (lacks - box_mean(lacks, RADIUS))[0].abs()
    plain = deviation[:, sight.trust.amax(0) > 0]
    return float(MAD_TO_SIGMA * plain.median()) ** 2 if plain.numel() else 0.0


def _without_noise(layer: Tensor, sight: Sight, trust: Tensor, noise: float) -> Tensor:
    """The colours (h, w, 3) of a layer (h, w, 4) after the filter; where it is in plain sight, the picture's count."""
    colors = torch.lerp(layer[..., :3], sight.picture, trust[..., None]).permute(2, 0, 1)[None]
    weight = layer[..., 3][None, None] ** 4  # faint pixels have colours of little worth
    mean, variance = _moments(colors, weight)
    _, beside = _moments(colors, trust[None, None])
    texture = spread((beside[0, 0] * trust)[..., None], trust)[..., 0]
    signal = torch.maximum(variance - noise, texture[None, None])
    gain = (signal / variance.clamp(min=TINY)).clamp(0, 1)
    line = _weighted_means(torch.cat([gain, (1 - gain) * mean], 1), weight)
    return (line[:, :1] * colors + line[:, 1:])[0].permute(1, 2, 0)


def _moments(colors: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Means (1, 3, h, w) in windows, and variances (1, 1, h, w), means over the channels."""
    moments = _weighted_means(torch.cat([colors, colors * colors], 1), weight)
    mean = moments[:, :3]
    return mean, (moments[:, 3:] - mean * mean).mean(1, keepdim=True).clamp(min=0)


def _weighted_means(planes: Tensor, weight: Tensor) -> Tensor:
    """Means of planes (1, C, h, w) in windows, with weights (1, 1, h, w); 0 where those are none."""
    means = box_mean(torch.cat([planes * weight, weight], 1), RADIUS)
    return means[:, :-1] / means[:, -1:].clamp(min=TINY**2)
