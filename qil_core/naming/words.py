"""The words of a layer that is text, where the optional extra `text` is installed.

1. `_views`: the layer as the reader may know it: its ink in black on white; its colours over paper, for letters with an
   outline or on a label; and, where `arc.unrolled` finds its letters on an arc, the same laid flat.
2. `words_of`: of the first view in which most of the ink is read, the words, from top to foot.
3. `short`: the beginning of words as a name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..ocr import MARGIN_PX, MAX_READ_ASPECT, MIN_SCORE, Corners, Picture, Reader
from .arc import unrolled

Floats = NDArray[np.float32]

MAX_NAME = 28
"""Characters of a name at most: what the lists of layers of Photoshop, PowerPoint and ComfyUI show of one."""

MIN_CHARACTERS = 2
"""Letters and digits of the shortest text: a ring is read as an O."""

MORE = "…"
"""Ends a name that is the beginning of a longer text."""

BULLETS = "•·●○◦▪■*-\N{EN DASH}\N{EM DASH}∙ "
"""What stands in front of the items of a list, and what the reader takes it for."""

MIN_READ = 0.6
"""Share of the ink that must lie in lines that were read: with less, the layer is a thing with some words on it."""

MIN_FOREIGN_LENGTH = 4
"""Length of a line, in heights, from which the reader finds a letter in whatever it knows (`step07_reading`)."""

MAX_COVER = 0.75
"""Share of its box that a layer of text covers at the most, as where text is made editable."""

MAX_LINES = 4
"""Lines that are read of a layer, the upper ones: a name needs no more. Each takes some 20 ms."""

SPARE = 0.15
"""How far out of the box of its line, in heights, ink may reach: boxes cut accents and tails."""


class Line(NamedTuple):
    """A line in a view: where it is, and what was read."""

    corners: Corners
    words: str


def words_of(layer: Floats, reader: Reader, curved: bool = True) -> str:
    """The words of a layer's content (h, w, 4), straight alpha in [0, 1], as a name; "" where it is no text.

    curved: whether letters on an arc are looked for.
    """
    alpha = layer[..., 3]
    if not alpha.any() or float((alpha > 0.5).mean()) > MAX_COVER:
        return ""
    for picture, ink in _views(layer, curved):
        if name := _read(picture, ink, reader):
            return name
    return ""


def _views(layer: Floats, curved: bool) -> Iterator[tuple[Picture, Floats]]:
    """Pictures (h, w, 3) in which a layer's words may be read, and its ink (h, w) in 0..1 in each."""
    margin = ((MARGIN_PX, MARGIN_PX), (MARGIN_PX, MARGIN_PX))
    alpha = np.pad(layer[..., 3], margin)
    ink = alpha / float(alpha.max())
    yield _picture(np.repeat(1 - ink[..., None], 3, -1)), ink
    yield _picture(_on_paper(np.pad(layer, (*margin, (0, 0))))), ink
    if curved:
        for flat in unrolled(ink):
            yield _picture(np.repeat(1 - flat[..., None], 3, -1)), flat


def _on_paper(layer: Floats) -> Floats:
    """The colours (h, w, 3) of a layer over black or white, whatever differs more from most of them."""
    alpha = layer[..., 3:]
    mean = float((layer[..., :3] * alpha).sum() / (3 * alpha.sum()))
    return np.asarray(layer[..., :3] * alpha + (mean < 0.5) * (1 - alpha), np.float32)


def _picture(values: Floats) -> Picture:
    return (255 * values.clip(0, 1)).round().astype(np.uint8)


def _read(picture: Picture, ink: Floats, reader: Reader) -> str:
    """The words in a picture as a name; "" where most of the ink (h, w) lies beside what can be read."""
    boxes = in_order(reader.find(picture))
    if not boxes or _share(ink, boxes) < MIN_READ:
        return ""
    read = [(box, reader.read(picture, box)) for box in boxes[:MAX_LINES]]
    sure = [(box, words.text) for box, words in read if words.score >= MIN_SCORE and is_name(words.text)]
    if not sure:
        return ""
    # Lines below the first ones, and those in a script that the reader does not know, may be text as well.
    unread = [box for box, words in read if not is_name(words.text) and _is_long(box)]
    known = [*(box for box, _ in sure), *unread, *boxes[MAX_LINES:]]
    return short([beginning(text, box) for box, text in sure]) if _share(ink, known) >= MIN_READ else ""


def _share(ink: Floats, boxes: Sequence[Corners]) -> float:
    """Share of the ink (h, w) that lies in boxes (4, 2)."""
    import cv2

    inside = np.zeros(ink.shape, np.uint8)
    for box in boxes:
        height, spread = _sides(box)[0], box - box.mean(0)
        length = np.maximum(np.linalg.norm(spread, axis=1, keepdims=True), 1)
        cv2.fillConvexPoly(inside, (box + spread / length * 2 * SPARE * height).round().astype(np.int32), 1)
    return float(ink[inside > 0].sum() / ink.sum())


def _sides(box: Corners) -> tuple[float, float]:
    """The shorter and the longer side of a box (4, 2) in pixels."""
    sides = np.linalg.norm(np.roll(box, -1, axis=0) - box, axis=1).reshape(2, 2).max(0)
    return float(sides.min()), float(sides.max())


def _is_long(box: Corners) -> bool:
    low, high = _sides(box)
    return high > MIN_FOREIGN_LENGTH * low


def in_order(boxes: Sequence[Corners]) -> list[Corners]:
    """Boxes (4, 2) as they are read: rows from top to foot, each from left to right."""
    rows: list[list[Corners]] = []
    for box in sorted(boxes, key=lambda each: float(each[:, 1].mean())):
        apart = float(box[:, 1].mean() - rows[-1][0][:, 1].mean()) if rows else np.inf
        if apart < np.ptp(box[:, 1]) / 2:
            rows[-1].append(box)
        else:
            rows.append([box])
    return [box for row in rows for box in sorted(row, key=lambda each: float(each[:, 0].min()))]


def is_name(text: str) -> bool:
    """Whether a text has letters enough for a name."""
    return sum(map(str.isalnum, text)) >= MIN_CHARACTERS


def beginning(text: str, corners: Corners) -> str:
    """What was read in a box (4, 2), without the word in whose middle the reader stops; with "…" where it does."""
    low, high = _sides(corners)
    if high <= MAX_READ_ASPECT * low:
        return text
    return (text.rpartition(" ")[0] or text).rstrip() + MORE


def short(lines: Sequence[str]) -> str:
    """A name of the lines of a text, cut after a word; "" where there are no letters.

    A slash would make a group, and marks of direction would turn what stands beside the name around: both are left out.
    """
    shown = list(lines[: next((i + 1 for i, line in enumerate(lines) if line.endswith(MORE)), len(lines))])
    text = " ".join(line.lstrip(BULLETS) for line in shown)
    name = " ".join("".join(letter if letter.isprintable() and letter != "/" else " " for letter in text).split())
    if not is_name(name):
        return ""
    if len(name.removesuffix(MORE)) <= MAX_NAME:
        return name
    kept = name[:MAX_NAME].rpartition(" ")[0] or name[:MAX_NAME]
    return kept.rstrip(" ,;:-") + MORE
