"""The moving picture at the top of README.md: the example photograph pulled apart, two layers changed, put together.

1. `Scene`: the photograph's layers, made from the masks in docs/pictures/things, as `qil decompose --masks` does; the
   mug recoloured and the title moved.
2. `frames`: sheets that slide apart, the change, and sheets that slide together (`_sheet`, an affine map each).
3. `write_animation` and `write_banner`: an animated WebP for the page, and a still one of 21:9 for the registry.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from qil_core.composite import composite
from qil_core.decompose import Request
from qil_core.decompose.masks import Masks
from qil_core.decompose.run import decompose
from qil_core.files.picture import load_picture
from qil_core.recolor import Colorize, recolor
from qil_core.stack import LayerStack, to_bytes
from qil_core.transform import Placement, transform

ROOT = Path(__file__).resolve().parent.parent
PHOTOGRAPH = ROOT / "workflows" / "pictures" / "layers_photograph.jpg"
THINGS = ROOT / "docs" / "pictures" / "things"
"""Masks of what the photograph shows: NAME.png."""

LAYERS = ("books", "mug", "plant", "oranges", "title")
"""The names of its layers above the background, bottom first. The mug and the plant touch nowhere: in this order their
sheets do not cover each other's things."""

SIZE = (960, 600)
"""Pixels of the animation, width and height."""

FINE = 2
"""Frames are drawn this many times larger and reduced, for smooth edges."""

PAPER, INK, FAINT = (226, 228, 235), (30, 32, 48), (92, 95, 112)

FRAME_MS, HOLD_MS = 60, 1400
"""How long a moving frame and a still one are shown, in milliseconds."""

QUALITY = 80
"""Of WebP's coding, 0 to 100: text stays crisp, and the animation has 1.3 MB of the 1.5 MB that a page may wait for."""

MOVING = 16
"""Frames of a movement."""

MUG = Colorize((0.9, 0.62, 0.1), mean_lightness=0.62)
"""The mug's new colour: mustard. The lightness is the mug's own mean, so that light and shade stay."""

TITLE_PX = (0.0, -100.0)
"""How far the title is moved, in pixels of the photograph."""

BANNER = (1260, 540)
"""Pixels of the registry's banner, width and height: 21:9."""

CLAIM = "Pictures taken apart,\nedited layer by layer,\nput back exactly."

FLAT_HEIGHT = 480
"""Height of the whole picture in a frame, in pixels."""

SHEAR, NARROW = 0.24, 0.60
"""A sheet seen from the side: its far edge rises by so much of its width, and it is so much narrower."""


class Place(NamedTuple):
    """Where a sheet lies, in fine pixels: its left edge, top and width, and how much its right edge lies higher."""

    left: float
    top: float
    width: float
    rise: float


@dataclass(frozen=True)
class Scene:
    """Layers of a picture, before and after one of them is recoloured and another one moved: their names."""

    stack: LayerStack
    recolored: str = "mug"
    moved: str = "title"

    @classmethod
    def made(cls) -> Scene:
        """The example photograph, taken apart without a model."""
        masks = [np.asarray(Image.open(THINGS / f"{name}.png")).astype(np.float32) / np.float32(255) for name in LAYERS]
        things = Masks(masks, LAYERS, is_ordered=True)
        return cls(decompose(things, load_picture(PHOTOGRAPH), Request())[0])

    def at(self, share: float) -> LayerStack:
        """The layers with so much of both changes, 0 to 1."""
        if share == 0:
            return self.stack
        recolored, moved = (self.stack.names.index(name) for name in (self.recolored, self.moved))
        placed = transform(self.stack, moved, Placement(dx=share * TITLE_PX[0], dy=share * TITLE_PX[1]))
        return recolor(placed, recolored, MUG, share)


def pictures(stack: LayerStack, height: int) -> list[Image.Image]:
    """Every layer as an RGBA picture of this height."""
    width = round(height * stack.width / stack.height)
    full = (Image.fromarray(to_bytes(layer).numpy(), "RGBA") for layer in stack.pixels)
    return [picture.resize((width, height), Image.Resampling.LANCZOS) for picture in full]


def frame(stack: LayerStack, apart: float, caption: str, size: tuple[int, int] = SIZE) -> Image.Image:
    """One frame: sheets that are so far apart, 0 (the flat picture) to 1."""
    canvas = Image.new("RGBA", (size[0] * FINE, size[1] * FINE), (*PAPER, 255))
    layers = pictures(stack, FLAT_HEIGHT * FINE)
    for number, (layer, name) in enumerate(zip(layers, stack.names, strict=True)):
        place = _place(number, len(layers), apart, canvas.size, layer)
        canvas.alpha_composite(_sheet(canvas.size, layer, place, apart))
        if apart == 1:
            _label(canvas, place, layer, name)
    _caption(canvas, caption)
    return canvas.convert("RGB").reduce(FINE)


def _place(number: int, count: int, apart: float, size: tuple[int, int], layer: Image.Image) -> Place:
    """Where sheet `number` of so many lies on a canvas of this size."""
    width = layer.width * (1 - apart * (1 - NARROW))
    step = (size[0] - 90 * FINE - layer.width * NARROW) / max(count - 1, 1)
    middle = (size[0] - width) / 2
    fan = 45 * FINE + number * step
    rise = apart * SHEAR * width
    return Place(middle + (fan - middle) * apart, (34 + 12 * apart) * FINE + 0.5 * rise, width, rise)


def _sheet(size: tuple[int, int], layer: Image.Image, place: Place, apart: float) -> Image.Image:
    """A layer on a sheet of glass, drawn by an affine map onto a clear canvas of this size."""
    left, top, width, rise = place
    glass = Image.new("RGBA", layer.size, (255, 255, 255, round(46 * apart)))
    ImageDraw.Draw(glass).rectangle(
        (0, 0, layer.width - 1, layer.height - 1), outline=(70, 74, 100, round(130 * apart)), width=2 * FINE
    )
    glass.alpha_composite(layer)
    grown = layer.width / width
    slope = rise / width
    back = (grown, 0, -grown * left, slope, 1, -top - slope * left)
    return glass.transform(size, Image.Transform.AFFINE, back, Image.Resampling.BICUBIC)


def _label(canvas: Image.Image, place: Place, layer: Image.Image, name: str) -> None:
    left, top, width, rise = place
    font = ImageFont.load_default(size=15 * FINE)
    at = (left + width / 2, top + layer.height - rise / 2 + 22 * FINE)
    ImageDraw.Draw(canvas).text(at, name.split(" (")[0], FAINT, font, anchor="mm")


def _caption(canvas: Image.Image, text: str) -> None:
    font = ImageFont.load_default(size=21 * FINE)
    ImageDraw.Draw(canvas).text((canvas.width / 2, canvas.height - 24 * FINE), text, INK, font, anchor="mm")


def _eased(count: int) -> Iterator[float]:
    """Shares of a movement that begins and ends slowly, without 0, up to 1."""
    for i in range(1, count + 1):
        t = i / count
        yield t * t * (3 - 2 * t)


def frames(scene: Scene) -> Iterator[tuple[Image.Image, int]]:
    """The frames and how long each is shown, in milliseconds."""
    before, after = scene.stack, scene.at(1)
    yield frame(before, 0, "a picture"), HOLD_MS
    for share in _eased(MOVING):
        yield frame(before, share, "its layers" if share == 1 else ""), HOLD_MS if share == 1 else FRAME_MS
    for share in _eased(MOVING):
        yield frame(scene.at(share), 1, "one layer recoloured, one moved"), HOLD_MS if share == 1 else FRAME_MS
    for share in _eased(MOVING):
        yield frame(after, 1 - share, ""), FRAME_MS
    yield frame(after, 0, "put together again: all else keeps its bits"), 2 * HOLD_MS


def write_animation(scene: Scene, path: Path) -> None:
    """An animated WebP, which begins anew for ever."""
    shown, times = zip(*frames(scene), strict=True)
    every_frame_whole = {"kmin": 0, "kmax": 1}  # else lossy frames leave traces of those before them
    shown[0].save(
        path, "WEBP", save_all=True, append_images=shown[1:], duration=list(times), quality=QUALITY, **every_frame_whole
    )


def write_banner(scene: Scene, path: Path) -> None:
    """A still picture of 21:9, as the registry wants it: the name, and the sheets beside it."""
    page = Image.new("RGB", BANNER, PAPER)
    sheets = frame(scene.stack, 1, "", (900, SIZE[1]))
    page.paste(sheets.resize((round(900 * BANNER[1] / SIZE[1]), BANNER[1])), (450, 0))
    draw = ImageDraw.Draw(page)
    draw.text((56, 150), "Qwen Layers", INK, ImageFont.load_default(size=66))
    draw.multiline_text((58, 250), CLAIM, FAINT, ImageFont.load_default(size=29), spacing=12)
    page.save(path, "PNG", optimize=True)


def flat(stack: LayerStack) -> Image.Image:
    """What a stack shows."""
    return Image.fromarray(to_bytes(composite(stack)).numpy(), "RGBA").convert("RGB")
