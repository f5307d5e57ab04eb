"""PNG folders and ZIPs: what is written is read back bit for bit, whole or not at all, and nothing else is trusted."""

from __future__ import annotations

import errno
import io
import json
import os
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from qil_core.errors import QilError
from qil_core.files import archive, folder, png
from qil_core.files.atomic import atomic_path, atomic_paths
from qil_core.files.listing import file_names
from qil_core.files.registry import FORMATS
from qil_core.stack import LayerStack, quantize

Write = Callable[..., object]
RESERVED = [
    "CON",
    "nul.txt",
    "COM1",
    "../../x",
    "/etc/passwd",
    "C:\\x",
    "...",
    "a.",
    "a ",
    "~",
    "",
    "\u202egnp",
    "👩‍👩‍👧" * 40,
]


def stack_of(*shape: int, names: tuple[str, ...] = (), seed: int = 0) -> LayerStack:
    """Random layers (N, H, W) on the 8-bit grid, colour under clear pixels included."""
    pixels = torch.rand(*shape, 4, generator=torch.Generator().manual_seed(seed))
    pixels[..., 3] = (pixels[..., 3] * 2 - 0.5).clamp(0, 1)
    return LayerStack.from_image(quantize(pixels), names)


def everything(where: Path) -> dict[str, bytes]:
    return {str(p.relative_to(where)): p.read_bytes() for p in where.rglob("*") if p.is_file()}


WRITERS = pytest.mark.parametrize("write", [format.write for format in FORMATS.values()], ids=FORMATS)


# --- names


@given(st.lists(st.text(st.characters(codec=None, exclude_categories=())), min_size=1, max_size=12))
@example(RESERVED)
def test_any_name_becomes_a_file_name_that_every_system_takes(names: list[str]) -> None:
    for i, file in enumerate(file_names(names)):
        assert file.startswith(f"{i:02d}")
        assert file.endswith(".png")
        assert not set(file) & set('/\\:*?"<>|\x7f')
        assert min(file) >= " "
        assert len(file) <= 80
        assert len(file.encode()) <= 255
        assert not file[:-4].endswith((".", " "))


@given(st.lists(st.text(max_size=3), min_size=1, max_size=100))
def test_file_names_are_all_different_and_sort_bottom_first(names: list[str]) -> None:
    files = file_names(names)
    assert len(set(files)) == len(files)
    assert sorted(files) == files


def test_file_names_keep_scripts_emoji_and_groups() -> None:
    names = ["background", "girl/hair", "背景/头发", "مرحبا 👗", "a<b>&c", "../../x", ""]
    assert file_names(names) == [
        "00 background.png",
        "01 girl - hair.png",
        "02 背景 - 头发.png",
        "03 مرحبا 👗.png",
        "04 a_b_&c.png",
        "05 x.png",
        "06.png",
    ]


def test_hostile_names_stay_in_their_folder(tmp_path: Path) -> None:
    folder.write(stack_of(len(RESERVED), 2, 2, names=tuple(RESERVED)), tmp_path / "a" / "b")
    assert {p.parent for p in tmp_path.rglob("*") if p.is_file()} == {tmp_path / "a" / "b"}


# --- pictures


@pytest.mark.parametrize("channels", [3, 4])
def test_every_value_of_the_grid_survives_a_png(channels: int) -> None:
    ramp = (torch.arange(256).float() / 255).reshape(16, 16, 1).expand(16, 16, channels)
    with Image.open(io.BytesIO(png.encode(ramp))) as picture:
        assert picture.mode == ("RGBA" if channels == 4 else "RGB")
        assert np.array_equal(np.array(picture)[..., channels - 1].ravel(), np.arange(256))


def test_values_between_two_steps_are_rounded_not_cut() -> None:
    image = torch.tensor([0.4, 0.6, 253.6]).reshape(1, 1, 3) / 255
    assert Image.open(io.BytesIO(png.encode(image))).getpixel((0, 0)) == (0, 1, 254)


def test_write_image_writes_one_png(tmp_path: Path) -> None:
    png.write_image(torch.zeros(2, 5, 3), tmp_path / "new" / "x.png")
    assert Image.open(tmp_path / "new" / "x.png").size == (5, 2)


# --- there and back


@given(
    names=st.lists(st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), min_size=1), min_size=1, max_size=4),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    seed=st.integers(0, 1000),
)
@settings(max_examples=40, deadline=None)
def test_writing_then_reading_is_equal(
    names: list[str], height: int, width: int, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    stack = stack_of(len(names), height, width, names=tuple(names), seed=seed)
    path = tmp_path_factory.mktemp("round")
    folder.write(stack, path)
    for back in (folder.read(path).stack, archive.read(archive.write(stack, path / "x.zip")).stack):
        assert torch.equal(back.pixels, stack.pixels)
        assert back.names == stack.names


def test_half_a_surrogate_pair_in_a_name_comes_back_as_its_escape(tmp_path: Path) -> None:
    stack = LayerStack(torch.zeros(1, 2, 2, 4), ("a\ud83d",))  # past the door, which escapes it too
    assert archive.read(archive.write(stack, tmp_path / "x.zip")).stack.names == ("a\\ud83d",)
    assert folder.read(folder.write(stack, tmp_path / "f")).stack.names == ("a\\ud83d",)


def test_a_zip_has_the_same_bytes_every_time_and_the_pngs_of_the_folder(tmp_path: Path) -> None:
    stack = stack_of(2, 5, 6, names=("背景", "girl/hair"))
    one, two = (archive.write(stack, tmp_path / name).read_bytes() for name in ("1.zip", "2.zip"))
    folder.write(stack, tmp_path / "folder")
    with zipfile.ZipFile(io.BytesIO(one)) as members:
        assert {name: members.read(name) for name in members.namelist()} == everything(tmp_path / "folder")
    assert one == two


def test_the_list_of_layers_tells_canvas_bounds_and_coverage(tmp_path: Path) -> None:
    pixels = torch.zeros(2, 4, 8, 4)
    pixels[0, 1:3, 2:6, 3] = 1
    folder.write(LayerStack.from_image(pixels, "bar\nnothing"), tmp_path)
    listing = json.loads((tmp_path / "layers.json").read_bytes())
    assert listing["canvas"] == {"width": 8, "height": 4}
    assert listing["layers"] == [
        {"index": 0, "name": "bar", "file": "00 bar.png", "bounds": [2, 1, 6, 3], "coverage": 0.25},
        {"index": 1, "name": "nothing", "file": "01 nothing.png", "bounds": None, "coverage": 0.0},
    ]


def test_a_layer_saved_again_by_an_editor_as_rgb_or_palette_is_read(tmp_path: Path) -> None:
    path = folder.write(stack_of(1, 4, 4), tmp_path) / "00 layer 1.png"
    for picture in (Image.new("RGB", (4, 4), (255, 0, 51)), Image.new("RGB", (4, 4), (255, 0, 51)).convert("P")):
        picture.save(path)
        assert folder.read(tmp_path).stack.pixels[0, 3, 3].tolist() == pytest.approx([1, 0, 0.2, 1])


# --- what comes from outside is not trusted


def change_listing(where: Path, **changes: object) -> None:
    path = where / "layers.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 2}, "version 2"),
        ({"canvas": {"width": 4}}, "not a list of layers"),
        ({"canvas": {"width": 0, "height": 4}}, "1 layers of 0x4"),
        ({"canvas": {"width": 20000, "height": 20000}}, "400 megapixels"),
        ({"canvas": {"width": 4, "height": 5}}, "it is 4x4, the canvas is 4x5"),
        ({"layers": []}, "0 layers"),
        ({"layers": [{"name": "a", "file": "a.png"}] * 101}, "101 layers"),
        ({"layers": [{"name": "a", "file": "../a.png"}]}, "same folder"),
        ({"layers": [{"name": "a", "file": "C:a.png"}]}, "same folder"),
        ({"layers": [{"name": "a", "file": "none.png"}]}, "none.png"),
    ],
)
def test_a_bad_list_of_layers_is_refused_with_the_reason(tmp_path: Path, changes: dict, message: str) -> None:
    folder.write(stack_of(1, 4, 4), tmp_path)
    change_listing(tmp_path, **changes)
    with pytest.raises(QilError, match=message):
        folder.read(tmp_path)


def test_a_folder_without_layers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(QilError, match=r"holds neither layers\.json nor PNG files"):
        folder.read(tmp_path)


def test_a_name_with_line_breaks_becomes_one_line(tmp_path: Path) -> None:
    folder.write(stack_of(1, 4, 4), tmp_path)
    change_listing(tmp_path, layers=[{"name": "a\nb\u2028c", "file": "00 layer 1.png"}])
    assert folder.read(tmp_path).stack.names == ("a b c",)


def test_a_picture_of_16_bits_is_refused_rather_than_cut_to_8(tmp_path: Path) -> None:
    path = folder.write(stack_of(1, 4, 4), tmp_path) / "00 layer 1.png"
    Image.fromarray(np.zeros((4, 4), np.uint16)).save(path)
    with pytest.raises(QilError, match="16 bits"):
        folder.read(tmp_path)


def test_a_decompression_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path = folder.write(stack_of(1, 4, 4), tmp_path) / "00 layer 1.png"
    header = b"IHDR" + struct.pack(">IIBBBBB", 100_000, 100_000, 8, 6, 0, 0, 0)
    path.write_bytes(path.read_bytes()[:12] + header + struct.pack(">I", zlib.crc32(header)))
    with pytest.raises(QilError, match="100000x100000"):
        folder.read(tmp_path)


def test_a_member_that_unpacks_to_far_more_than_its_pixels_is_refused(tmp_path: Path) -> None:
    path = archive.write(stack_of(1, 4, 4), tmp_path / "x.zip")
    with zipfile.ZipFile(path) as members:
        listing = members.read("layers.json")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as members:
        members.writestr("layers.json", listing)
        members.writestr("00 layer 1.png", bytes(20_000_000))
    with pytest.raises(QilError, match="larger than"):
        archive.read(path)


@pytest.mark.parametrize("name", ["../evil.png", "/etc/evil", "a/../../evil", "C:/evil"])
def test_a_zip_that_points_out_of_itself_is_refused(tmp_path: Path, name: str) -> None:
    path = archive.write(stack_of(1, 4, 4), tmp_path / "x.zip")
    with zipfile.ZipFile(path, "a") as members:
        members.writestr(name, b"")
    with pytest.raises(QilError, match="out of the archive"):
        archive.read(path)


@given(at=st.integers(0, 10_000), flip=st.integers(1, 255))
@settings(max_examples=60, deadline=None)
def test_a_truncated_or_damaged_zip_is_refused_or_read_never_a_crash(
    at: int, flip: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = archive.write(stack_of(2, 3, 4), tmp_path_factory.mktemp("damaged") / "x.zip")
    content = bytearray(path.read_bytes())
    at %= len(content)
    content[at] ^= flip
    path.write_bytes(content)
    with suppress(QilError):
        assert len(archive.read(path).stack) == 2
    path.write_bytes(content[:at])
    with pytest.raises(QilError, match="Cannot read"):
        archive.read(path)


def test_more_layers_than_can_be_read_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(QilError, match="101 layers"):
        archive.write(stack_of(101, 1, 1), tmp_path / "x.zip")
    assert not everything(tmp_path)


# --- whole or not at all


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """The system itself refuses to write any file beyond `size` bytes."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no file size limit to run into")
@WRITERS
def test_when_the_disk_refuses_the_old_file_keeps_its_content(tmp_path: Path, write: Write) -> None:
    target = tmp_path / "out"
    write(stack_of(2, 4, 4), target)
    before = everything(tmp_path)
    with file_size_limit(20_000), pytest.raises(QilError, match=r"Cannot write .*out.*choose another"):
        write(stack_of(2, 200, 200), target)
    assert everything(tmp_path) == before


@WRITERS
def test_an_interrupt_half_way_leaves_nothing(tmp_path: Path, write: Write) -> None:
    class Interrupt(BaseException):
        pass

    def stop(fraction: float, what: str) -> None:
        if fraction > 0:
            raise Interrupt

    with pytest.raises(Interrupt):
        write(stack_of(3, 50, 50), tmp_path / "out", progress=stop)
    assert not everything(tmp_path)


@WRITERS
def test_progress_rises_from_zero_and_names_the_work(tmp_path: Path, write: Write) -> None:
    seen: list[tuple[float, str]] = []
    write(stack_of(4, 2, 2), tmp_path / "out", progress=lambda *step: seen.append(step))
    assert [fraction for fraction, _ in seen] == [0, 0.25, 0.5, 0.75]
    assert all(f"layer {i + 1}" in what for i, (_, what) in enumerate(seen))


def test_a_rename_that_fails_takes_the_whole_sequence_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.replace
    names: list[str] = []

    def replace(self: Path, target: Path) -> None:
        names.append(target.name)
        if len(names) == 2:
            raise PermissionError(errno.EACCES, "Permission denied")
        real(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(QilError, match=r"Permission denied\. Close the programs"):
        folder.write(stack_of(3, 4, 4), tmp_path)
    assert names == ["00 layer 1.png", "01 layer 2.png"]
    assert not everything(tmp_path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_said_so(tmp_path: Path) -> None:
    def write() -> None:
        with atomic_path(tmp_path / "x.zip") as path:
            path.symlink_to("/dev/full")
            path.write_bytes(b"anything")

    with pytest.raises(QilError, match=r"x\.zip: No space left on device\. Free some space"):
        write()
    assert not list(tmp_path.iterdir())


def test_a_file_appears_only_when_the_block_has_ended(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b.zip"
    with atomic_path(target) as path:
        assert path.parent == target.parent
        assert path.suffix == ".zip"
        path.write_bytes(b"new")
        assert not target.exists()
    assert everything(tmp_path) == {os.path.join("a", "b.zip"): b"new"}


def test_files_that_belong_together_appear_together(tmp_path: Path) -> None:
    with atomic_paths([tmp_path / "a", tmp_path / "b"]) as paths:
        for path in paths:
            path.write_bytes(b"x")
        assert not (tmp_path / "a").exists()
    assert everything(tmp_path) == {"a": b"x", "b": b"x"}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param(
            "x" * 300, "shorter", marks=pytest.mark.skipif(sys.platform == "win32", reason="found at the end")
        ),
        ("file/x", "choose another folder"),
        ("folder", "A folder has that"),
        ("\0", "null"),
    ],
)
def test_an_impossible_path_is_refused_before_the_work_begins(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(QilError, match=message), atomic_path(tmp_path / name):
        pytest.fail("the work began")
