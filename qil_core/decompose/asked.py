"""The built-in decomposer where people say which elements become layers: boxes, and texts by their words.

1. `_box`: where an element is. A text without a box is looked for among the lines that OCR reads (`_found`).
2. `picking`: all boxes compete for the picture's pixels.
3. `masks`: soft edges, order, pure colours, and what lies below.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from typing import NamedTuple

import numpy as np
from torch import Tensor

from .. import ocr
from ..elements import Element, shares_note
from ..errors import QilError
from ..naming import numbered
from ..progress import Progress, part
from ..stack import Box
from ..text import quoted
from . import Decomposed, Entry, Request
from .builtin import Builtin
from .builtin.working import Floats
from .likeness import on_ground
from .masks import Masks
from .picking import Picker

MIN_LIKENESS = 0.75
"""Share of the letters of a text that must be read in their order for it to be found: OCR mistakes some."""

MAX_LINES = 40
"""Lines that are read at the most, the highest first; each takes some 20 ms."""

MAX_LISTED = 12
"""Lines that an error names at the most."""


class Line(NamedTuple):
    """A line that was read: its letters alone, its words, and the box around it in pixels."""

    letters: str
    words: str
    box: Box


class Asked(Builtin):
    """The built-in decomposer: by itself, or for the elements of a request."""

    takes_elements = True

    def decompose(self, picture: Tensor, request: Request, progress: Progress) -> Decomposed:
        """Layers of picture (H, W, 4), bottom first; with elements one for each that has something, on a background.

        Raises QilError: an element with neither a box nor a text that is read in the picture.
        """
        if not request.elements:
            return super().decompose(picture, request, progress)
        progress(0, "looking for the elements")
        pixels = picture.cpu().numpy()
        seen = on_ground(pixels)
        boxes = _boxes(request.elements, seen)
        masks = Picker(seen).boxes(boxes).masks()
        areas = [(mask & (pixels[..., 3] > 0)).astype(np.float32) for mask in masks]
        names = numbered([element.name for element in request.elements])
        found = Masks(areas, names).decompose(picture, replace(request, elements=()), part(progress, 0.2, 1))
        shares = {name: float(area.mean()) for name, area in zip(names, areas, strict=True)}
        return Decomposed(found.stack, (*found.notes, shares_note(shares)))


def _boxes(elements: Sequence[Element], seen: Floats) -> list[Box]:
    """Where each element is in a picture (H, W, 3). Raises QilError."""
    for element in elements:
        if element.box is None and not element.text:
            raise QilError(
                f"The built-in decomposer finds {quoted(element.name)} by a box or by words in quotes, and it has "
                f"neither: write {element.name} at left,top,right,bottom in pixels, or quote the words that the "
                "picture shows. By names alone Layered-Control finds things."
            )
    lines = _read(seen) if any(element.box is None for element in elements) else []
    return [element.box or _found(element, lines) for element in elements]


def _read(seen: Floats) -> list[Line]:
    """The lines of a picture (H, W, 3) in the order of reading. Raises QilError without OCR."""
    reader = ocr.reader()
    if reader is None:
        raise QilError(
            f"To find a text by its words OCR is needed, and {ocr.missing()} is missing: {ocr.INSTALL}. Or give the "
            "text a box."
        )
    picture = (seen * 255).round().astype(np.uint8)
    height, width = picture.shape[:2]
    lines = []
    for corners in sorted(reader.find(picture), key=lambda each: float(each[:, 1].min()))[:MAX_LINES]:
        words = reader.read(picture, corners).text
        (left, top), (right, bottom) = corners.min(0), corners.max(0)
        box = Box(int(left), int(top), int(right) + 1, int(bottom) + 1).overlap(Box(0, 0, width, height))
        if (letters := _letters(words)) and box:
            lines.append(Line(letters, words, box))
    return lines


def _found(element: Element, lines: Sequence[Line]) -> Box:
    """The box of the lines, one or several after another, that read most like an element's text. Raises QilError."""
    wanted, best, where = _letters(element.text), MIN_LIKENESS, None
    for first in range(len(lines)):
        letters, box = "", lines[first].box
        for line in lines[first:]:
            letters, box = letters + line.letters, box.hull(line.box)
            if len(letters) > 2 * len(wanted):
                break
            likeness = SequenceMatcher(None, wanted, letters, autojunk=False).ratio()
            if likeness >= best:
                best, where = likeness, box
    if where is None:
        read = ", ".join(quoted(line.words) for line in lines[:MAX_LISTED]) or "no text at all"
        raise QilError(
            f"{quoted(element.text)} is not read in the picture; what is: {read}. Correct it, or give a box."
        )
    return where


def _letters(text: str) -> str:
    """A text without blanks and punctuation, in lower case: OCR is unsure of these."""
    return re.sub(r"[\W_]+", "", text).casefold()


ENTRY = Entry("builtin", "built-in (no weights)", (), lambda values, place: Asked(), takes_elements=True)
