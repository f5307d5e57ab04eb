"""Colours by the lines they lie on: what is seen is B + a (F - B), behind B and before it something of colour F."""

from __future__ import annotations

import numpy as np

from .working import Floats, Labels, Mask

TRIED = 24
"""How many pixels' colours are tried as F before the best is taken."""


def by_color(change: Floats, behind: Floats, tolerance: float, most: int, least: float) -> Labels:
    """Number 1..most of the colour that explains each pixel (k,), the strongest first; 0 for none.

    change, behind: (k, c) in 0..255, what is seen less what is behind. least: pixels that a colour must explain.
    """
    found = np.zeros(len(change), np.int32)
    strength = np.abs(change).max(1, initial=0)
    for number in range(1, most + 1):
        free = np.flatnonzero(found == 0)
        if len(free) < least or not len(free):
            break
        strong = free[np.argsort(-strength[free], kind="stable")]
        tried = strong[np.linspace(0, len(strong) // 3, TRIED).astype(int)]
        fits = [on_line(change, behind, behind[k] + change[k], tolerance) & (found == 0) for k in tried]
        best = fits[int(np.argmax([strength[fit].sum() for fit in fits]))]
        if best.sum() < least:
            break
        found[best] = number
    return found


def on_line(change: Floats, behind: Floats, color: Floats, tolerance: float) -> Mask:
    """Which pixels (k,) lie between what is behind them and a colour (c,), or a little beyond it."""
    share, misfit = along(change, color - behind)
    return np.asarray((misfit < tolerance) & (share > 0) & (share < 1.3))


def along(change: Floats, line: Floats) -> tuple[Floats, Floats]:
    """How far along a line each change (..., c) goes, as a share of it, and how far it is off."""
    share = (change * line).sum(-1) / np.maximum((line * line).sum(-1), 1)
    return share, np.abs(change - share[..., None] * line).max(-1)
