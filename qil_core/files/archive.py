"""ZIP: the PNGs and the layers.json of png.py in one file, the same bytes for the same layers every time."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from ..errors import QilError
from ..progress import Progress, silent
from ..stack import LayerStack
from .atomic import atomic_path
from .layered import PLAIN, Layered, Look
from .png import LISTING, UNREADABLE, encode, file_names, list_layers, parallel, read_listed

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The oldest date that a ZIP can hold."""


def write(stack: LayerStack, path: Path, progress: Progress = silent, look: Look = PLAIN) -> Path:
    """Write a ZIP of full-canvas RGBA PNGs and layers.json.

    Raises QilError: too many layers, an impossible look, the disk refuses.
    """
    files = file_names(stack.names)
    listing = list_layers(stack, look)
    with (
        atomic_path(path) as temporary,
        zipfile.ZipFile(temporary, "w") as archive,
        parallel(encode, stack.pixels) as encoded,
    ):
        archive.writestr(member(LISTING), listing)
        for i, data in enumerate(encoded):
            progress(i / len(stack), f"Writing {files[i]}")
            archive.writestr(member(files[i]), data)
    return path


def read(path: Path) -> LayerStack:
    """The stack that write() put into a ZIP, bit for bit. Raises QilError: missing, broken or too large files."""
    return read_layered(path).stack


def read_layered(path: Path) -> Layered:
    """The same with blend modes, opacities and visibility."""
    try:
        archive = zipfile.ZipFile(path)
    except UNREADABLE as error:
        raise QilError(f"Cannot read {path}: {error}. Expected a whole ZIP of layers.") from error
    with archive:
        check_members(archive, path)
        return read_listed(archive.open, path)


def member(name: str) -> zipfile.ZipInfo:
    """A stored member (PNG is compressed already) that says nothing of when and where it was made."""
    member = zipfile.ZipInfo(name, EPOCH)
    member.create_system = 3  # Unix, for the permissions
    member.external_attr = 0o644 << 16
    return member


def check_members(archive: zipfile.ZipFile, path: Path) -> None:
    """QilError when a member's name leads out of the folder that the archive would be unpacked into."""
    for name in archive.namelist():
        if re.match(r"[/\\]|[A-Za-z]:", name) or ".." in re.split(r"[/\\]", name):
            raise QilError(f"{path} holds {name!r}, which points out of the archive: this file is not to be trusted.")
