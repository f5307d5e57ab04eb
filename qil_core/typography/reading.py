"""The lines of text in a layer, read from its alpha: what is opaque there is ink, and nothing else is.

1. `find_lines`: boxes around lines (`ocr.Reader.find`) and their words (`ocr.Reader.read_all`).
2. `_line`: in each box the connected pieces of ink, and whether they are that line and nothing else.
3. `_column`: a box that is higher than wide is a column of ideographs (`columns`) or stays a picture.

Every box that gives no line gives a reason.
"""

from __future__ import annotations

import math
import re
import unicodedata
from typing import NamedTuple

import numpy as np

from ..ocr import MARGIN_PX, MIN_SCORE, Corners, Reader
from ..ocr_tesseract import Words
from .bullets import SIGNS, dot_before
from .columns import read_column
from .ink import Ink, picture_of

MIN_LETTERS = 2
"""What has fewer letters and digits is no text: a ring is read as an O."""

MAX_SPECK = 0.004
"""Area of a speck of noise at the most, in squared heights of its line: a full stop has 0.008, noise of JPEG beside
letters of 30 px has 1 to 4 px."""

SPARE = 0.2
"""How far out of the box of its line, in heights, a piece of ink may reach: boxes cut accents and tails."""

MAX_MARK = 0.3
"""Height of a mark of Arabic or Hebrew letters at the most, and how far from its line's box it may be, in heights."""

MIN_OWN_INK = 0.85
"""Of the ink in a line's box, the least share that must belong to the line: else a figure runs through it."""

UPRIGHT_ASPECT = 1.5
"""From so many times its width on, a box is of a line that runs downwards."""

MIN_HEIGHT_PX = 6
"""Height of the lowest line: letters of fewer pixels are guessed rather than read."""


LONG, ONE = "\N{KATAKANA-HIRAGANA PROLONGED SOUND MARK}", "\N{CJK UNIFIED IDEOGRAPH-4E00}"
"""Two signs that are one stroke; between a particle and an ideograph only the second is ever written."""

NOT_READ = "not read surely"
"""The reason that another reader may remove."""


class FoundLine(NamedTuple):
    """Words, how sure the reader is (0..1), which pieces of ink they are (labels of the layer), the piece that is a
    bullet in front of them (0 for none), and whether they run from top to foot."""

    text: str
    score: float
    pieces: tuple[int, ...]
    bullet: int = 0
    vertical: bool = False


class Extent(NamedTuple):
    """A box in pixels of the layer."""

    left: float
    top: float
    right: float
    bottom: float


class FoundLines(NamedTuple):
    """The lines of a layer, a reason for each box that stays a picture, and how many of these were not read surely."""

    lines: list[FoundLine]
    unsure: list[str]
    unread: int


class _Candidate(NamedTuple):
    """A box around what may be a line: its corners in the picture, without the bullet in front; its place in the layer;
    its pieces of ink, the bullet's (0 for none)."""

    corners: Corners
    box: Extent
    pieces: list[int]
    bullet: int


def find_lines(ink: Ink, reader: Reader) -> FoundLines:
    """The lines of level ink. QilError: a reader fails."""
    picture = picture_of(ink.alpha)
    candidates = [_candidate(ink, corners) for corners in reader.find(picture)]
    bullets = {each.bullet for each in candidates}
    candidates = [each for each in candidates if not _is_bullet(ink, each, bullets)]
    words = reader.read_all(picture, [each.corners for each in candidates])
    every = {piece for each in candidates for piece in each.pieces}
    found = [_line(ink, reader, each, read, every) for each, read in zip(candidates, words, strict=True)]
    unsure = [each for each in found if isinstance(each, str)]
    lines = _with_marks(ink, _each_piece_once([each for each in found if isinstance(each, FoundLine)]))
    return FoundLines(lines, unsure, sum(NOT_READ in reason for reason in unsure))


def _candidate(ink: Ink, corners: Corners) -> _Candidate:
    """A box without the bullet that stands at its left: what reads would take that for a letter."""
    box = Extent(*(corners.min(0) - MARGIN_PX).tolist(), *(corners.max(0) - MARGIN_PX).tolist())
    side = min(box.bottom - box.top, box.right - box.left)
    pieces = [each for each in _pieces_in(ink, box) if ink.stats[each, 4] >= MAX_SPECK * side**2]
    dot = 0 if _is_column(box) or not pieces else dot_before(ink, pieces)
    if not dot:
        return _Candidate(corners, box, pieces, 0)
    behind = int(ink.stats[dot, 0] + ink.stats[dot, 2])
    kept = [each for each in pieces if ink.stats[each, 0] >= behind]
    start = max(box.left, (behind + int(ink.stats[kept, 0].min())) / 2)
    along = (corners[1] - corners[0]) * (start - box.left) / max(box.right - box.left, 1)
    trimmed = corners + np.array([along, np.zeros(2), np.zeros(2), along], np.float32)
    return _Candidate(trimmed, box._replace(left=start), kept, dot)


def _is_bullet(ink: Ink, candidate: _Candidate, bullets: set[int]) -> bool:
    """Whether a box is about nothing but the bullet of another line, and specks of noise."""
    area = {piece: int(ink.stats[piece, 4]) for piece in candidate.pieces}
    return 2 * sum(area[piece] for piece in area if piece in bullets) > sum(area.values())


def _is_column(box: Extent) -> bool:
    return box.bottom - box.top > UPRIGHT_ASPECT * (box.right - box.left)


def _line(ink: Ink, reader: Reader, candidate: _Candidate, words: Words, every: set[int]) -> FoundLine | str:
    """The line in one box, or why there is none. every: the pieces of all boxes: of lines set close these overlap."""
    _, box, pieces, bullet = candidate
    if _is_column(box):
        return _column(ink, reader, box, pieces, words)
    if reason := _refused(words, box):
        return f"{_named(words, box)}: {reason}"
    if not _owns_its_ink(ink, pieces, box, every - set(pieces)):
        return f"{_named(words, box)}: a part of something larger"
    text = _as_written(words.text.strip())
    return FoundLine(text.lstrip(SIGNS).strip() if bullet else text, words.score, tuple(pieces), bullet)


def _as_written(text: str) -> str:
    """A text in which a stroke that lengthens vowels is the ideograph "one" where no vowel of kana is before it."""
    return re.sub(f"(?<![\N{KATAKANA LETTER SMALL A}-\N{KATAKANA LETTER VO}]){LONG}(?=[\u4e00-\u9fff])", ONE, text)


def _column(ink: Ink, reader: Reader, box: Extent, pieces: list[int], words: Words) -> FoundLine | str:
    """The line in a box that is higher than wide. words: what was read in it as if it were turned by a right angle."""
    column = read_column(ink, pieces, reader) if pieces else Words("", 0.0)
    if column.score < MIN_SCORE:
        sure = words.score >= MIN_SCORE
        return f"{_named(words, box)}: runs downwards" + ("" if sure else f", {NOT_READ} ({words.score:.0%})")
    if not _owns_its_ink(ink, pieces, box, set()):
        return f"{_named(column, box)}: a part of something larger"
    return FoundLine(_as_written(column.text), column.score, tuple(pieces), vertical=True)


def _refused(words: Words, box: Extent) -> str:
    """Why a reading is not good enough; "" where it is."""
    if words.score < MIN_SCORE:
        return f"{NOT_READ} ({words.score:.0%})"
    if sum(letter.isalnum() for letter in words.text) < MIN_LETTERS:
        return f"fewer than {MIN_LETTERS} letters were read"
    return "too small" if box.bottom - box.top < MIN_HEIGHT_PX else ""


def _named(words: Words, box: Extent) -> str:
    """The words in quotes; where nothing was read, the place of their box in pixels of the layer."""
    if text := words.text.strip():
        return f'"{text[:40]}"'
    left, top, right, bottom = (round(side) for side in box)
    return f"a line of {right - left} x {bottom - top} px at {left}, {top}"


def _pieces_in(ink: Ink, box: Extent) -> list[int]:
    """The pieces whose middle is in a box and that hardly reach out of it."""
    left, top, right, bottom = box
    spare = SPARE * min(bottom - top, right - left)
    x, y, width, height = ink.stats[:, :4].T
    middle_x, middle_y = x + width / 2, y + height / 2
    inside = (left - spare <= middle_x) & (middle_x <= right + spare) & (top <= middle_y) & (middle_y <= bottom)
    fits = (height <= bottom - top + 2 * spare) & (x >= left - 3 * spare) & (x + width <= right + 3 * spare)
    strong = set(np.unique(ink.labels[ink.labels > 0]).tolist())
    return [int(each) for each in np.flatnonzero(inside & fits) if int(each) in strong]


def _owns_its_ink(ink: Ink, pieces: list[int], box: Extent, others: set[int]) -> bool:
    """Whether the ink in a box is for the most part its line's; that of other lines does not count."""
    left, top, right, bottom = (max(0, round(side)) for side in box)
    labels = ink.labels[top:bottom, left:right]
    own = int(np.isin(labels, pieces).sum())
    all_of = int((labels > 0).sum()) - int(np.isin(labels, list(others)).sum())
    return own > 0 and own >= MIN_OWN_INK * all_of


def _each_piece_once(lines: list[FoundLine]) -> list[FoundLine]:
    """The lines without pieces that a line before them, more surely read, has; without lines that then have none."""
    taken: set[int] = set()
    kept = []
    for line in sorted(lines, key=lambda line: -line.score):
        if left := tuple(each for each in line.pieces if each not in taken):
            kept.append(line._replace(pieces=left))
            taken.update(left)
    return kept


def _with_marks(ink: Ink, lines: list[FoundLine]) -> list[FoundLine]:
    """The lines with the dots and marks above and below Arabic and Hebrew letters, which boxes cut off."""
    taken = {piece for line in lines for piece in (*line.pieces, line.bullet)}
    marks: dict[int, list[int]] = {}
    for piece in sorted(set(np.unique(ink.labels[ink.labels > 0]).tolist()) - taken):
        nearest = min(range(len(lines)), key=lambda at: _away(ink, piece, lines[at]), default=None)
        if nearest is not None and _away(ink, piece, lines[nearest]) <= MAX_MARK:
            marks.setdefault(nearest, []).append(piece)
    return [line._replace(pieces=(*line.pieces, *marks.get(at, []))) for at, line in enumerate(lines)]


def _away(ink: Ink, piece: int, line: FoundLine) -> float:
    """How far above or below a line, in its heights, a small piece of ink is; infinite where it is no mark of it."""
    if not any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in line.text):
        return math.inf
    rows = ink.stats[list(line.pieces)]
    (left, top), (right, bottom) = rows[:, :2].min(0), (rows[:, :2] + rows[:, 2:4]).max(0)
    x, y, width, height = ink.stats[piece, :4].tolist()
    line_height = float(bottom - top)
    if height > MAX_MARK * line_height or x < left or x + width > right:
        return math.inf
    return max(float(top) - (y + height), y - float(bottom), 0.0) / line_height
