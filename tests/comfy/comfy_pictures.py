"""Pictures that the tests put into the input folder, and the arithmetic that checks what comes back."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from pptx import Presentation
from pptx.shapes.group import GroupShape

Bytes = NDArray[np.uint8]
EMU_A_PIXEL = 9525  # at 96 dpi

SIZE = (480, 320)
PAPER, BLUE, RED, GREEN = (250, 246, 235), (40, 90, 200), (220, 60, 50), (60, 160, 80)

CENTRES = ((120, 120), (330, 210), (300, 90))
"""A pixel (x, y) well inside the disc, the box and the triangle."""


def shapes(scale: int = 1, paper: tuple[int, ...] = PAPER) -> Image.Image:
    """A blue disc, a red box and a green triangle, apart from each other, with smooth edges."""
    fine = 4 * scale
    sheet = Image.new("RGBA", (SIZE[0] * fine, SIZE[1] * fine), paper)
    draw = ImageDraw.Draw(sheet)
    draw.ellipse([side * fine for side in (60, 60, 180, 180)], fill=BLUE)
    draw.rectangle([side * fine for side in (260, 150, 400, 270)], fill=RED)
    draw.polygon([(x * fine, y * fine) for x, y in ((300, 40), (360, 120), (240, 120))], fill=GREEN)
    return sheet.resize((SIZE[0] * scale, SIZE[1] * scale), Image.Resampling.BOX)


def put_pictures(folder: Path) -> None:
    """The input folder of the test server."""
    shapes().convert("RGB").save(folder / "example.png")
    shapes(paper=(30, 40, 60)).convert("RGB").save(folder / "second.png")
    shapes(scale=6).convert("RGB").save(folder / "large.png")
    shapes(paper=(*BLUE, 0)).save(folder / "clear.png")


def read(path: Path) -> Bytes:
    return np.array(Image.open(path))


def over(layers: Iterable[Bytes]) -> NDArray[np.float64]:
    """Straight-alpha layers, bottom first, flattened: float (H, W, 4) in 0..255, clear pixels black."""
    color: Any = 0.0
    alpha: Any = 0.0
    for layer in layers:
        top = layer[..., 3:] / 255
        color = layer[..., :3] * top + color * (1 - top)
        alpha = top + alpha * (1 - top)
    return np.concatenate([color / np.maximum(alpha, 1e-9), alpha * 255], axis=-1)


def moved(layer: Bytes, dx: int, dy: int) -> Bytes:
    """A layer shifted right and down by whole pixels, for dx and dy >= 0."""
    out = np.zeros_like(layer)
    out[dy:, dx:] = layer[: layer.shape[0] - dy, : layer.shape[1] - dx]
    return out


def clear_black(layers: Bytes) -> Bytes:
    """Layers with hidden colour taken away, for comparisons of what can be seen."""
    return np.where(layers[..., 3:] > 0, layers, 0).astype(np.uint8)


@dataclass(frozen=True)
class Slide:
    """A slide read back: names with their groups, bottom first, and the pictures laid out in pixels (N, H, W, 4)."""

    names: list[str]
    layers: Bytes


def slides(data: bytes) -> list[Slide]:
    """The slides of a deck written at 96 dpi."""
    deck: Any = Presentation(io.BytesIO(data))
    size = round(deck.slide_width / EMU_A_PIXEL), round(deck.slide_height / EMU_A_PIXEL)
    return [_slide(list(_pictures(slide.shapes, "")), size) for slide in deck.slides]


def _pictures(found: Any, path: str) -> Iterable[tuple[str, Any]]:
    for shape in found:
        if isinstance(shape, GroupShape):
            yield from _pictures(shape.shapes, f"{path}{shape.name}/")
        else:
            yield path + shape.name, shape


def _slide(pictures: list[tuple[str, Any]], size: tuple[int, int]) -> Slide:
    return Slide([name for name, _ in pictures], np.stack([_laid_out(picture, size) for _, picture in pictures]))


def _laid_out(picture: Any, size: tuple[int, int]) -> Bytes:
    sheet = Image.new("RGBA", size)
    content = Image.open(io.BytesIO(picture.image.blob)).convert("RGBA")
    sheet.paste(content, (round(picture.left / EMU_A_PIXEL), round(picture.top / EMU_A_PIXEL)))
    return np.array(sheet)
