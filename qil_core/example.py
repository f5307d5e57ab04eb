"""An example picture, drawn by this module alone: a poster to try the package with.

`python -m qil_core.example poster.png` writes it.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Floats = NDArray[np.float32]
Color = tuple[int, int, int]

SUPERSAMPLE = 3
"""Shapes are drawn this many times larger and averaged: that makes their edges smooth."""

NIGHT, PLUM, CORAL = (24, 32, 74), (108, 52, 110), (244, 132, 104)
SUN, ROSE, CREAM, INK = (255, 202, 92), (236, 86, 98), (255, 241, 222), (28, 30, 66)
TEAL, PINE = (34, 140, 134), (18, 112, 116)


def draw_poster(width: int = 1200, height: int = 1600, seed: int = 7) -> Image.Image:
    """A poster of this size in pixels, as an RGB picture; the seed makes its paper grain."""
    canvas = _sky(width, height)
    unit = min(width / 1200, height / 1600)
    for mask, color in _shapes(width, height, unit):
        canvas = _painted(canvas, mask, color)
    return Image.fromarray(_with_grain(canvas, seed))


def _sky(width: int, height: int) -> Floats:
    """A gradient from night over plum to coral: float32 (height, width, 3) in 0..255."""
    y = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :, None]
    night, plum, coral = (np.array(c, np.float32) for c in (NIGHT, PLUM, CORAL))
    place = np.clip(y + 0.06 * x, 0, 1)
    return np.asarray(night * (1 - place) ** 2 + 2 * plum * place * (1 - place) + coral * place**2, np.float32)


def _painted(canvas: Floats, mask: Floats, color: Color) -> Floats:
    return canvas + (np.array(color, np.float32) - canvas) * mask[..., None]


def _with_grain(canvas: Floats, seed: int) -> NDArray[np.uint8]:
    """Paper grain: noise of about one step, in 8 bits."""
    grain = np.random.default_rng(seed).normal(0, 0.9, canvas.shape[:2]).astype(np.float32)
    return (canvas + grain[..., None]).round().clip(0, 255).astype(np.uint8)


def _shapes(width: int, height: int, unit: float) -> list[tuple[Floats, Color]]:
    """Masks (height, width) in 0..1 and colours, bottom first."""
    pen = _Pen(width, height, unit)
    card = (170, 985, 1030, 1465)
    return [
        (pen.disc(600, 560, 372), SUN),
        (pen.disc(872, 792, 232), ROSE),
        (pen.leaf(330, 650, 560, 57), TEAL),
        (pen.leaf(330, 650, 560, 57, (1,)), PINE),
        (pen.shadow(card, 56, 30, 26) * 0.42, (0, 0, 0)),
        (pen.panel(card, 56), CREAM),
        (pen.text(600, 1150, 152, "Afterglow"), INK),
        (pen.text(600, 1288, 56, "An evening of open-air music"), ROSE),
        (pen.text(600, 1378, 46, "Saturday 21 June, from nine until late"), INK),
    ]


class _Pen:
    """Draws shapes given on a 1200 x 1600 page, centred on a picture of any size."""

    def __init__(self, width: int, height: int, unit: float) -> None:
        self.size = (width, height)
        self.scale = unit * SUPERSAMPLE
        self.shift = ((width - 1200 * unit) / 2 * SUPERSAMPLE, (height - 1600 * unit) / 2 * SUPERSAMPLE)

    def _at(self, points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
        return [(x * self.scale + self.shift[0], y * self.scale + self.shift[1]) for x, y in points]

    def _sheet(self) -> tuple[Image.Image, ImageDraw.ImageDraw]:
        sheet = Image.new("L", (self.size[0] * SUPERSAMPLE, self.size[1] * SUPERSAMPLE), 0)
        return sheet, ImageDraw.Draw(sheet)

    def _mask(self, sheet: Image.Image) -> Floats:
        return np.asarray(sheet.resize(self.size, Image.Resampling.BOX), np.float32) / np.float32(255)

    def disc(self, x: float, y: float, radius: float) -> Floats:
        sheet, draw = self._sheet()
        draw.ellipse(self._at([(x - radius, y - radius), (x + radius, y + radius)]), fill=255)
        return self._mask(sheet)

    def panel(self, box: tuple[float, float, float, float], radius: float) -> Floats:
        sheet, draw = self._sheet()
        draw.rounded_rectangle(self._at([box[:2], box[2:]]), radius * self.scale, fill=255)
        return self._mask(sheet)

    def shadow(self, box: tuple[float, float, float, float], radius: float, drop: float, blur: float) -> Floats:
        """The panel's soft shadow, a little below it."""
        left, top, right, bottom = box
        hard = self.panel((left, top + drop, right, bottom + drop), radius)
        soft = Image.fromarray((hard * 255).astype(np.uint8)).filter(
            ImageFilter.GaussianBlur(blur * self.scale / SUPERSAMPLE)
        )
        return np.asarray(soft, np.float32) / np.float32(255)

    def leaf(self, x: float, y: float, length: float, degrees: float, sides: tuple[int, ...] = (1, -1)) -> Floats:
        """A leaf about (x, y), turned by an angle: an arc on each of its sides, meeting in points."""
        along = np.linspace(-0.5, 0.5, 80)
        bulge = 0.225 * (1 - (2 * along) ** 2)
        edges = [np.stack([along, side * bulge], 1)[::side] for side in sides]
        turn = math.radians(degrees)
        rotation = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
        points: Any = np.concatenate(edges) * length @ rotation + (x, y)
        sheet, draw = self._sheet()
        draw.polygon(self._at([(float(px), float(py)) for px, py in points]), fill=255)
        return self._mask(sheet)

    def text(self, x: float, y: float, size: float, words: str) -> Floats:
        """Words centred on (x, y) in Pillow's own font, `size` page units high."""
        sheet, draw = self._sheet()
        font = ImageFont.load_default(size=size * self.scale)
        draw.text(self._at([(x, y)])[0], words, fill=255, font=font, anchor="mm")
        return self._mask(sheet)


def main(arguments: Sequence[str]) -> int:
    """Write the poster to the path given on the command line."""
    if len(arguments) != 1:
        print("usage: python -m qil_core.example PATH", file=sys.stderr)
        return 2
    path = Path(arguments[0])
    path.parent.mkdir(parents=True, exist_ok=True)
    draw_poster().save(path)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
