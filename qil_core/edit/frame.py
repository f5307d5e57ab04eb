"""What an editor sees of a layer: its content with a margin, in the editor's own size; and the way back."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import QilError
from ..filters import scaled
from ..resample import resize
from ..stack import Box, content_box, quantize
from . import Editor

MARGIN, LEAST_MARGIN = 0.08, 16
"""What is around a layer's content when it is edited: a share of its longer side, and pixels at least."""

CONTEXT = 0.25
"""The same share when the picture behind the layer is seen."""

WIDEST = 3
"""One side of what is edited is at most so many times the other: editors take no ribbons."""


class Frame(NamedTuple):
    """The part of a picture that an editor sees: a box, which may reach beyond the picture, and the editor's size."""

    box: Box
    width: int
    height: int

    def seen(self, image: Tensor) -> Tensor:
        """The part of an image (H, W, 4) in the editor's size, (h, w, 4); clear outside the picture."""
        left, top, right, bottom = self.within(image)
        canvas = image.new_zeros(self.box.height, self.box.width, 4)
        y, x = top - self.box.top, left - self.box.left
        canvas[y : y + bottom - top, x : x + right - left] = image[top:bottom, left:right]
        return resize(canvas[None], self.height, self.width)[0]

    def within(self, image: Tensor) -> Box:
        """What of the box lies in an image (H, W, C)."""
        left, top, right, bottom = self.box
        return Box(max(left, 0), max(top, 0), min(right, image.shape[1]), min(bottom, image.shape[0]))

    def scaled(self, pixels: Tensor) -> Tensor:
        """Opaque pixels (H, W, C) in the editor's size, (h, w, C)."""
        return scaled(pixels, self.height, self.width).clamp(0, 1)

    def back(self, planes: Tensor, image: Tensor, mode: str) -> Tensor:
        """Planes (h, w, C) of the editor's size at the size of the part of an image that they are of."""
        smaller = self.box.width < self.width or self.box.height < self.height
        full = scaled(planes, self.box.height, self.box.width, mode, smaller)
        left, top, right, bottom = self.within(image)
        y, x = top - self.box.top, left - self.box.left
        return full[y : y + bottom - top, x : x + right - left].clamp(0, 1)


class Seen(NamedTuple):
    """What was sent, in the editor's size: a layer (h, w, 4) and what is behind it (h, w, 3), a flat key or not."""

    layer: Tensor
    backdrop: Tensor
    keyed: bool

    @property
    def alpha(self) -> Tensor:
        return self.layer[..., 3]

    def flat(self) -> Tensor:
        """The picture for the editor, (h, w, 3), on the 8-bit grid."""
        return quantize(torch.lerp(self.backdrop, self.layer[..., :3], self.layer[..., 3:]).clamp(0, 1))


def frame_of(editor: Editor, layer: Tensor, index: int, alpha: str, behind: bool) -> Frame:
    """What the editor sees of a layer (H, W, 4): its content with a margin; a layer that fills the picture has none.

    Raises QilError for an empty layer.
    """
    box = content_box(layer[..., 3])
    if box is None:
        raise QilError(f"Layer {index} is empty: its alpha is 0 everywhere, so there is nothing to edit.")
    height, width = layer.shape[:2]
    if alpha != "new" and (box.width, box.height) == (width, height) and bool((layer[..., 3] == 1).all()):
        return _framed(editor, box)
    margin = max(LEAST_MARGIN, round((CONTEXT if behind else MARGIN) * max(box.width, box.height)))
    left, top, right, bottom = box.left - margin, box.top - margin, box.right + margin, box.bottom + margin
    if behind:
        left, top, right, bottom = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    return _framed(editor, Box(left, top, right, bottom))


def _framed(editor: Editor, box: Box) -> Frame:
    """A frame of a box, which is made higher or wider where it is a ribbon."""
    across = max(0, -(-box.height // WIDEST) - box.width)
    down = max(0, -(-box.width // WIDEST) - box.height)
    left, top = box.left - across // 2, box.top - down // 2
    box = Box(left, top, left + box.width + across, top + box.height + down)
    return Frame(box, *editor.native_size(box.width, box.height))
