"""Layers that reach beyond their canvas: files keep all of them, so that they can be dragged back."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image
from pptx import Presentation
from psd_tools import PSDImage

from qil_core.errors import QilError
from qil_core.files import ora, pptx, pptx_frame, psd
from qil_core.files.format import Options
from qil_core.files.layered import Content, Layered, Look
from qil_core.stack import Box, LayerStack, quantize, to_bytes

WIDTH, HEIGHT = 30, 20


@pytest.fixture
def moved() -> Layered:
    """A paper, and a layer of 10 x 8 pixels that was moved over the left upper corner, hidden and half opaque."""
    image = quantize(torch.rand(8, 10, 4, generator=torch.Generator().manual_seed(0)) * 0.9 + 0.1)
    pixels = torch.zeros(2, HEIGHT, WIDTH, 4)
    pixels[0] = 1
    pixels[1, :5, :6] = image[3:, 4:]
    look = Look(("normal", "normal"), (1.0, 0.5), (True, False), (None, Content(image, -4, -3)))
    return Layered(LayerStack.from_image(pixels, "paper\ngirl"), look)


def whole(layered: Layered) -> Content:
    found = layered.look.whole[1]
    assert found is not None
    return found


def test_a_psd_has_all_of_it(moved: Layered, tmp_path: Path) -> None:
    _, layer = PSDImage.open(psd.write(moved.stack, tmp_path / "x.psd", moved.look))
    assert layer.bbox == (-4, -3, 6, 5)
    assert np.array_equal(np.array(layer.topil()), to_bytes(whole(moved).image).numpy())


def test_an_openraster_file_has_all_of_it(moved: Layered, tmp_path: Path) -> None:
    with zipfile.ZipFile(ora.write(moved.stack, tmp_path / "x.ora", moved.look)) as archive:
        layer = next(ElementTree.fromstring(archive.read("stack.xml")).iter("layer"))  # the topmost comes first
        picture = Image.open(io.BytesIO(archive.read(layer.attrib["src"])))
    assert (layer.attrib["x"], layer.attrib["y"]) == ("-4", "-3")
    assert np.array_equal(np.array(picture), to_bytes(whole(moved).image).numpy())


def test_a_slide_has_all_of_it_beside_its_edge(moved: Layered, tmp_path: Path) -> None:
    path = tmp_path / "x.pptx"
    pptx.write_deck([moved.stack], path, Options(dpi=96), looks=[moved.look])
    _, picture = Presentation(str(path)).slides[0].shapes
    pixel = pptx_frame.EMU / 30  # the slide of a picture of 30 pixels is an inch wide
    assert (picture.left, picture.top) == (
        round(-4 * pixel),
        pytest.approx(-3 * pixel + (pptx_frame.EMU - 20 * pixel) / 2, abs=1),
    )
    assert Image.open(io.BytesIO(picture.image.blob)).size == (10, 8)
    assert picture._element.nvPicPr.cNvPr.get("hidden") == "1"


def test_the_picture_is_that_of_the_canvas(moved: Layered, tmp_path: Path) -> None:
    shown = Layered(moved.stack, Look(moved.look.modes, moved.look.opacities, (True, True), moved.look.whole))
    read = psd.read(psd.write(shown.stack, tmp_path / "x.psd", shown.look), True)
    assert torch.allclose(read.composite(), shown.composite(), atol=1 / 255)


def test_what_was_edited_since_counts_and_not_what_lay_beyond(moved: Layered, tmp_path: Path) -> None:
    pixels = moved.stack.pixels.clone()
    pixels[1, 2, 2] = torch.tensor([1.0, 0.0, 0.0, 1.0])
    _, layer = PSDImage.open(psd.write(LayerStack(pixels, moved.stack.names), tmp_path / "x.psd", moved.look))
    assert layer.bbox == (0, 0, 6, 5)


def test_layers_are_selected_with_what_lies_beyond(moved: Layered) -> None:
    found = moved.select([1]).content(0)
    assert found is not None
    assert found[0] == Box(-4, -3, 6, 5)


def test_a_look_has_a_whole_layer_or_none_for_every_layer() -> None:
    with pytest.raises(QilError, match="1 whole layers were given for 2 layers"):
        Look(whole=(None,)).of(2)
