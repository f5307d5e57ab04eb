"""Gaps between the words of a line: where its words begin and end, and how many spaces lie between them."""

from __future__ import annotations

import numpy as np

from . import fonts
from .fonts import Family
from .ink import Floats

MIN_MORE = 0.7
"""From which share of another space's width a gap holds one more: readers give one space for any gap, and justified
lines have up to half a space more in all of their gaps."""

MIN_WIDER = 1.4
"""And how many times as wide as the line's narrowest gap it then is."""

MAX_MORE = 2
"""More spaces in one gap at the most: what is farther apart is set with a tabulator."""


def word_edges(alpha: Floats, count: int) -> Floats | None:
    """Where `count` words begin and end along a line (2 count,): between them are its widest gaps."""
    inked = np.flatnonzero(alpha.max(0) >= 0.3)
    steps = np.diff(inked)
    widest = np.sort(np.argsort(-steps, kind="stable")[: count - 1])
    if len(inked) < 2 or (count > 1 and (len(widest) < count - 1 or steps[widest].min() < 2)):
        return None
    edges = [inked[0], *(side for at in widest for side in (inked[at] + 1, inked[at + 1])), inked[-1] + 1]
    return np.array(edges, np.float32)


def respaced(text: str, alpha: Floats, family: Family, size: float) -> str:
    """The words of a line (h, w) of a font size in pixels, with more than one space where the gap has room for them."""
    words = text.split()
    edges = word_edges(alpha, len(words)) if len(words) > 2 else None
    if edges is None:
        return text
    if family == "mono":
        return _on_grid(words, edges[::2] / (fonts.MONO_WIDTH * size))
    gaps = edges[2::2] - edges[1:-1:2]
    space = fonts.advance(" ", family) * size
    joined = words[0]
    for before, word, gap in zip(words, words[1:], gaps.tolist(), strict=False):
        natural = space + (fonts.bearing(before[-1], family) + fonts.bearing(word[0], family)) * size
        more = int((gap - natural) / space + 1 - MIN_MORE)
        is_wider = more > 0 and gap > MIN_WIDER * float(gaps.min())
        joined += " " * (1 + (min(more, MAX_MORE) if is_wider else 0)) + word
    return joined


def _on_grid(words: list[str], starts: Floats) -> str:
    """Words in a font of one width, from where they begin in its letters."""
    joined = words[0]
    for before, word, step in zip(words, words[1:], np.diff(starts).tolist(), strict=False):
        joined += " " * min(max(round(step) - len(before), 1), 1 + MAX_MORE) + word
    return joined
