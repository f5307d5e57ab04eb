"""Taking pictures apart. One protocol, several decomposers: the built-in one here, the model beside it."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from torch import Tensor

from ..progress import Progress
from ..request import MAX_LAYERS, MIN_LAYERS, Request
from ..stack import LayerStack

__all__ = ["MAX_LAYERS", "MIN_LAYERS", "Decomposed", "Decomposer", "Request"]


class Decomposed(NamedTuple):
    """A decomposer's answer: its layers, notes for the report, and the prompt that was used (a caption, say)."""

    stack: LayerStack
    notes: tuple[str, ...]
    prompt: str = ""


class Decomposer(Protocol):
    """Anything that takes a picture apart. One with `uses_seed = False` gives the same layers for every seed."""

    label: str
    """What it is, for people: "Built-in (no weights)"."""

    def decompose(self, picture: Tensor, request: Request, progress: Progress) -> Decomposed:
        """Layers of picture (H, W, 4) float32 on the 8-bit grid and on the CPU.

        The stack has 1..request.layers layers at the picture's size and is not yet exact (see `decompose.run`).
        Raises QilError.
        """
        ...
