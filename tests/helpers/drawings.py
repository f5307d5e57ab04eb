"""Anti-aliased shapes and words, and pictures painted of them: what the built-in decomposer is tested on."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

Floats = NDArray[np.float32]
SIDE, FINE = 320, 4


def mask(kind: str, *numbers: float, radius: float = 0) -> Floats:
    """A mask (SIDE, SIDE) of an ImageDraw shape given by its numbers. radius: of the corners of a rounded one."""
    sheet = Image.new("L", (SIDE * FINE, SIDE * FINE), 0)
    more = {"radius": radius * FINE} if radius else {}
    getattr(ImageDraw.Draw(sheet), kind)([n * FINE for n in numbers], fill=255, **more)
    return _reduced(sheet)


def words(text: str, x: float, y: float, size: float) -> Floats:
    sheet = Image.new("L", (SIDE * FINE, SIDE * FINE), 0)
    font = ImageFont.load_default(size=size * FINE)
    ImageDraw.Draw(sheet).text((x * FINE, y * FINE), text, fill=255, font=font)
    return _reduced(sheet)


def _reduced(sheet: Image.Image) -> Floats:
    return np.asarray(sheet.resize((SIDE, SIDE), Image.Resampling.BOX), np.float32) / 255


def paint(canvas: Floats, *shapes: tuple[Floats, tuple[int, int, int]]) -> Tensor:
    """Shapes painted over a canvas (SIDE, SIDE, 3) in 0..255: (SIDE, SIDE, 3) in 0..1, rounded to 8 bits."""
    for alpha, color in shapes:
        canvas = canvas + (np.array(color, np.float32) - canvas) * alpha[..., None]
    return torch.from_numpy(canvas.round().astype(np.float32)) / 255
