"""Small pictures of a stack's layers, for the panel: what it shows and composites live, without the graph.

A preview is the layer's content, cropped, as straight RGBA of 8 bits a channel. Where the canvas is larger than
MAX_SIDE all layers are scaled down alike: the panel works on a smaller canvas and scales the numbers of the edits.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..resample import resize
from ..stack import Box, LayerStack, content_box, quantized

MAX_SIDE = 1024
"""Pixels of a preview's longest side."""


@dataclass(frozen=True, eq=False)
class Preview:
    """content: the box of the layer's content on the full canvas; None of an empty layer. pixels: float32 (h, w, 4) on
    the 8-bit grid, and the place of their left top corner on the small canvas.
    """

    content: Box | None
    pixels: Tensor
    left: int
    top: int


def preview_size(width: int, height: int) -> tuple[int, int]:
    """Width and height of the small canvas."""
    scale = min(1.0, MAX_SIDE / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def preview(stack: LayerStack, index: int) -> Preview:
    """The preview of one layer."""
    width, height = preview_size(stack.width, stack.height)
    small = quantized(resize(stack.pixels[index][None], height, width)[0]).cpu()
    box = content_box(small[..., 3]) or Box(0, 0, 0, 0)
    return Preview(stack.bounds(index), small[box.top : box.bottom, box.left : box.right], box.left, box.top)
