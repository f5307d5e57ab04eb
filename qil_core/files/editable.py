"""What an editor would have made of a layer: its words as text, or its simple shapes. One search serves every format.

1. `find_editable`: words first, then the shapes of the layers that have none; layers that are hidden or empty are left.
2. `report`: how much became what, and the lines of text that stay pictures with their reasons.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from torch import Tensor

from ..stack import Box
from ..typography.ghosts import Placed, without_ghosts
from ..typography.layer import Recognized, needed_reader, recognize, stays_pictures
from .names import clean
from .png import parallel
from .shapes import FoundShapes, find_shapes

PICTURES, EDITABLE = WAYS = ("pictures", "editable")
"""What text and simple shapes in a layer become."""


Content = tuple[Box, Tensor]
"""Where a layer's content lies in pixels, and its content (h, w, 4)."""


@dataclass(frozen=True, eq=False)
class Editable:
    """What was found in a layer's content. text: also where all its lines stay pictures, for their reasons."""

    text: Recognized | None = None
    shapes: FoundShapes | None = None

    @property
    def words(self) -> Recognized | None:
        """The text and what is left beside it, where these are shown in place of the layer."""
        return self.text if self.text and self.text.replaces_layer and not self.shapes else None


def find_editable(contents: Sequence[Content | None], text: str, shapes: str) -> tuple[Editable, ...]:
    """What becomes editable in the layers of a stack, None for one that is not to be looked at; text, shapes: see WAYS.

    Raises QilError: the extra `text` or OpenCV is missing.
    """
    texts = _texts(contents) if text == EDITABLE else [None] * len(contents)
    wordless = [content and _wordless(content[1], found) for content, found in zip(contents, texts, strict=True)]
    return tuple(map(Editable, texts, _shapes(wordless) if shapes == EDITABLE else [None] * len(contents)))


def _texts(contents: Sequence[Content | None]) -> list[Recognized | None]:
    """The text of each content, None where there is no sign of any."""
    words = needed_reader()
    placed = [content and Placed(content[1], content[0], recognize(content[1], words)) for content in contents]
    found = iter(without_ghosts([layer for layer in placed if layer]))
    texts = [layer and next(found) for layer in placed]
    return [each if each and (each.replaces_layer or each.unsure) else None for each in texts]


def _wordless(crop: Tensor, text: Recognized | None) -> Tensor | None:
    """What shapes are looked for in: nothing of a layer with text, and no remains of another one's letters."""
    if text is None or not text.replaces_layer:
        return crop
    return None if text.blocks else text.rest


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
    pictures = [f"stays a picture: {clean(reason)}" for reason in stays_pictures(each.text for each in every)]
    return [*([", ".join(counts)] if counts else []), *pictures]


def _plural(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"
