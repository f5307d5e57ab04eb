"""How many layers a picture has, found out.

A decomposer that counts them by itself is asked for at most `max_layers`. With any other: decompose, drop what adds
nothing, split again where it pays. The rule of that:
1. A layer is empty when its mean alpha is under 0.1 % of the canvas. Empty layers are dropped.
2. Two layers are the same when, where either shows, their premultiplied RGBA differs by less than 2 % on average. The
   lower one, hidden by the upper, is dropped.
3. The largest layer that was not tried yet is decomposed, down to `depth` levels below the first. That pays when at
   least two of its parts each cover 2 % of what the layer covers; then the parts take its place, named "layer/part".
   The bottom layer of the picture is the background and stays whole.
4. It ends when no layer is left to try, or when splitting would pass `max_layers`.
At last the stack is made exact again, since dropping layers moves its composite.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ..composite import premultiplied
from ..errors import QilError
from ..exact import make_exact, recomposition
from ..filters import shrink
from ..progress import Progress, part, silent
from ..request import MAX_TOTAL
from ..stack import LayerStack
from . import MIN_COVERAGE, Decomposer, Request
from .recursive import split
from .run import Report, decompose, with_alpha

MAX_SAME = 0.02
"""Mean difference, in 0..1, below which two layers are the same (rule 2)."""

MIN_SHOWN_ALPHA = 0.05
"""Alpha from which a layer shows, where two are compared."""

MIN_PART = 0.02
"""Coverage of a part, as a share of the layer's that was split, from which it counts (rule 3)."""

MAX_DEPTH = 4
"""How often a part may be split again, at the most."""

COMPARED_SIDE_PX = 256
"""Longest side at which layers are compared."""


@dataclass(frozen=True)
class Limits:
    """max_layers: 2..50 in all. depth: 0..4, how often a part may be split again; 0 only drops.

    A decomposer that counts the layers by itself has no use for `depth`.
    """

    max_layers: int = 12
    depth: int = 1

    def check(self) -> None:
        """QilError when a value is out of its range."""
        if not 2 <= self.max_layers <= MAX_TOTAL or not 0 <= self.depth <= MAX_DEPTH:
            allowed = f"max_layers must be 2 to {MAX_TOTAL} and depth 0 to {MAX_DEPTH}"
            raise QilError(f"{allowed}; got {self.max_layers} and {self.depth}.")


def decompose_automatically(
    decomposer: Decomposer, picture: Tensor, request: Request, limits: Limits, progress: Progress = silent
) -> tuple[LayerStack, Report]:
    """As `decompose`, but the number of layers follows the picture; request.layers is asked for at each level of parts.

    picture: float32 (H, W, 3 or 4) in [0, 1]. The names are a tree ("girl/hair"). Raises QilError.
    """
    limits.check()
    if request.elements:
        raise QilError("The elements say how many layers there are: leave them out, or do not count automatically.")
    if getattr(decomposer, "counts_layers", False):
        wanted = replace(request, layers=limits.max_layers, at_most=True)
        stack, report = decompose(decomposer, picture, wanted, progress)
        notes = (*report.notes, f"Automatic: {len(stack)} layers stand out.")
        return stack, replace(report, notes=notes, made=_made(report, request, limits))
    first = min(request.layers, limits.max_layers)
    done = 0.4  # how many splits will follow is not known: each gets a quarter of the bar's remainder
    stack, report = decompose(decomposer, picture, replace(request, layers=first), part(progress, 0, done))
    stack = without_repeats(stack)
    tried: set[str] = set()
    seconds = report.seconds
    while (at := _next(stack, limits, tried)) is not None:
        tried.add(stack.names[at])
        share = part(progress, done, done + (0.9 - done) / 4)
        done += (0.9 - done) / 4
        parts, split_report = split(decomposer, stack, at, request, share)
        seconds += split_report.seconds
        parts = _cleaned(parts, stack, at)
        if len(parts) <= limits.max_layers and _pays(parts, stack, at):
            stack = parts
    target = with_alpha(picture)
    exact = make_exact(stack, target, part(progress, 0.9, 0.95))
    note = f"Automatic: {len(exact)} layers, {len(tried)} of them or their parents tried again."
    return exact, replace(
        report,
        layers=len(exact),
        seconds=seconds,
        after=recomposition(exact, target, part(progress, 0.95, 1)),
        notes=(*report.notes, note),
        made=_made(report, request, limits),
    )


def _made(report: Report, request: Request, limits: Limits) -> dict[str, Any]:
    """How to make it again: what was asked of this module, not of the decomposer."""
    return {**report.made, **asdict(request), "automatic": asdict(limits)}


def without_repeats(stack: LayerStack) -> LayerStack:
    """The stack without its empty layers and without layers that the one above repeats (rules 1 and 2)."""
    small = torch.stack([_look(layer) for layer in stack.pixels])
    kept = [i for i in range(len(stack)) if stack.coverage(i) >= MIN_COVERAGE]
    kept = [i for i in kept if not any(_same(small[i], small[j]) for j in kept if j > i)]
    return stack.select(kept) if kept else stack.select([0])


def _look(layer: Tensor) -> Tensor:
    """Premultiplied (4, h, w), small."""
    scale = min(1.0, COMPARED_SIDE_PX / max(layer.shape[:2]))
    height, width = (max(1, round(side * scale)) for side in layer.shape[:2])
    return shrink(premultiplied(layer), height, width).permute(2, 0, 1)


def _same(a: Tensor, b: Tensor) -> bool:
    shows = torch.maximum(a[3], b[3]) > MIN_SHOWN_ALPHA
    return bool(shows.any()) and float((a - b).abs()[:, shows].mean()) < MAX_SAME


def _next(stack: LayerStack, limits: Limits, tried: set[str]) -> int | None:
    """The largest layer above the bottom that may still be split and was not tried."""
    open_ = [
        i
        for i, name in enumerate(stack.names)
        if i and name not in tried and name.count("/") < limits.depth and len(stack) < limits.max_layers
    ]
    return max(open_, key=stack.coverage, default=None)


def _cleaned(parts: LayerStack, stack: LayerStack, at: int) -> LayerStack:
    """The split stack, its new layers without repeats; the others as they were."""
    count = len(parts) - len(stack) + 1
    fresh = without_repeats(LayerStack(parts.pixels[at : at + count], parts.names[at : at + count]))
    return stack.splice(at, fresh)


def _pays(parts: LayerStack, stack: LayerStack, at: int) -> bool:
    count = len(parts) - len(stack) + 1
    whole = stack.coverage(at)
    return sum(parts.coverage(i) >= MIN_PART * whole for i in range(at, at + count)) >= 2
