"""Layers from whatever lies there: told apart by what is in a file, not by its name."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from qil_core.errors import QilError
from qil_core.files import archive, folder, loading, pptx, psd
from qil_core.files.folder import natural
from qil_core.files.format import Format
from qil_core.files.layered import PLAIN, Look
from qil_core.files.loading import load, state
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


def test_a_deck_is_refused_with_what_to_read_instead(stack: LayerStack, tmp_path: Path) -> None:
    pptx.write(stack, tmp_path / "deck.pptx")
    with pytest.raises(QilError, match=r"ZIP without layers\.json.*PowerPoint.*PSD"):
        load([tmp_path / "deck.pptx"])


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


# --- a folder of PNGs


def test_pngs_without_a_list_are_layers_in_natural_order(tmp_path: Path) -> None:
    for i, name in enumerate(["10 top.png", "2_Middle.PNG", "1.png"]):
        Image.new("RGB", (2, 2), (i, 0, 0)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / "._1.png").write_text("what macOS puts beside pictures")
    document = load([tmp_path])
    assert document.stack.names == ("1", "Middle", "top")
    assert (document.stack.pixels[:, 0, 0, 0] * 255).round().tolist() == [2, 1, 0]
    assert document.look == PLAIN.of(3)


def test_a_folder_with_too_many_pngs_is_refused(tmp_path: Path) -> None:
    Image.new("RGB", (1, 1)).save(tmp_path / "0.png")
    for i in range(1, 101):
        (tmp_path / f"{i}.png").write_bytes((tmp_path / "0.png").read_bytes())
    with pytest.raises(QilError, match="101 layers, at most 100"):
        load([tmp_path])


@pytest.mark.parametrize(("one", "other"), [("a2.png", "a10.png"), ("1.png", "01 b.png"), ("B.png", "c.png")])
def test_names_are_sorted_as_people_count(one: str, other: str) -> None:
    assert sorted([other, one], key=natural) == [one, other]


# --- whether something has changed


def touched(path: Path) -> None:
    """Another time of change, later than any clock's step."""
    time = path.stat().st_mtime_ns + 10**9
    os.utime(path, ns=(time, time))


def test_the_state_of_a_folder_is_that_of_every_file_in_it(stack: LayerStack, tmp_path: Path) -> None:
    folder.write(stack, tmp_path)
    times = os.stat(tmp_path)
    for file in ("00 bg.png", "layers.json"):
        before = state([tmp_path])
        assert state([tmp_path]) == before
        touched(tmp_path / file)
        assert state([tmp_path]) != before
        assert os.stat(tmp_path).st_mtime_ns == times.st_mtime_ns, "a folder does not notice"


def test_a_file_of_another_size_or_name_is_another_state(stack: LayerStack, tmp_path: Path) -> None:
    path = archive.write(stack, tmp_path / "x.zip")
    before, times = state([path]), path.stat()
    path.write_bytes(path.read_bytes() + b" ")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert state([path]) != before
    assert state([path.rename(tmp_path / "y.zip")]) != before


def test_a_folder_of_more_files_than_are_watched_has_no_known_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "MAX_WATCHED", 3)
    for i in range(4):
        assert state([tmp_path]) is not None
        (tmp_path / f"{i}.png").touch()
    assert state([tmp_path]) is None
