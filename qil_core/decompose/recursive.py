"""Splitting one layer of a stack into layers of its own."""

from __future__ import annotations

from dataclasses import replace

import torch

from ..elements import cut_to
from ..errors import QilError
from ..progress import Progress, silent
from ..stack import Box, LayerStack
from . import Decomposer, Request
from .run import Report, decompose


def split(
    decomposer: Decomposer, stack: LayerStack, index: int, request: Request, progress: Progress = silent
) -> tuple[LayerStack, Report]:
    """The stack with layer `index` replaced by its own sub-layers, named "parent/child"; the others keep their bits.

    Only the layer's content box is decomposed, so a small object gets the decomposer's full attention. The
    composite of the stack moves by at most 1/255. Boxes of the request's elements are in pixels of the whole canvas.
    Raises QilError: index out of range, an empty layer, a box outside of what the layer shows.
    """
    at = stack.index(index)
    box = stack.bounds(at)
    if box is None:
        raise QilError(f'Layer {at} ("{stack.names[at]}") is empty, so there is nothing to split.')
    content = stack.pixels[at, box.top : box.bottom, box.left : box.right]
    inside = replace(request, elements=cut_to(request.elements, box))
    parts, report = decompose(decomposer, content, inside, progress)
    if len(parts) == 1:
        return stack, replace(report, notes=(*report.notes, f'"{stack.names[at]}" is one piece and stays as it is.'))
    return stack.splice(at, _placed(parts, box, stack, stack.names[at])), report


def _placed(parts: LayerStack, box: Box, stack: LayerStack, parent: str) -> LayerStack:
    canvas = torch.zeros(len(parts), stack.height, stack.width, 4, device=stack.pixels.device)
    canvas[:, box.top : box.bottom, box.left : box.right] = parts.pixels
    return LayerStack(canvas, tuple(f"{parent}/{name}" for name in parts.names))
