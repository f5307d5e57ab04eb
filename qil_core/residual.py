"""Where the difference between a stack and its picture goes: mostly to the uppermost layer that is seen there.

A residual that is written into a lower layer stays behind as an outline when the upper one is moved. One that is
written into the upper layer goes with it as a fringe. Which of the two is at fault is estimated from what is known of
their errors (empirical Bayes). From the top layer down, for every pixel that is off:

1. The layers below show b, the layer's own colour and alpha are F and a0, and d must be seen (b and d premultiplied).
   With premultiplied colour p and alpha a, the layers below must show (d - p) / (1 - a), which is b and a change t.
2. `ground_variance`: V_below, how far what lies below may be off: the spread of the differences from the picture where
   the bottom layer alone is seen, which is its noise or the texture that it leaves out; or its own texture, where that
   is rougher, as what is hidden of a texture can only be guessed. It is read from the mean of their roots, to which a
   few large ones add little: those are things that no layer shows.
3. `_own_variance`: V_own, how far the layer may be off. At the least a^2 V_below; where the residual of a0 F over b is
   larger than noise of what lies below explains, the layer must be off by that much, as its edge is not quite right.
4. `_solved`: the most likely p and a minimise

       |t|^2 V_own / V_below  +  VISIBLE max(|t| - u, 0)^2  +  |p - a F|^2  +  (a - a0)^2,

   with p between 0 and a in every channel. The first term is the trace that is seen below when the layer is moved
   away, the second what of it is plainly seen: more than u, which is UNSEEN or two standard deviations of what lies
   below. The third is the fringe that goes with the layer, the fourth the change of its shape. For a given a, p is a
   mean of what is exact and of a F, kept where t is up to u and all colours are in range. A few values of a are tried:
   none, a0, the one of matting (d between b and F: Smith and Blinn, 1996), the least one with which t is up to u, and
   steps from matting's to the least one at which a colour in range leaves no trace.
5. `_passed_on`: the next layer must show b + t. A change that rounding explains is not passed on, since dividing by
   1 - a would make it large.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .composite import composite, premultiplied
from .filters import box_mean, grown
from .stack import GRID, LayerStack, quantize

STEP = (1 / GRID) ** 2
"""Variance of what lies below at the least: one step of the 8-bit grid, squared."""

MISFIT = 4.0
"""What the ground explains of a squared residual, in variances: two standard deviations. With 1 the colours in soft
edges of noisy layers are off by half as much again; with 9 the traces on four pictures grow by half a point."""

REACH = 4
"""Pixels around a layer in which it may take a residual: anti-aliased edges and their blur end within."""

TEXTURE_PX = 2
"""Half the side of the square, in pixels, from whose mean a texture differs. With 8, edges of things in the bottom
layer count too, and traces around layers of four illustrations grow by 2 to 4 points instead of 0.2 to 1.2."""

TEXTURE_RADIUS = 16
"""Half the side of the square, in pixels, in which the variance of the ground is measured."""

ROUNDING = 0.5 / GRID + 1e-6
"""Half a step of the 8-bit grid: a smaller difference is rounding."""

THIN = 0.05
"""Alpha under which a layer's colour may be noise: there the colour of the layer's solid pixels nearby is taken."""

UNSEEN = 8 / GRID
"""Difference from an even ground, in 0..1, that hardly anybody sees: traces of 10/255 and more are counted."""

VISIBLE = 10_000.0
"""Weight of what a trace has more than that: 3/255 more are worth an alpha of 1."""

ROOT_TO_SIGMA = 0.82
"""Mean root of the absolute value of a normal variable, over the root of its standard deviation."""

STEPS = (0.0, 0.125, 0.25, 0.5, 0.75, 1.0)
"""Where between matting's alpha and the least exact one others are tried."""

MISSED = 1e4
"""Weight of what no colour of the layers below can make up for: nearly forbidden, as exactness goes before all."""

TINY = 1e-6


def ground_variance(stack: LayerStack, target: Tensor) -> Tensor:
    """V_below (H, W) of a stack and its picture (H, W, 4): the variance of colours in 0..1, mean of channels.

    It is a mean over squares around each pixel, of places where more than half of the bottom layer is seen and no edge
    is near; where there are none, over the whole picture.
    """
    edges, through = torch.zeros_like(target[..., 3], dtype=torch.bool), torch.ones_like(target[..., 3])
    for alpha in stack.pixels[1:, ..., 3]:
        solid = (alpha > 0.5).float()
        edges |= (grown(solid, REACH) > 0) & (grown(1 - solid, REACH) > 0)
        through *= 1 - alpha
    plain = ((through > 0.5) & ~edges).float()
    squares = (premultiplied(composite(stack)) - premultiplied(target))[..., :3].square().mean(-1)
    squares = torch.maximum(squares, _texture(stack.pixels[0, ..., :3]))
    planes = torch.stack([squares.sqrt().sqrt() * plain, plain])[None]
    near = box_mean(planes, TEXTURE_RADIUS) + 1e-3 * planes.mean((2, 3), keepdim=True)
    return STEP + (near[0, 0] / near[0, 1].clamp(min=TINY)) ** 4 / ROOT_TO_SIGMA**4


def _texture(colors: Tensor) -> Tensor:
    """How rough colours (H, W, 3) are, (H, W): the squared difference from their surroundings, mean of channels."""
    planes = colors.movedim(-1, 0)[None]
    return (planes - box_mean(planes, TEXTURE_PX))[0].square().mean(0)


def given_upward(pixels: Tensor, target: Tensor, variance: Tensor, inner: slice) -> Tensor:
    """The rows `inner` of layers (N, h, W, 4) on the 8-bit grid, their residual given to the uppermost layer there.

    target: (h, W, 4). variance: (h, W), of `ground_variance`. The rows around the inner ones, REACH of them where there
    are as many, say what is near.
    """
    layers, wanted = quantize(pixels[:, inner]), premultiplied(target[inner])
    shown = premultiplied(composite(LayerStack(layers, ("",) * len(layers))))
    y, x = ((wanted - shown).abs_().amax(-1) > ROUNDING).nonzero().unbind(-1)
    if not len(y):
        return layers
    asked, variance, points = wanted[y, x], variance[inner][y, x], layers[:, y, x]
    below = _below(points)
    for i in range(len(pixels) - 1, 0, -1):
        at, hides, own = _neighbourhood(pixels[i], y + inner.start, x)
        under, asked_here = below[i, at], asked[at]
        hides &= asked_here[:, 3] >= 1
        taken = quantize(asked_here)
        taken[~hides] = _solved(asked_here[~hides], under[~hides], own[~hides], variance[at][~hides])
        points[i, at] = taken
        asked[at] = _passed_on(asked_here, taken, under)
    points[0] = quantize(_straight(asked))
    layers[:, y, x] = points
    return layers


def _below(points: Tensor) -> Tensor:
    """What is seen, (N, P, 4) premultiplied, of the layers below each one of (N, P, 4)."""
    shown = [torch.zeros_like(points[0])]
    for layer in points[:-1]:
        shown.append(premultiplied(layer) + (1 - layer[..., 3:]) * shown[-1])
    return torch.stack(shown)


def _neighbourhood(layer: Tensor, y: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Which of the points (P,) in a layer (h, W, 4) may take a residual: indices (K,). Of these, bool (K,), which lie
    where the layer hides all, and (K, 4) the layer's colour F and alpha a0.

    Where the layer is thin, its colour is that of its solid pixels nearby.
    """
    columns = layer[..., 3].amax(0).nonzero()[:, 0]
    if not len(columns):
        return columns, columns > 0, layer[0, columns]
    left, right = max(int(columns[0]) - REACH, 0), int(columns[-1]) + REACH + 1
    layer = layer[:, left:right]
    alpha = layer[..., 3]
    near = (grown(alpha, REACH) > 0.5) | (alpha > 0)
    at = ((x >= left) & (x < right)).nonzero()[:, 0]
    at = at[near[y[at], x[at] - left]]
    place = y[at], x[at] - left
    trust = alpha.square().square()
    sums = box_mean(torch.cat([layer[..., :3] * trust[..., None], trust[..., None]], -1).permute(2, 0, 1)[None], REACH)
    total, own = sums[0, 3][place][:, None], layer[place]
    thin = (own[:, 3:] < THIN) & (total > TINY)
    pure = torch.where(thin, sums[0, :3].movedim(0, -1)[place] / total.clamp(min=TINY), own[:, :3])
    return at, (grown(1 - alpha, REACH) <= 0)[place], torch.cat([pure, own[:, 3:]], -1)


def _solved(asked: Tensor, under: Tensor, own: Tensor, variance: Tensor) -> Tensor:
    """Straight colours and alpha (P, 4) on the 8-bit grid, the best of a few alphas (step 4).

    asked, under: premultiplied (P, 4). own: the layer's straight colours and alpha (P, 4). variance: V_below (P,).
    """
    weight = (_own_variance(asked, under, own, variance) / variance)[:, None]
    unseen = (MISFIT * variance).sqrt().clamp(min=UNSEEN)[:, None]
    best, least = own, torch.full_like(variance, float("inf"))
    ceiling = (asked[:, 3] * GRID + 1e-3).floor() / GRID
    for alpha in _alphas(asked[:, :3], under[:, :3], own, unseen):
        alpha = torch.minimum(quantize(alpha), ceiling)
        tried, cost = _at_alpha(alpha[:, None], asked, under, own, weight, unseen)
        better = cost < least
        best, least = torch.where(better[:, None], tried, best), torch.where(better, cost, least)
    return best


def _own_variance(asked: Tensor, under: Tensor, own: Tensor, variance: Tensor) -> Tensor:
    """V_own (P,): how far the layer itself may be off, given the residual of its own colour and alpha (step 3)."""
    alpha = own[:, 3]
    residual = asked[:, :3] - alpha[:, None] * own[:, :3] - (1 - alpha[:, None]) * under[:, :3]
    unexplained = residual.square().mean(-1) - MISFIT * (1 - alpha).square() * variance
    return torch.maximum(alpha.square() * variance, unexplained)


def _alphas(asked: Tensor, under: Tensor, own: Tensor, unseen: Tensor) -> list[Tensor]:
    """Values of alpha (P,) that are tried, for colours asked and under (P, 3) and a layer's own pixels (P, 4).

    unseen: u (P, 1).
    """
    difference, reach = asked - under, own[:, :3] - under
    matting = (difference * reach).sum(-1) + own[:, 3] * STEP
    matting = (matting / (reach.square().sum(-1) + STEP)).clamp(0, 1)
    exact = _next_step(torch.maximum(_least_alpha(asked, under), matting))
    nearly = _next_step(_least_alpha(asked, under + difference.clamp(-unseen, unseen)))
    return [torch.zeros_like(matting), own[:, 3], nearly, *(torch.lerp(matting, exact, step) for step in STEPS)]


def _next_step(alpha: Tensor) -> Tensor:
    """The next value of the 8-bit grid that is not smaller; rounding of float32 aside."""
    return (alpha * GRID - 1e-3).ceil() / GRID


def _least_alpha(asked: Tensor, under: Tensor) -> Tensor:
    """The least alpha (P,) with which a colour in range makes `under` look as asked (P, 3)."""
    difference = asked - under
    room = torch.where(difference < 0, under, 1 - under).clamp(min=1e-4)
    return (difference.abs() / room).amax(-1).clamp(max=1)


def _at_alpha(
    alpha: Tensor, asked: Tensor, under: Tensor, own: Tensor, weight: Tensor, unseen: Tensor
) -> tuple[Tensor, Tensor]:
    """The best pixels (P, 4) with an alpha (P, 1), straight and on the 8-bit grid, and what they cost (P,).

    weight: V_own / V_below (P, 1). unseen: u (P, 1).
    """
    through = 1 - alpha
    fringeless, traceless = alpha * own[:, :3], asked[:, :3] - through * under[:, :3]
    share = weight / (weight + through.square())
    least, most = asked[:, :3] - (asked[:, 3:] - alpha), asked[:, :3]  # with these the layers below show 1 and 0
    best = torch.lerp(fringeless, traceless, share)
    best = best.clamp(traceless - through * unseen, traceless + through * unseen).maximum(least).minimum(most)
    colors = quantize((best / alpha.clamp(min=TINY)).clamp(0, 1))
    pixels = torch.cat([colors, alpha], -1)
    change = _passed_on(asked, pixels, under) - under
    missed = asked - premultiplied(pixels) - through * (under + change)
    missed = torch.where(missed.abs() > ROUNDING, missed, 0)
    cost = (weight * change.square()).sum(-1) + (alpha * colors - fringeless).square().sum(-1)
    excess = (change[:, :3].abs() - unseen).clamp(min=0)
    cost = (
        cost
        + VISIBLE * excess.square().sum(-1)
        + (alpha - own[:, 3:])[:, 0].square()
        + MISSED * missed.square().sum(-1)
    )
    return pixels, cost


def _passed_on(asked: Tensor, pixels: Tensor, under: Tensor) -> Tensor:
    """What the layers below must show (P, 4), premultiplied, if pixels (P, 4) lie on them and `asked` is to be seen."""
    left, through = asked - premultiplied(pixels), 1 - pixels[:, 3:]
    rounding = ((left - through * under).abs() <= ROUNDING).all(-1, keepdim=True)
    below = (left / through.clamp(min=1 / GRID)).clamp(0, 1)
    below = torch.cat([torch.minimum(below[:, :3], below[:, 3:]), below[:, 3:]], -1)
    return torch.where(rounding | (through <= 0), under, below)


def _straight(pixels: Tensor) -> Tensor:
    """Straight colours of premultiplied pixels (P, 4), divided by the alpha that they get on the 8-bit grid."""
    alpha = quantize(pixels[:, 3:])
    return torch.cat([(pixels[:, :3] / alpha.clamp(min=1 / GRID)).clamp(0, 1), alpha], -1)
