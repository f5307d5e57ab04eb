"""The contact sheet: every layer on a checkerboard, with its index, name and coverage, and the composite last."""

from __future__ import annotations

import math
from bisect import bisect_left
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from .composite import composite, premultiplied
from .filters import scaled
from .stack import GRID, LayerStack

if TYPE_CHECKING:
    from PIL import Image, ImageDraw, ImageFont

CELL = 320
"""Longest side of a thumbnail, in pixels."""
MAX_CELLS = 100
"""Layers that a sheet shows at the most: so many make 13 megapixels."""
MAX_TITLE = 200
"""Letters of a name that are drawn at the most; a cell shows about 60 of usual width."""
ELLIPSIS = "..."
MARGIN, LABEL = 16, 44
PAPER, INK, FAINT = (32, 33, 36), (240, 240, 240), (160, 162, 168)
_WIDE_FONTS = ("NotoSansCJK-Regular.ttc", "msyh.ttc", "PingFang.ttc", "Hiragino Sans GB.ttc", "DejaVuSans.ttf")


def contact_sheet(stack: LayerStack) -> Image.Image:
    """An RGB picture of the whole stack: layers bottom first, MAX_CELLS at the most, then their composite."""
    from PIL import Image, ImageDraw

    shown = min(len(stack), MAX_CELLS)
    cells = [(_thumbnail(stack.pixels[i]), *_caption(stack, i)) for i in range(shown)]
    count = f"{len(stack)} layers" if shown == len(stack) else f"{shown} of {len(stack)} layers"
    cells.append((_thumbnail(composite(stack)), "composite", f"{stack.width} x {stack.height} px, {count}"))
    width, height = cells[0][0].size
    columns = _columns(len(cells), width, height + LABEL)
    rows = math.ceil(len(cells) / columns)
    step_x, step_y = width + MARGIN, height + LABEL + MARGIN
    sheet = Image.new("RGB", (columns * step_x + MARGIN, rows * step_y + MARGIN), PAPER)
    draw = ImageDraw.Draw(sheet)
    for at, (picture, title, detail) in enumerate(cells):
        x, y = MARGIN + at % columns * step_x, MARGIN + at // columns * step_y
        sheet.paste(picture, (x, y))
        draw.text((x, y + height + 5), _fit(draw, title, width, 16), INK, _font(title, 16))
        draw.text((x, y + height + 26), _fit(draw, detail, width, 13), FAINT, _font(detail, 13))
    return sheet


def _caption(stack: LayerStack, index: int) -> tuple[str, str]:
    return f"{index}  {stack.names[index]}", f"covers {stack.coverage(index):.1%}"


def _columns(count: int, width: int, height: int) -> int:
    """As many columns as make the sheet nearest to 16:10."""
    return min(range(1, count + 1), key=lambda n: abs(math.log(n * width / (math.ceil(count / n) * height) / 1.6)))


def _thumbnail(layer: Tensor) -> Image.Image:
    from PIL import Image

    scale = CELL / max(layer.shape[:2])
    height, width = (max(1, min(CELL, round(side * scale))) for side in layer.shape[:2])
    smaller = scale < 1
    mode = "bilinear" if smaller else "nearest"
    small = scaled(premultiplied(layer), height, width, mode, smaller).cpu().numpy().clip(0, 1)
    shown = small[..., :3] + _checkerboard(height, width) * (1 - small[..., 3:])
    framed = np.full((max(height, 64), max(width, 64), 3), 0.2, np.float32)
    framed[:height, :width] = shown.clip(0, 1)
    return Image.fromarray(np.rint(framed * GRID).astype(np.uint8))


@lru_cache(maxsize=2)
def _checkerboard(height: int, width: int) -> NDArray[np.float32]:
    rows, columns = np.arange(height)[:, None] // 8, np.arange(width)[None] // 8
    return (0.78 + 0.14 * ((rows + columns) % 2))[..., None].astype(np.float32)


def _font(text: str, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font; for letters that it lacks, a system font where there is one."""
    from PIL import ImageFont

    if not text.isascii():
        for name in _WIDE_FONTS:
            try:
                return ImageFont.truetype(name, size)
            except OSError:
                continue
    return ImageFont.load_default(size)


def _fit(draw: ImageDraw.ImageDraw, text: str, width: int, size: int) -> str:
    """The text, cut with an ellipsis where it is wider than its cell. Of more than MAX_TITLE letters none is read."""
    text = text[: MAX_TITLE + 1]
    font = _font(text, size)
    if len(text) <= MAX_TITLE and draw.textlength(text, font) <= width:
        return text
    ends = range(len(text))
    end = bisect_left(ends, True, key=lambda end: draw.textlength(text[:end] + ELLIPSIS, font) > width)
    return text[: max(0, end - 1)] + ELLIPSIS
