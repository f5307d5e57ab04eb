"""Ink: the pixels of the glyphs in a line of text, with their outline, whatever they lie on.

1. `_plane`: what the line lies on is read from the rim of its box, or a frame around that: a plane of colours.
2. `_ink_colored`: of the pixels off the plane (of all, where there is none), ink has the colours that are common in
   the box and rare in the frame, and that are found all along the line, or only in the band where its letters stand.
3. `_carried`: where there is no plane, the paper's colours are carried on under these pixels.
4. `_edged`: a pixel is ink where it differs from the paper by about half of the strongest difference near it: that is
   the middle of an anti-aliased edge, of strong glyphs and of faint ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...ocr import Corners
from .fill import smooth_fill
from .shapes import Box, grown
from .working import Floats, Mask, Tolerance, strongest

FRAME = 0.45
"""Width of the frame around a box, in its heights: the nearest paper."""

OUTSIDE = 0.12
"""How far out of its box, in heights, a glyph may reach: swashes, outlines and hard shadows."""

PAPER = Tolerance(8, 4)
"""How far a pixel of the paper may be from its plane, in 1/255."""

MIN_PLANE = 0.55
"""Share of the rim or frame that a plane must explain. A figure may cover the other part of it."""

PLANE_ROUNDS = 6
"""How often the plane is fitted again to what it explains."""

COLORS = 12
"""Into how many colours the pixels of a box and its frame are sorted."""

MAX_SAMPLE = 3000
"""How many pixels are sorted: the others get the colour that is nearest."""

MAX_AROUND = 0.4
"""Density in the frame, as a share of that in the box, below which a colour is ink."""

MIN_ENCLOSED = 0.5
"""Share of a colour's pixels in the box that are glyphs on even paper: then it is ink, wherever else it is found."""

RIM_PX = 2
"""Width in working pixels of the box's own rim, which glyphs hardly touch: boxes have some spare."""

MAX_ON_RIM = 0.5
"""Share of that rim that ink may cover: what covers more is a label or ribbon under the line."""

MIN_HELD, MAX_FILLING_ON_RIM = 0.3, 0.25
"""A colour of which at least this share is surrounded by outlines, and at most this share of its density is on the
rim, fills letters wherever it is in the line. Paper that shows through counters is on the rim, too."""

CELLS_PER_HEIGHT, MIN_CELLS = 2, 4
"""Into how many cells a line is divided along its length: two letters in each or so."""

MIN_SPREAD = 0.5
"""Share of the cells with ink in which one of its colours is found. Letters of several colours have none such."""

BAND_QUANTILE = 0.01
"""The band in which a line's letters lie is read from their pixels but for this share at either side."""

BAND_SPARE = 0.12
"""How far outside that band, in heights, a glyph may reach."""

CUT = 0.08
"""Half width of a letter's strokes in heights: pieces of a figure so near to each other are one figure behind it."""

LETTER_GAP = 0.35
"""Largest clear distance, in heights, of a letter beside the box to the line that it continues."""

MIN_LETTER, MAX_LETTER = 0.3, 1.1
"""Longer side of such a letter, in heights of the box."""

BESIDE = 1.5
"""How far beside a box, in heights, such letters are looked for."""

MIN_BANDED = 0.9
"""Share of a piece of other colours that must lie in that band to be part of a letter: figures reach beyond."""

EDGE = 0.45
"""Share of the strongest difference nearby from which a pixel is ink: a little under half keeps thin strokes whole."""

NEARBY_PX = 3
"""How far around a pixel, in working pixels, the strongest difference is looked for: edges are blurred by less."""

MIN_CONTRAST = 0.2
"""Ink differs from the paper by at least this share of the line's own contrast: less is shade, or JPEG's ringing."""

MAX_UNEVEN, MAX_UNEVEN_FILLING = 0.05, 0.12
"""Even is what changes from pixel to pixel by at most this share of the contrast: shadows and glows change by more.
What strong ink surrounds is no glow, and may be as uneven as JPEG leaves it."""

MIN_EVEN_CONTRAST = 0.1
"""Contrast of even ink at the least, as a share of the line's: it may be fainter than edges are."""

SEAM_PX = 2
"""Width on either side of the blurred seam, in working pixels, between an outline and what it surrounds."""

STRONG = 0.9
"""A line's contrast: this quantile of its ink's differences from the paper."""

MAX_DROP = 0.5
"""At a hard edge the difference from the paper falls below this share of itself within NEARBY_PX."""

MIN_SOFT = 0.5
"""Share of a faint piece's edge that must be soft for it to be a glow."""

MIN_INSIDE = 0.3
"""Share of a piece's pixels that must lie in the line for it to be a glyph."""

MIN_GLYPH_PX = 2
"""Pixels of the smallest glyph: the dot on an i."""

MIN_FILL, MAX_FILL = 0.03, 0.8
"""Least and largest share of its box that the ink of a line may cover."""


@dataclass(frozen=True)
class Ink:
    """The ink of a line. mask: (h, w) of its window. window: rows and columns.

    colors, paper: the range (2, 3) in 0..255 of the middle half of its colours, and of those around it.
    """

    mask: Mask
    window: Box
    colors: Floats
    paper: Floats


def line_height(corners: Corners) -> float:
    """Height of a line's box in pixels: its shorter side."""
    return float(min(np.linalg.norm(corners[1] - corners[0]), np.linalg.norm(corners[3] - corners[0])))


def filled(corners: Corners, shape: tuple[int, ...], left: int = 0, top: int = 0) -> Mask:
    """A box (4, 2) as a mask of this shape, whose first pixel is at (left, top)."""
    import cv2

    points = (corners - np.array([left, top])).round().astype(np.int32)
    return np.asarray(cv2.fillConvexPoly(np.zeros(shape[:2], np.uint8), points, 1) > 0)


def find_ink(rgb: Floats, noise: float, corners: Corners, others: Mask) -> Ink | None:
    """The glyphs in a box (4, 2) of a picture (h, w, 3) in 0..255; None where no ink differs from the paper.

    others: (h, w), the boxes of all other lines.
    """
    window = _window(corners, rgb.shape)
    part, area = rgb[window], _Area.of(corners, window, others)
    if not area.frame.any() or not area.rim.any():
        return None
    tolerance = PAPER.at(noise)
    plane = next((p for m in (area.rim, area.frame) if (p := _plane(part, m, tolerance)) is not None), None)
    off = np.ones(area.box.shape, bool) if plane is None else strongest(part - plane) > tolerance
    seeds = _ink_colored(part, off, area) & ~(area.taken & ~area.box)
    paper = _carried(part, seeds) if plane is None else plane
    mask = _without_specks(_edged(part, paper, plane is not None, seeds, area.box, tolerance))
    if not MIN_FILL * area.box.sum() < (mask & area.box).sum() < MAX_FILL * area.box.sum():
        return None
    return Ink(mask, window, *(np.quantile(part[m], [0.25, 0.75], axis=0) for m in (mask, area.frame)))


@dataclass(frozen=True)
class _Area:
    """A line's surroundings, all (h, w) of its window.

    box: the line. rim: along the inner side of the box. wide: the box and as far out as glyphs may reach. frame:
    around that. taken: the boxes of other lines. along, down: 0..1 from the line's beginning to its end, and from its
    top to its foot. cells: into how many cells it is divided along. height: of the line in pixels.
    """

    box: Mask
    rim: Mask
    wide: Mask
    frame: Mask
    taken: Mask
    along: Floats
    down: Floats
    cells: int
    height: float

    @classmethod
    def of(cls, corners: Corners, window: Box, others: Mask) -> _Area:
        taken, height = others[window], line_height(corners)
        left, top = window[1].start, window[0].start
        box = filled(corners, taken.shape, left, top)
        wide = grown(box, max(2, round(OUTSIDE * height)))
        frame = grown(wide, max(3, round(FRAME * height))) & ~wide & ~taken
        along, down = axes(corners)
        y, x = np.mgrid[: taken.shape[0], : taken.shape[1]].astype(np.float32)
        x, y = x + (left - corners[0, 0]), y + (top - corners[0, 1])
        cells = max(MIN_CELLS, round(CELLS_PER_HEIGHT * float(np.linalg.norm(along) / np.linalg.norm(down))))
        shares = [np.asarray((x * v[0] + y * v[1]) / float(v @ v)) for v in (along, down)]
        return cls(box, box & grown(~box, RIM_PX), wide, frame, taken, shares[0], shares[1], cells, height)


def axes(corners: Corners) -> tuple[Floats, Floats]:
    """The longer and the shorter side (2,) of a box: along the line and down."""
    across, deep = corners[1] - corners[0], corners[3] - corners[0]
    return (across, deep) if np.linalg.norm(across) >= np.linalg.norm(deep) else (deep, across)


def _window(corners: Corners, shape: tuple[int, ...]) -> Box:
    """Rows and columns around a box: its frame, and along the line as far as letters may continue it."""
    along = axes(corners)[0]
    beside = np.abs(along) / np.linalg.norm(along) * BESIDE
    spare = np.maximum(beside, 2 * FRAME) * line_height(corners)
    low = np.maximum(np.floor(corners.min(0) - spare), 0).astype(int)
    high = np.ceil(corners.max(0) + spare).astype(int) + 1
    return slice(low[1], min(high[1], shape[0])), slice(low[0], min(high[0], shape[1]))


def _plane(part: Floats, frame: Mask, tolerance: float) -> Floats | None:
    """The plane of colours (h, w, 3) that explains most of a mask; None where none explains enough."""
    y, x = np.mgrid[: part.shape[0], : part.shape[1]]
    terms = np.stack([np.ones(part.shape[:2]), x / part.shape[1], y / part.shape[0]], -1).astype(np.float32)
    known, seen = terms[frame], part[frame]
    explained = np.abs(seen - np.median(seen, axis=0)).max(1) < 4 * tolerance
    for _ in range(PLANE_ROUNDS):
        if explained.mean() < MIN_PLANE / 2:
            return None
        weights = np.linalg.lstsq(known[explained], seen[explained], rcond=None)[0]
        explained = np.abs(seen - known @ weights).max(1) < tolerance
    return np.asarray(terms @ weights) if explained.mean() > MIN_PLANE else None


def _ink_colored(part: Floats, off: Mask, area: _Area) -> Mask:
    """Pixels (h, w) of the colours of ink: common inside, rare around, and all along the line or in its band.

    off: the pixels that may be ink.
    """
    inside, around = off & area.box, off & area.frame
    number = _colors(part, inside | around)
    count = int(number.max()) + 1
    within, without, on_rim = (_density(number, off, mask, count) for mask in (area.box, area.frame, area.rim))
    enclosed = _density(number, _enclosed(off & ~(area.taken & ~area.box), area.wide), area.box, count)
    rare = (without < MAX_AROUND * within) | (enclosed > MIN_ENCLOSED * within)
    rare &= (within > 0) & (on_rim < MAX_ON_RIM)
    cell = np.clip(area.along * area.cells, 0, area.cells - 1).astype(np.int64)
    inked = inside & rare[number]
    seen = np.bincount((number * area.cells + cell)[inked], minlength=count * area.cells).reshape(count, -1) > 0
    spread = rare & (seen.sum(1) >= MIN_SPREAD * seen.any(0).sum())
    main = off & spread[number] & ~(area.taken & ~area.box)
    if not (main & area.box).any():
        return inked
    top, foot = np.quantile(area.down[main & area.box], [BAND_QUANTILE, 1 - BAND_QUANTILE])
    band = (area.down > top - BAND_SPARE) & (area.down < foot + BAND_SPARE)
    outlined = surrounded(_in_line(main, band & area.wide) | area.taken)
    held = _density(number, off & outlined, area.box, count)
    filling = (held > MIN_HELD * within) & (on_rim < MAX_FILLING_ON_RIM * within)
    main |= off & filling[number] & ~(area.taken & ~area.box)
    figures = off & (area.box | area.frame) & ~main
    letters = _in_line(main, band & area.wide)
    more = _continued(main & ~area.wide, letters, band, area.height)
    return np.asarray(letters | more | _within(figures & rare[number], figures, band & area.box, area.height))


def beyond(colors: Floats, paper: Floats) -> Floats:
    """How far colours (h, w, 3) lie outside the range of a paper's (2, 3), lowest and highest: (h, w), 0 inside."""
    return strongest(colors - np.clip(colors, paper[0], paper[1]))


def surrounded(mask: Mask) -> Mask:
    """The holes of a mask: what an outline surrounds, the letters' counters too."""
    import cv2

    _, pieces = cv2.connectedComponents((~mask).astype(np.uint8), connectivity=4)
    outer = np.unique(np.concatenate([pieces[0], pieces[-1], pieces[:, 0], pieces[:, -1]]))
    return np.asarray(~mask & ~np.isin(pieces, outer))


def _enclosed(mask: Mask, line: Mask) -> Mask:
    """The pieces of a mask that lie wholly in a line: on even paper, its glyphs."""
    import cv2

    count, pieces = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    return np.asarray(mask & (np.bincount(pieces[mask & ~line], minlength=count) == 0)[pieces])


def _in_line(mask: Mask, line: Mask) -> Mask:
    """The pieces of a mask that lie in a line for a good part, as far as they do: frames and twigs cross it."""
    import cv2

    count, pieces = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    inside, total = (np.bincount(pieces[m], minlength=count) for m in (mask & line, mask))
    return np.asarray(mask & line & (inside > MIN_INSIDE * total)[pieces])


def _within(mask: Mask, figures: Mask, band: Mask, height: float) -> Mask:
    """The pixels of a mask in those figures that lie in a band, whatever letters cut them into pieces."""
    import cv2

    joined = grown(figures, max(1, round(CUT * height)))
    count, pieces = cv2.connectedComponents(joined.astype(np.uint8), connectivity=8)
    inside, total = (np.bincount(pieces[m], minlength=count) for m in (figures & band, figures))
    return np.asarray(mask & band & (inside > MIN_BANDED * total)[pieces])


def _continued(mask: Mask, ink: Mask, band: Mask, height: float) -> Mask:
    """The pieces of a mask that continue a line beyond its box: in its band, no wider than a word's letters, near."""
    import cv2

    count, pieces, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    whole = np.bincount(pieces[~band], minlength=count) == 0
    whole &= (stats[:, 2:4].max(1) <= MAX_LETTER * height) & (stats[:, 2:4].max(1) > MIN_LETTER * height)
    whole[0] = False
    found = np.zeros(mask.shape, bool)
    while True:
        near = np.unique(pieces[grown(ink | found, max(1, round(LETTER_GAP * height))) & whole[pieces]])
        if not len(near):
            return found
        found |= np.isin(pieces, near)
        whole[near] = False


def _density(number: NDArray[np.int64], off: Mask, mask: Mask, count: int) -> Floats:
    """Share of a mask's pixels that each number 0.. has (count,), of those pixels that may be ink."""
    return np.asarray(np.bincount(number[off & mask], minlength=count) / max(1, int(mask.sum())), np.float32)


def _colors(part: Floats, pixels: Mask) -> NDArray[np.int64]:
    """The colour number (h, w) of each pixel, of those into which some pixels are sorted."""
    import cv2

    sample = part[pixels]
    sample = sample[:: max(1, len(sample) // MAX_SAMPLE)].astype(np.float32)
    if len(sample) < COLORS:
        return np.zeros(part.shape[:2], np.int64)
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 10, 1.0)
    cv2.setRNGSeed(0)
    centers = cv2.kmeans(sample, COLORS, None, criteria, 1, cv2.KMEANS_PP_CENTERS)[2]  # type: ignore[call-overload]
    square = (centers**2).sum(1)
    return np.asarray((square - 2 * (part @ centers.T)).argmin(-1))


def _carried(part: Floats, seeds: Mask) -> Floats:
    """The colours (h, w, 3) of the paper, carried on under the seeds and their edges."""
    return smooth_fill(part, (~grown(seeds, 2)).astype(np.float32))


def _edged(part: Floats, paper: Floats, is_plane: bool, seeds: Mask, box: Mask, tolerance: float) -> Mask:
    """Pixels near the seeds that differ from the paper by about half of the strongest difference around them.

    Where colours are even, seeds are ink however faint: outlines on a plane, and fillings that strong ink surrounds.
    """
    if not (seeds & box).any():
        return seeds & box
    difference, near = strongest(part - paper), grown(seeds, 1)
    contrast = float(np.quantile(difference[seeds & box], STRONG))
    strong = difference > np.maximum(EDGE * _around(difference * near), max(tolerance, MIN_CONTRAST * contrast))
    uneven = (_around(part, 1) + _around(-part, 1)).max(2)
    even = uneven < (MAX_UNEVEN if is_plane else MAX_UNEVEN_FILLING) * contrast
    even &= seeds & (difference > max(tolerance, MIN_EVEN_CONTRAST * contrast))
    strong &= near
    mask = _hard(_joined(strong, even & near) if is_plane else strong, difference)
    return _joined(mask, even & surrounded(mask))


def _joined(strong: Mask, even: Mask) -> Mask:
    """Strong and even ink, and the blurred seam between the two."""
    faint = even & ~strong
    return strong | faint | (grown(faint, SEAM_PX) & grown(strong, SEAM_PX))


def _hard(mask: Mask, difference: Floats) -> Mask:
    """The mask without pieces that end softly: glows and shades between letters."""
    import cv2

    faint = mask & (difference < EDGE * difference[mask].max(initial=0))
    count, pieces = cv2.connectedComponents(faint.astype(np.uint8))
    ends = grown(~mask, 1) & (pieces > 0)
    least = -_around(-difference)
    soft = ends & (least > MAX_DROP * difference)
    total, bad = np.bincount(pieces[ends], minlength=count), np.bincount(pieces[soft], minlength=count)
    gone = bad > MIN_SOFT * total
    gone[0] = False
    return np.asarray(mask & ~gone[pieces])


def _around(values: Floats, radius: int = NEARBY_PX) -> Floats:
    """The largest value (h, w, ...) within so many pixels of each."""
    import cv2

    return np.asarray(cv2.dilate(values, np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)))


def _without_specks(mask: Mask) -> Mask:
    import cv2

    _, pieces, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    return np.asarray(mask & (stats[:, cv2.CC_STAT_AREA] >= MIN_GLYPH_PX)[pieces])
