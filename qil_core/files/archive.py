"""ZIP: the PNG files and the layers.json of folder.py in one file, the same bytes for the same layers every time."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from ..errors import QilError
from ..progress import Progress, silent
from ..stack import LayerStack
from .atomic import atomic_path
from .format import NONE, REFUSE, Format, Options
from .layered import PLAIN, Layered, Look
from .listing import LISTING, file_names, list_layers, read_listed
from .png import UNREADABLE, encode, parallel

SIGNATURE = b"PK"
"""The first bytes of every ZIP with or without members (APPNOTE.TXT, 4.3.7 and 4.3.16)."""

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The oldest date that a ZIP can hold: its years are counted from 1980 (APPNOTE.TXT, 4.4.6)."""

UNIX = 3
"""The system that a member was made on (APPNOTE.TXT, 4.4.2), for the permissions to count."""

PERMISSIONS = 0o644 << 16
"""Readable for everybody, writable for the owner, as Unix keeps it in a member's external attributes."""


def write(
    stack: LayerStack, path: Path, look: Look = PLAIN, options: Options = NONE, progress: Progress = silent
) -> Path:
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


def read(path: Path, hidden: bool = True, unsupported: str = REFUSE) -> Layered:
    """What write() put into a ZIP, bit for bit. hidden: keep hidden layers too.

    unsupported: nothing in this format is. Raises QilError: missing, broken, hostile or too large files.
    """
    with opened(path) as archive:
        if LISTING not in archive.namelist():
            raise QilError(
                f"Cannot read {path}: it is a ZIP without {LISTING}, so not one of layers. Of a PowerPoint file read "
                "the layers that it was made from, such as a PSD or OpenRaster file."
            )
        return read_listed(archive.open, path, hidden)


def opened(path: Path) -> zipfile.ZipFile:
    """A ZIP whose members' names are checked. Raises QilError: missing, broken, or a name that leads out of it."""
    try:
        archive = zipfile.ZipFile(path)
    except UNREADABLE as error:
        raise QilError(f"Cannot read {path}: {error}. Expected a whole ZIP or OpenRaster file.") from error
    try:
        check_members(archive, path)
    except QilError:
        archive.close()
        raise
    return archive


def member(name: str) -> zipfile.ZipInfo:
    """A stored member (PNG is compressed already) that says nothing of when and where it was made."""
    member = zipfile.ZipInfo(name, EPOCH)
    member.create_system = UNIX
    member.external_attr = PERMISSIONS
    return member


def check_members(archive: zipfile.ZipFile, path: Path) -> None:
    """QilError when a member's name leads out of the folder that the archive would be unpacked into."""
    for name in archive.namelist():
        if re.match(r"[/\\]|[A-Za-z]:", name) or ".." in re.split(r"[/\\]", name):
            raise QilError(f"{path} holds {name!r}, which points out of the archive: this file is not to be trusted.")


FORMAT = Format("zip", "ZIP", (".zip",), write, read, recognizes=lambda path, head: head.startswith(SIGNATURE))
