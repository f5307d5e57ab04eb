"""PSD, OpenRaster and ZIP files that are broken or mean harm: refused with the reason, in little time and memory."""

from __future__ import annotations

import io
import os
import struct
import tracemalloc
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from layer_files import EACH, FORMATS, layers
from PIL import Image

from qil_core.errors import QilError
from qil_core.files import ora, psd
from qil_core.files.layered import Look
from qil_core.stack import Box

FUZZ = int(os.environ.get("QIL_FUZZ", "120"))
"""Damaged files a reader is tried with; QIL_FUZZ=20000 is the longer run."""


def header(
    channels: int = 3, height: int = 2, width: int = 2, depth: int = 8, mode: int = 3, version: int = 1
) -> bytes:
    return struct.pack(">4sH6xHIIHH", b"8BPS", version, channels, height, width, depth, mode)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a Photoshop file, or it is cut off"),
        (b"\x89PNG" * 20, "not a Photoshop file"),
        (header(version=3), "version 3"),
        (header(height=300_000, width=300_000), "300000x300000 are 90000 megapixels"),
        (header(height=0), "2x0 pixels"),
        (header(depth=64), "64 bits a channel"),
        (header(depth=1), "1 bits a channel"),
        (header(mode=7, channels=4), "multichannel"),
        (header(mode=0, channels=1), "8 bits a channel"),
        (header(mode=77), "unknown .77"),
        (header(), "broken or cut off"),
        (header() + bytes(4) + b"\xff\xff\xff\xff", "broken or cut off"),
    ],
)
def test_a_bad_psd_is_refused_with_the_reason(data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.psd"
    path.write_bytes(data)
    with pytest.raises(QilError, match=message):
        psd.read(path)


def test_a_psd_whose_layers_claim_more_pixels_than_are_read_is_refused(tmp_path: Path) -> None:
    path = psd.write(layers([Box(0, 0, 40, 30)]), tmp_path / "x.psd")
    record = struct.pack(">4i", 0, 0, 30, 40)
    path.write_bytes(path.read_bytes().replace(record, struct.pack(">4i", 0, 0, 200_000, 200_000), 1))
    with pytest.raises(QilError, match="40000 megapixels"):
        psd.read(path)


def zipped(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as out:
        for name, data in members.items():
            out.writestr(name, data)
    return path


def image_xml(inner: str, w: str = "4", h: str = "4") -> bytes:
    return f'<image w="{w}" h="{h}"><stack>{inner}</stack></image>'.encode()


LAYER = '<layer src="data/a.png"/>'
BOMB = '<!DOCTYPE image [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
FILE = '<!DOCTYPE image [<!ENTITY a SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize(
    ("xml", "message"),
    [
        (BOMB.encode() + image_xml("&b;"), "XML entities"),
        (FILE.encode() + image_xml('<layer name="&a;" src="x"/>'), "XML entities"),
        ((BOMB + image_xml("&b;").decode()).encode("utf-16"), "stack.xml"),
        (b"<image", "not XML"),
        (b'<?xml version="1.0" encoding="klingon"?>' + image_xml(LAYER), "not XML in UTF-8 .unknown encoding: klingon"),
        (b'<?xml version="1.0" encoding="big5"?>' + image_xml(LAYER), "not XML in UTF-8 .multi-byte encodings"),
        (b'<?xml version="1.0" encoding="utf-16"?>' + image_xml(LAYER), "not XML in UTF-8"),
        (b"<image w='4' h='4'/>", "no stack"),
        (image_xml(LAYER, w="300000", h="300000"), "90000 megapixels"),
        (image_xml(LAYER, w="-3"), "its canvas is -3x4"),
        (image_xml(LAYER, w="wide"), "its w is 'wide'"),
        (image_xml(LAYER, w="1e999"), "its w is '1e999'"),
        (image_xml(LAYER * 101), "101 layers"),
        (image_xml("<stack>" * 70 + "</stack>" * 70), "more than 64 deep"),
        (image_xml(""), "holds no layer"),
        (image_xml('<layer src="../../etc/passwd"/>'), "Cannot read ../../etc/passwd"),
        (image_xml('<layer src="data/none.png"/>'), "Cannot read data/none.png"),
        (image_xml("<layer/>"), "a layer without a file"),
        (image_xml('<layer src="data/a.png" x="1e30"/>'), "its x is '1e30'"),
        (image_xml('<layer src="data/a.png" opacity="nan"/>'), "an opacity is 'nan'"),
        (image_xml('<layer src="data/a.png" name="glow" composite-op="svg:plus"/>'), '"glow" has the blend mode svg'),
        (image_xml('<text name="title"/>'), '"title" is a text'),
    ],
)
def test_a_bad_openraster_file_is_refused_with_the_reason(xml: bytes, message: str, tmp_path: Path) -> None:
    picture = io.BytesIO()
    Image.new("RGBA", (2, 2)).save(picture, "PNG")
    path = zipped(tmp_path / "x.ora", {"stack.xml": xml, "data/a.png": picture.getvalue()})
    with pytest.raises(QilError, match=message):
        ora.read(path)


def bomb(width: int, height: int, unpacked: int) -> bytes:
    """A PNG's head that declares a size, and zeros."""
    return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">IIB", width, height, 8) + bytes(unpacked)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (bomb(2, 2, 50_000_000), "larger than"),
        (bomb(30_000, 30_000, 100), "900 megapixels, which take 36.0 GB"),
        (bomb(2, 2, 100), "Cannot read data/a.png"),
    ],
)
def test_a_zip_bomb_is_refused_in_little_memory(data: bytes, message: str, tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.ora", {"stack.xml": image_xml(LAYER), "data/a.png": data})
    tracemalloc.start()
    with pytest.raises(QilError, match=message):
        ora.read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30_000_000


@pytest.mark.parametrize("name", ["../evil.png", "/etc/evil", "C:/evil"])
def test_an_openraster_file_that_points_out_of_itself_is_refused(name: str, tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.ora", {"stack.xml": image_xml(LAYER), name: b""})
    with pytest.raises(QilError, match="out of the archive"):
        ora.read(path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A small file of each format."""
    folder = tmp_path_factory.mktemp("whole")
    stack = layers([Box(0, 0, 9, 8), Box(2, 2, 5, 5), None], (9, 8), ["背景", "g/a", "g/b"])
    look = Look(("normal", "multiply", "normal"), (1, 0.6, 1), (True, True, False))
    return {kind: format.write(stack, folder / kind, look).read_bytes() for kind, format in FORMATS.items()}


def damaged(data: bytes, draw: st.DataObject) -> bytes:
    """Some bytes changed, and perhaps the end cut off."""
    out = bytearray(data)
    for _ in range(draw.draw(st.integers(1, 6))):
        at = draw.draw(st.integers(0, len(out) - 1))
        out[at] = draw.draw(st.sampled_from([0, 1, 127, 128, 255, out[at] ^ 1, out[at] ^ 128]))
    return bytes(out[: draw.draw(st.sampled_from([len(out), draw.draw(st.integers(0, len(out)))]))])


@pytest.mark.parametrize("kind", FORMATS)
@given(draw=st.data())
@settings(max_examples=FUZZ, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_file_is_refused_or_read_never_a_crash(
    kind: str, draw: st.DataObject, whole: dict[str, bytes], tmp_path: Path
) -> None:
    path = tmp_path / f"damaged.{kind}"
    path.write_bytes(damaged(whole[kind], draw))
    with suppress(QilError):
        read = FORMATS[kind].read(path)
        assert 1 <= len(read.stack) <= 100
        assert read.stack.pixels.isfinite().all()


@EACH
def test_a_file_that_is_cut_off_is_refused(kind: str, whole: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "short"
    for length in range(0, len(whole[kind]) // 2, 7):
        path.write_bytes(whole[kind][:length])
        with pytest.raises(QilError, match="Cannot read"):
            FORMATS[kind].read(path)


@EACH
def test_a_file_that_is_not_there_is_refused(kind: str, tmp_path: Path) -> None:
    with pytest.raises(QilError, match="No such file"):
        FORMATS[kind].read(tmp_path / "none")
