"""Soft shadows and glows: what darkens or lightens the background without an edge of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .background import Background
from .fill import nearest_place, smooth_fill
from .grouping import GLOW, Units
from .lines import along, by_color
from .working import Floats, Labels, Mask, Working

LEAST_SHARE = 0.0008
"""Share of the picture that a shadow must cover."""

LABELLED = 0.04
"""Alpha above which a pixel counts as one of a glow that stands alone."""

MOST = 8
"""How many pieces are looked at, the largest first, and how many shadows are kept."""

MOST_COLORS = 3
"""How many shadows and glows may run into each other in one piece."""

CAST, ALONE = 0.6, 0.9
"""Alpha where a glow is strongest: beside what casts it, and in its own middle. Of a shadow the colour is known."""


@dataclass(frozen=True)
class Soft:
    """A shadow or glow. alpha: (h, w) in 0..1. color: (3,) in 0..255. alone: nothing casts it, it is a layer itself.

    pixel: row and column of a pixel of the unit that it belongs to, whatever number that has.
    """

    alpha: Floats
    color: Floats
    alone: bool
    pixel: tuple[int, int]


def find_softs(work: Working, background: Background, labels: Labels) -> list[Soft]:
    """Shadows and glows around the regions of a map (h, w), the largest first; only before one with a formula."""
    if background.kind not in ("flat", "gradient"):
        return []
    change = work.rgba[..., :3] - background.model
    areas = [area for piece in _pieces(work, change, labels) for area in _of_one_color(change, background, piece, work)]
    owned = [part for area in areas for part in _by_owner(change, labels, area)]
    owned = sorted((o for o in owned if o[1].mean() > LEAST_SHARE), key=lambda o: -int(o[1].sum()))[:MOST]
    softs = (_soft(work, background, change, labels, owner, area) for owner, area in owned)
    return [soft for soft in softs if soft is not None]


def with_softs(units: Units, softs: Sequence[Soft]) -> Units:
    """The units, and one for each shadow or glow that stands alone."""
    numbers = np.zeros_like(units.labels)
    for number, soft in enumerate((soft for soft in softs if soft.alone), 1):
        numbers[soft.alpha > LABELLED] = number
    return units.with_more(numbers, GLOW)


def without_softs(units: Units, softs: Sequence[Soft]) -> Units:
    """The same units without the pixels that only a shadow or glow covers."""
    labels = units.labels.copy()
    for soft in softs:
        if soft.alone:
            labels[(soft.alpha > LABELLED) & (labels == labels[soft.pixel])] = 0
    return replace(units, labels=labels)


def _pieces(work: Working, change: Floats, labels: Labels) -> Iterator[Mask]:
    """Connected pieces of background that differ from it by more than an edge's width, faint tails included."""
    import cv2

    free = labels == 0
    changed = (free & (np.abs(change).max(2) > 4 + 2.5 * work.noise)).astype(np.uint8)
    core = cv2.morphologyEx(changed, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8)) > 0
    grown = _near(core, max(4, max(labels.shape) // 40)) & free
    count, pieces = cv2.connectedComponents(grown.astype(np.uint8), connectivity=8)
    sizes = np.bincount(pieces.ravel(), minlength=count)
    sizes[0] = 0
    for k in np.argsort(-sizes, kind="stable")[:MOST]:
        if sizes[k] > LEAST_SHARE * pieces.size:
            yield pieces == k


def _of_one_color(change: Floats, background: Background, piece: Mask, work: Working) -> Iterator[Mask]:
    """The parts of a piece that one colour explains each; faint pixels go with the nearest strong ones."""
    strong = piece & (np.abs(change).max(2) > 12 + 4 * work.noise)
    numbers = np.zeros(piece.shape, np.int32)
    least = LEAST_SHARE * piece.size / 2
    numbers[strong] = by_color(change[strong], background.model[strong], 6 + 3 * work.noise, MOST_COLORS, least)
    if not numbers.any():
        return
    nearest = _nearest(numbers)
    for number in range(1, int(numbers.max()) + 1):
        yield piece & (nearest == number)


def _by_owner(change: Floats, labels: Labels, area: Mask) -> Iterator[tuple[int, Mask]]:
    """Parts of an area by what casts them: the nearest unit where it is strongest beside units, else none (0)."""
    strength = np.abs(change).max(2) * area
    strongest = area & (strength > 0.7 * np.quantile(strength[area], 0.98))
    beside = _near(labels > 0, max(5, max(labels.shape) // 60))
    if not (labels > 0).any() or beside[strongest].mean() < 0.5:
        yield 0, area
        return
    nearest = _nearest(labels)
    for owner in np.unique(nearest[area]):
        yield int(owner), area & (nearest == owner)


def _nearest(labels: Labels) -> Labels:
    """The label (h, w) of the nearest pixel that has one."""
    return np.asarray(labels.reshape(-1)[nearest_place(labels > 0)])


def _soft(work: Working, background: Background, change: Floats, labels: Labels, owner: int, area: Mask) -> Soft | None:
    """The shadow or glow in an area; None where no single colour explains it."""
    inner = area & ~_near(labels > 0, 2)
    if not inner.any():
        return None
    color = _color(change[inner], background.model[inner], ALONE if owner == 0 else CAST)
    alpha, misfit = along(change, color - background.model)
    if misfit[inner].mean() > 6 + 3 * work.noise or np.quantile(alpha[inner], 0.95) < 0.04:
        return None
    caster = labels == owner if owner else area
    soft = _carried(np.clip(alpha, 0, 1), area, inner, caster, work.noise)
    y, x = np.unravel_index(int((soft * area if owner == 0 else caster).argmax()), area.shape)
    return Soft(soft, color, owner == 0, (int(y), int(x)))


def _near(mask: Mask, reach: int) -> Mask:
    import cv2

    return np.asarray(cv2.dilate(mask.astype(np.uint8), np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)) > 0)


def _color(change: Floats, behind: Floats, strongest: float) -> Floats:
    """The colour (3,) of changes (k, 3): black for what only darkens, else what has this alpha where strongest."""
    strength = np.abs(change).sum(1)
    strong = strength >= np.quantile(strength, 0.95)
    step, start = change[strong].mean(0), behind[strong].mean(0)
    straight = -(step @ start) / max(float(np.linalg.norm(step) * np.linalg.norm(start)), 1e-6)
    if straight > 0.985:
        return np.zeros(3, np.float32)
    return np.asarray(np.clip(start + step / strongest, 0, 255), np.float32)


def _carried(alpha: Floats, piece: Mask, inner: Mask, owner: Mask, noise: float) -> Floats:
    """Alpha (h, w) where it is seen, calmed by a blur, carried under its owner, and none elsewhere."""
    import cv2

    everywhere = smooth_fill(alpha[..., None], inner.astype(np.float32))[..., 0]
    if noise > 0.3:
        everywhere = np.asarray(cv2.GaussianBlur(everywhere, (0, 0), 1.5), np.float32)
    soft = np.where(piece | owner, everywhere, 0)
    return np.where(soft < 1 / 255, 0, soft).astype(np.float32)
