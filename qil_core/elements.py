"""A plan in words: which layers are wanted, one a line, and where each of them lies.

    girl
    the red car at 120,40,380,300
    text "SALE 50%"

- A box is written at the end of its line: "at" and left, top, right, bottom in pixels of the picture, whole numbers
  with commas between them, and blanks as one likes. Columns left..right-1 and rows top..bottom-1 belong to it.
- Words in quotes, straight or typographic, are a text that is read in the picture. A line that is nothing but a quoted
  text is named by it.
- Blank lines count for nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .errors import QilError
from .stack import Box
from .text import MAX_PROMPT, printable, quoted

MAX_ELEMENTS = 49
"""Lines at the most: with what lies below them as many layers as may be asked for in all (`request.MAX_TOTAL`), which
is also as many as ComfyUI's LAYERS documents hold."""

MAX_WORDS = 400
"""Characters of a line: a long sentence. Of a prompt the model's authors give examples up to 80."""

MAX_PIXEL = 999_999
"""Largest coordinate that is read, in pixels: far beyond any picture."""

_QUOTED = re.compile('"([^"]+)"|[“„]([^“”]+)[“”]|«([^»]+)»|「([^」]+)」|『([^』]+)』')
_NUMBER = r"([+-]?[0-9]{1,6})"
_COMMA = r"\s*[,\uff0c]\s*"  # Chinese keyboards write the wide one
_BOX = re.compile(r"(?:^|\s)at\s+" + _COMMA.join([_NUMBER] * 4) + r"\s*$", re.IGNORECASE)
_MEANT = re.compile(r"(?:^|\s)at\s+[+-]?[0-9][0-9.]*(?:\s*[,\uff0c;]\s*(?:[+-]?[0-9]|$)|\s+[+-]?[0-9])", re.IGNORECASE)
"""What can only be a box, well written or not: "at" and two numbers. "a clock at 12" has none."""


@dataclass(frozen=True)
class Element:
    """A layer that is wanted. name: the line's words, without the box. box: in pixels, where one is given. text: the
    words in quotes, "" without any.
    """

    name: str
    box: Box | None = None
    text: str = ""

    def __str__(self) -> str:
        return self.name if self.box is None else f"{self.name} at {_shown(self.box)}"

    def check(self) -> None:
        """QilError when a value cannot be used; they may come from a file."""
        texts = isinstance(self.name, str) and isinstance(self.text, str)
        if not texts or not self.name.strip() or max(len(self.name), len(self.text)) > MAX_WORDS:
            raise QilError(f"An element is named by 1 to {MAX_WORDS} characters, got {quoted(str(self.name))}.")
        if printable(self.name) != self.name or printable(self.text) != self.text:
            raise QilError(f"The element {quoted(self.name)} holds characters that cannot be shown: write it anew.")
        if self.box is not None:
            _check_box(self.name, self.box)


def _check_box(name: str, box: Box) -> None:
    if len(box) != 4 or not all(type(value) is int and abs(value) <= MAX_PIXEL for value in box):
        raise QilError(f"The box of {quoted(name)} must be four whole numbers of pixels up to {MAX_PIXEL}.")
    if box.left >= box.right or box.top >= box.bottom:
        raise QilError(
            f"The box of {quoted(name)}, {_shown(box)}, is empty: write left, top, right, bottom in pixels, with left "
            "before right and top above bottom."
        )


def parse_elements(text: str) -> tuple[Element, ...]:
    """The elements of a text, a line each, in its order. Raises QilError that names the line."""
    if len(text) > MAX_PROMPT:
        raise QilError(f"The elements are {len(text)} characters long, at most {MAX_PROMPT} are read: shorten them.")
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if words := " ".join(line.split()):
            try:
                found.append(_element(words))
                found[-1].check()
            except QilError as error:
                raise QilError(f"Elements, line {number}: {error}") from None
    elements = tuple(found)
    check_elements(elements)
    return elements


def check_elements(elements: Sequence[Element]) -> None:
    """QilError when there are too many, one stands twice, or one cannot be used."""
    if len(elements) > MAX_ELEMENTS:
        raise QilError(f"{len(elements)} elements are asked for, at most {MAX_ELEMENTS} can be: leave some out.")
    for i, element in enumerate(elements):
        element.check()
        if element in elements[:i]:
            raise QilError(f"The element {quoted(str(element))} stands twice: leave one out, or give each its own box.")


def _element(words: str) -> Element:
    """The element of one line, blanks made single."""
    quotes = list(_QUOTED.finditer(words))
    tail = quotes[-1].end() if quotes else 0  # an "at 1,2" in quotes is no box
    box = _BOX.search(words, tail)
    if box is None and _MEANT.search(words, tail):
        raise QilError(
            f'{quoted(words)} has a box that cannot be read: write "at" and four whole numbers, left, top, right, '
            "bottom in pixels, such as: the red car at 120,40,380,300."
        )
    name = (words[: box.start()] if box else words).strip()
    text = " ".join(_inner(found).strip() for found in quotes).strip()
    if len(quotes) == 1 and name == quotes[0][0]:
        name = text
    if not name:
        raise QilError(f"{quoted(words)} has no words: say what it is, such as: the red car at 120,40,380,300.")
    return Element(name, Box(*map(int, box.groups())) if box else None, text)


def _inner(found: re.Match[str]) -> str:
    return next(group for group in found.groups() if group is not None)


def cut_to(elements: Iterable[Element], area: Box) -> tuple[Element, ...]:
    """The elements with their boxes cut to an area of the picture and counted from its corner.

    area: the whole picture, or the part that is looked at. Raises QilError for a box wholly outside.
    """
    return tuple(element if element.box is None else _placed(element, element.box, area) for element in elements)


def _placed(element: Element, box: Box, area: Box) -> Element:
    cut = box.overlap(area)
    if cut is None:
        raise QilError(
            f"The box of {quoted(element.name)}, {_shown(box)}, lies outside of what is taken apart, {_shown(area)} "
            "(left, top, right, bottom in pixels): correct it."
        )
    x, y = area.left, area.top
    return replace(element, box=Box(cut.left - x, cut.top - y, cut.right - x, cut.bottom - y))


def _shown(box: Box) -> str:
    return ",".join(map(str, box))


def from_values(values: Iterable[Mapping[str, Any]]) -> tuple[Element, ...]:
    """Elements as a report's JSON has them. Raises TypeError and AttributeError: it was changed by hand."""
    return tuple(Element(**{**value, "box": Box(*value["box"]) if value.get("box") else None}) for value in values)


def shares_note(shares: Mapping[str, float]) -> str:
    """A sentence for the report: what share of the picture, 0..1, each element covers."""
    return f"Share of the picture: {', '.join(f'{name} {share:.1%}' for name, share in shares.items())}."
