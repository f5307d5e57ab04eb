"""Taking pictures apart. One protocol, several decomposers: the built-in one here, the model beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from ..progress import Progress
from ..stack import LayerStack

MIN_LAYERS, MAX_LAYERS = 2, 10


@dataclass(frozen=True)
class Request:
    """What is wanted of a decomposer. layers: 2..10, background included. seed: same seed, same result."""

    layers: int = 4
    seed: int = 0


class Decomposer(Protocol):
    """Anything that takes a picture apart."""

    label: str
    """What it is, for people: "Built-in (no weights)"."""

    def decompose(self, picture: Tensor, request: Request, progress: Progress) -> tuple[LayerStack, tuple[str, ...]]:
        """Layers of picture (H, W, 4) float32 on the 8-bit grid, and notes for the report.

        The stack has 1..request.layers layers at the picture's size and is not yet exact (see `decompose.run`).
        Raises QilError.
        """
        ...
