"""Small pictures of a stack's layers, for the panel: what it shows and composites live, without the graph.

A preview is the layer's content, cropped, as straight RGBA of 8 bits a channel. Where the canvas is larger than
MAX_SIDE all layers are scaled down alike: the panel works on a smaller canvas and scales the numbers of the edits.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
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


def small(picture: Tensor) -> Tensor:
    """A picture (H, W, 3|4) at the size of the small canvas, float32 on the 8-bit grid."""
    height, width = picture.shape[:2]
    across, down = preview_size(width, height)
    clear = torch.ones_like(picture[..., :1]) if picture.shape[2] == 3 else picture[..., 3:]
    return quantized(resize(torch.cat([picture[..., :3], clear], -1)[None], down, across)[0]).cpu()


def preview(stack: LayerStack, index: int) -> Preview:
    """The preview of one layer."""
    picture = small(stack.pixels[index])
    box = content_box(picture[..., 3]) or Box(0, 0, 0, 0)
    return Preview(stack.bounds(index), picture[box.top : box.bottom, box.left : box.right], box.left, box.top)
