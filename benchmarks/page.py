"""Drawing for illustrated scenes: many colours in one layer, with outlines, strokes, words and pictures.

`Sheet` is one layer while it is drawn; `Page` collects finished layers with their names, bottom first. Lengths are
shares of the page's longer side and colours (3,) in 0..1, as in `canvas`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from qil_core.stack import LayerStack, quantized

from .canvas import CJK, LATIN, OWN, SUPERSAMPLE, Canvas, Floats, Points, fonts, layer, over, round_outline

MEASURED_PX = 100
"""Size at which words are measured, so that a scene is laid out alike at every size."""

ROUND_CAP = 4
"""A stroke's ends are round from so many fine pixels on."""

Color = Floats | tuple[float, ...]


class Page:
    """Layers in the order of drawing, and the random choices of a scene."""

    def __init__(self, side: int, aspect: tuple[float, float], random: np.random.Generator) -> None:
        self.canvas, self.random = Canvas(side, aspect), random
        self.width, self.height = aspect
        self._layers: list[Floats] = []
        self._names: list[str] = []

    def sheet(self) -> Sheet:
        """An empty layer to draw on."""
        return Sheet(self.canvas)

    def add(self, name: str, pixels: Floats) -> None:
        """Put a finished layer (H, W, 4), straight alpha in 0..1, on those before it."""
        self._layers.append(pixels)
        self._names.append(name)

    def stack(self) -> LayerStack:
        """The layers so far on the 8-bit grid, bottom first."""
        return LayerStack(quantized(torch.from_numpy(np.stack(self._layers))), tuple(self._names))

    def lightness(self) -> float:
        """Mean of the lowest layer's colours, 0..1."""
        return float(self._layers[0][..., :3].mean())

    def between(self, low: float, high: float) -> float:
        return float(self.random.uniform(low, high))

    def count(self, low: int, high: int) -> int:
        """low..high, both included."""
        return int(self.random.integers(low, high + 1))

    def chance(self, share: float) -> bool:
        return bool(self.random.random() < share)

    def one_of(self, choices: Sequence) -> str:
        return str(choices[int(self.random.integers(len(choices)))])

    def letters(self, cjk: bool) -> str:
        """A font: one for CJK, or one for Latin letters."""
        return self.one_of(fonts(CJK) if cjk else fonts(LATIN) or (OWN,))

    def has_cjk(self) -> bool:
        """Whether a CJK font is installed."""
        return bool(fonts(CJK))


class Sheet:
    """One layer: what is drawn later covers what was drawn earlier. Drawn SUPERSAMPLE times larger and averaged."""

    def __init__(self, canvas: Canvas) -> None:
        self.canvas = canvas
        self._fine = canvas.side * SUPERSAMPLE
        self._image = Image.new("RGBA", (canvas.width * SUPERSAMPLE, canvas.height * SUPERSAMPLE))
        self._pen = ImageDraw.Draw(self._image)
        self._pen.fontmode = "1"  # else the clear sheet's black would mix into the rims of letters

    def shape(self, outline: Points, fill: Color, edge: Color | None = None, width: float = 0) -> None:
        """A filled outline (n, 2), with a line of this width along it."""
        self._pen.polygon(self._fine_points(outline), fill=_ink(fill))
        if edge is not None and width > 0:
            self.stroke(np.concatenate([outline, outline[:2]]), edge, width)

    def stroke(self, points: Points, color: Color, width: float) -> None:
        """A line through points (n, 2) with round ends."""
        fine, pixels = self._fine_points(points), max(1, round(width * self._fine))
        self._pen.line(fine, fill=_ink(color), width=pixels, joint="curve")
        if pixels >= ROUND_CAP:
            for x, y in (fine[0], fine[-1]):
                half = pixels / 2
                self._pen.ellipse([x - half, y - half, x + half, y + half], fill=_ink(color))

    def box(self, x: float, y: float, width: float, height: float, color: Color, radius: float = 0) -> None:
        """A rounded box by its upper left corner, its sides on whole pixels and at least one pixel apart."""
        left, right = self._whole(x, x + width)
        top, bottom = self._whole(y, y + height)
        corner = round(radius * self._fine)
        self._pen.rounded_rectangle([left, top, right - 1, bottom - 1], corner, fill=_ink(color))

    def framed(self, box: tuple[float, float, float, float], color: Color, edge: Color, radius: float = 0) -> None:
        """A rounded box with a line of one pixel around it."""
        self.box(*box, edge, radius)
        pixel = 1 / self.canvas.side
        x, y, width, height = (round(share * self.canvas.side) * pixel for share in box)
        self.box(x + pixel, y + pixel, width - 2 * pixel, height - 2 * pixel, color, max(0.0, radius - pixel))

    def words(self, text: str, font: str, size: float, x: float, y: float, color: Color, anchor: str = "lm") -> None:
        """A line of text, its letters `size` high, anchored as Pillow does it."""
        at = (x * self._fine, y * self._fine)
        self._pen.text(at, text, font=_face(font, size * self._fine), fill=_ink(color), anchor=anchor)

    def rimmed_words(
        self, text: str, font: str, size: float, at: tuple[float, float], colors: tuple[Color, Color], rim: float
    ) -> None:
        """A line of text centred at a point, its letters of the first colour with a rim of the second."""
        place = (at[0] * self._fine, at[1] * self._fine)
        face, width = _face(font, size * self._fine), max(1, round(rim * self._fine))
        self._pen.text(place, text, font=face, fill=_ink(colors[1]), anchor="mm", stroke_width=width)
        self._pen.text(place, text, font=face, fill=_ink(colors[0]), anchor="mm")

    def picture(self, colors: Floats, x: float, y: float, radius: float = 0) -> None:
        """Colours (h, w, 3) at the page's resolution, its upper left corner at a point, its own corners rounded."""
        height, width = colors.shape[:2]
        size = (width * SUPERSAMPLE, height * SUPERSAMPLE)
        fine = Image.fromarray((colors.clip(0, 1) * 255).round().astype(np.uint8)).resize(
            size, Image.Resampling.NEAREST
        )
        mask = Image.new("L", size)
        ImageDraw.Draw(mask).rounded_rectangle([0, 0, size[0] - 1, size[1] - 1], round(radius * self._fine), fill=255)
        left, top = (round(share * self.canvas.side) * SUPERSAMPLE for share in (x, y))
        self._image.paste(fine, (left, top), mask)

    def rgba(self) -> Floats:
        """The layer (H, W, 4), straight alpha in 0..1."""
        fine = np.asarray(self._image)
        steps = [(i, j) for i in range(SUPERSAMPLE) for j in range(SUPERSAMPLE)]
        sums = np.zeros((self.canvas.height, self.canvas.width, 4), np.uint16)
        for i, j in steps:
            sums += fine[i::SUPERSAMPLE, j::SUPERSAMPLE]
        covered = np.maximum(sums[..., 3:], 1).astype(np.float32)  # every fine pixel is clear black or opaque
        alpha = sums[..., 3:] / np.float32(255 * len(steps))
        return np.concatenate([sums[..., :3] / covered, alpha], -1).astype(np.float32)

    def shadowed(self, drop: float, sigma: float, strength: float) -> Floats:
        """The layer (H, W, 4) with its own black drop shadow."""
        own = self.rgba()
        moved = np.roll(own[..., 3], round(drop * self.canvas.side), 0)
        return over(own, layer(np.zeros(3, np.float32), self.canvas.blurred(moved, sigma) * np.float32(strength)))

    def _whole(self, start: float, end: float) -> tuple[int, int]:
        first = round(start * self.canvas.side)
        return first * SUPERSAMPLE, max(first + 1, round(end * self.canvas.side)) * SUPERSAMPLE

    def _fine_points(self, points: Points) -> list[tuple[float, float]]:
        return [(float(x), float(y)) for x, y in np.asarray(points) * self._fine]


def _ink(color: Color) -> tuple[int, ...]:
    return (*(round(255 * min(1.0, max(0.0, float(share)))) for share in color), 255)


def _face(font: str, pixels: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.truetype(font, pixels) if font else ImageFont.load_default(pixels)


def words_width(text: str, font: str, size: float) -> float:
    """How wide a line of text is whose letters are `size` high."""
    return float(_face(font, MEASURED_PX).getlength(text)) * size / MEASURED_PX


def ellipse(x: float, y: float, rx: float, ry: float, turn: float = 0) -> Points:
    """An outline (360, 2) of an ellipse turned by an angle."""
    cos, sin = math.cos(turn), math.sin(turn)
    flat = round_outline(lambda angle: 1 + 0 * angle) * [rx, ry]
    return flat @ np.array([[cos, sin], [-sin, cos]]) + [x, y]


def smooth(points: Sequence[tuple[float, float]], closed: bool = True, steps: int = 12) -> Points:
    """A curve through points: Catmull and Rom's spline (1974)."""
    knots = np.asarray(points, float)
    padded = np.concatenate([knots[-1:], knots, knots[:2]] if closed else [knots[:1], knots, knots[-1:]])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    pieces = []
    for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        pieces.append(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3))
    return np.concatenate(pieces if closed else [*pieces, knots[-1:]])
