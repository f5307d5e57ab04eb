"""Recognising the text of a layer: `recognize`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import QilError
from ..ocr import INSTALL, Reader, missing, reader
from .fonts import Family
from .ink import Floats, Ink, ink_of, is_sharper, picture_of, turn_of, turned
from .paragraphs import Block, blocks, goes_on_in_row, of_one_size
from .reading import MAX_SPECK, FoundLine, find_lines
from .style import Line, line_of

MAX_COVER = 0.75
"""Share of its box that a layer of text covers at the most: what covers more is a picture, whatever is drawn in it."""

RIM_PX = 2
"""How far around its letters the soft rim of text reaches."""

SPECKS = 0.4
"""How far around a line, in font sizes, noise of its letters lies: a JPEG block of 8 px beside letters of 20 px."""

MIN_REST = 0.25
"""Largest alpha from which what is beside the letters of a layer is worth a picture."""

Styled = tuple[FoundLine, Line | str]
"""A line and how it is set, or why it stays a picture."""


@dataclass(frozen=True, eq=False)
class Recognized:
    """The text of a layer (h, w, 4).

    blocks: in the order of reading, in pixels of the layer turned upright about its middle: degrees: how far the layer
    is turned clockwise, size: (width, height) of the upright one. rest: the layer without that text and its bullets,
    None where nothing is left. unsure: a reason for each text that stays a picture. hint: what would have to be
    installed for more of it to be read, "" for nothing. cleaned: whether remains of another layer's letters were taken
    off the rest (`ghosts.without_ghosts`).
    """

    blocks: tuple[Block, ...]
    rest: Tensor | None
    unsure: tuple[str, ...]
    degrees: float = 0.0
    size: tuple[int, int] = (0, 0)
    hint: str = ""
    cleaned: bool = False

    @property
    def replaces_layer(self) -> bool:
        """Whether the blocks and the rest are shown in place of the layer."""
        return bool(self.blocks) or self.cleaned

    @property
    def text(self) -> str:
        """All words, a line a paragraph."""
        return "\n".join(block.text for block in self.blocks)


def stays_pictures(texts: Iterable[Recognized | None]) -> list[str]:
    """A reason for each text that stays a picture, and once what would have to be installed for more to be read."""
    found = [text for text in texts if text]
    reasons = [reason for text in found for reason in text.unsure]
    return reasons + list(dict.fromkeys(text.hint for text in found if text.hint))


def needed_reader() -> Reader:
    """The reader of this process. Raises QilError: the extra `text` is not installed."""
    found = reader()
    if found is None:
        raise QilError(f"Editable text needs the extra `text`, and {missing()} is missing: {INSTALL}.")
    return found


def recognize(layer: Tensor, words: Reader) -> Recognized:
    """The text of a layer (h, w, 4) in [0, 1], straight alpha, without empty rows around it."""
    pixels = layer.cpu().numpy().astype(np.float32)
    if float((pixels[..., 3] > 0.5).mean()) > MAX_COVER or float(pixels[..., 3].max()) == 0:
        return Recognized((), layer, ())
    degrees = turn_of(words.find(picture_of(pixels[..., 3])))
    degrees = degrees if degrees and is_sharper(pixels[..., 3], degrees) else 0.0
    level = _turned_straight(pixels, degrees) if degrees else pixels
    ink = ink_of(level[..., 3])
    found = find_lines(ink, words)
    styled = _styled(found.lines, ink, level[..., :3])
    unsure = [*found.unsure, *(line for _, line in styled if isinstance(line, str))]
    lines = _agreed([(each, line) for each, line in styled if isinstance(line, Line)], ink, level[..., :3])
    text = tuple(blocks(lines))
    height, width = level.shape[:2]
    lines = [line for block in text for line in block.lines]
    rest = _rest(layer, _text_mask(ink, lines, degrees, layer)) if lines else layer
    return Recognized(text, rest, tuple(unsure), degrees, (width, height), words.lacks if found.unread else "")


def _styled(found: list[FoundLine], ink: Ink, rgb: Floats) -> list[Styled]:
    """How each line is set, or why it stays a picture. Where its own family does not fit, that of the others may."""
    styled = _joined_rows([(each, line_of(each, ink, rgb)) for each in found], ink, rgb)
    families = Counter(line.family for _, line in styled if isinstance(line, Line))
    common = families.most_common(1)[0][0] if families else None
    return [(each, line_of(each, ink, rgb, common) if isinstance(line, str) else line) for each, line in styled]


def _joined_rows(styled: list[Styled], ink: Ink, rgb: Floats) -> list[Styled]:
    """The lines, parts of one row as one: around wide spaces the detector cuts a line."""
    rows: list[Styled] = []
    for found, line in sorted(styled, key=lambda each: each[1].left if isinstance(each[1], Line) else 0):
        for at, (before, left) in enumerate(rows):
            if isinstance(line, Line) and isinstance(left, Line) and goes_on_in_row(left, line):
                whole = before._replace(text=f"{before.text} {found.text}", pieces=before.pieces + found.pieces)
                joined = line_of(whole, ink, rgb)
                if isinstance(joined, Line):
                    rows[at] = (whole, joined)
                    break
        else:
            rows.append((found, line))
    return rows


def _agreed(lines: list[tuple[FoundLine, Line]], ink: Ink, rgb: Floats) -> list[Line]:
    """The lines, all of about one size in the family that most of their letters seem to be in: a list is set in one."""
    agreed = []
    for found, line in lines:
        letters: Counter[Family] = Counter()
        for _, other in lines:
            if of_one_size(line, other) and line.script == other.script:
                letters[other.family] += len(other.text)
        family = letters.most_common(1)[0][0]
        again = line if family == line.family else line_of(found, ink, rgb, family)
        agreed.append(line if isinstance(again, str) else again)
    return agreed


def _turned_straight(pixels: Floats, degrees: float) -> Floats:
    """A layer turned counter-clockwise, resampled with premultiplied colours."""
    alpha = pixels[..., 3:]
    sheet = turned(np.concatenate([pixels[..., :3] * alpha, alpha], -1), degrees).clip(0, 1)
    colors = sheet[..., :3] / np.maximum(sheet[..., 3:], 1e-3)
    return np.asarray(np.concatenate([colors.clip(0, 1), sheet[..., 3:]], -1), np.float32)


def _text_mask(ink: Ink, lines: list[Line], degrees: float, layer: Tensor) -> Floats:
    """Where letters and their rims are in a layer (h, w): 0 or 1."""
    import cv2

    pieces = tuple(piece for line in lines for piece in line.pieces)
    pieces += tuple(line.bullet.piece for line in lines if line.bullet)
    size = 2 * RIM_PX + 1
    text = ink.mask(pieces) | _specks(ink, lines)
    grown = cv2.dilate(text.astype(np.uint8), np.ones((size, size), np.uint8))
    other = (ink.labels > 0) & ~text
    mask = np.where(other, 0, grown).astype(np.float32)
    return _turned_back(mask, degrees, layer.shape[0], layer.shape[1]) if degrees else mask


def _specks(ink: Ink, lines: list[Line]) -> NDArray[np.bool_]:
    """What lies about the letters (h, w) and is tiny, or faint and lower than half a line: noise that JPEG leaves."""
    is_speck = np.zeros(len(ink.stats), bool)
    is_faint = np.zeros(len(ink.stats), bool)
    is_faint[np.unique(-ink.labels[ink.labels < 0])] = True
    x, y, width, height, area = ink.stats.T
    for line in lines:
        spare = SPECKS * line.size
        across = (x >= line.left - spare) & (x + width <= line.right + spare)
        down = (y >= line.top - spare) & (y + height <= line.bottom + spare)
        small = (area < MAX_SPECK * line.size**2) | (is_faint & (height <= line.size / 2))
        is_speck |= across & down & small
    return np.asarray((ink.labels != 0) & is_speck[np.abs(ink.labels)])


def _turned_back(mask: Floats, degrees: float, height: int, width: int) -> Floats:
    back = turned(mask, -degrees)
    top, left = (back.shape[0] - height) // 2, (back.shape[1] - width) // 2
    return (back[top : top + height, left : left + width] > 0.3).astype(np.float32)


def _rest(layer: Tensor, mask: Floats) -> Tensor | None:
    """The layer without what a mask (h, w) covers; None where nothing that can be seen is left."""
    rest = layer.clone()
    rest[..., 3] *= 1 - torch.from_numpy(mask).to(layer)
    return rest if float(rest[..., 3].max()) >= MIN_REST else None


def turned_place(recognized: Recognized, x: float, y: float, height: int, width: int) -> tuple[float, float]:
    """A point of the upright layer as a point of the layer (height, width)."""
    across, down = x - recognized.size[0] / 2, y - recognized.size[1] / 2
    angle = math.radians(recognized.degrees)
    cos, sin = math.cos(angle), math.sin(angle)
    return width / 2 + cos * across - sin * down, height / 2 + sin * across + cos * down
