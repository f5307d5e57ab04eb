"""How a line is set, measured in its ink: family, size, weight, slant, colour, letter spacing.

1. `_family`: mono where the words stand as in a font of one width; serif where stems have feet or, of letters that
   cannot be told apart, where stems are much thicker than bars.
2. `_size`: the font size at which the replacement's highest and lowest ink of these very letters (its cap height,
   x-height and descenders) are as far apart as the measured ones; of ideographs also by their pitch of one em.
3. Weight: mean stroke width in em. Area over half the outline's length, and that by the total variation of alpha
   (the coarea formula), which is exact below a pixel too.
4. `_is_slanted`: whether the columns are sharper when the line is sheared upright.
5. `_color`: the median of the solid core of the strokes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import fonts
from .bullets import Bullet, bullet_of
from .fonts import Family, Script
from .ink import Floats, Ink
from .reading import FoundLine
from .serifs import MIN_SERIF_FOOT, foot_ratio
from .word_gaps import MIN_WIDER, respaced, word_edges

MIN_SERIF_CONTRAST, MAX_SANS_CONTRAST = 1.7, 1.3
"""Thickness of stems against that of bars: above the first a serif font, below the second a sans. Of 18 common fonts
and weights at 28 and 60 px serifs have 1.8 to 4, sans 0.9 to 1.5. In between the letters' widths decide."""

FINER = 4
"""How many times larger runs of ink are measured: a stroke of 18 px letters is 1.5 px wide."""

MAX_RUN = 2.2
"""Longest run of ink, in mean strokes, that is a stroke seen across."""

MAX_MONO_ERROR = 0.12
"""How far, in em, words may stand from their places in a font of one width: its narrow letters, which begin and end
later and earlier than others, have up to 0.2 em of space at their sides."""

MIN_SHEAR, SHEARS = 0.11, (0.0, 0.14, 0.18, 0.22, 0.26)
"""Slants that are tried, as tangents: italics have 0.16 to 0.27. And the least that counts."""

MIN_SHARPER = 1.12
"""How much sharper than upright the columns of an italic are at its slant."""

SOLID, FULL = 0.5, 0.9
"""Alpha from which a pixel is ink when edges are measured, and from which it is covered whole."""

MAX_NATURAL = 0.05
"""How far a line's width may be from the replacement's for the letters to be taken as not spaced out: then its size is
that of the width, which is the surer measure."""

MAX_TIGHTER = 0.08
"""How much closer than in the replacement letters are set at the most, in em: about half of the clear space between two
straight letters of Arial. Closer ones run into each other, so a line of a condensed face is set smaller instead."""

WIDE_BOLD = 0.1
"""Stroke width in em from which ideographs are bold."""

RIGHT_TO_LEFT_BOLD = 0.125
"""The same of Arabic and Hebrew letters."""

CORE = 0.9
"""Alpha of the solid core of strokes, as a share of the line's largest."""

MAX_COLOR_SPREAD = 40
"""How far, in 1/255, three quarters of the core's colours may be from their median: above, the ink has many colours."""

MAX_SIZE_DISAGREEMENT = 0.15
"""How far an ideograph's pitch may be from its height: letters that are spaced out have a larger pitch."""

MIN_WIDTH_FIT, MAX_WIDTH_FIT = 0.6, 1.7
"""A line that is so much narrower or wider than the replacement is drawn lettering, or was not read right."""


@dataclass(frozen=True)
class Line:
    """A line of text. Lengths in pixels of the upright layer; left, top, right, bottom: its ink, below a pixel.

    size: of the font, spacing: what is added to each letter's width, color: 0..255, opacity: 0..1. bulleted: whether a
    bullet stands in front; bullet: the sign that is written for it, None where it stays a picture. vertical: whether
    the letters stand below each other; then baseline is the foot of the ink.
    """

    text: str
    score: float
    left: float
    top: float
    right: float
    bottom: float
    baseline: float
    size: float
    spacing: float
    family: Family
    script: Script
    bold: bool
    italic: bool
    color: tuple[int, int, int]
    opacity: float
    pieces: tuple[int, ...]
    bulleted: bool = False
    bullet: Bullet | None = None
    vertical: bool = False


class _Measured(NamedTuple):
    """A line's alpha (h, w) with its largest as 1, the sides of its ink in pixels of the layer, mean stroke width in
    pixels, colour 0..255 and opacity 0..1."""

    alpha: Floats
    left: float
    top: float
    right: float
    bottom: float
    stroke: float
    color: tuple[int, int, int]
    opacity: float


def line_of(found: FoundLine, ink: Ink, rgb: Floats, family: Family | None = None) -> Line | str:
    """How a line is set, from its ink and the layer's colours (h, w, 3) in 0..1; or why it stays a picture.

    family: where it is known already; else it is measured.
    """
    measured = _measured(found, ink, rgb)
    if measured is None:
        return f'"{found.text[:40]}": in many colours'
    line = _column(found, measured) if found.vertical else _level(found, measured, family)
    if line is None:
        return f'"{found.text[:40]}": letters of an unusual width'
    if not found.bullet:
        return line
    return replace(line, bulleted=True, bullet=bullet_of(ink, rgb, found.bullet, line.size, line.baseline))


def _measured(found: FoundLine, ink: Ink, rgb: Floats) -> _Measured | None:
    """What is the same in all scripts; None where the ink has many colours."""
    window, patch = ink.patch(found.pieces)
    peak = float(np.quantile(patch[patch > 0], 0.98))
    alpha = (patch / max(peak, 1e-6)).clip(0, 1).astype(np.float32)
    color = _color(rgb[window], alpha)
    if color is None:
        return None
    (left, right), (top, bottom) = _edges(alpha.max(0)), _edges(alpha.max(1))
    y, x = window[0].start, window[1].start
    opacity = 1.0 if peak > CORE else peak
    return _Measured(alpha, x + left, y + top, x + right, y + bottom, _stroke(alpha), color, opacity)


def _level(found: FoundLine, measured: _Measured, family: Family | None) -> Line | None:
    """A line that runs level; None where its letters are much wider or narrower than the replacement's."""
    alpha, left, top, right, bottom, stroke, color, opacity = measured
    width, height = right - left, bottom - top
    script = fonts.script_of(found.text)
    family = family or _family(found.text, script, alpha, stroke, width, height)
    size = _size(found.text, family, width, height)
    bold = stroke / size >= _bold_from(found.text, script, family)
    text = respaced(found.text, alpha, family, size) if script == "latin" else found.text
    natural = fonts.ink_width(text, family, bold) * size
    if not MIN_WIDTH_FIT <= width / natural <= MAX_WIDTH_FIT:
        return None
    if script == "right-to-left":
        natural = width
    elif abs(width / natural - 1) <= MAX_NATURAL:
        size, natural = size * width / natural, width
    letters = max(len(text) - 1, 1)
    if (width - natural) / letters < -MAX_TIGHTER * size:
        size = width / (natural / size - MAX_TIGHTER * letters)
        natural = width + MAX_TIGHTER * size * letters
    return Line(
        text=text,
        score=found.score,
        left=left,
        top=top,
        right=right,
        bottom=bottom,
        baseline=bottom + fonts.reach(found.text, family)[1] * size,
        size=size,
        spacing=(width - natural) / letters,
        family=family,
        script=script,
        bold=bold,
        italic=script == "latin" and _is_slanted(alpha),
        color=color,
        opacity=opacity,
        pieces=found.pieces,
    )


def _column(found: FoundLine, measured: _Measured) -> Line:
    """A line that runs downwards. Letters are as large as their pitch or, where they are spaced out, as their width."""
    _, left, top, right, bottom, stroke, color, opacity = measured
    width, height, count = right - left, bottom - top, len(found.text)
    pitch = height / (count - 1 + fonts.WIDE_TOP - fonts.WIDE_BOTTOM)
    by_width = width / (fonts.WIDE_TOP - fonts.WIDE_BOTTOM)
    size = pitch if abs(pitch / by_width - 1) < MAX_SIZE_DISAGREEMENT else by_width
    return Line(
        text=found.text,
        score=found.score,
        left=left,
        top=top,
        right=right,
        bottom=bottom,
        baseline=bottom,
        size=size,
        spacing=0.0 if size == pitch else (height - (fonts.WIDE_TOP - fonts.WIDE_BOTTOM) * size) / (count - 1) - size,
        family="sans",
        script=fonts.script_of(found.text),
        bold=stroke / size >= WIDE_BOLD,
        italic=False,
        color=color,
        opacity=opacity,
        pieces=found.pieces,
        vertical=True,
    )


def _bold_from(text: str, script: Script, family: Family) -> float:
    if script == "right-to-left":
        return RIGHT_TO_LEFT_BOLD
    return WIDE_BOLD if any(map(fonts.is_wide, text)) else fonts.TYPEFACES[family].bold_from


def _edges(profile: Floats) -> tuple[float, float]:
    """Where ink begins and ends along a profile of the largest alpha: solid pixels, and what their neighbours cover.

    What is fainter than half and farther away is noise.
    """
    solid = np.flatnonzero(profile >= SOLID)
    first, last = int(solid[0]), int(solid[-1])
    before, after = (float(profile[at]) if 0 <= at < len(profile) else 0.0 for at in (first - 1, last + 1))
    start = first - before if profile[first] >= FULL else first + 1 - float(profile[first])
    end = last + 1 + after if profile[last] >= FULL else last + float(profile[last])
    return start, end


def _stroke(alpha: Floats) -> float:
    """Mean width of strokes in pixels: twice the area over the length of the outline."""
    across, down = np.diff(alpha, axis=1)[:-1], np.diff(alpha, axis=0)[:, :-1]
    return 2 * float(alpha.sum()) / max(float(np.hypot(across, down).sum()), 1e-6)


def _family(text: str, script: Script, alpha: Floats, stroke: float, width: float, height: float) -> Family:
    if script == "right-to-left" or any(map(fonts.is_wide, text)):
        return "sans"
    if _is_mono(text, alpha):
        return "mono"
    foot = None if _is_slanted(alpha) else foot_ratio(text, alpha)  # the stems of italics have half a foot
    if foot is not None:
        return "serif" if foot >= MIN_SERIF_FOOT else "sans"
    contrast = _contrast(alpha, stroke)
    if not MAX_SANS_CONTRAST <= contrast <= MIN_SERIF_CONTRAST:
        return "serif" if contrast > MIN_SERIF_CONTRAST else "sans"
    return min(("sans", "serif"), key=lambda family: abs(np.log(_width_fit(text, family, width, height))))


def _width_fit(text: str, family: Family, width: float, height: float) -> float:
    """The measured width against the replacement's, at the size that the height gives."""
    return width / (fonts.ink_width(text, family) * _height_size(text, family, height))


def _contrast(alpha: Floats, stroke: float) -> float:
    """Thickness of stems against that of bars: medians of the runs of ink along rows and along columns."""
    import cv2

    solid = cv2.resize(alpha, None, fx=FINER, fy=FINER, interpolation=cv2.INTER_CUBIC) > 0.5
    stems, bars = (runs[runs < MAX_RUN * stroke * FINER] for runs in (_runs(solid), _runs(solid.T)))
    return float(np.median(stems) / np.median(bars)) if stems.size and bars.size else 1.0


def _runs(solid: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Lengths of the runs of ink along the rows of a mask (h, w)."""
    steps = np.diff(np.pad(solid.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    return np.asarray(np.argwhere(steps == -1)[:, 1] - np.argwhere(steps == 1)[:, 1])


def _is_mono(text: str, alpha: Floats) -> bool:
    """Whether words stand in a font of one width: nearer to its places than to those of the proportional ones."""
    words = text.split()
    measured = word_edges(alpha, len(words))
    if len(words) < 2 or measured is None:
        return False
    errors = {family: _misfit(words, measured, family) for family in fonts.FAMILIES}
    return errors["mono"] < MAX_MONO_ERROR and errors["mono"] < 0.6 * min(errors["sans"], errors["serif"])


def _misfit(words: list[str], measured: Floats, family: Family) -> float:
    """How far, in em, words stand from their places in a family, whose size and start fit best (least squares)."""
    gaps = measured[2::2] - measured[1:-1:2]
    space = fonts.advance(" ", family)
    inks = [fonts.ink_width(word, family) for word in words]
    size = float((measured[1::2] - measured[::2]).sum()) / sum(inks)
    edges, at = [], 0.0
    for number, (word, ink) in enumerate(zip(words, inks, strict=True)):
        edges += [at, at + ink]
        sides = fonts.bearing(word[-1], family) + fonts.bearing(words[min(number + 1, len(words) - 1)][0], family)
        is_wider = number < len(gaps) and (len(gaps) == 1 or gaps[number] > MIN_WIDER * gaps.min())
        at += ink + sides + space * (max(1, round((gaps[number] / size - sides) / space)) if is_wider else 1)
    places = np.stack([np.array(edges), np.ones(len(edges))], -1)
    (size, start), *_ = np.linalg.lstsq(places, measured, rcond=None)
    return float(np.sqrt(np.mean((places @ [size, start] - measured) ** 2)) / max(size, 1e-6))


def _size(text: str, family: Family, width: float, height: float) -> float:
    """Font size in pixels."""
    by_height = _height_size(text, family, height)
    if not all(fonts.is_wide(letter) or letter.isspace() for letter in text) or len(text) < 3:
        return by_height
    by_pitch = width / fonts.ink_width(text, family)
    return by_pitch if abs(by_pitch / by_height - 1) < MAX_SIZE_DISAGREEMENT else by_height


def _height_size(text: str, family: Family, height: float) -> float:
    top, bottom = fonts.reach(text, family)
    return height / max(top - bottom, 0.05)


def _is_slanted(alpha: Floats) -> bool:
    """Whether columns are clearly sharper at an italic's slant than upright."""
    sharpness = [_sharpness(alpha, shear) for shear in SHEARS]
    best = int(np.argmax(sharpness))
    return SHEARS[best] >= MIN_SHEAR and sharpness[best] > MIN_SHARPER * sharpness[0]


def _sharpness(alpha: Floats, shear: float) -> float:
    """Sum of squared steps between the columns of a line that is sheared back by a tangent."""
    import cv2

    height, width = alpha.shape
    matrix = np.array([[1, shear, 0], [0, 1, 0]], np.float32)
    size = (width + int(np.ceil(shear * height)), height)
    columns = cv2.warpAffine(alpha, matrix, size, flags=cv2.INTER_LINEAR).sum(0)
    return float((np.diff(columns) ** 2).sum())


def _color(rgb: Floats, alpha: Floats) -> tuple[int, int, int] | None:
    """The median colour of the strokes' solid core, 0..255; None where that has many colours."""
    core = rgb[alpha >= min(CORE, float(np.quantile(alpha[alpha > 0], 0.9)))] * 255
    middle = np.median(core, axis=0)
    spread = np.quantile(np.abs(core - middle).max(-1), 0.75)
    red, green, blue = (int(value) for value in middle.round())
    return None if spread > MAX_COLOR_SPREAD else (red, green, blue)
