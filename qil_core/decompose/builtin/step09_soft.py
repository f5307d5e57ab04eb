"""Step 9, soft things: shadows and glows, which darken or lighten the background without an edge of their own.

1. `_pieces`: connected pieces of background that differ from its model, faint tails included.
2. `_of_one_color`: the parts of a piece that one colour explains each (see `lines`).
3. `_by_owner`: what is strongest beside a unit is cast by it, and goes into its layer; else it stands alone.
4. `_soft`: its colour, and its alpha as the place on the line from background to that colour. What is not smooth or
   does not fade out (see `softness`) is none.
5. `_carried`: its alpha is carried on smoothly under the unit that casts it, and under what may lie upon it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...progress import Progress, part, silent
from .fill import nearest_label, smooth_fill
from .lines import along, by_color
from .shapes import box_around, grown
from .softness import MAX_CORRELATION, MAX_CORRELATION_ALONE, falls_off, is_soft
from .step03_ground import Background
from .units import GLOW, Units
from .working import Floats, Labels, Mask, Tolerance, Working, reported, strongest

MIN_SHARE = 0.0008
"""Share of the picture that a shadow or glow must cover."""

MAX_COVERED = 0.7
"""Share of the picture up to which a background may be covered: one that is hardly seen explains no scenery."""

UNIT_ALPHA = 0.04
"""Alpha above which a pixel belongs to a glow that stands alone; also what a glow's strongest part must reach."""

MAX_PIECES = 8
"""How many pieces are looked at, the largest first, and how many shadows and glows are kept."""

MAX_COLORS = 3
"""How many shadows and glows may run into each other in one piece."""

CHANGED = Tolerance(4, 2.5)
"""How far a pixel must be from the background's model to be changed."""

CHANGED_OPENING_PX = 2
"""Changed pixels count where a square of this radius fits: edges are thinner."""

TAIL = 40
"""Pieces are enlarged by this part (a fortieth) of the picture's longer side, so that faint tails belong to them."""

MIN_TAIL_PX = 4
"""The same length in working pixels, at the least."""

STRONG = Tolerance(12, 4)
"""How far a pixel must be from the background's model to say what colour a glow has.

Of shadows and glows of `benchmarks.scenes` the strongest pixels are 14/255 off and more; the ringing and the uneven
ground around letters that have none are up to 8/255 off.
"""

ON_LINE = Tolerance(6, 3)
"""How far a pixel may be off the line from the background to the glow's colour."""

STRONGEST = 0.7
"""Where a glow is strongest: at this share of the strength that 98 % of its pixels stay below."""

BESIDE = 60
"""Beside a unit is what is within this part (a sixtieth) of the picture's longer side."""

MIN_BESIDE_PX = 5
"""The same length in working pixels, at the least."""

MIN_STRONGEST_BESIDE = 0.5
"""Share of where it is strongest that must be beside units for one of them to cast it."""

EDGE_PX = 2
"""How far beside a unit, in working pixels, its blurred edge hides the glow."""

CAST_ALPHA = 0.6
"""Alpha assumed where a glow is strongest beside what casts it: its colour and alpha are not known apart."""

ALONE_ALPHA = 0.9
"""Alpha assumed where a glow that stands alone is strongest, in its own middle."""

STRONGEST_SHARE = 0.05
"""Share of a glow's pixels, the strongest, from which its colour is read."""

STRAIGHT_DOWN = 0.985
"""Cosine between a change and the way to black above which the thing is a shadow, and its colour black."""

NOISE_TO_CALM = 0.3
"""Noise, in 1/255, above which the picture is blurred to find shadows and glows in it."""

CALM_BLUR_PX = 2.5
"""Standard deviation of that blur in working pixels: what is softer is a shadow or glow."""


@dataclass(frozen=True)
class Soft:
    """A shadow or glow. alpha: (h, w) in 0..1. color: (3,) in 0..255. alone: nothing casts it, it is a layer itself.

    pixel: row and column of a pixel of the unit that it belongs to, whatever number that has. carried: (h, w), its
    alpha also under the units beside it, for those that lie upon it.
    """

    alpha: Floats
    color: Floats
    alone: bool
    pixel: tuple[int, int]
    carried: Floats

    def under(self, upper: Mask) -> Floats:
        """Its alpha (h, w) where also units (a mask) lie upon it."""
        return np.where(upper, np.maximum(self.alpha, self.carried), self.alpha)


def calmed(work: Working, labels: Labels) -> Working:
    """The working copy without most of its noise, blurred within each of the areas of a map (h, w), never across.

    White noise of standard deviation s has s / (2 sqrt(pi) sigma) after a Gaussian blur.
    """
    import cv2

    if work.noise <= NOISE_TO_CALM:
        return work
    out, sizes = work.rgba.copy(), np.bincount(labels.ravel())
    for unit in np.flatnonzero(sizes > MIN_SHARE * labels.size):
        box = box_around(labels == unit, 0)
        own = labels[box] == unit
        weight = cv2.GaussianBlur(own.astype(np.float32), (0, 0), CALM_BLUR_PX)
        sums = cv2.GaussianBlur(work.rgba[box] * own[..., None].astype(np.float32), (0, 0), CALM_BLUR_PX)
        out[box][own] = (sums / np.maximum(weight, 1e-6)[..., None])[own]
    return replace(work, rgba=out, noise=work.noise / (2 * float(np.sqrt(np.pi)) * CALM_BLUR_PX))


def find_softs(work: Working, background: Background, labels: Labels, progress: Progress = silent) -> list[Soft]:
    """Shadows and glows around the regions of a map (h, w), the largest first; only before one with a formula."""
    if not background.has_formula or background.front.mean() > MAX_COVERED:
        return []
    change = work.rgba[..., :3] - background.model
    owned: list[tuple[int, Mask]] = []
    pieces = list(_pieces(work, change, labels))
    for number, piece in enumerate(pieces):
        share = part(progress, 0.6 * number / len(pieces), 0.6 * (number + 1) / len(pieces))
        for area in _of_one_color(change, background, piece, work, share):
            owned += _by_owner(change, labels, area)
    owned = sorted((o for o in owned if o[1].mean() > MIN_SHARE), key=lambda o: -int(o[1].sum()))[:MAX_PIECES]
    each = reported(owned, part(progress, 0.6, 1), "measuring shadows and glows")
    softs = [_soft(work, background, change, labels, owner, area) for owner, area in each]
    return [soft for soft in softs if soft is not None]


def with_softs(units: Units, softs: Sequence[Soft]) -> Units:
    """The units, and one for each shadow or glow that stands alone."""
    numbers = np.zeros_like(units.labels)
    for number, soft in enumerate((soft for soft in softs if soft.alone), 1):
        numbers[soft.alpha > UNIT_ALPHA] = number
    return units.with_more(numbers, GLOW)


def without_softs(units: Units, softs: Sequence[Soft]) -> Units:
    """The same units without the pixels that only a shadow or glow covers."""
    labels = units.labels.copy()
    for soft in softs:
        if soft.alone:
            labels[(soft.alpha > UNIT_ALPHA) & (labels == labels[soft.pixel])] = 0
    return replace(units, labels=labels)


def _pieces(work: Working, change: Floats, labels: Labels) -> Iterator[Mask]:
    """Connected pieces of background that differ from it by more than an edge's width, faint tails included."""
    import cv2

    free = labels == 0
    changed = (free & (strongest(change) > CHANGED.at(work.noise))).astype(np.uint8)
    side = 2 * CHANGED_OPENING_PX + 1
    core = cv2.morphologyEx(changed, cv2.MORPH_OPEN, np.ones((side, side), np.uint8)) > 0
    with_tails = _reach(core) & free
    count, pieces = cv2.connectedComponents(with_tails.astype(np.uint8), connectivity=8)
    sizes = np.bincount(pieces.ravel(), minlength=count)
    sizes[0] = 0
    for k in np.argsort(-sizes, kind="stable")[:MAX_PIECES]:
        if sizes[k] > MIN_SHARE * pieces.size:
            yield pieces == k


def _of_one_color(
    change: Floats, background: Background, piece: Mask, work: Working, progress: Progress
) -> Iterator[Mask]:
    """The parts of a piece that one colour explains each; faint pixels go with the nearest strong ones."""
    progress(0, "looking for shadows and glows")
    strong = piece & (strongest(change) > STRONG.at(work.noise))
    numbers = np.zeros(piece.shape, np.int32)
    least, tolerance = MIN_SHARE * piece.size / 2, ON_LINE.at(work.noise)
    numbers[strong] = by_color(change[strong], background.model[strong], tolerance, MAX_COLORS, least, progress)
    if not numbers.any():
        return
    closest = nearest_label(numbers)
    for number in range(1, int(numbers.max()) + 1):
        progress(1, "looking for shadows and glows")
        yield piece & (closest == number)


def _by_owner(change: Floats, labels: Labels, area: Mask) -> Iterator[tuple[int, Mask]]:
    """Parts of an area by what casts them: the nearest unit where it is strongest beside units, else none (0).

    A part that does not fall off from its unit belongs to the unit of the largest part: letters cast no shadow of the
    card that they stand on.
    """
    strength = strongest(change) * area
    at_peak = area & (strength > STRONGEST * np.quantile(strength[area], 0.98))
    beside = grown(labels > 0, max(MIN_BESIDE_PX, max(labels.shape) // BESIDE))
    if not (labels > 0).any() or beside[at_peak].mean() < MIN_STRONGEST_BESIDE:
        yield 0, area
        return
    closest = nearest_label(labels)
    numbers = np.where(area, closest, 0)
    size = np.bincount(numbers.ravel())
    size[0] = 0
    largest = int(size.argmax())
    for owner in np.flatnonzero(size):
        piece = numbers == owner
        if owner != largest and not falls_off(strength, piece, labels == owner, MAX_CORRELATION):
            numbers[piece] = largest
    for owner in np.unique(numbers[area]):
        yield int(owner), numbers == owner


def _soft(work: Working, background: Background, change: Floats, labels: Labels, owner: int, area: Mask) -> Soft | None:
    """The shadow or glow in an area; None where no single colour explains it, or it is too faint, or not soft."""
    inner = area & ~grown(labels > 0, EDGE_PX)
    if not inner.any():
        return None
    if np.quantile(strongest(change[inner]), 1 - STRONGEST_SHARE) < STRONG.at(work.noise):
        return None
    color = _color(change[inner], background.model[inner], CAST_ALPHA if owner else ALONE_ALPHA)
    line, misfit = along(change, color - background.model)
    if misfit[inner].mean() > ON_LINE.at(work.noise) or np.quantile(line[inner], 1 - STRONGEST_SHARE) < UNIT_ALPHA:
        return None
    alpha, caster = np.clip(line, 0, 1), labels == owner if owner else area
    source = caster if owner else inner & (alpha >= STRONGEST * np.quantile(alpha[inner], 0.98))
    most = MAX_CORRELATION if owner else MAX_CORRELATION_ALONE
    if not is_soft(alpha, area, labels > 0, source, inner, most):
        return None
    everywhere = _carried(alpha, inner)
    soft, under = (np.where(where, everywhere, 0) for where in (area | caster, _reach(area) & (labels > 0)))
    y, x = np.unravel_index(int((caster if owner else soft * area).argmax()), area.shape)
    return Soft(soft, color, owner == 0, (int(y), int(x)), under)


def _color(change: Floats, behind: Floats, peak_alpha: float) -> Floats:
    """The colour (3,) of changes (k, 3): black for what only darkens, else what has this alpha where strongest."""
    strength = np.abs(change).sum(1)
    strong = strength >= np.quantile(strength, 1 - STRONGEST_SHARE)
    step, start = change[strong].mean(0), behind[strong].mean(0)
    down = -(step @ start) / max(float(np.linalg.norm(step) * np.linalg.norm(start)), 1e-6)
    if down > STRAIGHT_DOWN:
        return np.zeros(3, np.float32)
    return np.asarray(np.clip(start + step / peak_alpha, 0, 255), np.float32)


def _carried(alpha: Floats, inner: Mask) -> Floats:
    """Alpha (h, w) where it is seen, and carried on everywhere else."""
    everywhere = smooth_fill(alpha[..., None], inner.astype(np.float32))[..., 0]
    return np.where(everywhere < 1 / 255, 0, everywhere).astype(np.float32)


def _reach(area: Mask) -> Mask:
    """The area and what may hide more of it: what is within the length of its tails."""
    return grown(area, max(MIN_TAIL_PX, max(area.shape) // TAIL))
