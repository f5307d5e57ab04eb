"""The one way to take a picture apart: decompose, make exact, measure, name, report."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from ..elements import cut_to
from ..errors import QilError
from ..exact import EdgeChanges, Recomposition, edge_changes, make_exact, recomposition
from ..naming import named
from ..opencv import check_opencv
from ..progress import Progress, part, silent
from ..stack import Box, LayerStack, check_image, quantized
from . import Decomposer, Request
from .made import how_made


@dataclass(frozen=True)
class Report:
    """What was done and how exact it is. before: the decomposer's own layers; after: the stack that was given out.

    edges: what it cost to get from the one to the other. made: how to make it again (`made.how_made`).
    """

    label: str
    layers: int
    size: tuple[int, int]
    seconds: float
    before: Recomposition
    after: Recomposition
    edges: EdgeChanges
    notes: tuple[str, ...]
    prompt: str = ""
    made: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        """A few lines for people."""
        width, height = self.size
        lines = [
            f"{self.label}: {self.layers} layers of {width} x {height} px in {self.seconds:.1f} s",
            *self.notes,
            f"Recomposition: {self.after} (before the residual: {self.before})",
            f"Exactness: {self.edges}",
        ]
        return "\n".join(lines)

    def as_dict(self) -> dict[str, object]:
        """The same as plain numbers and texts, for JSON (an infinite PSNR is None)."""
        return {
            "decomposer": self.label,
            "layers": self.layers,
            "width": self.size[0],
            "height": self.size[1],
            "seconds": round(self.seconds, 3),
            "notes": list(self.notes),
            "prompt": self.prompt,
            "before": self.before.as_dict(),
            "after": self.after.as_dict(),
            "edges": self.edges.as_dict(),
            "made": dict(self.made),
        }


def decompose(
    decomposer: Decomposer, picture: Tensor, request: Request, progress: Progress = silent
) -> tuple[LayerStack, Report]:
    """Layers of picture, float32 (H, W, 3 or 4) in [0, 1], that composite back to it to within 1/255.

    The stack has request.layers layers or fewer, on the 8-bit grid, bottom first, on the picture's device; the
    decomposer itself sees the picture on the CPU. Layers that it gave no name are named by what they show. Raises
    QilError.
    """
    picture = check_image(picture[None])[0]
    request.check()
    check_takes(decomposer, request)
    check_opencv()
    started = time.perf_counter()
    target = with_alpha(picture)
    inside = replace(request, elements=cut_to(request.elements, Box(0, 0, picture.shape[1], picture.shape[0])))
    stack, notes, prompt, kinds = decomposer.decompose(quantized(target).cpu(), inside, part(progress, 0, 0.8))
    stack = LayerStack(stack.pixels.to(target.device), stack.names)
    exact = make_exact(stack, target, part(progress, 0.8, 0.9))
    before = recomposition(stack, target, part(progress, 0.9, 0.94))
    edges = edge_changes(stack, exact, part(progress, 0.94, 0.96))
    after = recomposition(exact, target, part(progress, 0.96, 0.98))
    exact = named(exact, kinds, part(progress, 0.98, 1))
    progress(1.0, "done")
    size = (exact.width, exact.height)
    seconds = time.perf_counter() - started
    made = how_made(decomposer, request)
    return exact, Report(decomposer.label, len(exact), size, seconds, before, after, edges, notes, prompt, made)


def check_takes(decomposer: Decomposer, request: Request) -> None:
    """QilError when elements are asked of a decomposer that takes none; it says which ones do."""
    if not request.elements or getattr(decomposer, "takes_elements", False):
        return
    from .registry import DECOMPOSERS

    able = ", ".join(f'"{each.label}"' for each in DECOMPOSERS if each.takes_elements)
    raise QilError(
        f"{decomposer.label} cannot be told which elements become layers: leave the elements out"
        + (f", or load a decomposer that can: {able}." if able else ".")
    )


def with_alpha(picture: Tensor) -> Tensor:
    """A picture (H, W, 3 or 4) as RGBA; RGB is opaque."""
    return picture if picture.shape[2] == 4 else torch.cat([picture, torch.ones_like(picture[..., :1])], dim=2)
