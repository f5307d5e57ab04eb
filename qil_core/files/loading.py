"""Layers from whatever a user has: PSD, PSB, OpenRaster, a ZIP or a folder of ours, or PNG files as they lie."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from pathlib import Path

import torch

from ..errors import QilError
from ..stack import LayerStack
from . import archive, ora, png, psd
from .layered import PLAIN, Layered
from .names import join_levels
from .tree import check_size

SUFFIXES = (".psd", ".psb", ".ora", ".zip", ".png")
"""Files of layers by their endings; what is read is decided by what is in them."""

NUMBER = re.compile(r"^\d+[ ._-]+(?=\S)")
"""The number in front of "01 hair.png" and "01_hair.png"."""


def load(paths: Sequence[Path], hidden: bool = True) -> Layered:
    """The layers of one file or folder, or of several PNGs of one size, bottom first.

    hidden: keep hidden layers too. Opacities stay in the look. Raises QilError: nothing given, missing, broken, hostile
    or too large files, other formats, PNGs of different sizes, layers that cannot be drawn.
    """
    if not paths:
        raise QilError("No file was given: choose a PSD, PSB, ORA, ZIP or PNG file.")
    document = _pictures(paths) if len(paths) > 1 or _head(paths[0])[:4] == b"\x89PNG" else _one(paths[0], hidden)
    return document if hidden else shown_only(document, str(paths[0]))


def _one(path: Path, hidden: bool) -> Layered:
    if path.is_dir():
        return png.read_layered(path)
    head = _head(path)
    if head[:4] == b"8BPS":
        return psd.read(path, hidden)
    if head[:2] == b"PK":
        return ora.read(path, hidden) if _is_openraster(path) else archive.read_layered(path)
    raise QilError(f"Cannot read {path}: it is no file of layers. Use {', '.join(SUFFIXES)}.")


def _head(path: Path) -> bytes:
    """A file's first bytes; none of a folder."""
    if path.is_dir():
        return b""
    try:
        with path.open("rb") as file:
            return file.read(8)
    except (OSError, ValueError) as error:
        raise QilError(f"Cannot read {path}: {getattr(error, 'strerror', None) or error}.") from error


def _is_openraster(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as members:
            return ora.STACK in members.namelist()
    except png.UNREADABLE as error:
        raise QilError(f"Cannot read {path}: {error}. Expected a whole ZIP or OpenRaster file.") from error


def _pictures(paths: Sequence[Path]) -> Layered:
    """PNG files as layers: each says by its name what it is, a number in front only orders."""
    sizes = [_png_size(path) for path in paths]
    width, height = sizes[0]
    for path, size in zip(paths, sizes, strict=True):
        if size != sizes[0]:
            raise QilError(
                f"{paths[0].name} is {width}x{height}, {path.name} is {size[0]}x{size[1]}: layers must have one size."
            )
    check_size(width, height, len(paths), paths[0])
    pixels = torch.empty(len(paths), height, width, 4)
    for layer, path in zip(pixels, paths, strict=True):
        with png.reading(path.parent, path.name):
            layer.copy_(png.decode(path.read_bytes(), (width, height)))
    names = [join_levels([NUMBER.sub("", path.stem)]) for path in paths]
    return Layered(LayerStack.from_image(pixels, names), PLAIN.of(len(paths)))


def _png_size(path: Path) -> tuple[int, int]:
    with png.reading(path.parent, path.name), path.open("rb") as file:
        return png.png_size(file.read(25))


def shown_only(document: Layered, source: str) -> Layered:
    """The layers that are not hidden. source: for the message. Raises QilError when all are."""
    shown = [i for i, seen in enumerate(document.look.visible) if seen]
    if not shown:
        raise QilError(f"{source} holds no visible layer. Keep hidden layers to read them.")
    return document if len(shown) == len(document.stack) else document.select(shown)
