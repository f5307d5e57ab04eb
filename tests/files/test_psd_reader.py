"""Photoshop files as Photoshop writes them: masks, paths, artboards, fills, and what is refused by name.

Each file is written by this package and then given what Photoshop would have put into its records.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from psd_edits import SIDE, Change, edited, flat, give_mask, give_path, pixels, soft
from psd_tools.constants import BlendMode, SectionDivider, Tag
from psd_tools.psd.descriptor import Descriptor, Double, Integer
from psd_tools.psd.layer_and_mask import LayerRecord, MaskParameters
from psd_tools.psd.tagged_blocks import ChannelBlendingRestrictionsSetting as Restrictions
from psd_tools.psd.tagged_blocks import DescriptorBlock, TaggedBlock
from torch import Tensor

from qil_core.errors import QilError
from qil_core.files import psd
from qil_core.files.layered import PLAIN, Layered, Look
from qil_core.stack import LayerStack

NAMES = ("ground", "g/low", "g/high")


def read(path: Path, change: Change, look: Look = PLAIN, alpha: Tensor | float = 1.0, hidden: bool = False) -> Layered:
    """What is read of a file whose records were changed; they are found by name, a group's under "g"."""
    return psd.read(edited(psd.write(LayerStack(pixels(alpha), NAMES), path, look), change), hidden)


def described(**values: Any) -> DescriptorBlock:
    block = DescriptorBlock(version=16)
    for key, value in values.items():
        block[KEYS[key]] = value
    return block


KEYS = {"color": b"Clr ", "frame": b"artboardRect", "kind": b"artboardBackgroundType"}


def rgb(red: float, green: float, blue: float) -> Descriptor:
    color = Descriptor(classID=b"RGBC")
    for key, value in ((b"Rd  ", red), (b"Grn ", green), (b"Bl  ", blue)):
        color[key] = Double(value)
    return color


def give_fill(entry: tuple[LayerRecord, Any]) -> None:
    entry[0].tagged_blocks[Tag.SOLID_COLOR_SHEET_SETTING] = tagged(
        Tag.SOLID_COLOR_SHEET_SETTING, described(color=rgb(255, 127.6, 0))
    )


def tagged(key: Tag, data: Any) -> Any:
    return TaggedBlock(key=key, data=data)


def top_alpha(document: Layered) -> Tensor:
    return document.stack.pixels[-1, ..., 3]


# --- masks


def test_a_users_mask_fades_the_layer(tmp_path: Path) -> None:
    document = read(tmp_path / "x.psd", lambda found: give_mask(found["high"], soft(1)))
    assert torch.allclose(top_alpha(document), soft(1), atol=1e-6)


def test_a_mask_that_is_switched_off_does_not(tmp_path: Path) -> None:
    document = read(tmp_path / "x.psd", lambda found: give_mask(found["high"], soft(1), off=True))
    assert float(top_alpha(document).min()) == 1


def test_a_mask_hides_or_shows_what_lies_around_it(tmp_path: Path) -> None:
    def change(found: dict[str, Any]) -> None:
        for name, outside in (("low", 0), ("high", 255)):
            give_mask(found[name], torch.zeros(SIDE, SIDE), outside=outside)
            found[name][0].mask_data.left = SIDE // 2
            found[name][0].mask_data.right = SIDE + SIDE // 2

    _, low, high = read(tmp_path / "x.psd", change).stack.pixels[..., 3]
    assert float(low.max()) == 0
    assert high[0].tolist() == [1, 1, 1, 0, 0, 0]


def test_a_density_lets_some_through(tmp_path: Path) -> None:
    half = MaskParameters(user_mask_density=51)
    document = read(tmp_path / "x.psd", lambda found: give_mask(found["high"], soft(1), density=half))
    assert torch.allclose(top_alpha(document), 1 - (1 - soft(1)) * 0.2, atol=1e-6)


def test_the_pixels_of_a_shape_are_cut_by_its_path_once(tmp_path: Path) -> None:
    """Photoshop draws the path as a mask too: the same numbers as the shape's alpha."""

    def change(found: dict[str, Any]) -> None:
        give_fill(found["high"])
        give_path(found["high"])
        give_mask(found["high"], soft(1), drawn=True)

    assert torch.equal(top_alpha(read(tmp_path / "x.psd", change, alpha=soft(1))), soft(1))


@pytest.mark.parametrize("off", [False, True])
def test_a_shape_with_a_path_and_a_mask_lacks_the_mask_alone(off: bool, tmp_path: Path) -> None:
    def change(found: dict[str, Any]) -> None:
        give_fill(found["high"])
        give_path(found["high"])
        give_mask(found["high"], soft(1) * soft(2), real=soft(2), drawn=True, real_off=off)

    wanted = soft(1) if off else soft(1) * soft(2)
    assert torch.allclose(top_alpha(read(tmp_path / "x.psd", change, alpha=soft(1))), wanted, atol=1e-6)


def test_a_picture_with_a_path_and_a_mask_lacks_both(tmp_path: Path) -> None:
    def change(found: dict[str, Any]) -> None:
        give_path(found["high"])
        give_mask(found["high"], soft(3), real=soft(2), drawn=True)

    assert torch.allclose(top_alpha(read(tmp_path / "x.psd", change)), soft(3), atol=1e-6)


def test_the_density_of_a_path_alone_counts(tmp_path: Path) -> None:
    def change(found: dict[str, Any]) -> None:
        give_path(found["high"])
        give_mask(found["high"], soft(3), drawn=True, density=MaskParameters(vector_mask_density=51))

    assert torch.allclose(top_alpha(read(tmp_path / "x.psd", change)), 1 - (1 - soft(3)) * 0.2, atol=1e-6)


def test_a_path_that_is_switched_off_does_not_count(tmp_path: Path) -> None:
    document = read(tmp_path / "x.psd", lambda found: give_path(found["high"], flags=4))
    assert float(top_alpha(document).min()) == 1


def test_a_group_under_a_hard_mask_keeps_its_layers(tmp_path: Path) -> None:
    mask = (soft(1) > 0.5).float()
    document = read(tmp_path / "x.psd", lambda found: give_mask(found["g"], mask))
    assert document.stack.names == NAMES
    assert torch.equal(document.stack.pixels[1:, ..., 3], torch.stack([mask, mask]))


# --- artboards, fills, flat files


def give_board(entry: tuple[LayerRecord, Any], kind: int, left: float = 1.0) -> None:
    frame = Descriptor(classID=b"classFloatRect")
    for key, value in ((b"Top ", -7.0), (b"Left", left), (b"Btom", 4.0), (b"Rght", 1e9)):
        frame[key] = Double(value)
    data = described(frame=frame, kind=Integer(kind), color=rgb(51, 102, 153))
    entry[0].tagged_blocks[Tag.ARTBOARD_DATA1] = tagged(Tag.ARTBOARD_DATA1, data)


@pytest.mark.parametrize(("kind", "color"), [(1, (1, 1, 1)), (2, (0, 0, 0)), (4, (0.2, 0.4, 0.6))])
def test_an_artboard_has_a_ground_and_cuts_its_layers(kind: int, color: tuple[float, ...], tmp_path: Path) -> None:
    document = read(tmp_path / "x.psd", lambda found: give_board(found["g"], kind), Look(("normal",) * 2 + ("screen",)))
    assert document.stack.names == ("ground", "g/background", "g/low", "g/high")
    assert document.look.modes[-1] == "screen"
    inside = torch.zeros(SIDE, SIDE)
    inside[:4, 1:] = 1
    assert torch.equal(document.stack.pixels[1:, ..., 3], inside.expand(3, SIDE, SIDE))
    assert document.stack.pixels[1, 0, 1, :3].tolist() == pytest.approx(color)


def test_a_clear_artboard_has_no_ground(tmp_path: Path) -> None:
    document = read(tmp_path / "x.psd", lambda found: give_board(found["g"], 3))
    assert document.stack.names == NAMES
    assert float(top_alpha(document).sum()) == 4 * (SIDE - 1)


def test_an_artboard_off_the_canvas_shows_nothing(tmp_path: Path) -> None:
    document = read(tmp_path / "x.psd", lambda found: give_board(found["g"], 1, left=5e8))
    assert float(document.stack.pixels[1:, ..., 3].max()) == 0


def test_a_fill_without_pixels_covers_the_canvas_under_its_mask(tmp_path: Path) -> None:
    def change(found: dict[str, Any]) -> None:
        give_fill(found["high"])
        give_mask(found["high"], soft(1))
        found["high"][0].flags.pixel_data_irrelevant = True

    layer = read(tmp_path / "x.psd", change, alpha=0.0).stack.pixels[-1]
    assert torch.allclose(layer[..., 3], soft(1), atol=1e-6)
    assert layer[0, 0, :3].tolist() == pytest.approx([1, 128 / 255, 0])


def test_indexed_colours_are_looked_up(tmp_path: Path) -> None:
    palette = np.zeros((3, 256), np.uint8)
    palette[:, 7], palette[:, 255] = (10, 20, 30), (200, 100, 50)
    path = flat(tmp_path / "x.psd", np.array([[[7, 255]]]), 2, palette.tobytes())
    (layer,) = psd.read(path).stack.pixels
    assert (layer * 255).round().tolist() == [[[10, 20, 30, 255], [200, 100, 50, 255]]]
    clear = b"8BIM" + struct.pack(">HHIH", 1047, 0, 2, 7)
    (layer,) = psd.read(flat(tmp_path / "x.psd", np.array([[[7, 255]]]), 2, palette.tobytes(), clear)).stack.pixels
    assert layer[0, :, 3].tolist() == [0, 1]


def test_a_flat_file_is_one_layer_in_colour_or_grey(tmp_path: Path) -> None:
    for mode, channels in ((1, 1), (3, 3), (3, 5)):
        (layer,) = psd.read(flat(tmp_path / "x.psd", np.full((channels, 2, 3), 51), mode)).stack.pixels
        assert torch.allclose(layer, torch.tensor([0.2, 0.2, 0.2, 1.0]).expand(2, 3, 4))


def test_a_flat_file_without_all_its_colours_is_refused(tmp_path: Path) -> None:
    with pytest.raises(QilError, match="1 channels for 3 colours"):
        psd.read(flat(tmp_path / "x.psd", np.zeros((1, 2, 2)), 3))
    with pytest.raises(QilError, match="broken or cut off"):
        psd.read(flat(tmp_path / "x.psd", np.zeros((1, 2, 2)), 2, b"short"))


# --- what is refused


def set_block(tag: Tag, *data: Any) -> Callable[[tuple[LayerRecord, Any]], None]:
    def change(entry: tuple[LayerRecord, Any]) -> None:
        entry[0].tagged_blocks.set_data(tag, *data)

    return change


def feathered(entry: tuple[LayerRecord, Any]) -> None:
    give_mask(entry, soft(1), density=MaskParameters(user_mask_feather=2.0))


def half_of_both(entry: tuple[LayerRecord, Any]) -> None:
    give_mask(entry, soft(1), real=soft(2), drawn=True, density=MaskParameters(user_mask_density=99))


def half_a_path(entry: tuple[LayerRecord, Any]) -> None:
    give_fill(entry)
    give_mask(entry, soft(1), drawn=True, density=MaskParameters(vector_mask_density=99))


def of_another_kind(entry: tuple[LayerRecord, Any]) -> None:
    entry[0].flags.pixel_data_irrelevant = True
    entry[0].right = entry[0].left
    for channel in entry[1]:
        channel.data = b""


def faded_dodge(entry: tuple[LayerRecord, Any]) -> None:
    entry[0].blend_mode = BlendMode.COLOR_DODGE
    entry[0].tagged_blocks.set_data(Tag.BLEND_FILL_OPACITY, 128)


REFUSED = [
    (feathered, "has a mask with feather"),
    (half_of_both, "has a vector mask with density"),
    (half_a_path, "has a vector mask with density"),
    (of_another_kind, "is a layer without pixels of its own"),
    (faded_dodge, "has a fill opacity under the blend mode color-dodge"),
    (set_block(Tag.KNOCKOUT_SETTING, 1), "knocks out the layers below"),
    (set_block(Tag.INVERT), "is an adjustment layer"),
]


@pytest.mark.parametrize(("change", "message"), REFUSED, ids=[change.__name__ for change, _ in REFUSED])
def test_what_cannot_be_drawn_is_refused_by_name_unless_hidden(
    change: Callable[[Any], None], message: str, tmp_path: Path
) -> None:
    with pytest.raises(QilError, match=f'layer "high" {message}. Rasterize it, merge it or hide it'):
        read(tmp_path / "x.psd", lambda found: change(found["high"]))
    hidden = Look(visible=(True, True, False))
    document = read(tmp_path / "x.psd", lambda found: change(found["high"]), hidden, hidden=True)
    assert document.stack.names == NAMES[:2]


def test_a_layer_in_some_of_the_channels_is_refused(tmp_path: Path) -> None:
    def change(found: dict[str, Any]) -> None:
        tag = Tag.CHANNEL_BLENDING_RESTRICTIONS_SETTING
        found["high"][0].tagged_blocks[tag] = tagged(tag, Restrictions([2]))

    with pytest.raises(QilError, match="into some of the channels only"):
        read(tmp_path / "x.psd", change)


@pytest.mark.parametrize("mode", ["normal", "multiply"])
def test_layers_clipped_one_by_one_are_read_only_where_it_shows_nowhere(mode: str, tmp_path: Path) -> None:
    def change(found: dict[str, Any]) -> None:
        found["high"][0].clipping = 1
        found["low"][0].tagged_blocks.set_data(Tag.BLEND_CLIPPING_ELEMENTS, 0)

    look = Look(("normal", "normal", mode))
    if mode == "normal":
        assert read(tmp_path / "x.psd", change, look).stack.names == NAMES[:2]
    else:
        with pytest.raises(QilError, match='"low" blends the layers clipped to it one by one'):
            read(tmp_path / "x.psd", change, look)


def test_groups_that_lie_too_deep_are_refused(tmp_path: Path) -> None:
    def change(found: dict[str, Any]) -> None:
        for record, _ in found.values():
            record.tagged_blocks.set_data(Tag.SECTION_DIVIDER_SETTING, kind=SectionDivider.BOUNDING_SECTION_DIVIDER)

    path = psd.write(LayerStack.from_image(torch.zeros(64, 1, 1, 4)), tmp_path / "x.psd")
    with pytest.raises(QilError, match="more than 64 deep"):
        psd.read(edited(path, change))
