"""The files as other programs see them, and other programs' files as we do. What is not installed is not checked.

Photoshop's own pictures: psd-tools' test files hold layers and the picture that Photoshop merged them to. They are not
part of this package: set QIL_PSD_FILES to the folder tests/psd_files of a psd-tools checkout, and install
psd-tools[composite], whose own drawing is the second opinion.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from psd_tools import PSDImage
from psd_tools.constants import Tag
from psd_tools.psd import PSD
from torch import Tensor

from qil_core.composite import onto_color
from qil_core.errors import QilError
from qil_core.files import ora, psd
from qil_core.files.layered import Layered, Look
from qil_core.files.psd_color import Colors
from qil_core.files.psd_gradient import draw_gradient
from qil_core.files.psd_header import HEADER_BYTES, read_header
from qil_core.files.psd_merged import merged_picture
from qil_core.stack import Box, LayerStack, quantize

PSD_FILES = Path(os.environ.get("QIL_PSD_FILES", "nowhere"))
WHITE = torch.ones(3)
CONVERT = "magick" if shutil.which("magick") else "/usr/bin/convert"
LIMIT = 100
"""Seconds that a program may take."""


def needs(*programs: str) -> pytest.MarkDecorator:
    missing = [program for program in programs if not shutil.which(program)]
    return pytest.mark.skipif(bool(missing), reason=f"NOT CHECKED: {', '.join(missing)} is not on PATH")


def drawing() -> Layered:
    """A picture-like ground, soft discs, blocks under blend modes and opacity, groups, an empty and a hidden layer."""
    height, width = 120, 180
    y, x = torch.meshgrid(torch.arange(height) / height, torch.arange(width) / width, indexing="ij")
    one = torch.ones_like(x)
    waves = torch.stack([x, y, 0.5 + 0.5 * torch.sin(40 * x * y), one], -1)
    disc = torch.stack([one, y, x, (1.6 - 12 * ((x - 0.3) ** 2 + (y - 0.4) ** 2)).clamp(0, 1)], -1)
    block = torch.stack([0.1 * one, 0.3 * one, 0.9 * one, 0.7 * ((x > 0.4) & (x < 0.8) & (y > 0.5) & (y < 0.9))], -1)
    line = torch.stack([one, 0 * one, 0 * one, 1.0 * ((x - y).abs() < 0.02)], -1)
    pixels = torch.stack([waves, disc, block, torch.zeros_like(waves), line])
    pixels[..., :3] *= pixels[..., 3:] > 0
    names = ["背景", "girl/hair 👗", "girl/x/مرحبا", "girl/nothing", "line"]
    look = Look(
        ("normal", "normal", "multiply", "normal", "normal"), (1, 0.8, 1, 1, 1), (True, True, True, True, False)
    )
    return Layered(LayerStack.from_image(quantize(pixels), names), look.of(5))


def run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT)
    assert done.returncode == 0, done.stderr[-2000:]


def by_imagemagick(path: Path, out: Path) -> None:
    """Layers put together by ImageMagick itself: image 0 is the merged picture, the others lie where they belong."""
    run([CONVERT, f"{path}[1--1]", "-background", "none", "-layers", "merge", f"png32:{out}"])


def merged_by_imagemagick(path: Path, out: Path) -> None:
    run([CONVERT, f"{path}[0]", f"png32:{out}"])


def by_gimp(path: Path, out: Path) -> None:
    """GIMP's own compositing: opened in batch mode, merged, saved as PNG."""
    load = f'(image (car (gimp-file-load RUN-NONINTERACTIVE "{path}" "x")))'
    merge = "(layer (car (gimp-image-merge-visible-layers image CLIP-TO-IMAGE)))"
    save = f'(file-png-save RUN-NONINTERACTIVE image layer "{out}" "x" 0 9 0 0 0 0 0)'
    script = f"(let* ({load} {merge}) {save})"
    run(["gimp-console", "-idf", "-b", script, "-b", "(gimp-quit 0)"])


def by_krita(path: Path, out: Path) -> None:
    """Krita's own compositing, on a display that is not there: Krita insists on one."""
    run(["xvfb-run", "-a", "krita", "--export", "--export-filename", str(out), str(path)])


def seen(path: Path) -> Tensor:
    """A picture over white, float32 (H, W, 3)."""
    rgba = torch.from_numpy(np.array(Image.open(path).convert("RGBA"))).float() / 255
    return onto_color(rgba, WHITE)[..., :3]


def worst(path: Path, document: Layered) -> float:
    """The largest difference from our own composite over white, in steps of 8 bits."""
    return float((seen(path) - onto_color(document.composite(), WHITE)[..., :3]).abs().max()) * 255


PROGRAMS = [
    pytest.param("psd", merged_by_imagemagick, marks=needs(CONVERT), id="psd-imagemagick"),
    pytest.param("psd", by_gimp, marks=needs("gimp-console"), id="psd-gimp"),
    pytest.param("psd", by_krita, marks=needs("krita", "xvfb-run"), id="psd-krita"),
    pytest.param("ora", by_krita, marks=needs("krita", "xvfb-run"), id="ora-krita"),
]
WRITE = {"psd": psd.write, "ora": ora.write}


@pytest.mark.parametrize(("kind", "draw"), PROGRAMS)
def test_other_programs_show_the_same_picture(kind: str, draw: Callable[[Path, Path], None], tmp_path: Path) -> None:
    """At most 3/255 off anywhere: those programs round to 8 bits at every layer."""
    document = drawing()
    path = WRITE[kind](document.stack, tmp_path / f"drawing.{kind}", document.look)
    draw(path, tmp_path / "seen.png")
    off = worst(tmp_path / "seen.png", document)
    print(f"{kind}: at most {off:.2f}/255 off")
    assert off <= 3


@needs(CONVERT)
def test_imagemagick_finds_every_layer_in_its_place(tmp_path: Path) -> None:
    """Normal layers only: ImageMagick merges layers without their modes."""
    document = drawing()
    plain = Layered(document.stack, Look().of(5))
    psd.write(document.stack, tmp_path / "x.psd")
    by_imagemagick(tmp_path / "x.psd", tmp_path / "seen.png")
    assert worst(tmp_path / "seen.png", plain) <= 2


def photoshops_files() -> list[Path]:
    return sorted(path for kind in ("psd", "psb") for path in PSD_FILES.rglob(f"*.{kind}"))


TYPE_GAMMA = "Photoshop drew its type with a gamma of 1.45, which is a setting of the program and not in the file"
KNOWN = {
    "masks2": TYPE_GAMMA,
    "stroke-color-descriptors-lab": "mixes soft edges in Lab",
    "stroke-color-descriptors-gray": "mixes soft edges in a dot gain of 15 %",
    "4x4_8bit_grayscale": "mixes in a dot gain of 15 %",
    "gray1": "mixes soft edges in a grey of gamma 2.2",
    "unicode_pathname": "holds no merged picture, and psd-tools draws its colour of 203.997 as 203",
}
"""Files that look otherwise, and why. Each differs in soft edges alone."""


def merged_by_photoshop(path: Path) -> Tensor:
    """The merged picture in a file over white (H, W, 3), as sRGB."""
    with path.open("rb") as file:
        header = read_header(file.read(HEADER_BYTES), path)
        file.seek(0)
        document = PSD.read(file)
    profile = document.image_resources.get(1039)
    colors = Colors(header, None if profile is None else profile.data)
    return onto_color(merged_picture(document, header, colors, path), WHITE)[..., :3]


def drawn_by_psd_tools(path: Path) -> Tensor:
    picture = PSDImage.open(path).composite(force=True, color=1.0, apply_icc=True).convert("RGBA")
    return onto_color(torch.from_numpy(np.array(picture)).float() / 255, WHITE)[..., :3]


def differences(path: Path, document: Layered) -> list[Tensor]:
    """From Photoshop's merged picture and psd-tools' own, in steps of 8 bits; from those that there are."""
    # Photoshop adds up light in files of 32 bits.
    light = any("32 bits a channel" in note for note in document.notes)
    ours = onto_color(document.composite(linear=light), WHITE)[..., :3]
    found = []
    for draw in (merged_by_photoshop, drawn_by_psd_tools):
        with suppress(QilError, ImportError, ValueError):  # there is none, or psd-tools lacks a library
            found.append((ours - draw(path)).abs() * 255)
    return found


def looks_right(off: Tensor) -> bool:
    return float(off.mean()) <= 0.5 and float(off.max()) <= 3


needs_files = pytest.mark.skipif(
    not photoshops_files(), reason="NOT CHECKED: QIL_PSD_FILES names no psd-tools test files"
)


@pytest.mark.slow
@needs_files
def test_photoshops_files_look_as_in_photoshop_or_say_why_not() -> None:
    """0.5/255 off on average and 3/255 anywhere, but for what the notes say is drawn here, or is light."""
    read, noted, wrong = 0, 0, list[str]()
    for path in photoshops_files():
        try:
            document = psd.read(path, hidden=False)
        except QilError:
            continue
        read += 1
        off = differences(path, document)
        if not off or any(map(looks_right, off)) or path.stem in KNOWN:
            continue
        said = any("drawn here" in note or "32 bits a channel" in note for note in document.notes)
        noted += said
        wrong += [] if said else [f"{path.name}: {[float(each.max()) for each in off]}"]
    print(f"{read} read whole, {noted} of them differ in what the notes name")
    assert not wrong
    assert read >= 160


@pytest.mark.slow
@needs_files
@pytest.mark.parametrize(("unsupported", "least"), [("skip", 0.85), ("merged", 0.95)])
def test_most_of_photoshops_files_are_read_and_each_skipped_thing_is_named(unsupported: str, least: float) -> None:
    read, unread = 0, list[str]()
    for path in photoshops_files():
        try:
            document = psd.read(path, hidden=False, unsupported=unsupported)
        except QilError as error:
            unread.append(str(error))
            continue
        read += 1
        with suppress(QilError):
            psd.read(path, hidden=False)
            continue
        assert document.notes, path
    print(f"{unsupported}: {read} read, {len(unread)} not")
    assert read >= least * len(photoshops_files())
    assert all("broken" not in error or unsupported == "merged" for error in unread)


@needs_files
def test_gradients_lie_where_photoshop_stored_them() -> None:
    """Layers that hold both their pixels and how they are drawn: linear ones within 2/255 on average, others 7.5."""
    checked = 0
    for path in (path for name in ("gradient-styles.psd", "gradient-sizes.psd") for path in PSD_FILES.rglob(name)):
        for layer in PSDImage.open(path).descendants():
            fill = layer.tagged_blocks.get_data(Tag.GRADIENT_FILL_SETTING)
            if fill is None:
                continue
            box, (left, top, right, bottom) = Box(*layer.bbox), layer.vector_mask.bbox
            wide, high = layer._psd.width, layer._psd.height
            frame = (left * wide, top * high, right * wide, bottom * high)
            if (drawn := draw_gradient(fill, layer._psd.color_mode, frame, box)) is None:
                continue
            stored = np.asarray(layer.topil(apply_icc=False).convert("RGBA")).astype(float)
            off = np.abs(drawn[0] * 255 - stored[..., :3])[stored[..., 3] == 255].mean()
            print(f"{path.name} {layer.name}: {off:.2f}")
            assert off <= (2 if path.name == "gradient-sizes.psd" else 7.5)
            checked += 1
    assert checked >= 15
