"""What people give as inputs, folders, patterns, files, URLs and lists, as jobs in a table.

A picture's results go into a folder named like the picture without its ending, at the place below the output where the
picture lies below its input folder. Where several inputs are given, the name of the input folder comes before.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import QilError
from . import places
from .job import Job
from .lists import LIST_SUFFIXES, Listed, read_list
from .table import Table

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif")
"""Endings of the files that are taken out of folders; a file that is named by itself may have any."""

MAX_PART = 120
"""Letters of a folder's name at the most; file systems take 255 bytes, and files in it are named like it."""

Found = Iterator[tuple[str, str | None]]
"""Paths or URLs of pictures, and their state where it is known."""


def list_inputs(texts: Sequence[str], output: str, table: Table) -> None:
    """Fill the table. output: left out where it lies in an input folder. QilError: an input without pictures."""
    for text in texts:
        before = len(table)
        if PurePosixPath(text.lower()).suffix in LIST_SUFFIXES:
            _add_list(text, table)
        else:
            _add_found(text, len(texts) > 1, output, table)
        if len(table) == before:
            raise QilError(f"There are no pictures in {text}: expected files that end with {', '.join(PICTURES)}.")


def _add_list(text: str, table: Table) -> None:
    for row in read_list(text):
        table.add(Job(0, row.input, _folder(_place_of(row)), row.layers, row.prompt, row.seed))


def _place_of(row: Listed) -> str:
    """Where a listed picture's results go: its path as the list says it, where that leads nowhere else."""
    parts = PurePosixPath(row.said.replace("\\", "/")).parts
    plain = not places.is_url(row.said) and not os.path.isabs(row.said) and ".." not in parts
    return row.said if plain else PurePosixPath(row.said.partition("?")[0]).name


def _add_found(text: str, several: bool, output: str, table: Table) -> None:
    base, found = (_in_url if places.is_url(text) else _in_local)(text, output)
    found = _named(text, found) if places.is_url(text) else found
    prefix = f"{PurePosixPath(base).name}/" if several and base else ""
    for path, state in table.in_order(found):
        below = path[len(base) :].lstrip("/\\") if base else PurePosixPath(path.replace("\\", "/")).name
        table.add(Job(0, path, _folder(prefix + below), state=state))


def _folder(place: str) -> str:
    """A relative place of a picture as the folder of its results: each part a name that file systems take."""
    path = PurePosixPath(os.path.splitext(place.replace("\\", "/"))[0])
    parts = [part for part in path.parts if part not in ("/", "..", ".")]
    return "/".join(_part(part) for part in parts) or "picture"


def _part(name: str) -> str:
    kept = "".join("_" if letter in '<>:"|?*' else letter for letter in name)
    return kept[:MAX_PART].strip().rstrip(". ") or "_"


def _in_local(text: str, output: str) -> tuple[str, Found]:
    """The folder below which a path or pattern finds pictures ("" for one file), and what it finds."""
    path = places.local_path(text)
    if path.is_dir():
        return str(path), _walk(path, output)
    if path.is_file():
        return "", iter([(str(path), None)])
    if glob.has_magic(text):
        fixed = _fixed_part(text)
        return fixed, ((each, None) for each in glob.iglob(text, recursive=True) if os.path.isfile(each))
    raise QilError(f"There is no file or folder {text}.")


def _fixed_part(pattern: str) -> str:
    """The folders of a pattern before the first with a wildcard."""
    parts = Path(pattern).parts
    fixed = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    return str(Path(*parts[:fixed])) if fixed else ""


def _walk(folder: Path, output: str) -> Found:
    """Pictures in a folder and those in it, the output and hidden ones left out."""
    out = os.path.abspath(places.local_path(output)) if not places.is_url(output) else ""
    try:
        entries = os.scandir(folder)
    except OSError as error:
        raise QilError(f"The folder {folder} cannot be read: {error.strerror}.") from error
    with entries:
        for entry in entries:
            if entry.name.startswith(".") or os.path.abspath(entry.path) == out:
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(Path(entry.path), output)
            elif entry.name.lower().endswith(PICTURES) and entry.is_file():
                yield entry.path, places.local_state(entry.stat())


def _in_url(text: str, output: str) -> tuple[str, Found]:
    system, path = places.file_system(text)
    with places.opening(text):
        if glob.has_magic(path):
            fixed = _fixed_part(path)
            return _url(system, fixed), ((_url(system, each), None) for each in system.glob(path))
        if system.isdir(path):
            return _url(system, path), _walk_url(system, path, output)
        if system.exists(path):
            return "", iter([(text, None)])
    raise QilError(f"There is no file or folder {text}.")


def _named(url: str, found: Found) -> Found:
    """The same, errors on the way being of this URL."""
    with places.opening(url):
        yield from found


def _url(system: Any, path: str) -> str:
    return str(system.unstrip_protocol(path))


def _walk_url(system: Any, folder: str, output: str) -> Found:
    for info in system.ls(folder, detail=True):
        path = str(info["name"])
        if PurePosixPath(path).name.startswith(".") or _url(system, path).rstrip("/") == output.rstrip("/"):
            continue
        if info["type"] == "directory":
            if path.rstrip("/") != folder.rstrip("/"):
                yield from _walk_url(system, path, output)
        elif path.lower().endswith(PICTURES):
            yield _url(system, path), places.state_in(info)
