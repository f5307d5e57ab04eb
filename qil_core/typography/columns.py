"""Columns of upright ideographs that are read from top to foot (tategaki).

1. `cells_of`: where a column is cut into letters: at even steps of about its width, where the cuts meet no ink.
2. `read_column`: the letters laid side by side are a level line, which the recogniser reads.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..ocr import READ_HEIGHT_PX, Reader
from ..ocr_tesseract import Picture, Words
from . import fonts
from .ink import Floats, Ink

MIN_CELLS = 2
"""Letters of the shortest column."""

MIN_PITCH, MAX_PITCH = 0.95, 1.6
"""From letter to letter in widths of the column's ink, which is 0.85 to 0.95 em: set close, or spaced out by half."""

GAPS = (0.05, 0.15, 0.3, 0.5)
"""Clear space between letters that is tried, in the same widths."""

MAX_CUT_INK = 0.05
"""Ink that the cuts may meet, as a share of their length: between letters there is none, and JPEG's noise is little."""


def cells_of(rows: NDArray[np.floating], width: float) -> list[tuple[float, float]]:
    """From where to where each letter of a column reaches. rows (h,): its ink along the column, in pixels across.

    No cells where no even division leaves the ink whole.
    """
    inked = np.flatnonzero(rows > 0.5)
    if not len(inked):
        return []
    first, last = int(inked[0]), int(inked[-1]) + 1
    divisions = [
        [first - gap * width / 2 + number * (last - first + gap * width) / count for number in range(count + 1)]
        for count in range(MIN_CELLS, int((last - first) / (MIN_PITCH * width)) + 2)
        for gap in GAPS
    ]
    fitting = [cuts for cuts in divisions if MIN_PITCH <= (cuts[1] - cuts[0]) / width <= MAX_PITCH]
    best = min(fitting, key=lambda cuts: (_met(rows, width, cuts), cuts[1] - cuts[0]), default=[])
    return list(pairwise(best)) if best and _met(rows, width, best) <= MAX_CUT_INK else []


def _met(rows: NDArray[np.floating], width: float, cuts: list[float]) -> float:
    """How much ink the cuts between letters meet, as a share of their length."""
    inner = [min(max(round(cut), 0), len(rows) - 1) for cut in cuts[1:-1]]
    return round(float(np.mean(rows[inner])) / width, 2)


def read_column(ink: Ink, pieces: list[int], reader: Reader) -> Words:
    """The words of the pieces of a column; none where it is no column of ideographs, one a cell."""
    _, alpha = ink.patch(tuple(pieces))
    columns = np.flatnonzero(alpha.max(0) > 0.5)
    if not len(columns):
        return Words("", 0.0)
    left, right = int(columns[0]), int(columns[-1]) + 1
    cells = cells_of(alpha.sum(1), right - left)
    if not cells:
        return Words("", 0.0)
    words = reader.read_line(_side_by_side(alpha, (left + right) / 2, cells))
    text = "".join(words.text.split())
    fits = len(text) == len(cells) and all(map(fonts.is_wide, text))
    return Words(text, words.score) if fits else Words("", 0.0)


def _side_by_side(alpha: Floats, middle: float, cells: list[tuple[float, float]]) -> Picture:
    """The cells of a column (h, w), whose letters stand about its middle, as a level line in black on white."""
    import cv2

    scale = READ_HEIGHT_PX / (cells[0][1] - cells[0][0])
    size = (READ_HEIGHT_PX, READ_HEIGHT_PX)
    sheets = []
    for top, _ in cells:
        matrix = np.array([[scale, 0, READ_HEIGHT_PX / 2 - scale * middle], [0, scale, -scale * top]], np.float32)
        sheets.append(cv2.warpAffine(alpha, matrix, size, flags=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC))
    grey = 255 * (1 - np.concatenate(sheets, 1).clip(0, 1))
    return np.repeat(grey.round().astype(np.uint8)[..., None], 3, -1)
