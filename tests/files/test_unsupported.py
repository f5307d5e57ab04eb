"""What layers cannot show: refused, skipped and named, or left to the merged picture."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from profiles import display_p3, p3_as_srgb
from psd_edits import SIDE, edited, flat, give_mask, give_path, gradient_fill, pixels, soft
from psd_tools.constants import BlendMode, Tag
from psd_tools.psd import PSD
from psd_tools.psd.image_resources import ImageResource
from psd_tools.psd.layer_and_mask import MaskParameters
from psd_tools.psd.tagged_blocks import TaggedBlock
from psd_tools.psd.vector import ClosedKnotLinked, ClosedPath
from torch import Tensor

from qil_core.cli import main
from qil_core.errors import QilError
from qil_core.files import ora, psd
from qil_core.files.format import UNSUPPORTED
from qil_core.files.loading import load
from qil_core.files.tree import Problem
from qil_core.stack import LayerStack

NAMES = ("ground", "Curves 1", "title")


def awkward(found: dict[str, Any]) -> None:
    """An adjustment layer, and a layer with a feathered mask, a mode that is unknown here, and Blend If."""
    found["Curves 1"][0].tagged_blocks.set_data(Tag.INVERT)
    title = found["title"]
    give_mask(title, soft(1), density=MaskParameters(user_mask_feather=2.0))
    title[0].blend_mode = BlendMode.DISSOLVE
    title[0].blending_ranges.composite_ranges = [(0, 65535), (0, 100)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return edited(psd.write(LayerStack(pixels(), NAMES), tmp_path / "x.psd"), awkward)


def merged(path: Path) -> np.ndarray:
    """The merged picture as another program reads it."""
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def test_without_a_choice_the_first_such_layer_is_named_and_the_choices_are_too(file: Path) -> None:
    with pytest.raises(QilError, match=r'"Curves 1" is an adjustment layer\. .* skip what cannot be drawn or to take'):
        psd.read(file)


def test_skipping_names_every_skipped_thing_and_keeps_the_rest(file: Path) -> None:
    layered = psd.read(file, unsupported="skip")
    assert layered.stack.names == ("ground", "title")
    assert layered.notes == (
        '"Curves 1" is an adjustment layer: left out',
        '"title" has a mask with feather: drawn with its hard edge',
        '"title" blends by tone (Blend If): drawn whole',
        '"title" has the blend mode dissolve: drawn as Normal',
    )
    assert torch.equal(layered.stack.pixels[0], pixels()[0])
    assert torch.equal(layered.stack.pixels[1, ..., :3], pixels()[2, ..., :3])
    assert torch.allclose(layered.stack.pixels[1, ..., 3], soft(1), atol=1e-6)
    assert layered.look.modes == ("normal", "normal")
    assert layered.folded().notes == layered.select([0]).notes == layered.notes


def test_the_merged_picture_comes_as_one_layer_with_the_reason(file: Path) -> None:
    layered = psd.read(file, unsupported="merged")
    assert layered.stack.names == ("merged picture",)
    assert np.array_equal((layered.stack.pixels[0, ..., :3] * 255).round().numpy(), merged(file))
    assert layered.notes == ('the merged picture was taken: the layer "Curves 1" is an adjustment layer',)


@pytest.mark.parametrize("unsupported", UNSUPPORTED)
def test_a_file_that_layers_can_show_is_the_same_whatever_is_chosen(unsupported: str, tmp_path: Path) -> None:
    path = psd.write(LayerStack(pixels(), NAMES), tmp_path / "x.psd")
    layered = psd.read(path, unsupported=unsupported)
    assert torch.equal(layered.stack.pixels, pixels())
    assert layered.notes == ()


def test_where_nothing_is_left_the_merged_picture_is_advised(tmp_path: Path) -> None:
    def invert(found: dict[str, Any]) -> None:
        found["alone"][0].tagged_blocks.set_data(Tag.INVERT)

    path = edited(psd.write(LayerStack(pixels()[:1], ["alone"]), tmp_path / "x.psd"), invert)
    with pytest.raises(QilError, match=r'"alone" is an adjustment layer: left out\. Take the merged picture instead'):
        psd.read(path, unsupported="skip")
    assert psd.read(path, unsupported="merged").stack.names == ("merged picture",)


def test_a_file_saved_without_a_merged_picture_says_so(file: Path) -> None:
    data = file.read_bytes()
    about = data.index(b"8BIM" + struct.pack(">H", 1057)) + 12
    file.write_bytes(data[: about + 4] + b"\0" + data[about + 5 :])
    with pytest.raises(QilError, match="saved without a merged picture"):
        psd.read(file, unsupported="merged")


def test_clear_places_of_the_merged_picture_stay_clear(tmp_path: Path) -> None:
    def invert(found: dict[str, Any]) -> None:
        found["top"][0].tagged_blocks.set_data(Tag.INVERT)

    layer = pixels(soft(3))[2:]
    path = edited(psd.write(LayerStack(torch.cat([layer, layer * 0]), ["a", "top"]), tmp_path / "x.psd"), invert)
    read = psd.read(path, unsupported="merged").stack.pixels[0]
    assert torch.allclose(read[..., 3], layer[0, ..., 3], atol=1e-6)
    solid = read[..., 3] > 0.5
    assert float((read[..., :3] - layer[0, ..., :3]).abs()[solid].max()) < 1.5 / 255


def test_a_group_and_a_base_that_layers_cannot_show_are_skipped_too(tmp_path: Path) -> None:
    def change(found: dict[str, Any]) -> None:
        found["g"][0].opacity = 128
        found["high"][0].blend_mode = BlendMode.MULTIPLY

    path = edited(psd.write(LayerStack(pixels(0.5), ("ground", "g/low", "g/high")), tmp_path / "x.psd"), change)
    with pytest.raises(QilError, match="lets blend modes through at 50% opacity"):
        psd.read(path)
    assert psd.read(path, unsupported="skip").notes == (
        'the group "g" lets blend modes through at 50% opacity or under a mask: merged as if its mode were Normal',
    )


def test_openraster_files_too(tmp_path: Path) -> None:
    def png(color: tuple[int, ...]) -> bytes:
        buffer = io.BytesIO()
        Image.new("RGBA", (3, 2), color).save(buffer, "PNG")
        return buffer.getvalue()

    xml = """<image w="3" h="2"><stack><text name="title"/><layer name="glow" src="a" composite-op="svg:plus"/>
        <layer name="ground" src="b"/></stack></image>"""
    path = tmp_path / "x.ora"
    with zipfile.ZipFile(path, "w") as out:
        files = {"stack.xml": xml.encode(), "a": png((255, 0, 0, 255)), "b": png((0, 0, 9, 255))}
        for name, data in {**files, "mergedimage.png": png((1, 2, 3, 255))}.items():
            out.writestr(name, data)
    with pytest.raises(QilError, match='"glow" has the blend mode svg:plus'):
        ora.read(path)
    layered = ora.read(path, unsupported="skip")
    assert layered.stack.names == ("ground", "glow")
    assert layered.notes == (
        '"glow" has the blend mode svg:plus: drawn as Normal',
        '"title" is a text, not a layer of pixels: left out',
    )
    assert (ora.read(path, unsupported="merged").stack.pixels[0, 0, 0] * 255).round().tolist() == [1, 2, 3, 255]


def test_the_command_line_says_what_was_skipped(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(file)]) == 1
    assert main(["info", str(file), "--unsupported", "skip"]) == 0
    printed = capsys.readouterr().out
    assert "2 layers of 6 x 6 px" in printed
    assert 'note: "Curves 1" is an adjustment layer: left out' in printed
    out = file.with_suffix(".png")
    assert main(["composite", str(file), "-o", str(out), "--unsupported", "merged"]) == 0
    assert np.array_equal(np.asarray(Image.open(out).convert("RGB")), merged(file))
    assert "note: the merged picture was taken" in capsys.readouterr().out


def test_an_unknown_choice_is_refused(file: Path) -> None:
    with pytest.raises(QilError, match='"ignore" was given, use refuse, skip, merged'):
        load([file], unsupported="ignore")


def test_what_layers_are_told_apart_by_stays_small() -> None:
    assert Problem("has layer effects").instead == ""


# --- colours


def with_profile(path: Path, profile: bytes) -> Path:
    document = PSD.frombytes(path.read_bytes())
    document.image_resources[1039] = ImageResource(key=1039, data=profile)
    with path.open("wb") as file:
        document.write(file)
    return path


def test_wide_gamut_layers_become_srgb_and_the_notes_say_so(tmp_path: Path) -> None:
    muted = pixels(soft(2))
    muted[..., :3] = muted[..., :3] / 2 + 0.25
    muted = (muted * 255).round() / 255
    path = with_profile(psd.write(LayerStack(muted, NAMES), tmp_path / "x.psd"), display_p3())
    layered = psd.read(path)
    wanted = p3_as_srgb(muted[..., :3].double().numpy())
    shown = muted[..., 3].numpy() > 0
    assert np.abs(layered.stack.pixels[..., :3].numpy() - wanted)[shown].max() * 255 <= 1.01
    assert torch.equal(layered.stack.pixels[..., 3], muted[..., 3])
    assert len(layered.notes) == 1
    assert layered.notes[0].startswith('RGB: converted to sRGB from "')


def test_cmyk_without_a_profile_is_read_with_what_was_assumed(tmp_path: Path) -> None:
    inks = np.array([[[255, 0, 255]], [[255, 255, 255]], [[255, 255, 255]], [[255, 255, 0]]])  # 255 is no ink
    layered = psd.read(flat(tmp_path / "x.psd", inks, 4))
    assert (layered.stack.pixels[0, 0, :, :3] * 255).tolist() == [[255, 255, 255], [0, 255, 255], [0, 0, 0]]
    assert layered.notes == ("CMYK without a profile: ideal inks were assumed, which are brighter than real ones",)


def test_lab_needs_no_profile(tmp_path: Path) -> None:
    layered = psd.read(flat(tmp_path / "x.psd", np.array([[[0, 255, 137]], [[128] * 3], [[128] * 3]]), 9))
    greys = (layered.stack.pixels[0, 0, :, :3] * 255).numpy()
    assert np.abs(greys - [[0], [255], [128]]).max() <= 1


def test_a_duotone_is_grey_and_says_so(tmp_path: Path) -> None:
    layered = psd.read(flat(tmp_path / "x.psd", np.full((1, 2, 2), 51), 8))
    assert torch.allclose(layered.stack.pixels[..., :3], torch.tensor(0.2))
    assert "duotone: read as grey" in layered.notes[0]


def raw(path: Path, depth: int, mode: int, channels: int, width: int, data: bytes) -> Path:
    header = struct.pack(">4sH6xHIIHH", b"8BPS", 1, channels, 1, width, depth, mode)
    path.write_bytes(header + bytes(12) + bytes(2) + data)
    return path


def test_a_bitmap_is_black_where_a_bit_is_set(tmp_path: Path) -> None:
    layered = psd.read(raw(tmp_path / "x.psd", 1, 0, 1, 10, bytes([0b10100000, 0b01000000])))
    assert layered.stack.pixels[0, 0, :, 0].tolist() == [0, 1, 0, 1, 1, 1, 1, 1, 1, 0]


def test_32_bits_are_light_and_white_at_most(tmp_path: Path) -> None:
    light = struct.pack(">12f", *(0, 0.2140411, 1, 7), *(0, 0.2140411, 1, 7), *(0, 0.2140411, 1, float("nan")))
    layered = psd.read(raw(tmp_path / "x.psd", 32, 3, 3, 4, light))
    assert layered.stack.pixels[0, 0, :, 0].tolist() == pytest.approx([0, 0.5, 1, 1], abs=1e-5)
    assert layered.stack.pixels.isfinite().all()
    assert "32 bits a channel: converted from light" in layered.notes[0]


# --- paths


def corner(x: float, y: float) -> ClosedKnotLinked:
    return ClosedKnotLinked((y, x), (y, x), (y, x))  # a path's places are shares of the canvas, y first


def give_left_half(entry: tuple[Any, Any]) -> None:
    give_path(entry)
    outline = entry[0].tagged_blocks.get_data(Tag.VECTOR_MASK_SETTING1).path
    outline[:] = [ClosedPath([corner(x, y) for x, y in ((0, 0), (0.5, 0), (0.5, 1), (0, 1))], operation=1)]


def left_half() -> Tensor:
    half = torch.zeros(SIDE, SIDE)
    half[:, : SIDE // 2] = 1
    return half


def test_a_path_that_masks_pixels_is_drawn(tmp_path: Path) -> None:
    path = psd.write(LayerStack(pixels(soft(1)), NAMES), tmp_path / "x.psd")
    layered = psd.read(edited(path, lambda found: give_left_half(found["title"])))
    assert torch.allclose(layered.stack.pixels[-1, ..., 3], soft(1) * left_half(), atol=1e-5)


def test_a_path_is_drawn_together_with_a_mask(tmp_path: Path) -> None:
    def change(found: dict[str, Any]) -> None:
        give_left_half(found["title"])
        give_mask(found["title"], soft(2))

    path = edited(psd.write(LayerStack(pixels(), NAMES), tmp_path / "x.psd"), change)
    assert torch.allclose(psd.read(path).stack.pixels[-1, ..., 3], soft(2) * left_half(), atol=1e-5)


def give_gradient(entry: tuple[Any, Any]) -> None:
    """A fill from black to white, left to right, that holds no pixels."""
    pytest.importorskip("scipy", reason="NOT CHECKED: psd-tools draws gradients with scipy")
    record, channels = entry
    fill = TaggedBlock(key=Tag.GRADIENT_FILL_SETTING, data=gradient_fill(b"Lnr "))
    record.tagged_blocks[Tag.GRADIENT_FILL_SETTING] = fill
    record.top = record.left = record.bottom = record.right = 0
    for channel in channels:
        channel.data = b""


def test_a_gradient_that_holds_no_pixels_is_drawn_and_noted(tmp_path: Path) -> None:
    path = psd.write(LayerStack(pixels(), NAMES), tmp_path / "x.psd")
    layered = psd.read(edited(path, lambda found: give_gradient(found["title"])))
    ramp = layered.stack.pixels[-1, 0, :, 0]
    assert torch.all(ramp.diff() > 0.1)
    assert torch.equal(layered.stack.pixels[-1, ..., 3], torch.ones(SIDE, SIDE))
    assert layered.notes == ('"title" is a fill without pixels: drawn here, which can differ from Photoshop',)
