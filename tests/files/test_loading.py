"""Layers from whatever lies there: told apart by what is in a file, not by its name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from qil_core.errors import QilError
from qil_core.files import archive, folder, psd
from qil_core.files.format import Format
from qil_core.files.layered import Look
from qil_core.files.loading import load
from qil_core.files.registry import readable
from qil_core.stack import LayerStack, quantize

LOOK = Look(("normal", "multiply", "normal"), (1, 0.6, 1), (True, True, False))


@pytest.fixture
def stack() -> LayerStack:
    pixels = quantize(torch.rand(3, 5, 7, 4, generator=torch.Generator().manual_seed(0)))
    return LayerStack.from_image(pixels, "bg\ngirl/hair\nnotes")


@pytest.mark.parametrize("format", readable(), ids=lambda format: format.key)
def test_every_format_gives_its_layers_and_their_look(stack: LayerStack, format: Format, tmp_path: Path) -> None:
    path = format.write(stack, tmp_path / "named like nothing", LOOK)
    document = load([path])
    assert document.stack.names == stack.names
    assert (document.look.modes, document.look.visible) == (LOOK.modes, LOOK.visible)
    seen = stack.pixels[..., 3:] > 0
    assert torch.equal(document.stack.pixels * seen, stack.pixels * seen)
    assert load([path], hidden=False).stack.names == ("bg", "girl/hair")


def test_a_wrong_ending_does_not_matter(stack: LayerStack, tmp_path: Path) -> None:
    path = psd.write(stack, tmp_path / "really.zip")
    assert load([path]).stack.names == stack.names


def test_pngs_are_layers_named_by_their_files(stack: LayerStack, tmp_path: Path) -> None:
    folder.write(stack, tmp_path)
    document = load(sorted(tmp_path.glob("*.png")))
    assert torch.equal(document.stack.pixels, stack.pixels)
    assert document.stack.names == ("bg", "girl - hair", "notes")


@pytest.mark.parametrize(
    ("file", "name"), [("01_hair.png", "hair"), ("2024.png", "2024"), ("12 - b.png", "b"), ("a1.png", "a1")]
)
def test_a_number_in_front_only_orders(file: str, name: str, tmp_path: Path) -> None:
    Image.new("RGB", (2, 2)).save(tmp_path / file)
    assert load([tmp_path / file]).stack.names == (name,)


def test_pngs_of_two_sizes_are_refused_with_both(tmp_path: Path) -> None:
    for name, size in (("a.png", (2, 3)), ("b.png", (3, 2))):
        Image.new("RGB", size).save(tmp_path / name)
    with pytest.raises(QilError, match=r"a\.png is 2x3, b\.png is 3x2"):
        load([tmp_path / "a.png", tmp_path / "b.png"])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no file of layers"),
        (b"GIF89a", "no file of layers"),
        (b"PK\3\4broken", "Expected a whole ZIP"),
        (b"\x89PNG\r\n\x1a\n", "it is not a PNG file"),
        (b"8BPS", "cut off"),
    ],
)
def test_what_holds_no_layers_is_refused(data: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(QilError, match=message):
        load([tmp_path / "x"])


def test_nothing_and_what_is_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(QilError, match="No file was given"):
        load([])
    with pytest.raises(QilError, match="No such file"):
        load([tmp_path / "none.psd"])


def test_a_16_bit_png_is_refused_rather_than_cut(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 4), np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(QilError, match="16 bits"):
        load([tmp_path / "deep.png"])


def test_a_file_whose_layers_are_all_hidden_says_so(stack: LayerStack, tmp_path: Path) -> None:
    path = archive.write(stack, tmp_path / "x.zip", look=Look(visible=(False,) * 3))
    with pytest.raises(QilError, match="no visible layer"):
        load([path], hidden=False)
