"""Lines between colours: an edge, a stroke or a glow shows B + a (F - B), a point on the line from B to F.

B is the colour behind, F the colour before it, a the coverage. The same geometry is used for anti-aliased edges
(`step05_regions`), blurred letters (`step07_texts`), thin strokes (`step02_strokes`) and glows (`step09_soft`).
"""

from __future__ import annotations

import numpy as np

from ...progress import Progress, silent
from .working import Floats, Labels, Mask, reported, strongest

TRIED_PIXELS = 24
"""How many pixels' colours are tried as F before the best is taken."""

COMPARED_PIXELS = 20_000
"""On about how many of the pixels the tried colours are compared, evenly spread: a percent of them decides no vote."""

TRIED_STRONGEST = 3
"""The tried pixels are spread over this part (a third) of the pixels, the strongest changes."""

MAX_BEYOND = 1.3
"""How far a pixel may lie beyond F, as a multiple of the line: F is one pixel's colour, and others are stronger."""

SHORTEST_LINE = 1.0
"""Least squared length of a line, in (1/255)^2, by which is divided: shorter ones are rounding."""


def by_color(
    change: Floats, behind: Floats, tolerance: float, most: int, least: float, progress: Progress = silent
) -> Labels:
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
        tried = strong[np.linspace(0, len(strong) // TRIED_STRONGEST, TRIED_PIXELS).astype(int)]
        some = free[:: len(free) // COMPARED_PIXELS + 1]
        explained = [
            strength[some][on_line(change[some], behind[some], behind[k] + change[k], tolerance)].sum()
            for k in reported(tried.tolist(), progress, "comparing colours")
        ]
        chosen = tried[int(np.argmax(explained))]
        best = on_line(change, behind, behind[chosen] + change[chosen], tolerance) & (found == 0)
        if best.sum() < least:
            break
        found[best] = number
    return found


def on_line(change: Floats, behind: Floats, color: Floats, tolerance: float) -> Mask:
    """Which pixels (k,) lie between what is behind them and a colour (c,), or a little beyond it."""
    share, misfit = along(change, color - behind)
    return np.asarray((misfit < tolerance) & (share > 0) & (share < MAX_BEYOND))


def along(change: Floats, line: Floats) -> tuple[Floats, Floats]:
    """How far along a line each change (..., c) goes, as a share of it, and how far it is off, in 1/255."""
    share = _share(change, line)
    return share, _off(change, line, share)


def between(color: Floats, first: Floats, second: Floats, overshoot: float) -> tuple[Floats, Floats]:
    """Where colours (..., c) lie from a first (0) to a second colour (1), and how far off that line, in 1/255.

    overshoot: the share of the line's length that is forgiven, since filters and linear light leave the line.
    """
    line, change = second - first, color - first
    share = np.clip(_share(change, line), 0, 1)
    return share, _off(change, line, share) - overshoot * strongest(line)


def _share(change: Floats, line: Floats) -> Floats:
    return np.asarray(_dot(change, line) / np.maximum(_dot(line, line), SHORTEST_LINE))


def _dot(first: Floats, second: Floats) -> Floats:
    return np.asarray(np.einsum("...c,...c->...", first, second))


def _off(change: Floats, line: Floats, share: Floats) -> Floats:
    return strongest(change - line * share[..., None])
