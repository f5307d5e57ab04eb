"""Editing pictures by words. One protocol, several editors: Qwen-Image-Edit on this machine, or Model Studio's API.

An edit passes through the files in this order: frame (which part of a layer is shown, and how large), key_color and
sent (what is put behind it), an editor (local, model_studio), answer (what came back, with changes, colors and matte),
paste (the way back into the layer), report. run.py calls them in turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from torch import Tensor

from ..edit_request import EditRequest
from ..progress import Progress

MAX_PICTURES = 3
"""Pictures that an editor is given: the one that is edited, and up to two references."""


class Edited(NamedTuple):
    """An editor's answer: pictures (h, w, 3) float32 in [0, 1], each in the editor's own size, notes for the report."""

    pictures: tuple[Tensor, ...]
    notes: tuple[str, ...] = ()


class Editor(Protocol):
    """Anything that edits pictures by words."""

    label: str
    """What it is, for people: "Qwen-Image-Edit-2509"."""

    def native_size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height in pixels in which a picture of width x height comes back."""
        ...

    def edit(self, pictures: Sequence[Tensor], request: EditRequest, progress: Progress) -> Edited:
        """request.variants pictures made of 1..3 pictures, float32 (H, W, 3) in [0, 1]; the first one is edited.

        Raises QilError.
        """
        ...
