"""`python -m benchmarks.site_pictures [NAME]`: draws the documentation's pictures into docs/, all or one of them.

They are made by the package itself, from the example poster, which is drawn here, from the example photograph, which
docs/pictures/still_life.py renders, and from one photograph: the rocket of `skimage.data` (SpaceX, released into the
public domain), which needs `pip install scikit-image`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from qil_core.decompose import Request
from qil_core.decompose.builtin import Builtin
from qil_core.decompose.masks import Masks
from qil_core.decompose.pointed import pointed_masks
from qil_core.decompose.run import decompose
from qil_core.edit.run import edit_layer
from qil_core.edit_request import EditRequest
from qil_core.example import draw_poster
from qil_core.filters import scaled
from qil_core.restore import restore
from qil_core.sheet import contact_sheet
from qil_core.stack import Box, LayerStack, to_bytes
from qil_core.transform import Placement, transform

from . import apart, steps
from .fake_editors import FakeEditor, key_of, noisy

DOCS = Path(__file__).resolve().parent.parent / "docs"
FIGURES = DOCS / "figures"

ROCKET = Box(305, 127, 340, 427)
"""A box around the rocket, in pixels of its photograph."""

TO_VIOLET = ((0.8, 0.0, 0.0), (-0.45, 1.0, 0.0), (0.1, 0.0, 1.0))
"""What the stand-in for an edit model does to a pixel's difference from the flat colour behind the layer. Because it is
linear, soft edges stay soft, as a good editor leaves them."""

LIFT_PX = 90
"""How far it is lifted."""

LAYERS = 6
"""Of the example poster."""

SMALL_SIDE = 320
"""Longer side, in pixels, of the layers that are brought back to the poster's size."""

CROP = Box(410, 815, 500, 915)
"""A piece of the poster with the tip of the leaf."""

GAP = 14
PAPER, INK = (255, 255, 255), (28, 30, 46)


def row(shown: Sequence[tuple[Image.Image, str]], height: int) -> Image.Image:
    """Pictures of this height side by side, each with its words below, in letters that suit the whole width."""
    parts = [(each.resize((round(each.width * height / each.height), height)), words) for each, words in shown]
    width = sum(part.width + GAP for part, _ in parts) + GAP
    letters = max(17, width // 56)
    page = Image.new("RGB", (width, height + 2 * letters + 2 * GAP), PAPER)
    draw, x = ImageDraw.Draw(page), GAP
    for part, words in parts:
        page.paste(part, (x, GAP))
        draw.text((x, GAP + height + letters // 2), words, INK, ImageFont.load_default(size=letters))
        x += part.width + GAP
    return page


def _launch() -> tuple[NDArray[np.uint8], LayerStack]:
    """The photograph (H, W, 3), and its layers from one box: the ground and the rocket."""
    from skimage import data

    pixels = data.rocket()
    picture = torch.from_numpy(pixels).float().div_(255)
    masks = pointed_masks(picture.numpy(), [], [ROCKET], [], [])
    return pixels, decompose(Masks(masks, ("rocket",)), picture, Request())[0]


def photograph() -> None:
    """One box around the rocket of a photograph: what is found, the layers, and the rocket lifted."""
    pixels, stack = _launch()
    lifted = transform(stack, 1, Placement(dy=-LIFT_PX))
    boxed = Image.fromarray(pixels)
    ImageDraw.Draw(boxed).rectangle(ROCKET, outline=(255, 214, 90), width=2)
    shown = [(boxed, "one box"), (_board(stack.pixels[1]), "the layer"), (_board(stack.pixels[0]), "the ground")]
    shown.append((apart.flat(lifted), "moved"))
    row([(_middle(each, 0.9), words) for each, words in shown], 400).save(FIGURES / "photograph.jpg", quality=86)


def editing() -> None:
    """What becomes of a layer that is edited, with a stand-in for the model that tints it and adds noise."""
    _, stack = _launch()
    answers: list[Tensor] = []

    def change(sent: Tensor, variant: int) -> Tensor:
        key = key_of(sent)
        answers[:] = sent, noisy(2 / 255)(key + (sent - key) @ torch.tensor(TO_VIOLET).T, variant).clamp(0, 1)
        return answers[1]

    (edited,), report = edit_layer(FakeEditor(change), stack, 1, EditRequest("make the rocket violet"))
    print(report)
    sent, answer = (_image(each) for each in answers)
    shown = [(_board(stack.pixels[1]), "the layer"), (sent, "sent"), (answer, "answered")]
    shown += [(_board(edited.pixels[1]), "the layer again"), (apart.flat(edited), "the picture")]
    row([(_middle(each, 0.5), words) for each, words in shown], 300).save(FIGURES / "editing.jpg", quality=88)


def _middle(picture: Image.Image, aspect: float) -> Image.Image:
    """The middle of a wide picture, so much wider than it is high; a narrower one as it is."""
    cut = max(0, (picture.width - round(aspect * picture.height)) // 2)
    return picture.crop((cut, 0, picture.width - cut, picture.height))


def restoring() -> None:
    """Layers of 320 px at the poster's size: enlarged, and restored."""
    picture = torch.from_numpy(np.array(draw_poster().convert("RGBA"))).float().div_(255)
    height, width = picture.shape[0] * SMALL_SIDE // picture.shape[0], picture.shape[1] * SMALL_SIDE // picture.shape[0]
    small = scaled(picture, height, width, "bilinear").clamp(0, 1)
    stack, _ = decompose(Builtin(), small, Request(layers=LAYERS))
    restored = restore(LayerStack.from_image(stack.pixels), picture).pixels
    edge = min(range(1, len(stack)), key=lambda i: abs(float(_piece(restored[i])[..., 3].mean()) - 0.5))
    enlarged = scaled(stack.pixels[edge], *picture.shape[:2]).clamp(0, 1)
    shown = [(_board(enlarged), "a layer of 320 px, enlarged"), (_board(restored[edge]), "restored")]
    pieces = [(each.crop(CROP), words) for each, words in [(_image(picture), "the picture"), *shown]]
    row(pieces, 330).save(FIGURES / "restored.png", optimize=True)


def _piece(layer: Tensor) -> Tensor:
    return layer[CROP.top : CROP.bottom, CROP.left : CROP.right]


def _board(layer: Tensor) -> Image.Image:
    return Image.fromarray(steps.checkered(layer.numpy()))


def _image(pixels: Tensor) -> Image.Image:
    return Image.fromarray(to_bytes(pixels[..., :3]).numpy())


def overview() -> None:
    """The moving picture, and the banner."""
    scene = apart.Scene.made()
    apart.write_animation(scene, DOCS / "overview.webp")
    apart.write_banner(scene, DOCS / "banner.png")


def decomposer() -> None:
    """The built-in decomposer's steps."""
    steps.figure().save(FIGURES / "steps.png", optimize=True)


def demo() -> None:
    """What `make demo` shows of its layers."""
    picture = torch.from_numpy(np.array(draw_poster())).float().div_(255)
    stack, _ = decompose(Builtin(), picture, Request(layers=LAYERS))
    contact_sheet(stack).save(FIGURES / "demo.png", optimize=True)


PICTURES = {
    "overview": overview,
    "steps": decomposer,
    "photograph": photograph,
    "editing": editing,
    "restored": restoring,
    "demo": demo,
}


def main(names: Sequence[str]) -> None:
    if unknown := set(names) - PICTURES.keys():
        sys.exit(f"No picture {', '.join(sorted(unknown))}: use {', '.join(PICTURES)}.")
    FIGURES.mkdir(parents=True, exist_ok=True)
    for name in names or PICTURES:
        PICTURES[name]()


if __name__ == "__main__":
    main(sys.argv[1:])
