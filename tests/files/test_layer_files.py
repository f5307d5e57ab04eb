"""PSD, OpenRaster and ZIP: what is written is read back bit for bit, and nothing that comes from outside is trusted."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from layer_files import BOXES, EACH, FORMATS, layers, there_and_back
from PIL import Image
from psd_tools import PSDImage
from psd_tools.api.layers import Group
from psd_tools.constants import BlendMode
from psd_tools.psd import PSD

from qil_core.blend import BLEND_MODES
from qil_core.composite import onto_color
from qil_core.errors import QilError
from qil_core.files import ora, psd
from qil_core.files.format import Options
from qil_core.files.layered import PLAIN, Layered, Look
from qil_core.files.names import join_levels, split_name
from qil_core.stack import Box, LayerStack, quantize

NAMES = [
    "background",
    "背景/头发",
    "👩‍👩‍👧 family 👗",
    "مرحبا بالعالم",
    "שלום/עולם",
    "x" * 200,
    "字" * 200,
    r"either\/or",
    r"g/back\\/slash",
    r"C:\temp\new",
    "a  b\tc",
    "<a href='x'>&amp;\"",
    "..",
    "é e\u0301",
]


# --- there and back


@EACH
def test_pixels_names_order_groups_and_places_come_back_exactly(kind: str, tmp_path: Path) -> None:
    stack = layers(BOXES, names=["bg", "girl/hair", "girl/x/nothing", "girl/dot", "edge"])
    back = there_and_back(kind, stack, tmp_path)
    assert torch.equal(back.stack.pixels, stack.pixels)
    assert back.stack.names == stack.names
    assert back.look == PLAIN.of(5)


@EACH
def test_it_works_in_inference_mode_as_comfyui_runs_its_nodes(kind: str, tmp_path: Path) -> None:
    with torch.inference_mode():
        stack = layers(BOXES)
        assert torch.equal(there_and_back(kind, stack, tmp_path).folded().stack.pixels, stack.pixels)


@EACH
@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_every_name_comes_back(kind: str, name: str, tmp_path: Path) -> None:
    stack = layers([Box(0, 0, 2, 2), None], (3, 3), ["below", name])
    assert there_and_back(kind, stack, tmp_path).stack.names == ("below", name)


@pytest.mark.parametrize("kind", ["psd", "ora"])
@given(names=st.lists(st.text(st.characters(codec=None, exclude_categories=())), min_size=1, max_size=4))
@example(names=["/", "a//b", "\\/", "\ud83d"])
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_name_comes_back_clean_and_in_its_place(kind: str, names: list[str], tmp_path: Path) -> None:
    stack = LayerStack(torch.zeros(len(names), 1, 1, 4), tuple(names))
    assert there_and_back(kind, stack, tmp_path).stack.names == tuple(join_levels(split_name(n)) for n in names)


@pytest.mark.parametrize("kind", FORMATS)
@given(data=st.data(), width=st.integers(1, 12), height=st.integers(1, 12))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_layers_come_back_exactly(kind: str, data: st.DataObject, width: int, height: int, tmp_path: Path) -> None:
    def box() -> Box | None:
        left, top = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
        right, bottom = data.draw(st.integers(left + 1, width)), data.draw(st.integers(top + 1, height))
        return data.draw(st.sampled_from([None, Box(left, top, right, bottom)]))

    stack = layers([box() for _ in range(data.draw(st.integers(1, 4)))], (width, height))
    assert torch.equal(there_and_back(kind, stack, tmp_path).stack.pixels, stack.pixels)


@pytest.mark.parametrize("kind", ["psd", "ora"])
def test_hidden_colour_is_kept_in_the_bounds_and_black_outside(kind: str, tmp_path: Path) -> None:
    pixels = torch.full((1, 4, 4, 4), 0.2)
    pixels[..., 3] = 0
    pixels[0, 1, 1, 3] = pixels[0, 3, 3, 3] = 1
    back = there_and_back(kind, LayerStack.from_image(quantize(pixels)), tmp_path).stack.pixels[0]
    assert back[2, 2].tolist() == pytest.approx([0.2, 0.2, 0.2, 0])
    assert back[0, 0].tolist() == [0, 0, 0, 0]


@EACH
def test_modes_opacities_and_visibility_come_back(kind: str, tmp_path: Path) -> None:
    look = Look(("normal", "multiply", "soft-light"), (1.0, 51 / 255, 0.0), (True, False, True))
    back = there_and_back(kind, layers(BOXES[:3]), tmp_path, look)
    assert back.look.modes == look.modes
    assert back.look.visible == look.visible
    assert back.look.opacities == pytest.approx(look.opacities, abs=1e-9)


@pytest.mark.parametrize(("kind", "modes"), [("psd", psd.MODES), ("ora", ora.OPS), ("zip", BLEND_MODES)])
def test_every_mode_of_a_format_comes_back(kind: str, modes: dict[str, Any], tmp_path: Path) -> None:
    stack = layers([Box(0, 0, 1, 1)] * len(modes), (2, 2))
    assert there_and_back(kind, stack, tmp_path, Look(tuple(modes))).look.modes == tuple(modes)


@pytest.mark.parametrize(("kind", "mode"), [("psd", "grain-merge"), ("ora", "vivid-light")])
def test_a_mode_that_a_format_lacks_is_refused_and_named(kind: str, mode: str, tmp_path: Path) -> None:
    with pytest.raises(QilError, match=f'no blend mode "{mode}" .layer "top"'):
        there_and_back(kind, layers([None, None], names=["a", "top"]), tmp_path, Look(("normal", mode)))
    assert not list(tmp_path.iterdir())


@EACH
def test_hidden_layers_are_left_out_on_request(kind: str, tmp_path: Path) -> None:
    write, read = FORMATS[kind].write, FORMATS[kind].read
    path = write(layers(BOXES[:3], names=["a", "b", "c"]), tmp_path / "x", Look(visible=(True, False, True)))
    assert read(path, hidden=False).stack.names == ("a", "c")
    assert read(path).look.visible == (True, False, True)


@EACH
def test_the_same_layers_make_the_same_bytes(kind: str, tmp_path: Path) -> None:
    one, two = (FORMATS[kind].write(layers(BOXES), tmp_path / name).read_bytes() for name in "ab")
    assert one == two


# --- what the files hold besides


def test_a_psd_has_tight_bounds_groups_dpi_profile_thumbnail_and_merged_picture(tmp_path: Path) -> None:
    stack = layers([Box(0, 0, 40, 30), Box(5, 7, 20, 9)], names=["bg", "girl/hair"])
    opaque = stack.pixels.clone()
    opaque[0, ..., 3] = 1
    stack = LayerStack(opaque, stack.names)
    path = psd.write(stack, tmp_path / "x.psd", Look(("normal", "screen"), (1, 0.6)), Options(dpi=300))
    document = PSDImage.open(path)
    background, group = document
    assert isinstance(group, Group)
    assert (background.name, group.name, group[0].name) == ("bg", "girl", "hair")
    assert group.blend_mode == BlendMode.PASS_THROUGH
    assert (group[0].bbox, group[0].opacity, group[0].blend_mode) == ((5, 7, 20, 9), 153, BlendMode.SCREEN)
    with Image.open(path) as picture:
        merged = np.array(picture.convert("RGB")).astype(int)
    wanted = Layered(stack, Look(("normal", "screen"), (1, 0.6), (True, True))).composite()
    assert np.abs(merged - (wanted[..., :3] * 255).round().numpy()).max() <= 1
    assert document.thumbnail().size == (40, 30)
    assert b"acsp" in document.image_resources.get_data(1039)
    assert document.image_resources.get_data(1005).horizontal == 300 << 16


def test_a_psd_with_clear_places_has_their_alpha_in_the_merged_picture(tmp_path: Path) -> None:
    stack = layers([Box(5, 7, 20, 20)])
    document = PSDImage.open(psd.write(stack, tmp_path / "x.psd"))
    assert document.channels == 4
    alpha = document.numpy("shape")[..., 0]
    assert np.abs(alpha - stack.pixels[0, ..., 3].numpy()).max() <= 1 / 255


def test_the_merged_picture_of_a_psd_lies_on_white_where_it_is_clear(tmp_path: Path) -> None:
    """As Photoshop keeps it: the colours over white, and the alpha beside them."""
    half_red, nothing = [1, 0, 0, 128 / 255], [0, 0, 0, 0]
    stack = LayerStack.from_image(torch.tensor([half_red, nothing]).reshape(1, 1, 2, 4))
    document = PSD.frombytes(psd.write(stack, tmp_path / "x.psd").read_bytes())
    planes = document.image_data.get_data(document.header)
    assert [list(plane) for plane in planes] == [[255, 255], [127, 255], [127, 255], [128, 0]]


def test_an_opaque_psd_has_no_alpha_in_its_merged_picture(tmp_path: Path) -> None:
    stack = LayerStack.from_image(torch.tensor([1, 0, 51 / 255, 1]).reshape(1, 1, 1, 4))
    document = PSD.frombytes(psd.write(stack, tmp_path / "x.psd").read_bytes())
    assert [list(plane) for plane in document.image_data.get_data(document.header)] == [[255], [0], [51]]


def thumbnail(stack: LayerStack, folder: Path) -> tuple[tuple[int, ...], Image.Image]:
    """What resource 1036 says of itself (six numbers of 32 bits, two of 16), and the picture in it."""
    document = PSD.frombytes(psd.write(stack, folder / "x.psd").read_bytes())
    data = document.image_resources[1036].data.tobytes()
    return struct.unpack(">6I2H", data[:28]), Image.open(io.BytesIO(data[28:]))


@pytest.mark.parametrize(
    ("size", "small", "row"), [((320, 100), (160, 50), 480), ((30, 7), (30, 7), 92), ((5, 400), (2, 160), 8)]
)
def test_a_thumbnail_has_at_most_160_pixels_and_rows_of_whole_32_bits(
    size: tuple[int, int], small: tuple[int, int], row: int, tmp_path: Path
) -> None:
    about, picture = thumbnail(LayerStack.from_image(torch.zeros(1, size[1], size[0], 4)), tmp_path)
    length = about[5]
    assert about == (1, *small, row, row * small[1], length, 24, 1)
    assert picture.size == small
    assert picture.getpixel((1, 1)) == (255, 255, 255), "what is clear is white"


@pytest.mark.parametrize(("opacity", "byte"), [(0.0, 0), (0.0025, 1), (0.6, 153), (0.997, 254), (0.999, 255)])
def test_a_psd_keeps_the_nearest_of_256_opacities(opacity: float, byte: int, tmp_path: Path) -> None:
    path = psd.write(layers([None]), tmp_path / "x.psd", Look(opacities=(opacity,)))
    assert PSDImage.open(path)[0].opacity == byte


def without_memory(count: int, width: int, height: int) -> LayerStack:
    """Empty layers of any size, which take the memory of one number."""
    return LayerStack(torch.zeros(1).expand(count, height, width, 4), ("",) * count)


@pytest.mark.parametrize(
    ("stack", "suffix"),
    [
        (without_memory(1, 30_000, 1), ".psd"),
        (without_memory(1, 30_001, 1), ".psb"),
        (without_memory(1, 1, 30_000), ".psd"),
        (without_memory(1, 1, 30_001), ".psb"),
        (without_memory(3, 8192, 8192), ".psd"),  # with the merged picture 4 of 2^26 pixels, 4 bytes each: 2^30
        (without_memory(3, 8192, 8193), ".psb"),
        (without_memory(4, 8192, 8192), ".psb"),
    ],
)
def test_what_a_psd_cannot_hold_is_a_psb(stack: LayerStack, suffix: str) -> None:
    assert psd.suffix(stack) == suffix


def test_a_psb_says_so_and_comes_back(tmp_path: Path) -> None:
    wide = LayerStack.from_image(torch.ones(1, 1, 30_001, 4))
    path = psd.write(wide, tmp_path / "x.psb")
    assert path.read_bytes()[:6] == b"8BPS\0\2"
    assert torch.equal(psd.read(path).stack.pixels, wide.pixels)


def test_an_openraster_file_begins_with_its_type_and_lists_the_top_layer_first(tmp_path: Path) -> None:
    stack = layers([Box(0, 0, 40, 30), Box(5, 7, 20, 9), None], (600, 300), names=["bg", "girl/hair", "top"])
    path = ora.write(stack, tmp_path / "x.ora", options=Options(dpi=300))
    assert path.read_bytes()[30:54] == b"mimetypeimage/openraster"
    with zipfile.ZipFile(path) as members:
        assert members.infolist()[0].compress_type == zipfile.ZIP_STORED
        image = ElementTree.fromstring(members.read("stack.xml"))
        root = image.find("stack")
        assert root is not None
        assert [child.get("name") for child in root] == ["top", "girl", "bg"]
        assert (image.get("w"), image.get("h"), image.get("xres")) == ("600", "300", "300")
        hair = root.find("stack/layer")
        assert hair is not None
        assert (hair.get("x"), hair.get("y")) == ("5", "7")
        sizes = {name: Image.open(io.BytesIO(members.read(name))).size for name in members.namelist() if "png" in name}
    assert sizes["mergedimage.png"] == (600, 300)
    assert sizes["Thumbnails/thumbnail.png"] == (256, 128)
    assert sizes[hair.get("src", "")] == (15, 2)


# --- whole or not at all


@pytest.mark.parametrize("write", [psd.write, ora.write], ids=["psd", "ora"])
def test_an_interrupt_leaves_the_old_file(write: Callable[..., Path], tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"old")

    def stop(fraction: float, what: str) -> None:
        if fraction > 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(layers(BOXES), path, progress=stop)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"x": b"old"}


@pytest.mark.parametrize("write", [psd.write, ora.write], ids=["psd", "ora"])
def test_progress_rises_from_zero_and_names_the_layers(write: Callable[..., Path], tmp_path: Path) -> None:
    seen: list[tuple[float, str]] = []
    write(layers(BOXES[:4]), tmp_path / "x", progress=lambda *step: seen.append(step))
    assert [fraction for fraction, _ in seen] == [0, 0.25, 0.5, 0.75]
    assert all(f"layer {i + 1}" in what for i, (_, what) in enumerate(seen))


@pytest.mark.parametrize("write", [psd.write, ora.write], ids=["psd", "ora"])
@pytest.mark.parametrize(
    ("stack", "options", "message"),
    [
        (LayerStack(torch.zeros(101, 1, 1, 4), ("a",) * 101), {}, "101 layers"),
        (layers(BOXES), {"options": Options(dpi=0)}, "0 dpi"),
        (layers(BOXES), {"look": Look(modes=("normal",))}, "1 blend modes were given for 5 layers"),
        (layers(BOXES[:1]), {"look": Look(opacities=(1.5,))}, r"Opacities must lie in \[0, 1\]"),
        (layers(BOXES[:1]), {"look": Look(("glow",))}, "glow"),
    ],
)
def test_what_cannot_be_written_is_refused(
    write: Callable[..., Path], stack: LayerStack, options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(QilError, match=message):
        write(stack, tmp_path / "x", **options)
    assert not list(tmp_path.iterdir())


def test_what_is_shown_leaves_hidden_layers_out() -> None:
    pixels = torch.tensor([[1.0, 0, 0, 1], [0, 0, 1, 1]]).reshape(2, 1, 1, 4)
    document = Layered(LayerStack.from_image(pixels), Look(visible=(True, False)).of(2))
    assert document.composite()[0, 0].tolist() == [1, 0, 0, 1]
    hidden = Layered(document.stack, Look(visible=(False, False)).of(2))
    assert hidden.composite().tolist() == [[[0, 0, 0, 0]]]


def test_opacity_folds_into_alpha() -> None:
    document = Layered(LayerStack.from_image(torch.ones(2, 1, 1, 4)), Look(opacities=(1, 0.25)).of(2))
    folded = document.folded()
    assert folded.stack.pixels[:, 0, 0, 3].tolist() == [1, 0.25]
    assert folded.look.opacities == (1, 1)
    assert torch.equal(onto_color(folded.composite(), torch.ones(3)), torch.ones(1, 1, 4))
