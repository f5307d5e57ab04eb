"""Formats of layers and layers to write in them, for the tests of files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from qil_core.files.layered import PLAIN, Layered, Look
from qil_core.files.registry import readable
from qil_core.stack import Box, LayerStack, quantize

FORMATS = {format.key: format for format in readable() if format.suffixes}
"""Those that are one file, and that are read back."""

EACH = pytest.mark.parametrize("kind", FORMATS)
"""For tests that take a format."""


def layers(boxes: Sequence[Box | None], size: tuple[int, int] = (40, 30), names: Sequence[str] = ()) -> LayerStack:
    """Layers of (width, height) with noise and every kind of alpha in a box, and clear black outside of it."""
    pixels = torch.zeros(len(boxes), size[1], size[0], 4)
    for seed, (layer, box) in enumerate(zip(pixels, boxes, strict=True)):
        if box:
            noise = torch.rand(box.height, box.width, 4, generator=torch.Generator().manual_seed(seed))
            noise[..., 3] = (noise[..., 3] * 2 - 0.5).clamp(0, 1)
            noise[0, 0, 3] = noise[-1, -1, 3] = 1  # so that these are the bounds
            layer[box.top : box.bottom, box.left : box.right] = noise
    return LayerStack.from_image(quantize(pixels), list(names))


def there_and_back(kind: str, stack: LayerStack, folder: Path, look: Look = PLAIN) -> Layered:
    format = FORMATS[kind]
    return format.read(format.write(stack, folder / f"layers.{kind}", look))


BOXES = [Box(0, 0, 40, 30), Box(5, 7, 20, 9), None, Box(39, 29, 40, 30), Box(0, 0, 1, 30)]
