"""What a deck says of itself, read out of its ZIP as other programs do."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import torch
from layer_files import layers
from PIL import Image
from pptx import Presentation

from qil_core.composite import onto_color
from qil_core.files import pptx
from qil_core.files.format import Options
from qil_core.files.layered import Layered, Look
from qil_core.stack import Box, LayerStack, to_bytes

PROPERTIES = "{http://schemas.openxmlformats.org/officeDocument/2006/extended-properties}"


def part(path: Path, name: str) -> bytes:
    with zipfile.ZipFile(path) as deck:
        return deck.read(name)


def test_the_thumbnail_is_the_composite_over_white_at_most_256_pixels_wide(tmp_path: Path) -> None:
    flat = torch.ones(2, 300, 600, 4)
    flat[0, ..., :3], flat[1, ..., :3] = torch.tensor([1.0, 0, 0]), torch.tensor([0, 0, 1.0])
    flat[0, :, 300:, 3] = 0
    flat[1, :150, :, 3] = 0
    stack = LayerStack.from_image(flat, ["red", "blue"])
    path = pptx.write(stack, tmp_path / "x.pptx", Look(opacities=(1, 0.5)))
    seen = Image.open(io.BytesIO(part(path, "docProps/thumbnail.jpeg")))
    assert (seen.format, seen.size) == ("JPEG", (256, 128))
    colors = [seen.getpixel(place) for place in ((64, 32), (192, 32), (64, 96), (192, 96))]
    wanted = [(255, 0, 0), (255, 255, 255), (128, 0, 128), (128, 128, 255)]
    assert np.abs(np.array(colors) - wanted).max() <= 6
    over_white = onto_color(Layered(stack, Look(opacities=(1, 0.5)).of(2)).composite(), torch.ones(3))
    assert to_bytes(over_white)[225, 150, :3].tolist() == [128, 0, 128]  # the same as what is seen there


def test_a_hidden_layer_is_not_in_the_thumbnail(tmp_path: Path) -> None:
    stack = layers([Box(0, 0, 40, 30)])
    path = pptx.write(stack, tmp_path / "x.pptx", Look(visible=(False,)))
    seen = Image.open(io.BytesIO(part(path, "docProps/thumbnail.jpeg")))
    assert seen.getextrema() == ((255, 255),) * 3


def test_the_slide_size_claims_no_aspect_of_its_own(tmp_path: Path) -> None:
    path = pptx.write(layers([Box(0, 0, 40, 30)]), tmp_path / "x.pptx")
    assert b"4:3" not in part(path, "docProps/app.xml")
    size = Presentation(str(path)).element.sldSz
    assert set(size.attrib) == {"cx", "cy"}


def test_the_properties_count_slides_and_notes_and_name_the_program(tmp_path: Path) -> None:
    stacks = [layers([Box(0, 0, 40, 30), Box(1, 1, 5, 5)])] * 2
    path = tmp_path / "x.pptx"
    for options, slides, notes in ((Options(), 2, 0), (Options(notes=("a", "b"), build_up=True), 4, 4)):
        pptx.write_deck(stacks, path, options)
        root = ElementTree.fromstring(part(path, "docProps/app.xml"))
        said = {element.tag.removeprefix(PROPERTIES): element.text for element in root}
        assert said == {
            "Application": "Qwen Layers",
            "PresentationFormat": "Custom",
            "Slides": str(slides),
            "Notes": str(notes),
            "HiddenSlides": "0",
        }
