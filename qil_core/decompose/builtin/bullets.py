"""Bullets: the dots, dashes and squares before the items of a list, which belong to its text.

1. `_mark`: a small compact piece before a line, in the middle of its height, that differs from the paper.
2. `find_bullets`: a list has at least two, at one distance before their lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ...ocr import Corners
from .ink import Ink, beyond, line_height
from .shapes import Box
from .working import Floats, Mask

REACH = 2.6
"""How far before a line a bullet may begin, in heights of the line's box."""

MIN_SIDE, MAX_SIDE = 0.08, 0.65
"""Shorter and longer side of a bullet, in heights."""

MIDDLE = 0.35
"""How far the middle of a bullet may be from the middle of its line, in heights: above that are quotation marks."""

MAX_OFF = 0.3
"""How far the distances of a list's bullets to their lines may differ, in heights."""

MIN_CONTRAST = 24
"""How much a bullet differs from the paper, in 1/255."""


class Bullet(NamedTuple):
    """mask: of its window. before: its distance to the line's beginning, in heights."""

    mask: Mask
    window: Box
    before: float


def find_bullets(rgb: Floats, lines: Sequence[tuple[Corners, Ink]]) -> list[Bullet]:
    """The bullets before the lines of one block of a picture (h, w, 3) in 0..255."""
    found = [bullet for corners, ink in lines if (bullet := _mark(rgb, corners, ink)) is not None]
    if not found:
        return []
    middle = float(np.median([bullet.before for bullet in found]))
    found = [bullet for bullet in found if abs(bullet.before - middle) < MAX_OFF]
    return found if len(found) > 1 else []


def _mark(rgb: Floats, corners: Corners, ink: Ink) -> Bullet | None:
    """The piece before a line that may be its bullet, the nearest one."""
    import cv2

    height = line_height(corners)
    left = int(ink.window[1].start + np.flatnonzero(ink.mask.any(0))[0])
    top, foot = int(corners[:, 1].min()), int(np.ceil(corners[:, 1].max()))
    window = slice(max(0, top), max(0, foot)), slice(max(0, int(left - REACH * height)), max(0, left))
    part = rgb[window]
    if not part.size:
        return None
    apart = beyond(part, ink.paper) > MIN_CONTRAST
    _, pieces, stats, centers = cv2.connectedComponentsWithStats(apart.astype(np.uint8), connectivity=8)
    for k in 1 + np.argsort(-stats[1:, 0]):
        x, _, wide, high, _ = stats[k].tolist()
        off = abs(float(centers[k][1]) - part.shape[0] / 2)
        if (
            x > 0
            and MIN_SIDE * height < min(wide, high)
            and max(wide, high) < MAX_SIDE * height
            and off < MIDDLE * height
        ):
            return Bullet(pieces == k, window, (part.shape[1] - x) / height)
    return None
