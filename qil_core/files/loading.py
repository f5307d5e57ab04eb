"""Layers from whatever a user has: a file or folder of any format that is read, or PNG files as they lie."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import QilError
from .folder import layer_files, read_pictures
from .format import HEAD, REFUSE, Format
from .layered import Layered
from .listing import SUFFIX
from .png import SIGNATURE
from .registry import readable

MAX_WATCHED = 1000
"""Files of one folder whose changes are watched: ten times the layers that a file may have."""


def suffixes() -> tuple[str, ...]:
    """The endings of files of layers, for lists to choose from; what is read is decided by what is in a file."""
    return (*(suffix for format in readable() for suffix in format.suffixes), SUFFIX)


def kinds() -> str:
    """The same for people: "PSD, PSB, ORA, ZIP or PNG"."""
    *most, last = (suffix[1:].upper() for suffix in suffixes())
    return f"{', '.join(most)} or {last}"


def load(paths: Sequence[Path], hidden: bool = True, unsupported: str = REFUSE) -> Layered:
    """The layers of one file or folder, or of several PNGs of one size, bottom first.

    hidden: keep hidden layers too. unsupported: see format.UNSUPPORTED. Opacities stay in the look. Raises QilError:
    nothing given, missing, broken, hostile or too large files, other formats, PNGs of different sizes, layers that
    cannot be drawn.
    """
    if not paths:
        raise QilError(f"No file was given: choose a {kinds()} file.")
    head = _head(paths[0])
    if len(paths) > 1 or head == SIGNATURE:
        return read_pictures(paths)
    return _format_of(paths[0], head).read(paths[0], hidden, unsupported)


def _format_of(path: Path, head: bytes) -> Format:
    """The first format that recognizes what lies at a path. Raises QilError."""
    for format in readable():
        if format.recognizes(path, head):
            return format
    raise QilError(f"Cannot read {path}: it is no file of layers. Use {', '.join(suffixes())}, or a folder of PNGs.")


def _head(path: Path) -> bytes:
    """A file's first bytes; none of a folder."""
    if path.is_dir():
        return b""
    try:
        with path.open("rb") as file:
            return file.read(HEAD)
    except (OSError, ValueError) as error:
        raise QilError(f"Cannot read {path}: {getattr(error, 'strerror', None) or error}.") from error


def state(paths: Sequence[Path]) -> list[tuple[str, int, int]] | None:
    """Name, size in bytes and time of change in ns of every file that load() may read: equal while none has changed.

    None where a folder holds more than MAX_WATCHED files: whether one of them has changed is not known.
    """
    files = [file for path in paths for file in _files(path)]
    if len(files) > max(MAX_WATCHED, len(paths)):
        return None
    stats = [(str(file), file.stat()) for file in files]
    return [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]


def _files(path: Path) -> list[Path]:
    return [path / name for name in layer_files(path)] if path.is_dir() else [path]
