"""A layer is cut out again: alpha is solved for between its old alpha, the backdrop and the editor's answer.

One equation a channel, E = a F + (1 - a) B, cannot give both the colours F and alpha a, so:

1. The old alpha stays wherever it explains the answer (`_unexplained`). That also keeps what is seen through: a
   half-clear panel in another colour could be another alpha as well, and nothing in the answer says which.
2. What is soft over a wide stretch, as a shadow, is known again by its colour when it moves along (`_soft_parts`).
3. Elsewhere (`_solved`) what is well inside of what differs from B counts as solid, colours are spread from there, and
   a = (E - B).(F - B) / |F - B|^2: the known-background equation of matting (Smith and Blinn, 1996). At an edge in
   front of a shadow both colours are solved for (`_coverage`).

Everything here is float32 (h, w) or (h, w, 3), in [0, 1], at the size of the editor's answer. Figures at the constants
are changes of scores of the benchmark `editing`: errors of alpha, and of colours on white, of layers that an editor
turned and scaled.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..filters import FAINT, box_mean, grown
from ..progress import Progress, part, silent
from .changes import connected, feathered
from .colors import SOLID, Pixels, colors_behind, wide_parts

MOVED = 0.08
"""Distance of colours to within which a layer's alpha explains an answer. With half of it the error of alpha rises by
11 %; with twice as much it falls by 3 %, but more of what is faint stays behind."""

RUINED = 0.3
"""Where an alpha is wrong over such a share of itself, nothing is kept but what is surely the old layer. Never: the
error on white rises by 7 %; always: by 2 %."""

NOISE_WEIGHT = 3
"""How many times the typical distance of an answer from its backdrop, where the layer was clear, is added to MOVED.
Without that the error of alpha rises by 11 %."""

TYPICAL = 0.75
"""The quantile of such distances that is called typical."""

SOFT_SHIFT, SURE_SOFT_SHIFT = 0.04, 0.5
"""A change of a soft part's alpha by more than the first is a move where, in one piece with it, one is more than the
second: noise never is. Without soft parts' own moves the error of alpha rises by 7 %."""

LEAST_SOFT_ALPHA = 0.1
"""Alpha from which on a soft part tells its colour."""

SHADOW_ALPHA, SHADOW_SHARE = 0.8, 0.5
"""A shadow's colour that would make more than this share of a solid layer clearer than this alpha is no shadow's."""

BETTER = 0.1
"""Share of the answer's soft parts by which a new colour must explain more than the old one to be taken."""

PLAIN = 3
"""A pixel that differs from the backdrop by so many limits tells plainly whether the old layer is still there."""

PEAK = 0.92
"""Next to an edge, a pixel that differs from the backdrop nearly as much as the most different one nearby is solid."""

NEARBY = 4
"""How many edges' widths away "nearby" is."""

NOISE_MARGIN = 0.03
"""Solved alpha within so much of 0 or 1 is 0 or 1: noise is neither clear nor solid."""

SHORT = 0.1
"""Squared distance of a soft part's colour from the backdrop below which it cannot be told from it."""

APART = 0.05
"""Squared sine of the angle between two colours' directions from the backdrop above which both are solved for."""

SOLID_OF_OLD = 0.98
"""Old alpha above which a pixel's own colour is the solid part's colour."""

LEFT_OF_GONE = 0.25
"""Where less than this share of the old difference from the backdrop is seen, the old layer is gone."""

TELLING = 0.1
"""Least distance of the old colours from the backdrop where their absence says something."""


class Cut(NamedTuple):
    """Alpha (h, w) of an answer, and where it is another one than before, 0..1 with soft borders, (h, w)."""

    alpha: Tensor
    moved: Tensor


class _Soft(NamedTuple):
    """A shadow's colour less the backdrop's, (h, w, 3), the alpha (h, w) it would have, and where just that is seen."""

    reach: Tensor
    alpha: Tensor
    there: Tensor


def cut_out(
    answer: Tensor, before: Tensor, alpha: Tensor, backdrop: Tensor, edge: int, progress: Progress = silent
) -> Cut:
    """Alpha of the answer, given old colours and alpha and what lies behind. edge: how many pixels wide edges are.

    What is seen through keeps its alpha where the silhouette stays. Where it is new it has the colour of the layer's
    soft parts, or counts as solid: in front of one background nobody can tell a clear colour from a pale one.
    """
    seen = Pixels(answer, alpha, backdrop)
    limit = MOVED + NOISE_WEIGHT * _typical((answer - backdrop).norm(dim=-1)[alpha <= 0])
    progress(0, "looking for soft parts")
    soft = _soft_parts(seen, before, limit, edge)
    surely = _unexplained(seen, before, limit, edge, part(progress, 0.1, 0.5))
    off = (soft.there & (seen.distance(before) > limit / 3)) * (soft.alpha - alpha).abs()
    moved = grown(connected(surely | (off > SOFT_SHIFT), surely | (off > SURE_SOFT_SHIFT)), edge) > 0
    if not bool(moved.any()):
        return Cut(alpha, torch.zeros_like(alpha))
    progress(0.5, "looking for what stays")
    if alpha[surely].sum() > RUINED * alpha.sum():
        moved = ~_surely_kept(seen, before, limit, edge)
    weight = feathered(moved, 1)
    solved = _solved(seen, moved, soft, limit, edge, part(progress, 0.55, 0.95))
    return Cut(torch.lerp(alpha, solved, weight), weight)


def _surely_kept(seen: Pixels, before: Tensor, limit: float, edge: int) -> Tensor:
    """Where the answer shows the old layer, and shows it plainly, or not far from there: bool (h, w)."""
    same = seen.distance(before) < limit / 2
    plain = seen.alpha * (before - seen.backdrop).norm(dim=-1) > PLAIN * limit
    return same & (grown(same & plain, NEARBY * edge) > 0)


def _solved(seen: Pixels, moved: Tensor, soft: _Soft, limit: float, edge: int, progress: Progress) -> Tensor:
    """Alpha (h, w) where the old one is worth nothing, moved: bool (h, w)."""
    own = seen.answer - seen.backdrop
    difference = own.norm(dim=-1)
    hard = difference * ~soft.there
    inside = moved & (-grown(-(hard > limit).float(), edge) > 0)
    solid = inside | (moved & (hard > limit) & (hard >= PEAK * grown(hard, NEARBY * edge)))
    known = torch.where(moved, solid.float(), seen.alpha)
    reach = colors_behind(seen.answer, known, seen.backdrop, edge, progress) - seen.backdrop
    progress(1, "solving alpha")
    coverage = _coverage(own, reach, soft.reach)
    mixed = ((coverage - NOISE_MARGIN) / (1 - 2 * NOISE_MARGIN)).clamp(0, 1)
    mixed = torch.where(grown(difference > limit / 2, 1) > 0, mixed, 0.0)
    return torch.where(soft.there, soft.alpha, torch.where(inside, 1.0, mixed))


def _soft_parts(seen: Pixels, before: Tensor, limit: float, edge: int) -> _Soft:
    """Where the answer shows nothing but the colour of a layer's soft parts, which may have moved."""
    alpha = seen.alpha
    reach = _soft_color(seen, before, wide_parts(alpha, edge) & (alpha > LEAST_SOFT_ALPHA), limit) - seen.backdrop
    found, there = _along(seen.answer - seen.backdrop, reach, limit)
    solid = alpha > SOLID
    taken = there & (found < SHADOW_ALPHA) & solid
    if taken.sum() > SHADOW_SHARE * solid.sum():  # no shadow takes the place of what casts it
        return _Soft(torch.zeros_like(reach), found, torch.zeros_like(there))
    return _Soft(reach, found, there)


def _soft_color(seen: Pixels, before: Tensor, wide: Tensor, limit: float) -> Tensor:
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
    color = now if explained[0] > explained[1] + BETTER else was
    return color.expand_as(seen.backdrop)


def _along(own: Tensor, reach: Tensor, limit: float) -> tuple[Tensor, Tensor]:
    """How much of a colour's reach from the backdrop (..., 3) is in the answer's, 0..1, and whether just that is."""
    length = reach.square().sum(-1)
    share = ((own * reach).sum(-1) / length.clamp(min=1e-4)).clamp(0, 1)
    share = share * (share * length.sqrt() > limit / 2)
    return share, ((own - share[..., None] * reach).norm(dim=-1) < limit) & (length > SHORT)


def _coverage(own: Tensor, hard: Tensor, soft: Tensor) -> Tensor:
    """Alpha (h, w) of a mixture of two colours on the backdrop, as differences from it (h, w, 3): least squares."""
    first, second, both = hard.square().sum(-1), soft.square().sum(-1), (hard * soft).sum(-1)
    on_first, on_second = (own * hard).sum(-1), (own * soft).sum(-1)
    scale = (first * second - both.square()).clamp(min=1e-4)
    apart = first * second - both.square() > APART * first * second
    second_share = torch.where(apart, ((first * on_second - both * on_first) / scale).clamp(0, 1), 0.0)
    alone = (on_first - second_share * both) / first.clamp(min=1e-4)
    return alone.clamp(min=0) + second_share


def _typical(values: Tensor) -> float:
    """The value below which the share TYPICAL of them lies; 0 when there is none."""
    return float(values.kthvalue(max(1, round(TYPICAL * len(values)))).values) if len(values) else 0.0


def _unexplained(seen: Pixels, before: Tensor, limit: float, edge: int, progress: Progress) -> Tensor:
    """Where the old alpha gives the answer with no smooth colours, or only with those behind it: bool (h, w).

    Smooth colours are those of solid parts nearby, of what is soft over a wide stretch, as a shadow, or between.
    """
    progress(0, "looking for what is gone")
    gone = _gone(seen, before)
    progress(0.3, "explaining the answer by the old alpha")
    colors = _explaining(seen, gone, edge, progress)
    progress(0.8, "explaining the answer by the old alpha")
    return gone | (torch.minimum(seen.distance(before), seen.distance(colors)) > limit)


def _explaining(seen: Pixels, gone: Tensor, edge: int, progress: Progress) -> Tensor:
    """The smooth colours (h, w, 3) that come nearest to the answer with the old alpha."""
    alpha = seen.alpha
    wide = wide_parts(alpha, edge) & ~gone
    progress(0.4, "explaining the answer by the old alpha")
    hard = seen.colors(alpha * ~(gone | wide))
    hard = torch.where(((alpha > SOLID_OF_OLD) & ~gone)[..., None], seen.own, hard)
    progress(0.6, "explaining the answer by the old alpha")
    soft = seen.colors(alpha * wide) if bool((alpha * wide > 0).any()) else torch.zeros_like(hard)
    step = soft - hard
    share = ((seen.own - alpha[..., None] * hard) * step).sum(-1) / (alpha * step.square().sum(-1)).clamp(min=1e-4)
    return hard + share.clamp(0, 1)[..., None] * step


def _gone(seen: Pixels, before: Tensor) -> Tensor:
    """Where windows of 5 show the backdrop in place of the old colours, bool (h, w): so faint hairs are missed too."""
    alpha = seen.alpha[..., None]
    planes = torch.cat(
        [(seen.answer - seen.backdrop) * alpha, (before - seen.backdrop) * alpha.square(), alpha.square()], -1
    )
    now, was, energy = box_mean(planes.permute(2, 0, 1)[None], 2)[0].split([3, 3, 1])
    tells = (energy[0] > 10 * FAINT) & (was.norm(dim=0) > TELLING * energy[0])
    return (seen.alpha > 0) & tells & (now.norm(dim=0) < LEFT_OF_GONE * was.norm(dim=0))


def silhouette_overlap(alpha: Tensor, other: Tensor) -> float:
    """Intersection over union of two alphas (h, w), soft: sum of the lesser over sum of the larger."""
    return float(torch.minimum(alpha, other).sum() / torch.maximum(alpha, other).sum().clamp(min=1e-6))
