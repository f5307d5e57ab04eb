"""The lines of text in a layer, read from its alpha: what is opaque there is ink, and nothing else is.

1. `upright`: the layer turned so that its lines run level.
2. `find_lines`: boxes around lines (`ocr.Reader.find`), in each the connected pieces of ink, and the words.

A line that runs downwards, a poor reading, and a box whose ink belongs to something larger give no line but a reason.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..ocr import Corners, Reader

Floats = NDArray[np.float32]
Labels = NDArray[np.int32]

MIN_SCORE = 0.8
"""How sure the reader must be of a line, as where the built-in decomposer reads."""

MIN_LETTERS, MIN_TEXT_SCORE = 2, 0.4
"""What has fewer letters and digits, or is read with less, is no text: a ring is read as an O."""

MIN_INK = 0.2
"""Least alpha of ink, as a share of the layer's largest: less is a soft rim."""

MIN_PEAK = 0.5
"""Least peak of a piece of ink, in the same share: what stays below is noise of JPEG or a soft shadow."""

MAX_SPECK = 0.004
"""Area of a speck of noise at the most, in squared heights of its line: a full stop has 0.008, noise of JPEG beside
letters of 30 px has 1 to 4 px."""

MIN_TURN_DEGREES = 1.5
"""Lines that are turned by less are taken as level: boxes around short level lines are off by as much."""

MIN_SHARPER_ROWS = 1.1
"""How much sharper the rows of a turned layer must be once they are level; else the box is turned, not the words."""

MAX_TURN_DEGREES = 45
"""Lines that are turned by more run downwards."""

MARGIN_PX = 24
"""Clear space around the layer where lines are looked for: the detector misses lines at a picture's edge."""

SPARE = 0.2
"""How far out of the box of its line, in heights, a piece of ink may reach: boxes cut accents and tails."""

MIN_OWN_INK = 0.85
"""Of the ink in a line's box, the least share that must belong to the line: else a figure runs through it."""

UPRIGHT_ASPECT = 1.5
"""From so many times its width on, a box is of a line that runs downwards."""

MIN_HEIGHT_PX = 6
"""Height of the lowest line: letters of fewer pixels are guessed rather than read."""

DOTS = "•·●○◦▪■*-\N{EN DASH}\N{EM DASH}∙"
"""What the reader may take a bullet for, at the beginning of a line."""

MAX_DOT = 0.62
"""Sides of a bullet's dot at the most, in heights of its line."""

MIN_DOT_GAP = 0.22
"""Clear distance from the dot to the words at the least, in heights: wider than between the letters of a word."""

MAX_DOT_GAP = 2.5
"""The same at the most: what is farther away is another thing."""


class FoundLine(NamedTuple):
    """Words, how sure the reader is (0..1), which pieces of ink they are (labels of the layer), and whether a
    bullet, which is none of these, stands in front."""

    text: str
    score: float
    pieces: tuple[int, ...]
    bulleted: bool = False


class Extent(NamedTuple):
    """A box in pixels of the layer."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True)
class Ink:
    """The upright alpha (h, w) in 0..1, and its connected pieces: labels (h, w), 0 for none, and a row a piece.

    stats: left, top, width, height and area of piece 1.. in pixels; row 0 is the ground. A piece that is faint all over
    has its label below 0.
    """

    labels: Labels
    stats: NDArray[np.int32]
    alpha: Floats

    def mask(self, pieces: tuple[int, ...]) -> NDArray[np.bool_]:
        """Where these pieces are (h, w)."""
        return np.isin(self.labels, pieces)


def ink_of(alpha: Floats) -> Ink:
    """The ink of an alpha channel (h, w)."""
    import cv2

    solid = (alpha >= MIN_INK * max(float(alpha.max()), 1e-6)).astype(np.uint8)
    _, found, stats, _ = cv2.connectedComponentsWithStats(solid, connectivity=8)
    labels = np.asarray(found, np.int32)
    peaks = np.zeros(len(stats), np.float32)
    np.maximum.at(peaks, labels.ravel(), alpha.ravel())
    weak = peaks < MIN_PEAK * float(alpha.max())
    return Ink(np.where(weak, -1, 1)[labels].astype(np.int32) * labels, np.asarray(stats, np.int32), alpha)


def picture_of(alpha: Floats) -> NDArray[np.uint8]:
    """The ink in black on white (h, w, 3), with MARGIN_PX around it."""
    padded = np.pad(1 - alpha / max(float(alpha.max()), 1e-6), MARGIN_PX, constant_values=1)
    return np.repeat((255 * padded.clip(0, 1)).round().astype(np.uint8)[..., None], 3, -1)


def turn_of(boxes: list[Corners]) -> float:
    """Degrees clockwise by which the longest line is turned; 0 where it is level or runs downwards."""
    if not boxes:
        return 0.0
    longest = max(boxes, key=lambda box: float(np.linalg.norm(box[1] - box[0])))
    across, down = (longest[1] + longest[2] - longest[0] - longest[3]).tolist()
    turn = math.degrees(math.atan2(down, across))
    return turn if MIN_TURN_DEGREES <= abs(turn) <= MAX_TURN_DEGREES else 0.0


def is_sharper(alpha: Floats, degrees: float) -> bool:
    """Whether lines in an alpha (h, w) are level once it is turned counter-clockwise: their rows are sharper."""
    level, given = (float((np.diff(each.sum(1)) ** 2).sum()) for each in (turned(alpha, degrees), alpha))
    return level > MIN_SHARPER_ROWS * given


def turned(pixels: Floats, degrees: float) -> Floats:
    """Pixels (h, w, c) turned counter-clockwise about their middle, on a sheet that holds all of them."""
    import cv2

    height, width = pixels.shape[:2]
    cos, sin = abs(math.cos(math.radians(degrees))), abs(math.sin(math.radians(degrees)))
    size = math.ceil(width * cos + height * sin), math.ceil(width * sin + height * cos)
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    matrix[:, 2] += [(size[0] - width) / 2, (size[1] - height) / 2]
    return np.asarray(cv2.warpAffine(pixels, matrix, size, flags=cv2.INTER_CUBIC), np.float32)


def find_lines(ink: Ink, reader: Reader) -> tuple[list[FoundLine], list[str]]:
    """The lines of level ink from top to foot, and a reason for each box that stays a picture."""
    picture = picture_of(ink.alpha)
    lines: list[FoundLine] = []
    unsure: list[str] = []
    for corners in reader.find(picture):
        line = _line(ink, reader, picture, corners)
        if isinstance(line, FoundLine):
            lines.append(line)
        elif line:
            unsure.append(line)
    return _each_piece_once(lines), unsure


def _line(ink: Ink, reader: Reader, picture: NDArray[np.uint8], corners: Corners) -> FoundLine | str:
    """The line in one box of the picture, or why there is none; "" where nothing looks like a word."""
    box = Extent(*(corners.min(0) - MARGIN_PX).tolist(), *(corners.max(0) - MARGIN_PX).tolist())
    height = box.bottom - box.top
    words = reader.read_whole(picture, corners)
    quoted = f'"{words.text.strip()[:40]}"'
    count = sum(letter.isalnum() for letter in words.text)
    if count < MIN_LETTERS or words.score < MIN_TEXT_SCORE:
        return ""
    if height > UPRIGHT_ASPECT * (box.right - box.left):
        return f"{quoted}: runs downwards"
    if words.score < MIN_SCORE:
        return f"{quoted}: not read surely ({words.score:.0%})"
    if height < MIN_HEIGHT_PX:
        return f"{quoted}: too small"
    pieces = [each for each in _pieces_in(ink, box) if ink.stats[each, 4] >= MAX_SPECK * height**2]
    if not _owns_its_ink(ink, pieces, box):
        return f"{quoted}: a part of something larger"
    dot = _dot(ink, pieces)
    text = words.text.strip()
    bare = text.lstrip(DOTS).strip() if dot else text
    behind = ink.stats[dot, 0] + ink.stats[dot, 2] if dot else 0
    return FoundLine(bare, words.score, tuple(each for each in pieces if ink.stats[each, 0] >= behind), dot > 0)


def _pieces_in(ink: Ink, box: Extent) -> list[int]:
    """The pieces whose middle is in a box and that hardly reach out of it."""
    left, top, right, bottom = box
    spare = SPARE * (bottom - top)
    x, y, width, height = ink.stats[:, :4].T
    middle_x, middle_y = x + width / 2, y + height / 2
    inside = (left - spare <= middle_x) & (middle_x <= right + spare) & (top <= middle_y) & (middle_y <= bottom)
    fits = (height <= (1 + 2 * SPARE) * (bottom - top)) & (x >= left - 3 * spare) & (x + width <= right + 3 * spare)
    strong = set(np.unique(ink.labels[ink.labels > 0]).tolist())
    return [int(each) for each in np.flatnonzero(inside & fits) if int(each) in strong]


def _owns_its_ink(ink: Ink, pieces: list[int], box: Extent) -> bool:
    left, top, right, bottom = (max(0, round(side)) for side in box)
    labels = ink.labels[top:bottom, left:right]
    own, all_of = int(np.isin(labels, pieces).sum()), int((labels > 0).sum())
    return own > 0 and own >= MIN_OWN_INK * all_of


def _dot(ink: Ink, pieces: list[int]) -> int:
    """The piece that is a bullet in front of a line's words, in its box or before it; 0 where there is none."""
    x, y, width, height = ink.stats[:, :4].T
    line_top, line_foot = int(y[pieces].min()), int((y + height)[pieces].max())
    line = line_foot - line_top
    is_round = (np.maximum(width, height) <= MAX_DOT * line) & (width / height >= 0.7) & (width / height <= 1.4)
    floats = (y + height < line_foot - 0.1 * line) & (y > line_top + 0.1 * line)
    for each in np.flatnonzero(is_round & floats):
        large = [other for other in pieces if other != each and 2 * ink.stats[other, 4] > ink.stats[each, 4]]
        start = min((int(x[other]) for other in large), default=0)
        gap = (start - int(x[each] + width[each])) / line
        if each and MIN_DOT_GAP < gap < MAX_DOT_GAP and (ink.labels == each).any():
            return int(each)
    return 0


def _each_piece_once(lines: list[FoundLine]) -> list[FoundLine]:
    """The lines without pieces that a line before them, more surely read, has; without lines that then have none."""
    taken: set[int] = set()
    kept = []
    for line in sorted(lines, key=lambda line: -line.score):
        if left := tuple(each for each in line.pieces if each not in taken):
            kept.append(line._replace(pieces=left))
            taken.update(left)
    return kept
