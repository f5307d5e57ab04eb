"""Files of layers: ours against the recipes that the model's own demo uses, with full-canvas pictures.

Eight layers of 2048 x 2048, each empty in one half: alpha is 0 there, over photo-like colour that nobody sees, as the
model leaves it; and the same with black there, which any compression makes small.
"""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image

from qil_core.files import pptx, pptx_frame, psd
from qil_core.files.png import encode, parallel
from qil_core.files.registry import readable
from qil_core.stack import LayerStack, quantize, to_bytes

from .timing import in_turns

SIDE, COUNT = 2048, 8
NAMES = ["背景", "girl/hair 👗", "girl/dress", "مرحبا", r"either\/or", "x" * 200, "a  b", "top"]


def half_empty_layers() -> LayerStack:
    """Soft waves with a little noise, as a photo has; seen in the left or the right half only."""
    generator = torch.Generator().manual_seed(0)
    y, x = torch.meshgrid(torch.arange(SIDE) / SIDE, torch.arange(SIDE) / SIDE, indexing="ij")
    pixels = torch.zeros(COUNT, SIDE, SIDE, 4)
    for i, layer in enumerate(pixels):
        waves = torch.stack([torch.sin(9 * x + i), torch.sin(7 * y * x + i), torch.cos(5 * y)], -1) * 0.4 + 0.5
        noise = torch.randn(SIDE, SIDE, 3, generator=generator) * 0.01
        half = slice(0, SIDE // 2) if i % 2 else slice(SIDE // 2, SIDE)
        layer[..., :3] = (waves + noise).clamp(0, 1)
        layer[:, half, 3] = 1
    return LayerStack.from_image(quantize(pixels), NAMES)


def black_where_clear(stack: LayerStack) -> LayerStack:
    return LayerStack(stack.pixels * (stack.pixels[..., 3:] > 0), stack.names)


def pictures(stack: LayerStack) -> list[Image.Image]:
    return [Image.fromarray(to_bytes(layer).numpy()) for layer in stack.pixels]


def their_psd(stack: LayerStack, path: Path) -> Path:
    """psd-tools as its documentation and the model's demo use it: every layer as large as the canvas."""
    from psd_tools import PSDImage

    document = PSDImage.new("RGBA", (stack.width, stack.height))
    for i, picture in enumerate(pictures(stack)):
        document.create_pixel_layer(picture, name=f"Layer {i + 1}", top=0, left=0)
    document.save(path)
    return path


def their_pptx(stack: LayerStack, path: Path) -> Path:
    """The model's demo: a full-canvas PNG a layer, one on the other."""
    from pptx import Presentation
    from pptx.util import Emu

    deck = Presentation()
    deck.slide_width, deck.slide_height = (Emu(side * pptx_frame.EMU // 96) for side in (stack.width, stack.height))
    slide = deck.slides.add_slide(deck.slide_layouts[6])
    for picture in pictures(stack):
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        buffer.seek(0)
        slide.shapes.add_picture(buffer, 0, 0, deck.slide_width, deck.slide_height)
    deck.save(str(path))
    return path


def with_pillow(stack: LayerStack) -> list[bytes]:
    encoded = []
    for picture in pictures(stack):
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        encoded.append(buffer.getvalue())
    return encoded


def with_one_core(stack: LayerStack) -> list[bytes]:
    return [encode(layer) for layer in stack.pixels]


def with_all_cores(stack: LayerStack) -> list[bytes]:
    with parallel(encode, stack.pixels) as encoded:
        return list(encoded)


def compare(what: str, ours: Callable[[], Path], theirs: Callable[[], Path]) -> None:
    times = in_turns(ours, theirs, turns=3)
    sizes = [path.stat().st_size / 1e6 for path in (ours(), theirs())]
    print(f"  {what}: {times}; {sizes[0]:.1f} MB against {sizes[1]:.1f} MB: {sizes[0] / sizes[1]:.2f} of the size")


def run() -> None:
    stack = half_empty_layers()
    clean = black_where_clear(stack)
    print(f"  {COUNT} layers of {SIDE} x {SIDE}, half of each empty, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as folder:
        for what, layers in (("", stack), (", black where clear", clean)):
            compare_files(what, layers, Path(folder))
        print(f"  PNG, all cores against Pillow one by one: {encoding(stack, with_pillow)}")
        print(f"  PNG, all cores against one core, same settings: {encoding(stack, with_one_core)}")
        there_and_back(clean, Path(folder))


def compare_files(what: str, stack: LayerStack, at: Path) -> None:
    compare(f"PSD{what}", lambda: psd.write(stack, at / "a.psd"), lambda: their_psd(stack, at / "b.psd"))
    compare(f"PPTX{what}", lambda: pptx.write(stack, at / "a.pptx"), lambda: their_pptx(stack, at / "b.pptx"))


def there_and_back(stack: LayerStack, at: Path) -> None:
    for format in readable():
        back = format.read(format.write(stack, at / f"c.{format.key}")).stack
        names = sum(a == b for a, b in zip(back.names, stack.names, strict=True)) / len(stack)
        print(
            f"  {format.name} there and back: pixels equal {torch.equal(back.pixels, stack.pixels)}, names {names:.0%}"
        )


def encoding(stack: LayerStack, other: Callable[[LayerStack], list[bytes]]) -> str:
    return str(in_turns(lambda: with_all_cores(stack), lambda: other(stack), turns=3))
