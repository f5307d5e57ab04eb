"""Serifs, seen at the feet of stems: a foot is wider than its stem, in a sans it is as wide.

Letters are told apart by the gaps between them; in a word whose letters touch, none is looked at.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from .ink import Floats
from .word_gaps import word_edges

STEMS = frozenset("hiklmnrfAFHIKMNPTY")
"""Letters that stand on the ends of stems."""

MIN_SERIF_FOOT = 1.4
"""Width of the feet in stems from which a font has serifs. Of three titles at 18 to 80 px in 18 upright fonts and
weights those without have 1.0 to 1.17 (a hairline font 1.5 at 18 px) and those with serifs 1.5 to 3.1."""

MIN_STEMS = 3
"""Letters with stems that must be measured."""

FINER = 4
"""How many times larger letters are measured: a foot at 18 px is a pixel high."""

FOOT = 0.06
"""Height of the row of feet, as a share of a letter's."""

STEM = (0.3, 0.18)
"""Between which heights, in the same share, stems are bare: above the feet and below the bars."""


def foot_ratio(text: str, alpha: Floats) -> float | None:
    """How wide feet are against stems, the median of a line's letters (h, w); None where too few can be measured."""
    words = text.split()
    edges = word_edges(alpha, len(words))
    if edges is None:
        return None
    ratios: list[float] = []
    for word, left, right in zip(words, edges[::2], edges[1::2], strict=True):
        letters = _letters(alpha[:, int(left) : int(right)])
        if len(letters) == len(word):
            ratios += [_foot(each) for letter, each in zip(word, letters, strict=True) if letter in STEMS]
    return float(np.median(ratios)) if len(ratios) >= MIN_STEMS else None


def _letters(word: Floats) -> list[Floats]:
    """The letters of a word (h, w), between which there are columns without ink."""
    inked = np.flatnonzero(np.diff(np.pad(word.max(0) >= 0.3, 1).astype(np.int8)))
    return [word[:, left:right] for left, right in list(pairwise(inked.tolist()))[::2]]


def _foot(letter: Floats) -> float:
    """Width of a letter's feet against that of its stems."""
    import cv2

    large = cv2.resize(np.pad(letter, 2), None, fx=FINER, fy=FINER, interpolation=cv2.INTER_CUBIC) > 0.5
    rows = np.flatnonzero(large.any(1))
    if not len(rows):
        return 1.0
    foot, height = int(rows[-1]) + 1, int(np.ptp(rows)) + 1
    stems = float(np.median(large[int(foot - STEM[0] * height) : int(foot - STEM[1] * height) + 1].sum(1)))
    feet = float(large[int(foot - max(2, FOOT * height)) : foot].any(0).sum())
    return feet / stems if stems else 1.0
