"""Step 7, reading: where the extra `text` is installed, lines of text are read and become whole blocks of glyphs.

1. `ocr.Reader.find`: boxes around lines, in the working copy.
2. `ink.find_ink`: the glyphs of each, with their outline.
3. `_blocks`: lines of one style and place are one block: of like height and colours, with small gaps between them, or
   as items of a list, which begin below each other.
4. `bullets`: the dots before the items of a list.
5. `_read`: the words of each block's first lines; what is read as nothing is no text. Numbers at a chart are its.
6. `Texts.on_things`: small words on a thing, such as the title of a book, are part of that.

What is curved, or too large to be found, is left to the search by geometry (`step07_texts`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ... import ocr
from ...naming.words import beginning, short
from ...progress import Progress, part, silent
from .bullets import find_bullets
from .ink import Ink, axes, filled, find_ink, line_height
from .lettering import letters_of, style_of
from .shapes import grown
from .working import Floats, Labels, Mask, Working, reported

MIN_CHARACTERS = 2
"""Letters and digits of the shortest text: a ring is read as an O."""

MIN_FOREIGN_LENGTH = 4
"""Length of a line, in heights, from which the reader finds a letter in whatever it knows."""

MAX_READ = 110
"""How much is read at most, in heights of lines, for it takes longer than finding them: of the largest blocks, the
first lines. A title has about ten, a number at a chart two."""

MAX_NAMED_LINES = 3
"""How many lines of a block are read: its name needs no more."""

SMALL = 0.05
"""Height of a line, as a share of the picture's shorter side, below which a number or a mark belongs to a chart."""

MARK_LETTERS = 3
"""Letters of the longest such mark."""

MIN_LINE_PX = 6
"""Height of the lowest box of a line in working pixels: letters in it are 4 px high."""

MAX_HEIGHTS = 1.5
"""How many times as high as another a line of the same block may be: boxes of lines without an l or a g are lower."""

MAX_COLOR = 50
"""How far the inks of a block's lines may be apart in 1/255, and the papers."""

MAX_LEADING = 0.7
"""Largest gap between two lines of a block, in heights."""

MAX_LIST_LEADING = 2.2
"""The same for items of a list, in heights."""

MAX_LIST_HEIGHTS = 1.4
"""How many times as high as another an item of the same list may be: boxes around lines are up to a fifth off."""

MAX_LIST_COLOR = 30
"""How far their inks and papers may be apart in 1/255."""

MAX_INDENT = 0.5
"""How far apart, in heights, the beginnings of the items of a list may lie."""

MAX_WORD_GAP = 1.2
"""Largest gap between two parts of one line, in heights."""

MARGIN = 0.12
"""Height of a page's upper and lower margin, where headers and footers stand, as a share of the picture's."""

CHART_GAP = 8
"""Clear distance, in heights, up to which marks belong to one chart: those of an axis stand so far apart."""

MAX_TURN = 0.1
"""Largest angle between the lines of a block, in radians."""

MIN_ON_THING = 0.7
"""Share of the surroundings of a text that one region must have for the text to lie on that."""

MAX_THING = 0.15
"""Share of the picture up to which such a region is a thing with a text on it, and not the ground of a page."""

TOUCHED_PX = 2
"""How far around glyphs, in working pixels, what was lifted off as thin strokes is put back."""


ON_THING = -1
"""In place of a group's number: words on a thing are no units, but parts of its regions."""


@dataclass(frozen=True)
class Texts:
    """Blocks of text. numbers: (h, w), the block of each pixel, 1.., 0 for none. names: of block 1.., by its words.

    marks: (h, w), groups 1.. of numbers and the like at one chart; ON_THING for words on a thing. note: for the report.
    were_read: whether there was a reader.
    """

    numbers: Labels
    marks: Labels
    names: tuple[str, ...] = ()
    note: str = ""
    were_read: bool = False

    def name_of(self, pixels: Mask) -> str:
        """The name of the block that has most of these pixels (h, w); "" where none has any."""
        found = np.bincount(self.numbers[pixels], minlength=1)[1:]
        return self.names[int(found.argmax())] if found.any() else ""

    def covering(self, regions: Labels) -> Mask:
        """Which regions (n,) of a map (h, w) are for the most part glyphs or marks."""
        known = np.bincount(regions[(self.numbers > 0) | (self.marks != 0)], minlength=int(regions.max()) + 1)
        known[0] = 0
        return np.asarray(2 * known > np.bincount(regions.ravel()))

    def on_things(self, regions: Labels) -> Texts:
        """These texts without those that lie on a small region: they are part of it."""
        sizes = np.bincount(regions.ravel())
        part_of = [self._is_on_thing(number, regions, sizes) for number in range(1, len(self.names) + 1)]
        gone = np.array([False, *part_of])[self.numbers]
        marks = np.where(gone, ON_THING, self.marks)
        return replace(self, numbers=np.where(gone, 0, self.numbers), marks=marks).without_empty()

    def without_empty(self) -> Texts:
        """The blocks that have a pixel, numbered without gaps."""
        kept = [number for number in np.unique(self.numbers).tolist() if number]
        rank = np.zeros(len(self.names) + 1, np.int32)
        rank[kept] = np.arange(1, len(kept) + 1)
        return replace(self, numbers=rank[self.numbers], names=tuple(self.names[number - 1] for number in kept))

    def _is_on_thing(self, number: int, regions: Labels, sizes: NDArray[np.int64]) -> bool:
        mask = self.numbers == number
        around = grown(mask, 2 * TOUCHED_PX) & ~grown(mask, TOUCHED_PX)
        counts = np.bincount(regions[around], minlength=1)
        most = int(counts.argmax())
        return bool(most and counts[most] > MIN_ON_THING * counts.sum() and sizes[most] < MAX_THING * regions.size)


class _Found(NamedTuple):
    corners: ocr.Corners
    ink: Ink
    height: float


def no_texts(shape: tuple[int, int], note: str = "") -> Texts:
    """No text in a picture of shape (h, w)."""
    return Texts(np.zeros(shape, np.int32), np.zeros(shape, np.int32), (), note)


def read_texts(work: Working, progress: Progress = silent) -> Texts:
    """The texts of a working copy."""
    reader = ocr.reader()
    if reader is None:
        lacks = f"Text: found by its shape alone, since {ocr.missing()} is missing. To have it read, {ocr.INSTALL}"
        return no_texts(work.shape, lacks)
    progress(0, "looking for text")
    rgb = over_contrast(work)
    picture = rgb.round().clip(0, 255).astype(np.uint8)
    boxes = [box for box in reader.find(picture) if line_height(box) >= MIN_LINE_PX]
    lines = _inked(rgb, work.noise, boxes, part(progress, 0.5, 0.7))
    blocks, marks = _read(reader, picture, rgb, work.noise, _blocks(lines, rgb.shape[0]), part(progress, 0.7, 1))
    count = sum(len(lines) for lines, _ in blocks)
    note = f"Text: read with {reader.label}, {count} lines." if count else f"Text: {reader.label} found none."
    numbers = _painted([lines for lines, _ in blocks], work.shape)
    for number, (lines, _) in enumerate(blocks, 1):
        for bullet in find_bullets(rgb, [(line.corners, line.ink) for line in lines]):
            numbers[bullet.window][bullet.mask] = number
        letters = _outlined(rgb, work.noise, lines) if (numbers == number).any() else None
        if letters is not None:
            numbers = _with_letters(numbers, number, letters)
    names = tuple(name for _, name in blocks)
    return Texts(numbers, _painted(_grouped(marks, _at_one_chart), work.shape), names, note, True).without_empty()


def _outlined(rgb: Floats, noise: float, lines: Sequence[_Found]) -> Mask | None:
    """The outlined letters (h, w) of a block, and of the lines next to it; None where its letters have no outline."""
    largest = max(lines, key=lambda line: int(line.ink.mask.sum()))
    style = style_of(rgb[largest.ink.window], noise, largest.ink.mask, largest.ink.paper)
    if style is None:
        return None
    rows = np.concatenate([line.corners[:, 1] for line in lines])
    return letters_of(rgb, noise, style, (float(rows.min()), float(rows.max())), largest.height)


def _with_letters(numbers: Labels, number: int, letters: Mask) -> Labels:
    """The blocks (h, w) with these letters as the whole of one, which takes in those that they mostly cover."""
    count = int(numbers.max()) + 1
    total, covered = (np.bincount(numbers[mask], minlength=count) for mask in (numbers >= 0, letters))
    gone = 2 * covered > total
    gone[number] = True
    gone[0] = False
    left = np.where(gone[numbers], 0, numbers)
    return np.where(letters & (left == 0), number, left).astype(np.int32)


def over_contrast(work: Working) -> Floats:
    """The colours (h, w, 3) of a working copy, its clear parts black or white, whatever differs more from the rest."""
    rgb, alpha = work.rgba[..., :3], work.rgba[..., 3:]
    is_light = float(rgb.sum()) > 1.5 * float(alpha.sum())
    return np.ascontiguousarray(rgb if work.is_opaque or is_light else rgb + 255 - alpha)


def _inked(rgb: Floats, noise: float, boxes: Sequence[ocr.Corners], progress: Progress) -> list[_Found]:
    """The lines in whose boxes there is ink."""
    count = np.zeros(rgb.shape[:2], np.int32)
    masks = [filled(box, rgb.shape) for box in boxes]
    for mask in masks:
        count += mask
    found = []
    for box, mask in reported(list(zip(boxes, masks, strict=True)), progress, "looking for text"):
        ink = find_ink(rgb, noise, box, count > mask)
        if ink is not None:
            found.append(_Found(box, ink, line_height(box)))
    return found


def _blocks(lines: Sequence[_Found], height: int) -> list[list[_Found]]:
    """The lines by block, the largest block first, the lines of each from top to foot. height: of the picture."""
    groups = _grouped(lines, lambda first, second: _belong(first, second) or _in_margin(first, second, height))
    return sorted(map(_ordered, groups), key=lambda group: -sum(int(line.ink.mask.sum()) for line in group))


def _grouped(lines: Sequence[_Found], belong: Callable[[_Found, _Found], bool]) -> list[list[_Found]]:
    """The lines by groups, which such pairs chain up to."""
    label = list(range(len(lines)))
    for i, first in enumerate(lines):
        for j in range(i):
            if label[i] != label[j] and belong(first, lines[j]):
                label = [label[j] if k == label[i] else k for k in label]
    return [[line for line, k in zip(lines, label, strict=True) if k == n] for n in sorted(set(label))]


def _ordered(group: list[_Found]) -> list[_Found]:
    """The lines of a block as they are read: from top to foot, and along a row."""
    rows: list[list[_Found]] = []
    for line in sorted(group, key=lambda line: float(line.corners[:, 1].mean())):
        apart = float(line.corners[:, 1].mean() - rows[-1][0].corners[:, 1].mean()) if rows else np.inf
        if apart < line.height / 2:
            rows[-1].append(line)
        else:
            rows.append([line])
    return [line for row in rows for line in sorted(row, key=lambda line: float(line.corners[:, 0].min()))]


def _belong(first: _Found, second: _Found) -> bool:
    """Whether two lines are parts of one line, follow each other in a paragraph, or are items of one list."""
    low, high = sorted((first.height, second.height))
    off = max(_apart(first.ink.colors, second.ink.colors), _apart(first.ink.paper, second.ink.paper))
    turn = abs(_angle(first.corners) - _angle(second.corners))
    if high > MAX_HEIGHTS * low or off > MAX_COLOR or turn > MAX_TURN:
        return False
    (left, top), (right, foot) = (_extent(line, first) for line in (first, second))
    beside, below = _gap(left, right), _gap(top, foot)
    if beside <= 0:
        is_list = abs(left[0] - right[0]) < MAX_INDENT * low and high < MAX_LIST_HEIGHTS * low and off < MAX_LIST_COLOR
        return below < (MAX_LIST_LEADING if is_list else MAX_LEADING) * low
    return below < -low / 2 and beside < MAX_WORD_GAP * low


def _in_margin(first: _Found, second: _Found, height: int) -> bool:
    """Whether two lines are parts of a header or footer: in one row of a page's margin, in one style."""
    low, high = sorted((first.height, second.height))
    middles = [float(line.corners[:, 1].mean()) for line in (first, second)]
    in_margin = max(middles) < MARGIN * height or min(middles) > (1 - MARGIN) * height
    off = max(_apart(first.ink.colors, second.ink.colors), _apart(first.ink.paper, second.ink.paper))
    in_style = high < MAX_LIST_HEIGHTS * low and off < MAX_LIST_COLOR
    return in_margin and in_style and abs(middles[0] - middles[1]) < low / 4


def _at_one_chart(first: _Found, second: _Found) -> bool:
    apart = [_gap(a, b) for a, b in zip(_extent(first, first), _extent(second, first), strict=True)]
    return max(apart) < CHART_GAP * max(first.height, second.height)


def _apart(first: Floats, second: Floats) -> float:
    """How far, in 1/255, two ranges of colours (2, 3), lowest and highest, are apart; 0 where they overlap."""
    return float(np.maximum(first[0] - second[1], second[0] - first[1]).max(initial=0))


def _angle(corners: ocr.Corners) -> float:
    along = axes(corners)[0]
    return float(np.arctan2(along[1], along[0]))


def _extent(line: _Found, by: _Found) -> tuple[tuple[float, float], tuple[float, float]]:
    """From where to where a line reaches along another one, and down, in pixels."""
    reach = [line.corners @ (axis / np.linalg.norm(axis)) for axis in axes(by.corners)]
    return (float(reach[0].min()), float(reach[0].max())), (float(reach[1].min()), float(reach[1].max()))


def _gap(first: tuple[float, float], second: tuple[float, float]) -> float:
    """Clear distance of two intervals, negative where they overlap."""
    return max(first[0], second[0]) - min(first[1], second[1])


def _read(
    reader: ocr.Reader,
    picture: ocr.Picture,
    rgb: Floats,
    noise: float,
    blocks: Sequence[list[_Found]],
    progress: Progress,
) -> tuple[list[tuple[list[_Found], str]], list[_Found]]:
    """The blocks that are text, each with its name, and the lines that are marks of something else.

    picture: rgb (h, w, 3) rounded, as the reader takes it.
    """
    texts, marks, left = [], [], float(MAX_READ)
    for block in reported(blocks, progress, "reading text"):
        tried = block[:MAX_NAMED_LINES] if left > 0 else []
        words = [reader.read(picture, line.corners) for line in tried]
        left -= sum(min(_length(line), ocr.MAX_READ_ASPECT) for line in tried)
        good = [(line, word.text) for line, word in zip(tried, words, strict=True) if _is_text(word, line)]
        if not good and tried and _outlined(rgb, noise, tried) is not None:  # in a script that the reader does not know
            good = [(line, "") for line in tried]
        if not good:
            continue
        lines = [line for line, _ in good] + block[len(tried) :]
        small = max(line.height for line in lines) < SMALL * min(picture.shape[:2])
        if small and all(_is_mark(text) for _, text in good):
            marks += lines
        else:
            texts.append((lines, short([beginning(text, line.corners) for line, text in good])))
    return texts, marks


def _is_text(words: ocr.Words, line: _Found) -> bool:
    """Whether a line was read; a long one with no letters is in a script that the reader does not know, as Hangul."""
    characters = sum(c.isalnum() for c in words.text)
    is_foreign = characters < MIN_CHARACTERS and _length(line) > MIN_FOREIGN_LENGTH
    return is_foreign or (words.score > ocr.MIN_SCORE and characters >= MIN_CHARACTERS)


def _length(line: _Found) -> float:
    """Length of a line in heights."""
    return float(np.linalg.norm(axes(line.corners)[0])) / line.height


def _is_mark(text: str) -> bool:
    """Whether a text is what stands at a chart: a number, or a word like Q1."""
    letters = sum(c.isalpha() for c in text)
    return 0 < len(text.strip()) <= MARK_LETTERS or letters < sum(c.isdigit() for c in text)


def _painted(blocks: Sequence[Sequence[_Found]], shape: tuple[int, int]) -> Labels:
    """The number of the block (h, w), 1.., whose ink each pixel is."""
    numbers = np.zeros(shape, np.int32)
    for number, lines in enumerate(blocks, 1):
        for line in lines:
            numbers[line.ink.window][line.ink.mask] = number
    return numbers
