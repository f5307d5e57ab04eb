"""Outlined letters: fillings of one colour in outlines of another one, as headlines of posters have.

A reader's box holds what lies before and between its letters too, and misses the lines of which a figure hides much.
The two colours and the widths of filling and outline tell the letters from all that, within the box and around it.

1. `style_of`: the colours and the outline's width, from the ink of a line that was found.
2. `letters_of`: the fillings of this style, on the line and next to it, with their outlines.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .fill import nearest
from .ink import beyond
from .lines import between
from .rim import common_colors
from .shapes import grown
from .working import Floats, Mask, Tolerance, strongest

ALIKE = Tolerance(20, 3)
"""How far a pixel may be from a style's colour, in 1/255."""

MIN_APART = 60
"""Least difference of the two colours, in 1/255: less is a shade or the blur of one."""

MIN_SHARE = 0.12
"""Share of a line's ink that each of the two colours has at least."""

AROUND_PX = 8
"""How far around the ink, in working pixels, an outline is looked for that was not taken for ink."""

MIN_EXPLAINED = 0.7
"""Share of a line's ink that is of the two colours, or between them: letters of many colours are read, but have no
such style, and faces and ornaments have neither."""

MIN_SURROUNDED = 0.6
"""Share of the surroundings of all fillings that is of the outline's colour."""

MIN_SURROUNDED_PIECE = 0.4
"""The same for one filling, of which a figure may hide a good part."""

MIN_STROKE, MAX_STROKE = 0.3, 2.0
"""Width of a filling's strokes, in those of most fillings: what is much wider is an area, much thinner a line."""

MIN_WIDTH_PX = 2.5
"""Width of the thinnest outline, in working pixels, whose own colour is seen."""

MIN_PIECE = 0.02
"""Smallest filling, as a share of the square of the height of a line: the dot of an i has as much."""

NEXT_LINE = 1.2
"""How far above and below a line, in its heights, other lines of the same text are looked for."""

MIN_LETTERS = 3
"""Fillings of a text at the least."""

HALF = 0.5
"""A pixel at the edge of a letter belongs to it from this share of the contrast on."""

EDGE_PX = 3
"""How far around such a pixel, in working pixels, that contrast is seen."""


class Style(NamedTuple):
    """fill, rim: colours (3,) in 0..255. width: of the outline, in pixels."""

    fill: Floats
    rim: Floats
    width: float


def style_of(rgb: Floats, noise: float, ink: Mask, paper: Floats) -> Style | None:
    """The style of a line whose ink (h, w) was found in a picture (h, w, 3) in 0..255; None where it has none.

    paper: the range (2, 3) of the colours around the line: where glows begin, an outline may not be among the ink.
    """
    alike = ALIKE.at(noise)
    area = ink | (grown(ink, AROUND_PX) & (beyond(rgb, paper) > alike))
    pair = _two_colors(rgb[ink], rgb[area], alike)
    if pair is None:
        return None
    masks = [area & (strongest(rgb - color) < alike) for color in pair]
    _, off = between(rgb[ink], pair[0], pair[1], 0)
    if (off < alike).mean() < MIN_EXPLAINED or min(mask[area].mean() for mask in masks) < MIN_SHARE:
        return None
    held = [_surrounded(masks[i], masks[1 - i]) for i in (0, 1)]
    inner = int(np.argmax(held))
    width = 2 * float(np.median(_distance(masks[inner])[masks[1 - inner]]))
    if held[inner] < MIN_SURROUNDED or width < MIN_WIDTH_PX:
        return None
    return Style(pair[inner], pair[1 - inner], width)


def letters_of(rgb: Floats, noise: float, style: Style, rows: tuple[float, float], height: float) -> Mask | None:
    """The letters (h, w) of this style on lines between these rows, and on those next to them; None for too few.

    height: of a line, in pixels.
    """
    import cv2

    alike = ALIKE.at(noise)
    near = np.zeros(rgb.shape[:2], bool)
    near[max(0, int(rows[0] - NEXT_LINE * height)) : int(rows[1] + NEXT_LINE * height) + 1] = True
    fill, rim = (near & (strongest(rgb - color) < alike) for color in (style.fill, style.rim))
    count, pieces = cv2.connectedComponents(fill.astype(np.uint8), connectivity=4)
    area = np.maximum(np.bincount(pieces.ravel(), minlength=count), 1)
    stroke = np.bincount(pieces.ravel(), weights=_depth(fill).ravel(), minlength=count) / area
    ring = _ring(fill, style.width)
    around = pieces.ravel()[nearest(fill)[0]][ring]
    total = np.maximum(np.bincount(around, minlength=count), 1)
    held = np.bincount(around, weights=rim[ring], minlength=count) / total
    kept = held > MIN_SURROUNDED_PIECE
    kept[0] = False
    usual = float(np.median(np.repeat(stroke[kept], area[kept]))) if kept.any() else 0.0
    kept &= (stroke > MIN_STROKE * usual) & (stroke < MAX_STROKE * usual)
    kept &= area > min(MIN_PIECE * height**2, usual**2)
    if kept.sum() < MIN_LETTERS:
        return None
    return _with_outline(rgb, alike, style, kept[pieces], near)


def _two_colors(ink: Floats, area: Floats, alike: float) -> tuple[Floats, Floats] | None:
    """The most common of the ink's colours (n, 3) and the next one around it that is apart; None for one colour."""
    first = common_colors(ink, 1)[0]
    apart = strongest(area - first) > max(MIN_APART, 2 * alike)
    return (first, common_colors(area[apart], 1)[0]) if apart.any() else None


def _with_outline(rgb: Floats, alike: float, style: Style, fill: Mask, near: Mask) -> Mask:
    """Fillings (h, w) with the outline around them, and the blurred edges of both."""
    import cv2

    beside = near & (_distance(fill) <= style.width + 2)
    off = between(rgb[beside], style.fill, style.rim, 0)[1]
    letters = fill.copy()
    letters[beside] |= off < alike
    square = np.ones((2 * EDGE_PX + 1, 2 * EDGE_PX + 1), np.uint8)
    unlike = strongest(rgb - style.rim)
    edge = grown(letters, 1) & ~letters & (unlike < HALF * np.asarray(cv2.dilate(unlike, square)))
    return np.asarray(letters | (edge & near))


def _surrounded(inner: Mask, outer: Mask) -> float:
    """Share of the surroundings of a mask (h, w) that another one has."""
    ring = grown(inner, 3) & ~grown(inner, 1)
    return float(outer[ring].mean()) if ring.any() else 0.0


def _ring(mask: Mask, width: float) -> Mask:
    """The inner part of what surrounds a mask (h, w), the blurred edges left out."""
    distance = _distance(mask)
    return np.asarray((distance > 1) & (distance <= max(2.0, 0.7 * width)))


def _depth(mask: Mask) -> Floats:
    import cv2

    return np.asarray(cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5))


def _distance(mask: Mask) -> Floats:
    return _depth(~mask)
