"""Soft shadows and glows: what darkens or lightens the background without an edge of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .background import Background, completed_colors
from .fill import smooth_fill
from .working import Floats, Labels, Mask, Working

LEAST_SHARE = 0.001
"""Share of the picture that a shadow must cover."""


@dataclass(frozen=True)
class Soft:
    """A shadow or glow. owner: the unit that casts it. alpha: (h, w) in 0..1. color: (3,) in 0..255."""

    owner: int
    alpha: Floats
    color: Floats


def find_soft(work: Working, background: Background, labels: Labels) -> tuple[Mask, list[Soft]]:
    """Where shadows fall (h, w), and the shadows, for a unit map (h, w); only before a background with a formula."""
    import cv2

    nowhere = np.zeros(labels.shape, bool)
    if background.kind not in ("flat", "gradient"):
        return nowhere, []
    reach = max(4, max(labels.shape) // 40)
    faint = _grown(background.front & (labels == 0), reach) & (labels == 0)
    colors = completed_colors(work.rgba[..., :3], background, faint | (labels > 0))
    count, pieces = cv2.connectedComponents(faint.astype(np.uint8), connectivity=8)
    found = [_soft_piece(work, colors, labels, pieces == k) for k in _large(pieces, count)]
    softs = [soft for soft in found if soft is not None]
    return nowhere if not softs else np.any([s.alpha > 0 for s in softs], axis=0), softs


def _grown(mask: Mask, reach: int) -> Mask:
    """The pieces of a mask that are anywhere 7 pixels wide, grown by `reach` pixels to take in the faint tails."""
    import cv2

    count, pieces = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    wide = np.zeros(count, bool)
    wide[pieces[cv2.erode(mask.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0]] = True
    return _near(mask & wide[pieces], reach)


def _large(pieces: Labels, count: int) -> list[int]:
    area = np.bincount(pieces.ravel(), minlength=count)
    area[0] = 0
    return [int(k) for k in np.argsort(-area, kind="stable")[:6] if area[k] > LEAST_SHARE * pieces.size]


def _soft_piece(work: Working, colors: Floats, labels: Labels, piece: Mask) -> Soft | None:
    """The shadow or glow in one piece of background; None where no single colour explains it, or nothing casts it."""
    owner = _owner(labels, piece)
    inner = piece & ~_near(labels > 0, 2)
    if owner == 0 or not inner.any():
        return None
    shown, behind = work.rgba[..., :3], colors
    color = _extreme(shown[inner], behind[inner])
    line = color - behind
    alpha = ((shown - behind) * line).sum(2) / np.maximum((line * line).sum(2), 1)
    misfit = np.abs(shown - behind - alpha[..., None] * line).max(2)
    if misfit[inner].mean() > 3 + 2 * work.noise or np.quantile(alpha[inner], 0.95) < 0.05:
        return None
    return Soft(owner, _carried(np.clip(alpha, 0, 1), piece, inner, labels == owner, work.noise), color)


def _near(mask: Mask, reach: int) -> Mask:
    import cv2

    return np.asarray(cv2.dilate(mask.astype(np.uint8), np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)) > 0)


def _owner(labels: Labels, piece: Mask) -> int:
    """The unit along which a piece lies closest: most of the piece is near it; else 0."""
    import cv2

    edge = labels[_near(piece, 3) & (labels > 0)]
    if not len(edge):
        return 0
    owner = int(np.bincount(edge).argmax())
    distance = cv2.distanceTransform((labels != owner).astype(np.uint8), cv2.DIST_L2, 5)
    limit = 0.35 * float((labels == owner).sum()) ** 0.5
    return owner if float((distance[piece] < limit).mean()) > 0.85 else 0


def _extreme(shown: Floats, behind: Floats) -> Floats:
    """The colour (3,) farthest from the background in the direction of the change: black for a plain shadow."""
    change = shown - behind
    strength = np.abs(change).sum(1)
    strong = strength >= np.quantile(strength, 0.9)
    step, start = change[strong].mean(0), behind[strong].mean(0)
    room = np.where(step > 0, 255 - start, start)
    return np.asarray(np.clip(start + step / np.maximum((np.abs(step) / np.maximum(room, 1)).max(), 1e-6), 0, 255))


def _carried(alpha: Floats, piece: Mask, inner: Mask, owner: Mask, noise: float) -> Floats:
    """Alpha (h, w) where it is seen, calmed by a blur, carried under its owner, and none elsewhere."""
    import cv2

    everywhere = smooth_fill(alpha[..., None], inner.astype(np.float32))[..., 0]
    if noise > 0.3:
        everywhere = np.asarray(cv2.GaussianBlur(everywhere, (0, 0), 1.5), np.float32)
    soft = np.where(piece | owner, everywhere, 0)
    return np.where(soft < 1 / 255, 0, soft).astype(np.float32)
