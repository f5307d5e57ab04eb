"""Thumbnails of the workflows that open the example slide and the example photograph, from runs of the same steps.

    python docs/pictures/thumbnails.py

What SAM3, Remove Background or a hand would mark are here the masks in `things/` (see still_life.py). The slide is
written as PowerPoint with text boxes and true shapes, and what is shown of it is LibreOffice's rendering.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from qil_core.decompose.builtin import Builtin
from qil_core.decompose.masks import Masks
from qil_core.decompose.run import decompose
from qil_core.files import pptx
from qil_core.files.format import Options
from qil_core.files.picture import load_picture
from qil_core.request import Request
from qil_core.stack import to_bytes

HERE = Path(__file__).parent
WORKFLOWS = HERE.parent.parent / "workflows"
THINGS = ("books", "plant", "oranges", "mug")
SIDE = 600
TOP, BOTTOM = (35, 38, 50), (20, 21, 29)
WHITE, INK, MARK = (255, 255, 255), (28, 30, 40), (255, 255, 255)
SQUARE = 10
"""Side of a square of the checkerboard, in pixels."""

GAP = 14
LEFT, MIDDLE, RIGHT = (30, 120, 270, 490), (280, 320), (330, 120, 570, 490)
"""The room for what goes in, the arrow's ends, and the room for what comes out, in pixels."""

Mask = NDArray[np.float32]
Room = tuple[int, int, int, int]


def main() -> None:
    photograph = load_picture(WORKFLOWS / "pictures" / "layers_photograph.jpg")
    masks = {name: _mask(name) for name in THINGS}
    whole = _pixels(photograph)
    found = _apart(photograph, masks)
    _save("SAM3 to layers", whole, [found[name] for name in reversed(THINGS)], "Words to layers, with SAM3",
          "masks > clean layers > .pptx, .psd")  # fmt: skip
    subject = np.clip(np.sum(list(masks.values()), 0), 0, 1)
    two = _apart(photograph, {"subject": subject})
    _save("Remove background to layers", whole, [two["background"], two["subject"]], "Subject and background",
          "Remove Background > two exact layers")  # fmt: skip
    one = _apart(photograph, {"mug": masks["mug"]})
    painted = Image.composite(Image.blend(whole, Image.new("RGB", whole.size, MARK), 0.6), whole, _grey(masks["mug"]))
    _save("Masks by hand", painted, [one["mug"]], "Paint what becomes a layer", "a rough mask > the picture's own edge")
    slide = Image.open(WORKFLOWS / "pictures" / "layers_slide.png").convert("RGB")
    _save("Slide to editable PPTX", slide, [_editable_slide()], "Picture to editable PowerPoint",
          "live text and true shapes", below=True)  # fmt: skip


def _mask(name: str) -> Mask:
    with Image.open(HERE / "things" / f"{name}.png") as mask:
        return np.asarray(mask.convert("L"), np.float32) / 255


def _grey(mask: Mask) -> Image.Image:
    return Image.fromarray((mask * 255).astype(np.uint8))


def _pixels(picture: torch.Tensor) -> Image.Image:
    return Image.fromarray(to_bytes(picture[..., :3]).numpy())


def _apart(picture: torch.Tensor, masks: Mapping[str, Mask]) -> dict[str, Image.Image]:
    """Layers by name, on a checkerboard where they are clear."""
    stack, _ = decompose(Masks(list(masks.values()), list(masks)), picture, Request())
    layers = (Image.fromarray(to_bytes(layer).numpy(), "RGBA") for layer in stack.pixels)
    return {name: _on_checks(layer) for name, layer in zip(stack.names, layers, strict=True)}


def _on_checks(layer: Image.Image) -> Image.Image:
    step = SQUARE * layer.width // 200
    rows, columns = np.indices((layer.height, layer.width)) // step
    checks = Image.fromarray(np.where((rows + columns) % 2, 232, 208).astype(np.uint8)).convert("RGB")
    checks.paste(layer, mask=layer.getchannel("A"))
    return checks


def _editable_slide() -> Image.Image:
    """The example slide taken apart, written with text boxes and shapes, as LibreOffice shows it."""
    stack, _ = decompose(Builtin(), load_picture(WORKFLOWS / "pictures" / "layers_slide.png"), Request(layers=10))
    with tempfile.TemporaryDirectory() as folder:
        deck = Path(folder) / "slide.pptx"
        pptx.write_deck([stack], deck, Options(text="editable", shapes="editable"))
        to_pdf = ["soffice", "--headless", "--convert-to", "pdf", "--outdir", folder, str(deck)]
        to_png = ["pdftoppm", "-r", "96", "-png", "-singlefile", f"{folder}/slide.pdf", f"{folder}/slide"]
        for command in (to_pdf, to_png):
            subprocess.run(command, check=True, capture_output=True, timeout=180)
        shown = Image.open(f"{folder}/slide.png").convert("RGB")
    _draw_selection(ImageDraw.Draw(shown), shown.width / stack.width)
    return shown


def _draw_selection(draw: ImageDraw.ImageDraw, scale: float) -> None:
    """The frame and handles with which PowerPoint marks the title when it is clicked."""
    left, top, right, bottom = (round(edge * scale) for edge in (70, 76, 876, 164))
    draw.rectangle((left, top, right, bottom), outline=(120, 120, 130), width=2)
    for x in (left, (left + right) // 2, right):
        for y in (top, bottom):
            draw.ellipse((x - 6, y - 6, x + 6, y + 6), fill=WHITE, outline=(120, 120, 130), width=2)


def _save(
    name: str, before: Image.Image, after: Sequence[Image.Image], title: str, caption: str, below: bool = False
) -> None:
    """Write a thumbnail: what goes in, an arrow, and what comes out, beside or below it."""
    sheet = _ground()
    draw = ImageDraw.Draw(sheet)
    draw.text((SIDE / 2, 52), title, fill=WHITE, font=ImageFont.load_default(size=31), anchor="mm")
    draw.text((SIDE / 2, 556), caption, fill=WHITE, font=ImageFont.load_default(size=24), anchor="mm")
    if below:
        _place(sheet, before, (130, 90, 470, 290))
        _place(sheet, after[0], (130, 322, 470, 522))
        _arrow(draw, (300, 292), (300, 320))
    else:
        _place(sheet, before, LEFT)
        _arrow(draw, (MIDDLE[0], 305), (MIDDLE[1], 305))
        for picture, room in zip(after, _rooms(len(after)), strict=True):
            _place(sheet, picture, room)
    sheet.save(WORKFLOWS / f"{name}.jpg", quality=88, optimize=True)


def _ground() -> Image.Image:
    share = np.linspace(0, 1, SIDE)[:, None, None]
    colors = np.array(TOP) * (1 - share) + np.array(BOTTOM) * share
    return Image.fromarray(np.broadcast_to(colors, (SIDE, SIDE, 3)).round().astype(np.uint8).copy())


def _rooms(count: int) -> list[Room]:
    """Where so many pictures go: one, two below each other, or four in a square."""
    left, top, right, bottom = RIGHT
    across, down = (2, 2) if count == 4 else (1, count)
    wide, high = (right - left - GAP * (across - 1)) // across, (bottom - top - GAP * (down - 1)) // down
    corners = [(left + (wide + GAP) * x, top + (high + GAP) * y) for y in range(down) for x in range(across)]
    return [(x, y, x + wide, y + high) for x, y in corners]


def _place(sheet: Image.Image, picture: Image.Image, room: Room) -> None:
    """A picture as large as fits, in the middle of its room."""
    left, top, right, bottom = room
    scale = min((right - left) / picture.width, (bottom - top) / picture.height)
    small = picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.LANCZOS)
    sheet.paste(small, ((left + right - small.width) // 2, (top + bottom - small.height) // 2))


def _arrow(draw: ImageDraw.ImageDraw, start: tuple[int, int], end: tuple[int, int]) -> None:
    draw.line((start, end), fill=WHITE, width=4)
    (x, y), down = end, start[0] == end[0]
    sides = [(x - 8, y - 10), (x + 8, y - 10)] if down else [(x - 10, y - 8), (x - 10, y + 8)]
    draw.polygon([*sides, (x + 2, y) if not down else (x, y + 2)], fill=WHITE)


if __name__ == "__main__":
    main()
