"""The example slide of the workflows: a title, points and a chart, drawn with Pillow and its own font.

python docs/pictures/slide.py workflows/pictures/layers_slide.png
"""

from __future__ import annotations

import sys

from PIL import Image, ImageDraw, ImageFilter, ImageFont

SCALE = 3
"""Drawn so many times larger and averaged, for smooth edges."""

SIZE = (1280, 720)
Color = tuple[int, int, int]
PAGE, INK, SOFT = (250, 247, 240), (28, 36, 66), (104, 112, 136)
CORAL, TEAL, SUN, NAVY, WHITE = (236, 102, 88), (30, 140, 134), (250, 190, 84), (44, 62, 128), (255, 255, 255)

POINTS = ("Three farms, one shared mill", "Picked by hand, dried in the sun", "Roasted the week it ships")
BARS = (("Spring", 0.45, NAVY), ("Summer", 0.62, TEAL), ("Autumn", 0.95, CORAL), ("Winter", 0.7, SUN))
CARD = (730, 190, 1200, 610)

Box = tuple[float, float, float, float]


def main(path: str) -> None:
    big = Image.new("RGB", (SIZE[0] * SCALE, SIZE[1] * SCALE), PAGE)
    big = _with_shadow(big, CARD, 24)
    draw = ImageDraw.Draw(big)
    _box(draw, (0, 0, 24, 720), CORAL)
    _box(draw, CARD, WHITE, 24)
    _text(draw, 80, 120, 60, "Where our coffee comes from", INK)
    for i, point in enumerate(POINTS):
        y = 262 + 78 * i
        _box(draw, (84, y - 8, 100, y + 8), (CORAL, TEAL, SUN)[i], 8)
        _text(draw, 124, y, 32, point, INK)
    _text(draw, 80, 640, 22, "Harvest report 2026", SOFT)
    _text(draw, 770, 240, 28, "Sacks a season", INK)
    for i, (name, share, color) in enumerate(BARS):
        x = 776 + 106 * i
        _box(draw, (x, 540 - 250 * share, x + 68, 540), color, 10)
        _text(draw, x + 34, 572, 22, name, SOFT, "mm")
    big.resize(SIZE, Image.Resampling.BOX).save(path, optimize=True)


def _with_shadow(page: Image.Image, box: Box, radius: float) -> Image.Image:
    shadow = Image.new("L", page.size, 0)
    left, top, right, bottom = box
    _box(ImageDraw.Draw(shadow), (left, top + 12, right, bottom + 12), 60, radius)
    soft = shadow.filter(ImageFilter.GaussianBlur(14 * SCALE))
    return Image.composite(Image.new("RGB", page.size, INK), page, soft)


def _box(draw: ImageDraw.ImageDraw, box: Box, color: Color | int, radius: float = 0) -> None:
    left, top, right, bottom = (edge * SCALE for edge in box)
    draw.rounded_rectangle((left, top, right - 1, bottom - 1), radius * SCALE, fill=color)


def _text(
    draw: ImageDraw.ImageDraw,
    x: float,
    y: float,
    size: float,
    words: str,
    color: tuple[int, int, int],
    anchor: str = "lm",
) -> None:
    font = ImageFont.load_default(size=size * SCALE)
    draw.text((x * SCALE, y * SCALE), words, fill=color, font=font, anchor=anchor)


if __name__ == "__main__":
    main(sys.argv[1])
