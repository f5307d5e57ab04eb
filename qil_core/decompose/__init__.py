"""Taking pictures apart. One protocol, several decomposers: the built-in one here, the model beside it.

`registry` lists them; `run` is the one way to use them, with `automatic` and `recursive` on top of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from torch import Tensor

from ..options import Option
from ..progress import Progress
from ..request import MAX_LAYERS, MIN_LAYERS, Request
from ..stack import LayerStack

__all__ = ["MAX_LAYERS", "MIN_COVERAGE", "MIN_LAYERS", "Decomposed", "Decomposer", "Entry", "Place", "Request"]

MIN_COVERAGE = 0.001
"""Mean alpha below which a layer is empty."""


class Decomposed(NamedTuple):
    """A decomposer's answer: its layers, notes for the report, and the prompt that was used (a caption, say).

    A layer without a name is named by what it shows (`naming.named`). kinds: what each layer is, for its name, as many
    as there are layers; none where nothing is known of them.
    """

    stack: LayerStack
    notes: tuple[str, ...]
    prompt: str = ""
    kinds: tuple[str, ...] = ()


class Decomposer(Protocol):
    """Anything that takes a picture apart.

    One with `uses_seed = False` gives the same layers for every seed. One with `counts_layers = True` can tell how many
    layers a picture has: it follows `Request.at_most`. One with `takes_elements = True` makes the layers that
    `Request.elements` names, bottom first, above what is left; others are never asked for them.
    """

    label: str
    """What it is, for people: "Built-in (no weights)"."""

    def decompose(self, picture: Tensor, request: Request, progress: Progress) -> Decomposed:
        """Layers of picture (H, W, 4) float32 on the 8-bit grid and on the CPU.

        The stack has 1..request.layers layers at the picture's size and is not yet exact (see `decompose.run`). With
        elements it has a layer for each and one for what lies below; their boxes lie within the picture.
        Raises QilError.
        """
        ...


class Place(Protocol):
    """Where a decomposer is opened, the command line or ComfyUI: what differs between them."""

    def preview(self, make: Callable[[], Tensor]) -> None:
        """Show the layers while they form: a `progress.Preview`."""
        ...

    def runtime(self, kind: Any, values: Mapping[str, Any], wanted: Any, known: Sequence[Any]) -> Any:
        """A Runtime of this kind (`model.runtime`) of the files that the values of a loader's options name.

        wanted: a `model.sources.Wanted`. known: the models (`model.models`) that the files may be. Raises QilError.
        """
        ...


@dataclass(frozen=True)
class Entry:
    """A decomposer as the registry lists it.

    name: for the command line. label: for people, and in saved workflows, so it must not change. options: what can be
    set. open: makes the decomposer from the options' values and the place; heavy imports belong in there.
    takes_elements: what the decomposer says of itself, known before it is opened.
    """

    name: str
    label: str
    options: tuple[Option, ...]
    open: Callable[[Mapping[str, Any], Place], Decomposer]
    takes_elements: bool = False
