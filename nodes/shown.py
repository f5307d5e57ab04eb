"""What nodes show on themselves: small pictures (web/show.js), and what of a report there is room for."""

from __future__ import annotations

from typing import Any

import torch

from ..qil_core.composite import composite
from ..qil_core.decompose.run import Report
from ..qil_core.editor.previews import small
from ..qil_core.parallel import each
from ..qil_core.sheet import MAX_CELLS
from ..qil_core.stack import LayerStack
from . import host

SUBFOLDER = "qil_shown"
"""Of ComfyUI's temp folder."""

SAID = 3
"""Pictures of a batch whose reports there is room for on the node."""


def layer_sheet(stack: LayerStack) -> dict[str, Any]:
    """Output for the front end: every layer, MAX_CELLS at the most, and the composite, with names and pictures."""
    count = min(len(stack), MAX_CELLS)
    layers = each(range(count), lambda i: _layer(stack, i), stack.pixels.device)
    flat = f"{stack.width} x {stack.height} px, {len(stack)} layers"
    whole = {"name": "composite", "detail": flat, "size": [stack.width, stack.height], "count": len(stack)}
    layers.append({**whole, "picture": _picture(composite(stack))})
    return {"layer_sheet": [{"layers": layers}]}


def _layer(stack: LayerStack, index: int) -> dict[str, Any]:
    name, covers = f"{index}  {stack.names[index]}", stack.coverage(index)
    return {"name": name, "detail": f"covers {covers:.1%}", "covers": covers, "picture": _picture(stack.pixels[index])}


def comparison(before: LayerStack, after: LayerStack) -> dict[str, Any]:
    """Output for the front end: the composites of two stacks, to be seen one over the other."""
    return {"comparison": [{"before": _picture(composite(before)), "after": _picture(composite(after))}]}


def _picture(picture: torch.Tensor) -> dict[str, Any]:
    return host.temp_picture(SUBFOLDER, small(picture))


def in_short(reports: list[Report]) -> str:
    """What of the reports there is room for on the node: no measurements, and of a batch the first pictures."""
    said = ["\n".join([f"{report.layers} layers, {report.seconds:.1f} s", *report.notes]) for report in reports[:SAID]]
    return "\n\n".join(said + [f"and {len(reports) - SAID} more pictures"] * (len(reports) > SAID))
