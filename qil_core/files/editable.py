"""What an editor would have made of a layer: its words as text, or its simple shapes. One search serves every format.

1. `find_editable`: words first, then the shapes of the layers that have none; layers that are hidden or empty are left.
2. `report`: how much became what, and the lines of text that stay pictures with their reasons.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from torch import Tensor

from ..typography.layer import Recognized, needed_reader, recognize
from .names import clean
from .png import parallel
from .shapes import FoundShapes, find_shapes

PICTURES, EDITABLE = WAYS = ("pictures", "editable")
"""What text and simple shapes in a layer become."""


@dataclass(frozen=True, eq=False)
class Editable:
    """What was found in a layer's content. text: also where all its lines stay pictures, for their reasons."""

    text: Recognized | None = None
    shapes: FoundShapes | None = None

    @property
    def words(self) -> Recognized | None:
        """The text, where any of it is sure enough to be written as text."""
        return self.text if self.text and self.text.blocks else None


def find_editable(crops: Sequence[Tensor | None], text: str, shapes: str) -> tuple[Editable, ...]:
    """What becomes editable in each content (h, w, 4), None where that is not to be looked at; text, shapes: see WAYS.

    Raises QilError: the extra `text` or OpenCV is missing.
    """
    texts = _texts(crops) if text == EDITABLE else [None] * len(crops)
    wordless = [None if found and found.blocks else crop for crop, found in zip(crops, texts, strict=True)]
    return tuple(map(Editable, texts, _shapes(wordless) if shapes == EDITABLE else [None] * len(crops)))


def _texts(crops: Sequence[Tensor | None]) -> list[Recognized | None]:
    """The text of each content, None where there is no sign of any."""
    words = needed_reader()
    found = (None if crop is None else recognize(crop, words) for crop in crops)
    return [each if each and (each.blocks or each.unsure) else None for each in found]


def _shapes(crops: Sequence[Tensor | None]) -> list[FoundShapes | None]:
    with parallel(lambda crop: None if crop is None else find_shapes(crop), crops) as found:
        return list(found)


def report(found: Iterable[Editable], text: str, shapes: str) -> list[str]:
    """A line that counts text boxes and shapes where these were asked for, and a line for each text that is none."""
    every = list(found)
    blocks = sum(len(each.words.blocks) for each in every if each.words)
    layers = [len(each.shapes.shapes) for each in every if each.shapes]
    counts = [f"{blocks} text box{'es' * (blocks != 1)}"] if text == EDITABLE else []
    if shapes == EDITABLE:
        counts += [f"{_plural(sum(layers), 'shape')} in {_plural(len(layers), 'layer')}"]
    unsure = [reason for each in every if each.text for reason in each.text.unsure]
    return [*([", ".join(counts)] if counts else []), *(f"stays a picture: {clean(reason)}" for reason in unsure)]


def _plural(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"
