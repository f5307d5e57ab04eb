"""The last results of decomposers that do not use the seed: another seed gives the same layers, without computing."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch

from ..qil_core.decompose import Decomposer, Request
from ..qil_core.decompose.run import Report
from ..qil_core.model.cache import content_key
from ..qil_core.stack import GRID, LayerStack, to_bytes

Result = tuple[LayerStack, Report]

KEPT_BYTES = 1 << 29
"""Memory of all that is kept, a byte a channel: one result of 8 layers of 4000 x 4000 pixels, or many small ones."""

_kept: OrderedDict[str, tuple[torch.Tensor, tuple[str, ...], Report]] = OrderedDict()
"""Here and not in a node: ComfyUI locks node classes while they run."""


def remembered(model: Decomposer, request: Request, given: Sequence[Any], compute: Callable[[], Result]) -> Result:
    """The result of `compute`, or, of a model without a seed, that of the last time with the same input.

    given: tensors and plain values that the result depends on, besides the request. A model says that it does not use
    the seed by `uses_seed = False`.
    """
    if getattr(model, "uses_seed", True):
        return compute()
    key = content_key(model.label, replace(request, seed=0), *given)
    if key not in _kept:
        stack, report = compute()
        _keep(key, stack, report)
        return stack, report
    _kept.move_to_end(key)
    pixels, names, report = _kept[key]
    return LayerStack(pixels.float().div_(GRID), names), report


def _keep(key: str, stack: LayerStack, report: Report) -> None:
    """Keeps a result, and drops the oldest ones until all that is kept fits; one that is too large alone is not kept.

    Nor is one that is not on the 8-bit grid: Split Layer leaves the other layers as they came.
    """
    pixels = to_bytes(stack.pixels)
    if not torch.equal(pixels.float().div_(GRID), stack.pixels):
        return
    _kept[key] = pixels, stack.names, report
    while sum(pixels.nbytes for pixels, _, _ in _kept.values()) > KEPT_BYTES:
        _kept.popitem(last=False)
