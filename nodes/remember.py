"""The last results of decomposers that do not use the seed: another seed gives the same layers, without computing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch

from ..qil_core.decompose import Decomposer, Request
from ..qil_core.decompose.run import Report
from ..qil_core.kept import Kept
from ..qil_core.model.cache import content_key
from ..qil_core.stack import GRID, LayerStack, to_bytes

Result = tuple[LayerStack, Report]

KEPT_BYTES = 1 << 29
"""Memory of all that is kept, a byte a channel: one result of 8 layers of 4000 x 4000 pixels, or many small ones."""

_kept: Kept[tuple[torch.Tensor, tuple[str, ...], Report]] = Kept(KEPT_BYTES)
"""Here and not in a node: ComfyUI locks node classes while they run."""


def remembered(model: Decomposer, request: Request, given: Sequence[Any], compute: Callable[[], Result]) -> Result:
    """The result of `compute`, or, of a model without a seed, that of the last time with the same input.

    given: tensors and plain values that the result depends on, besides the request. A model says that it does not use
    the seed by `uses_seed = False`.
    """
    if getattr(model, "uses_seed", True):
        return compute()
    key = content_key(model.label, replace(request, seed=0), *given)
    kept = _kept.get(key)
    if kept is None:
        stack, report = compute()
        _keep(key, stack, report)
        return stack, report
    pixels, names, report = kept
    return LayerStack(pixels.float().div_(GRID), names), report


def _keep(key: str, stack: LayerStack, report: Report) -> None:
    """Keeps a result that is on the 8-bit grid; others are not: Split Layer leaves the other layers as they came."""
    pixels = to_bytes(stack.pixels)
    if torch.equal(pixels.float().div_(GRID), stack.pixels):
        _kept.put(key, (pixels, stack.names, report), pixels.nbytes)
