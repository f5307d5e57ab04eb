"""Drawing for scenes: outlines, words, gradients and noise as arrays. Lengths are shares of the page's longer side."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont

Floats = NDArray[np.float32]
Points = NDArray[np.float64]

SUPERSAMPLE = 3
"""Masks are drawn this many times larger and averaged."""

LATIN = ("DejaVuSans-Bold.ttf", "DejaVuSerif.ttf", "LiberationSans-Regular.ttf", "LiberationSerif-Italic.ttf")
CJK = ("NotoSansCJK-Bold.ttc", "NotoSansCJK-Regular.ttc", "NotoSerifCJK-Bold.ttc", "wqy-microhei.ttc")
OWN = ""
"""Pillow's own font, which is always there and has no CJK."""


@functools.cache
def fonts(names: tuple[str, ...]) -> tuple[str, ...]:
    """Those of these fonts that this machine has."""
    return tuple(name for name in names if _is_there(name))


def _is_there(name: str) -> bool:
    try:
        ImageFont.truetype(name)
    except OSError:
        return False
    return True


class Canvas:
    """A page of so many pixels to draw on; `aspect` is its width and height, the longer one 1."""

    def __init__(self, side: int, aspect: tuple[float, float]) -> None:
        self.side, self.aspect = side, aspect
        self.width, self.height = (round(share * side) for share in aspect)

    def mask(self, outlines: Sequence[Points], holes: Sequence[Points] = ()) -> Floats:
        """Coverage (H, W) in 0..1 of outlines (n, 2), which may cross, without the holes."""
        sheet, pen = self._sheet()
        for outline, ink in [*((one, 255) for one in outlines), *((one, 0) for one in holes)]:
            pen.polygon([(float(x), float(y)) for x, y in outline * self.side * SUPERSAMPLE], fill=ink)
        return self._averaged(sheet)

    def words(self, text: str, font: str, size: float, x: float, y: float) -> Floats:
        """Coverage (H, W) in 0..1 of a line centred on (x, y), its letters `size` high."""
        sheet, pen = self._sheet()
        pixels = size * self.side * SUPERSAMPLE
        face = ImageFont.truetype(font, pixels) if font else ImageFont.load_default(pixels)
        at = (x * self.side * SUPERSAMPLE, y * self.side * SUPERSAMPLE)
        pen.text(at, text, font=face, fill=255, anchor="mm")
        return self._averaged(sheet)

    def blurred(self, mask: Floats, sigma: float) -> Floats:
        """A mask (H, W) under a Gaussian."""
        pixels = sigma * self.side
        return np.asarray(cv2.GaussianBlur(mask, (0, 0), pixels, borderType=cv2.BORDER_REPLICATE), np.float32)

    def gradient(self, one: Floats, other: Floats, angle: float) -> Floats:
        """Colours (H, W, 3) from one to the other along an angle, across the page."""
        y, x = np.mgrid[0 : self.height, 0 : self.width].astype(np.float32) / self.side
        place = (x - self.aspect[0] / 2) * math.cos(angle) + (y - self.aspect[1] / 2) * math.sin(angle)
        return np.asarray(one + (other - one) * np.clip(place + 0.5, 0, 1)[..., None], np.float32)

    def noise(self, seed: int, octaves: range, fall: float) -> Floats:
        """Noise (H, W, 3) of octaves with 2^o cells a side, each `fall` as strong as the one before it."""
        random, total = np.random.default_rng(seed), np.zeros((self.height, self.width, 3), np.float32)
        for strength, octave in enumerate(octaves):
            cells = random.normal(size=(2**octave + 1, 2**octave + 1, 3)).astype(np.float32)
            whole = cv2.resize(cells, (self.side, self.side), interpolation=cv2.INTER_CUBIC)
            total += whole[: self.height, : self.width] * np.float32(fall**strength)
        return total

    def _sheet(self) -> tuple[Image.Image, ImageDraw.ImageDraw]:
        sheet = Image.new("L", (self.width * SUPERSAMPLE, self.height * SUPERSAMPLE), 0)
        return sheet, ImageDraw.Draw(sheet)

    def _averaged(self, sheet: Image.Image) -> Floats:
        small = sheet.resize((self.width, self.height), Image.Resampling.BOX)
        return np.asarray(small, np.float32) / np.float32(255)


def rgb(color: ArrayLike) -> Floats:
    """A colour (3,), or any numbers, as float32."""
    return np.asarray(color, np.float32)


def opaque(colors: Floats) -> Floats:
    """RGBA (H, W, 4) of colours (H, W, 3) that hide what is below."""
    return np.concatenate([colors, np.ones_like(colors[..., :1])], -1)


def layer(colors: Floats, alpha: Floats) -> Floats:
    """Colours (3,) or (H, W, 3) with alpha (H, W)."""
    return np.concatenate([np.broadcast_to(colors, (*alpha.shape, 3)), alpha[..., None]], -1).astype(np.float32)


def over(top: Floats, bottom: Floats) -> Floats:
    """Straight RGBA (H, W, 4) of one thing over another; where both are clear, the top's colour."""
    below = bottom[..., 3:] * (1 - top[..., 3:])
    alpha = top[..., 3:] + below
    colors = top[..., :3] * top[..., 3:] + bottom[..., :3] * below
    straight = np.where(alpha > 0, colors / np.maximum(alpha, 1e-6), top[..., :3])
    return np.concatenate([straight, alpha], -1).astype(np.float32)


def round_outline(radius: Callable[[Points], Points]) -> Points:
    """An outline (n, 2) around 0 by its radius at an angle."""
    angle = np.linspace(0, 2 * math.pi, 360, endpoint=False)
    return radius(angle)[:, None] * np.stack([np.cos(angle), np.sin(angle)], -1)
