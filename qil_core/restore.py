"""Full-size layers from small ones and the original picture: alpha is solved for, not enlarged.

A decomposer's small layers say what a layer looks like (F), what lies under it (B), and roughly where it is (a0).
Where its edge is uncertain, the original picture I then decides. The steps, in the order of `restore`:

1. `settled`: alpha that only wavers becomes even (Lee's filter, 1980); what does not is where an edge may be.
2. `hidden.cleaned`: hidden parts of a layer take the tone and the texture that the picture shows of it beside them.
3. `spread_colors`: the colours of solid parts are carried outwards over soft and clear ones, by normalised blurs
   (Knutsson and Westin, "Normalized and differential convolution", 1993), so that F is pure at an edge.
4. Both are enlarged to the picture's size, which gives F, B and a0 at every pixel.
5. `_solve`: at the edges alpha is the minimiser of |I - aF - (1 - a)B|^2 + s (a - a0)^2, which is
   a = ((I - B).(F - B) + s a0) / (|F - B|^2 + s): the known-background equation of matting (Smith and Blinn, "Blue
   screen matting", 1996) with a prior. Layers are solved from the top one down, each through what the layers above it
   let pass. Where F and B are alike, the prior decides, so the enlarged alpha stays.

Colours stay the decomposer's; `exact.make_exact` puts in the picture's own where a layer shows.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .composite import premultiplied
from .errors import QilError
from .filters import box_mean, enlarge
from .hidden import cleaned
from .opencv import check_opencv
from .parallel import each
from .progress import Progress, part, silent
from .resample import resize
from .stack import LayerStack, check_image, each_band, same_aspect

PRIOR = 0.003
"""s: squared colour distance (of four channels in 0..1) at which prior and colours count alike. On five small scenes
a tenth of it changes the alpha error by -1 per cent in the mean, ten times it by +18."""

NOISE = 0.02
"""Standard deviation by which a decomposer's alpha wavers where it should be even. On the same scenes 0.005 changes
the alpha error by +46 per cent, 0.05 by +8."""

ROUNDS = 2
"""Sweeps from the top layer to the bottom one; the second sees what lies below as the first has solved it. One makes
the alpha error 9 per cent larger, three make it 2 per cent smaller."""

CLEAR = 0.06
"""Alpha below this may be noise and says nothing of colours. With 0.02 or 0.15 the errors of colours at soft edges
are a third larger."""

SOLID, SOLID_RAMP = 0.9, 0.05
"""A pixel is solid from this least alpha of its 3 x 3 neighbours on, wholly so when it is larger by the ramp."""

CALM, CALM_RAMP = 0.3, 0.15
"""A soft part is wide, not an edge, where alpha varies in 3 x 3 pixels by less than this, wholly so below by the
ramp."""

FEW_SOFT = 0.02
"""Mean weight of wide soft pixels around a pixel above which their colours are another choice for it."""

UNLIKE = 0.05
"""Largest difference of a channel, 0..1, up to which two choices of colours count as one."""

NEAR = 1e-9
"""Weight above which some wide soft pixel is within reach: blurs reach 4 pixels with a share of 1e-4."""

TINY = 1e-18
"""Weights below this are none; it keeps a division by their sum defined."""


def restore(small: LayerStack, picture: Tensor, progress: Progress = silent) -> LayerStack:
    """The layers of a small stack at the size of picture, float32 (H, W, 4) in [0, 1], on the picture's device.

    Colours stay the decomposer's, enlarged, and reach beyond soft edges, so that nothing behind them bleeds in:
    `make_exact` puts the picture's own where a layer shows. Layers that are as large as the picture or larger know
    its edges as well as it does: they are only resized.
    Raises QilError: the picture is no RGBA image.
    """
    check_opencv()
    picture = check_image(picture[None], channels=(4,))[0]
    height, width = picture.shape[:2]
    if small.height >= height or small.width >= width:
        return LayerStack(resize(small.pixels.to(picture.device), height, width), small.names)
    out = picture.new_empty(len(small), height, width, 4)
    edges = torch.empty(len(small), height, width, dtype=torch.bool, device=picture.device)
    settled_ = [settled(layer) for layer in small.pixels.to(picture.device)]
    layers = cleaned(torch.stack([layer for _, layer in settled_]), picture)

    def place(i: int) -> _Other:
        edge = settled_[i][0]
        layer, soft, differs = spread_colors(layers[i])
        enlarge(layer, out[i])
        edges[i] = _nearest(edge, height, width)
        return _Other(soft, _nearest(differs, height, width))

    others = each(range(len(small)), place, out.device, part(progress, 0, 0.5), "enlarging the layers")
    edges[0] = False  # the bottom layer lies on nothing, so there are no two colours between which its alpha is

    def solve(rows: slice) -> None:
        _solve(out, rows, picture[rows], edges[:, rows], others)

    each_band(out, solve, part(progress, 0.5, 1), "solving alpha")
    return LayerStack(out, small.names)


def _nearest(mask: Tensor, height: int, width: int) -> Tensor:
    """A mask (h, w), bool, at a larger size."""
    y, x = (
        torch.arange(large, device=mask.device) * small // large
        for small, large in zip(mask.shape, (height, width), strict=True)
    )
    return mask[:, x][y]


def check_aspect(small: LayerStack, picture: Tensor) -> None:
    """QilError unless layers could be those of picture (H, W, C): models round sides, by up to an eighth."""
    height, width = picture.shape[:2]
    if not same_aspect((small.width, small.height), (width, height)):
        raise QilError(
            f"The layers are {small.width} x {small.height} and the picture {width} x {height} pixels: these are "
            "different aspects. Use the picture that the layers were made of."
        )


def spread_colors(layer: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The layer (h, w, 4) with pure colours where it is soft or clear; another choice of colours; where that counts.

    Pure colours are those of the nearest solid pixels, or a pixel's own inside wide soft parts. Where a solid part
    meets a wide soft one, as a card its shadow, the other choice, planes (1, 3, h, w), is the soft part's
    colour: bool (h, w).
    """
    colors, alpha = layer[..., :3].permute(2, 0, 1)[None], layer[..., 3][None, None]
    least, most = -F.max_pool2d(-alpha, 3, stride=1, padding=1), F.max_pool2d(alpha, 3, stride=1, padding=1)
    calm = ((CALM - (most - least)) / CALM_RAMP).clamp(0, 1) * (alpha > CLEAR)
    solid = ((least - SOLID) / SOLID_RAMP).clamp(0, 1)
    own, near = _spread(colors, alpha * calm, ((2, 1.0), (4, 1e-4)))
    pure, _ = _spread(colors, alpha**4, ((3, 1.0), (6, 1e-4)))
    pure = torch.lerp(pure, own, torch.where((alpha <= CLEAR) & (near > NEAR), 1.0, calm))
    soft, amount = _spread(colors, calm * (1 - alpha).clamp(min=0) ** 2, ((4, 1.0),))
    mixed = torch.lerp(pure, colors, solid)
    differs = (amount > FEW_SOFT) & ((soft - mixed).abs().amax(1, keepdim=True) > UNLIKE) & (alpha > CLEAR)
    stacked = torch.cat([mixed[0].permute(1, 2, 0), layer[..., 3:]], dim=-1)
    return stacked, soft, differs[0, 0]


def _spread(colors: Tensor, weight: Tensor, levels: tuple[tuple[int, float], ...]) -> tuple[Tensor, Tensor]:
    """Normalised blurs of planes (1, 3, h, w), of growing width and falling share; and the sum of their weights."""
    weighted = torch.cat([colors * weight, weight], 1)
    sums = weighted * TINY
    for radius, share in levels:
        sums += box_mean(weighted, radius) * share
    total = sums[:, 3:]
    return torch.where(total > TINY, sums[:, :3] / total.clamp(min=TINY), colors), total


def settled(layer: Tensor) -> tuple[Tensor, Tensor]:
    """Where an edge may be, bool (h, w), and the layer (h, w, 4) with an alpha that does not waver elsewhere.

    Lee's filter (1980) in windows of 5: deviations from the mean count as far as they exceed NOISE; where all of a
    window is nearly clear or nearly opaque, it is.
    """
    alpha = layer[..., 3][None, None]
    mean = box_mean(alpha, 2)
    variance = (box_mean(alpha * alpha, 2) - mean * mean).clamp(min=1e-12)
    calm = mean + (alpha - mean) * ((variance - NOISE**2) / variance).clamp(min=0)
    edge = ((mean > NOISE) & (mean < 1 - NOISE)).float()
    edge = F.max_pool2d(edge, 3, stride=1, padding=1) > 0
    calm = torch.where(edge, calm, mean.round())
    return edge[0, 0], torch.cat([layer[..., :3], calm[0, 0, ..., None]], dim=-1)


@dataclass(frozen=True)
class _Other:
    """Another choice of a layer's colours, planes (1, 3, h, w), and where it is one, bool (H, W)."""

    colors: Tensor
    where: Tensor

    def at(self, places: Tensor, layer: Tensor) -> _Choice:
        """The choice at places (P, 2), as row and column, where the layer's points (P, 4) are."""
        picks = self.where[places[:, 0], places[:, 1]].nonzero()[:, 0]
        scale = torch.tensor(self.where.shape, device=places.device)
        grid = ((places[picks] * 2 + 1) / scale - 1).flip(-1)
        colors = F.grid_sample(self.colors, grid[None, None], padding_mode="border", align_corners=False)
        return _Choice(picks, _solid(layer[picks]), _solid(colors[0, :, 0].T))


@dataclass(frozen=True)
class _Choice:
    """Two solid colours (Q, 4) for some points of a layer, picks (Q,)."""

    picks: Tensor
    one: Tensor
    other: Tensor

    def make(self, layer: Tensor, rest: Tensor, through: Tensor, under: Tensor, prior: Tensor) -> None:
        """Give the layer's points (P, 4), in place, the colours that fit better."""
        seen = [x[self.picks] for x in (rest, through, under, prior)]
        better = _fit(self.other, *seen)[1] < _fit(self.one, *seen)[1]
        layer[self.picks, :3] = torch.where(better[:, None], self.other, self.one)[:, :3]


def _solve(layers: Tensor, rows: slice, picture: Tensor, edges: Tensor, others: list[_Other]) -> None:
    """Alpha, and some colours, of rows of layers (N, H, W, 4) in place, where edges (N, h, W).

    Of picture (h, W, 4) alpha is a fourth colour: where all is opaque it adds nothing, elsewhere it tells most.
    """
    places = edges.any(0).nonzero()
    if not len(places):
        return
    y, x = places.unbind(-1)
    points, edges, picture = layers[:, rows][:, y, x], edges[:, y, x], premultiplied(picture[y, x])
    places = torch.stack([y + rows.start, x], -1)
    choices = [other.at(places, layer) for other, layer in zip(others, points, strict=True)]
    prior = points[..., 3].clone()
    for _ in range(ROUNDS):
        under = _underneath(points)
        for i in range(len(points) - 1, 0, -1):
            rest, through = _seen(points, i, under[i], picture)
            choices[i].make(points[i], rest, through, under[i], prior[i])
            solved, _ = _fit(points[i], rest, through, under[i], prior[i])
            points[i, ..., 3] = torch.where(edges[i], solved, prior[i])
    layers[:, rows][:, y, x] = points


def _underneath(layers: Tensor) -> list[Tensor]:
    """What one sees of the layers (N, P, 4) below each one, (P, 4), premultiplied."""
    seen = [torch.zeros_like(layers[0])]
    for layer in layers[:-1]:
        seen.append(torch.lerp(seen[-1], _solid(layer), layer[..., 3:]))
    return seen


def _solid(layer: Tensor) -> Tensor:
    """Colours (..., 3 or 4) at alpha 1."""
    return torch.cat([layer[..., :3], torch.ones_like(layer[..., :1])], dim=-1)


def _seen(layers: Tensor, i: int, under: Tensor, picture: Tensor) -> tuple[Tensor, Tensor]:
    """What layer i of (N, P, 4) changes in the picture (P, 4), given all others, and what those above it let pass."""
    rest, through = picture, torch.ones_like(picture[..., 3:])
    for layer in reversed(layers[i + 1 :]):
        rest = rest - through * premultiplied(layer)
        through = through * (1 - layer[..., 3:])
    return rest - through * under, through


def _fit(layer: Tensor, rest: Tensor, through: Tensor, under: Tensor, prior: Tensor) -> tuple[Tensor, Tensor]:
    """The alpha (P,) with which a layer's colours (P, 4) come nearest to rest, and what is left."""
    reach = through * (_solid(layer) - under)
    alpha = (((rest * reach).sum(-1) + PRIOR * prior) / (reach.square().sum(-1) + PRIOR)).clamp(0, 1)
    return alpha, (rest - alpha[..., None] * reach).square().sum(-1) + PRIOR * (alpha - prior).square()
