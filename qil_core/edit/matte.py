"""Alpha that survives an edit: what is solved for between a layer on a known background and the editor's answer.

The editor sees S = a0 F0 + (1 - a0) B and answers E = a F + (1 - a) B. B is known (a flat key colour, or the picture
behind the layer) and so is the old alpha a0. One equation a channel cannot give both F and a, so:

- Colours, given alpha, are those that explain E best in small windows: min sum |E - aF - (1 - a)B|^2, which is
  F = sum a (E - (1 - a)B) / sum a^2. Windows grow until there is something to see (pull-push: Gortler et al., 1996).
  So nothing of B is left in F, however small alpha is: that is the despill.
- The old alpha is kept wherever it explains E. That also keeps what is seen through: a half-clear panel in another
  colour could be another alpha as well, and nothing in E tells.
- What is soft over a wide stretch, as a shadow, is known again by its colour when it moves along.
- Elsewhere what is well inside of what differs from B counts as solid, colours are spread from there, and
  a = (E - B).(F - B) / |F - B|^2: the known-background equation of matting (Smith and Blinn, 1996). At an edge in front
  of a shadow both colours are solved for.

Everything here is float32 (h, w) or (h, w, 3), in [0, 1], at the size of the editor's answer.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..filters import FAINT, box_mean, spread

RIDGE = 0.02
"""Square of the alpha at which a pixel's own colour counts as much as its surroundings'."""

TONE = 10 / 255
"""Shifts of tone of all colours alike, up to this, are no edit: editors make them by themselves."""

CHANGE = 0.025
"""A colour that changed by less has not changed."""

WAVER = 0.015
"""What an answer may be off over many pixels, as seen with the backdrop: faint colours can be off by more."""

MOVED = 0.08
"""An answer that a layer's alpha explains to within this has the layer's alpha."""

RUINED = 0.3
"""Of an alpha that is wrong over such a share of itself, nothing is kept."""


class Tone(NamedTuple):
    """Shift of a layer's colours, offset + gain * colour, each (3,)."""

    offset: Tensor
    gain: Tensor

    def at(self, colors: Tensor) -> Tensor:
        """The shift of colours (..., 3), -TONE..TONE."""
        return (self.offset + self.gain * colors).clamp(-TONE, TONE)


class Cut(NamedTuple):
    """Alpha (h, w) of an answer, and where it is another one than before, 0..1 with soft borders, (h, w)."""

    alpha: Tensor
    moved: Tensor


class _Soft(NamedTuple):
    """A shadow's colour less the backdrop's, (h, w, 3), the alpha (h, w) it would have, and where just that is seen."""

    reach: Tensor
    alpha: Tensor
    there: Tensor


class _Pixels(NamedTuple):
    """An answer (h, w, 3), the alpha (h, w) that it may have, and what is behind it (h, w, 3)."""

    answer: Tensor
    alpha: Tensor
    backdrop: Tensor

    @property
    def own(self) -> Tensor:
        """What is not the backdrop's: premultiplied colours."""
        return self.answer - (1 - self.alpha[..., None]) * self.backdrop

    def colors(self, weight: Tensor) -> Tensor:
        """Smooth colours of the pixels with a weight (h, w)."""
        return spread(self.own * weight[..., None], weight * self.alpha).clamp(0, 1)

    def distance(self, colors: Tensor) -> Tensor:
        """How far the answer is from such colours with this alpha, in windows of 3: (h, w)."""
        rest = self.own - self.alpha[..., None] * colors
        return box_mean(rest.permute(2, 0, 1)[None], 1)[0].norm(dim=0)


def colors_behind(answer: Tensor, alpha: Tensor, backdrop: Tensor, edge: int = 2) -> Tensor:
    """Colours F (h, w, 3) of a subject with this alpha in front of backdrop (h, w, 3), everywhere, alpha 0 included.

    edge: how many pixels wide edges are.
    """
    seen = _Pixels(answer, alpha, backdrop)
    wide = wide_parts(alpha, edge)  # a shadow's colours are no card's, however near it is
    near = torch.where(wide[..., None], seen.colors(alpha * wide), seen.colors(alpha * ~wide))
    ridge = RIDGE * (1 - alpha[..., None])  # solid parts are what they are, to the last bit
    return ((seen.own * alpha[..., None] + ridge * near) / (alpha.square()[..., None] + ridge)).clamp(0, 1)


def wide_parts(alpha: Tensor, edge: int) -> Tensor:
    """What is soft or clear over a wide stretch, as a shadow, bool (h, w): not solid and no edge of something solid."""
    return (grown(alpha, edge) + grown(-alpha, edge) < 0.5) & (alpha <= 0.9)


def soft_blur(mask: Tensor, radius: int) -> Tensor:
    """Box means of (h, w)."""
    return box_mean(mask[None, None].float(), radius)[0, 0]


def grown(mask: Tensor, radius: int) -> Tensor:
    """Largest values of (h, w) within so many pixels along both axes."""
    rows = F.max_pool2d(mask[None, None].float(), (1, 2 * radius + 1), stride=1, padding=(0, radius))
    return F.max_pool2d(rows, (2 * radius + 1, 1), stride=1, padding=(radius, 0))[0, 0]


def tone_of(answer: Tensor, colors: Tensor, alpha: Tensor, backdrop: Tensor) -> Tone:
    """The shift that most of a layer's colours (h, w, 3) share in the answer; none when most of them changed more."""
    none = Tone(colors.new_zeros(3), colors.new_zeros(3))
    seen = alpha > 0.3 * alpha.max()
    weight, before = alpha[seen][:, None], colors[seen]
    shift = (answer - backdrop)[seen] / weight + backdrop[seen] - before
    middle = shift.median(dim=0).values
    same = (shift - middle).abs().amax(-1, keepdim=True) < 2 * CHANGE
    if bool((middle.abs() > TONE).any()) or float(same.float().mean()) < 0.4:
        return none
    weight = weight.square() * same
    weight = weight / weight.sum()
    mean, center = (weight * shift).sum(0), (weight * before).sum(0)
    covariance = (weight * (shift - mean) * (before - center)).sum(0)
    gain = covariance / ((weight * (before - center).square()).sum(0) + 1e-3)
    return Tone(mean - gain * center, gain)


def changed(answer: Tensor, colors: Tensor, alpha: Tensor, backdrop: Tensor) -> Tensor:
    """Where the subject's colours are not those (h, w, 3) it had: 0..1 with soft borders, (h, w).

    Compared are the colours that best explain windows of 5, which noise hardly moves. Faint pixels, of which one sees
    nothing, have changed where those beside them have.
    """
    rest = answer - backdrop - alpha[..., None] * (colors - backdrop)
    planes = torch.cat([rest * alpha[..., None], alpha.square()[..., None]], -1).permute(2, 0, 1)[None]
    window = box_mean(planes, 2)[0]
    amount = window[:3].abs().amax(0) / (window[3] + RIDGE)
    noise = (WAVER + 1.2 * _noise(rest, alpha)) * window[3].sqrt() / (window[3] + RIDGE)
    low = CHANGE + noise
    mask = _connected(amount > low, amount > 1.6 * low)
    if not bool(mask.any()):
        return torch.zeros_like(alpha)
    trust = (alpha / alpha.max() - 0.1).clamp(min=0).square()
    share = spread((mask * trust)[..., None], trust)[..., 0]
    return feathered(torch.maximum(share > 0.3, mask))


def feathered(mask: Tensor, radius: int = 2) -> Tensor:
    """A mask (h, w), grown by a pixel or two, with a soft border outside of that; 0 away from it."""
    return (1.02 * soft_blur(grown(mask, 2 * radius), radius)).clamp(0, 1)


def _noise(rest: Tensor, alpha: Tensor) -> float:
    """Standard deviation of what differs from pixel to pixel, where the layer is (Hampel's median deviation)."""
    planes = rest.permute(2, 0, 1)[None]
    fine = (planes - box_mean(planes, 1))[0].abs().amax(0)[alpha > 0.05]
    return float(fine.median()) if len(fine) else 0.0


def _connected(low: Tensor, high: Tensor) -> Tensor:
    """The connected parts of a mask that hold a pixel of another one, bool (h, w): hysteresis, as Canny's (1986)."""
    import cv2
    import numpy as np

    count, labels = cv2.connectedComponents(low.cpu().numpy().astype(np.uint8))
    found = np.zeros(count, bool)
    found[np.unique(labels[high.cpu().numpy() & low.cpu().numpy()])] = True
    found[0] = False
    return torch.from_numpy(found[labels]).to(low.device)


def cut_out(answer: Tensor, before: Tensor, alpha: Tensor, backdrop: Tensor, edge: int) -> Cut:
    """Alpha of the answer, given old colours and alpha and what lies behind. edge: how many pixels wide edges are.

    What is seen through keeps its alpha where the silhouette stays. Where it is new it has the colour of the layer's
    soft parts, or counts as solid: in front of one background nobody can tell a clear colour from a pale one.
    """
    seen = _Pixels(answer, alpha, backdrop)
    limit = MOVED + 3 * _typical((answer - backdrop).norm(dim=-1)[alpha <= 0])
    soft = _soft_parts(seen, before, limit, edge)
    surely = _unexplained(seen, before, limit, edge)
    off = (soft.there & (seen.distance(before) > limit / 3)) * (soft.alpha - alpha).abs()
    moved = grown(_connected(surely | (off > 0.04), surely | (off > 0.5)), edge + 1) > 0
    if not bool(moved.any()):
        return Cut(alpha, torch.zeros_like(alpha))
    if alpha[surely].sum() > RUINED * alpha.sum():
        moved = ~_surely_kept(seen, before, limit, edge)
    weight = feathered(moved, 1)
    return Cut(torch.lerp(alpha, _solved(seen, moved, soft, limit, edge), weight), weight)


def _surely_kept(seen: _Pixels, before: Tensor, limit: float, edge: int) -> Tensor:
    """Where the answer shows the old layer, and shows it plainly, or not far from there: bool (h, w)."""
    same = seen.distance(before) < limit / 2
    plain = seen.alpha * (before - seen.backdrop).norm(dim=-1) > 3 * limit
    return same & (grown(same & plain, 4 * edge) > 0) & (grown(plain & ~same, 4 * edge) == 0)


def _solved(seen: _Pixels, moved: Tensor, soft: _Soft, limit: float, edge: int) -> Tensor:
    """Alpha (h, w) where the old one is worth nothing, moved: bool (h, w)."""
    own = seen.answer - seen.backdrop
    difference = own.norm(dim=-1)
    hard = difference * ~soft.there
    inside = moved & (-grown(-(hard > limit).float(), edge) > 0)
    solid = inside | (moved & (hard > limit) & (hard >= 0.92 * grown(hard, 4 * edge)))
    known = torch.where(moved, solid.float(), seen.alpha)
    reach = colors_behind(seen.answer, known, seen.backdrop, edge) - seen.backdrop
    mixed = ((_coverage(own, reach, soft.reach) - 0.03) / 0.94).clamp(0, 1)  # noise is neither clear nor solid
    mixed = torch.where(grown(difference > limit / 2, 1) > 0, mixed, 0.0)
    return torch.where(soft.there, soft.alpha, torch.where(inside, 1.0, mixed))


def _soft_parts(seen: _Pixels, before: Tensor, limit: float, edge: int) -> _Soft:
    """Where the answer shows nothing but the colour of a layer's soft parts, which may have moved."""
    alpha = seen.alpha
    reach = _soft_color(seen, before, wide_parts(alpha, edge) & (alpha > 0.1), limit) - seen.backdrop
    found, there = _along(seen.answer - seen.backdrop, reach, limit)
    solid = alpha > 0.9
    if (there & (found < 0.8) & solid).sum() > 0.5 * solid.sum():  # no shadow takes the place of what casts it
        return _Soft(torch.zeros_like(reach), found, torch.zeros_like(there))
    return _Soft(reach, found, there)


def _soft_color(seen: _Pixels, before: Tensor, wide: Tensor, limit: float) -> Tensor:
    """The colour (h, w, 3), the same everywhere, of what is soft over a wide stretch; the backdrop's where nothing is.

    It tells a shadow that moved along with what casts it. It is the old one, or the one that the answer shows with the
    old alpha: whichever explains more of the answer.
    """
    if not bool(wide.any()):
        return seen.backdrop
    backdrop, answer = seen.backdrop[wide], seen.answer[wide]
    now = (seen.own[wide] / seen.alpha[wide][:, None]).median(dim=0).values.clamp(0, 1)
    was = before[wide].median(dim=0).values
    explained = [float(_along(answer - backdrop, color - backdrop, limit)[1].float().mean()) for color in (now, was)]
    color = now if explained[0] > explained[1] + 0.1 else was
    return color.expand_as(seen.backdrop)


def _along(own: Tensor, reach: Tensor, limit: float) -> tuple[Tensor, Tensor]:
    """How much of a colour's reach from the backdrop (..., 3) is in the answer's, 0..1, and whether just that is."""
    length = reach.square().sum(-1)
    share = ((own * reach).sum(-1) / length.clamp(min=1e-4)).clamp(0, 1)
    share = share * (share * length.sqrt() > limit / 2)
    return share, ((own - share[..., None] * reach).norm(dim=-1) < limit) & (length > 0.1)


def _coverage(own: Tensor, hard: Tensor, soft: Tensor) -> Tensor:
    """Alpha (h, w) of a mixture of two colours on the backdrop, as differences from it (h, w, 3): least squares."""
    first, second, both = hard.square().sum(-1), soft.square().sum(-1), (hard * soft).sum(-1)
    on_first, on_second = (own * hard).sum(-1), (own * soft).sum(-1)
    scale = (first * second - both.square()).clamp(min=1e-4)
    apart = first * second - both.square() > 0.05 * first * second
    rest = torch.where(apart, ((first * on_second - both * on_first) / scale).clamp(0, 1), 0.0)
    alone = (on_first - rest * both) / first.clamp(min=1e-4)
    return alone.clamp(min=0) + rest


def _typical(values: Tensor) -> float:
    """Three quarters of the values are below."""
    return float(values.kthvalue(max(1, round(0.75 * len(values)))).values) if len(values) else 0.0


def _unexplained(seen: _Pixels, before: Tensor, limit: float, edge: int) -> Tensor:
    """Where the old alpha gives the answer with no smooth colours, or only with those behind it: bool (h, w).

    Smooth colours are those of solid parts nearby, of what is soft over a wide stretch, as a shadow, or between.
    """
    alpha = seen.alpha
    gone = _gone(seen, before)
    wide = wide_parts(alpha, edge) & ~gone
    hard, soft = seen.colors(alpha * ~(gone | wide)), seen.colors(alpha * wide)
    hard = torch.where(((alpha > 0.98) & ~gone)[..., None], seen.own, hard)
    step = soft - hard
    share = ((seen.own - alpha[..., None] * hard) * step).sum(-1) / (alpha * step.square().sum(-1)).clamp(min=1e-4)
    mixed = hard + share.clamp(0, 1)[..., None] * step
    return gone | (torch.minimum(*(seen.distance(colors) for colors in (before, mixed))) > limit)


def _gone(seen: _Pixels, before: Tensor) -> Tensor:
    """Where windows of 5 show the backdrop in place of the old colours, bool (h, w): so faint hairs are missed too."""
    alpha = seen.alpha[..., None]
    planes = torch.cat(
        [(seen.answer - seen.backdrop) * alpha, (before - seen.backdrop) * alpha.square(), alpha.square()], -1
    )
    now, was, energy = box_mean(planes.permute(2, 0, 1)[None], 2)[0].split([3, 3, 1])
    tells = (energy[0] > 10 * FAINT) & (was.norm(dim=0) > 0.1 * energy[0])
    return (seen.alpha > 0) & tells & (now.norm(dim=0) < 0.25 * was.norm(dim=0))


def silhouette_overlap(alpha: Tensor, other: Tensor) -> float:
    """Intersection over union of two alphas (h, w), soft: sum of the lesser over sum of the larger."""
    return float(torch.minimum(alpha, other).sum() / torch.maximum(alpha, other).sum().clamp(min=1e-6))
