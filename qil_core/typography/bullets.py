"""Bullets in front of lines: which piece of ink is one, and which sign and size of the replacement font looks like it.

1. `dot_before`: a small round, square or dash-like piece that stands clear of a line's words.
2. `bullet_of`: the sign whose ink is where the piece is; None where none is, and then the piece stays a picture.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import fonts
from .ink import Floats, Ink

SIGNS = "•·●○◦▪■*-\N{EN DASH}\N{EM DASH}∙\N{KATAKANA MIDDLE DOT}\N{HANGUL LETTER ARAEA}"
"""What the reader may take a bullet for, at the beginning of a line."""

MIN_DOT, MAX_DOT = 0.1, 0.62
"""Sides of a bullet's dot at the least and at the most, in heights of its line; what is smaller is noise."""

MAX_UNEVEN_SIDES = 1.6
"""How many times as wide as high a dot or square may be, or as high as wide: noise of JPEG adds a pixel or two."""

MIN_DASH, MAX_DASH, MAX_DASH_HEIGHT = 2.5, 1.2, 0.16
"""A dash is so many times as wide as high at the least, and at the most so wide and so high, in heights of its line."""

MIN_DOT_GAP = 0.22
"""Clear distance from the dot to the words at the least, in heights: wider than between the letters of a word."""

MAX_DOT_GAP = 2.5
"""The same at the most: what is farther away is another thing."""

DISC = (0.68, 0.88)
"""Share of its box that a disc covers: a quarter of pi, 0.785, with what the sides' measure is off at 5 px."""

MIN_SQUARE = 0.9
"""The same of a square or a dash at the least."""

MAX_RAISED = 0.12
"""How far, in em, the replacement's sign may stand higher or lower than the piece."""

SCALES = (0.25, 4.0)
"""Sizes of a bullet against its text (ECMA-376 part 1, 20.1.10.11)."""


class Bullet(NamedTuple):
    """A sign in Arial before a line. left: of its ink, in pixels of the upright layer; scale: its size against the
    line's; color: 0..255; piece: the label of its ink."""

    sign: str
    left: float
    scale: float
    color: tuple[int, int, int]
    piece: int


def dot_before(ink: Ink, pieces: list[int]) -> int:
    """The piece that is a bullet in front of a line's words, in its box or before it; 0 where there is none."""
    x, y, width, height = ink.stats[:, :4].T
    line_top, line_foot = int(y[pieces].min()), int((y + height)[pieces].max())
    line = line_foot - line_top
    sides = width / np.maximum(height, 1)
    is_even = (sides <= MAX_UNEVEN_SIDES) & (1 / np.maximum(sides, 1e-6) <= MAX_UNEVEN_SIDES)
    largest = np.maximum(width, height)
    is_dot = is_even & (largest >= MIN_DOT * line) & (largest <= MAX_DOT * line)
    is_dash = (sides >= MIN_DASH) & (width <= MAX_DASH * line) & (height <= MAX_DASH_HEIGHT * line)
    floats = (y + height < line_foot - 0.1 * line) & (y > line_top + 0.1 * line)
    for each in np.flatnonzero((is_dot | is_dash) & floats):
        large = [other for other in pieces if other != each and 2 * ink.stats[other, 4] > ink.stats[each, 4]]
        start = min((int(x[other]) for other in large), default=0)
        gap = (start - int(x[each] + width[each])) / line
        if each and MIN_DOT_GAP < gap < MAX_DOT_GAP and (ink.labels == each).any():
            return int(each)
    return 0


def bullet_of(ink: Ink, rgb: Floats, piece: int, size: float, baseline: float) -> Bullet | None:
    """The sign that stands for a piece before a line of this size; None where no sign would look the same there."""
    left, top, width, height = (int(side) for side in ink.stats[piece, :4])
    window = (slice(top, top + height), slice(left, left + width))
    alpha = np.where(ink.labels[window] == piece, ink.alpha[window], 0)
    sign = _sign(alpha / max(float(alpha.max()), 1e-6))
    if sign is None:
        return None
    face = fonts.BULLETS[sign]
    ink_width = float(alpha.max(0).sum()) / max(float(alpha.max()), 1e-6)
    scale = ink_width / (face.width * size)
    middle = float((alpha.sum(1) * np.arange(height)).sum() / alpha.sum()) + top + 0.5
    raised = (baseline - middle) / size - face.middle * scale
    if not SCALES[0] <= scale <= SCALES[1] or abs(raised) > MAX_RAISED:
        return None
    red, green, blue = (int(value) for value in np.median(rgb[window][alpha >= 0.9 * alpha.max()] * 255, 0).round())
    return Bullet(sign, left + (width - ink_width) / 2, scale, (red, green, blue), piece)


def _sign(alpha: NDArray[np.floating]) -> str | None:
    """Which sign a piece (h, w) in 0..1 looks like: the share of its box that it covers tells them apart."""
    width, height = float(alpha.max(0).sum()), float(alpha.max(1).sum())
    share = float(alpha.sum()) / max(width * height, 1e-6)
    if width > MIN_DASH * height:
        return "\N{EN DASH}" if share >= MIN_SQUARE else None
    if share >= MIN_SQUARE:
        return "▪"
    return "•" if DISC[0] <= share <= DISC[1] else None
