"""Files appear whole or not at all: written under a temporary name beside the target, then renamed onto it.

A process that is killed leaves its temporary files behind. Their names say which process made them and where, so
that the next write into the same folder can remove those that nobody writes any more, and no others.
"""

from __future__ import annotations

import errno
import os
import platform
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

from ..errors import QilError

OURS = re.compile(r"\.qil-([0-9a-f]{8})-(\d+)-[0-9a-f]{32}(\..*)?")
"""Names of temporary files: where process numbers count (see _realm), the process, a random number, the ending."""

FORSAKEN = 24 * 60 * 60.0
"""Seconds after which nobody is thought to be still writing a file, where its process cannot be asked for."""

ADVICE = {
    errno.ENOSPC: "Free some space on that disk, or choose another folder.",
    errno.EDQUOT: "Free some space (your quota is used up), or choose another folder.",
    errno.EFBIG: "That disk takes no file this large: choose another disk, or write fewer layers.",
    errno.EACCES: "Close the programs that have it open, or choose a folder you may write to.",
    errno.EPERM: "Close the programs that have it open, or choose a folder you may write to.",
    errno.EROFS: "That disk is read-only: choose another folder.",
    errno.ENAMETOOLONG: "Choose a shorter file or folder name.",
    errno.ENOTDIR: "A part of the path is a file, not a folder: choose another folder.",
    errno.EEXIST: "A part of the path is a file, not a folder: choose another folder.",
    errno.EISDIR: "A folder has that name: choose another file name.",
}


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path (same folder, same suffix) to write; renamed onto `path` when the block ends well.

    Parent folders are made. When the block raises (an interrupt too), the temporary is removed and a file already
    at `path` keeps its content. Raises QilError for any OSError, on the way or in the block.
    """
    with atomic_paths([path]) as temporaries:
        yield temporaries[0]


@contextmanager
def atomic_paths(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Like atomic_path for files that only make sense together: all of them appear, or none.

    Should a rename fail half way, the files that this call had already put in place are removed, and so are the folders
    that it made.
    """
    made: list[Path] = []
    temporaries: list[Path] = []
    placed: list[Path] = []
    with _naming(paths[0]):
        try:
            for path in paths:
                _prepare(path, made)
            for folder in {path.parent for path in paths}:
                _tidy(folder)
            temporaries += map(_temporary, paths)
            yield temporaries
            for temporary, path in zip(temporaries, paths, strict=True):
                temporary.replace(path)
                placed.append(path)
        except BaseException:
            _remove([*temporaries, *placed])
            _remove_folders(made)
            raise


def _temporary(path: Path) -> Path:
    """A new name beside a path, with its ending; hidden on Linux and macOS."""
    return path.with_name(f".qil-{_realm()}-{os.getpid()}-{uuid4().hex}{path.suffix}")


@cache
def _realm() -> str:
    """Where this process has its number: the machine, and on Linux the container. Folders may be shared by several."""
    namespace = ""
    with suppress(OSError):
        namespace = os.readlink("/proc/self/ns/pid")
    return sha256(f"{platform.node()} {namespace}".encode(errors="replace")).hexdigest()[:8]


def _tidy(folder: Path) -> None:
    """Remove the temporary files that killed processes left in a folder."""
    with suppress(OSError):  # a folder may be one to write into but not to list
        _remove([file for file in folder.iterdir() if _is_left_over(file)])


def _is_left_over(file: Path) -> bool:
    """Whether a file is a temporary one that no process writes any more."""
    name = OURS.fullmatch(file.name)
    if name is None:
        return False
    if name[1] == _realm() and os.name == "posix":
        return not _is_running(int(name[2]))
    try:
        return time.time() - file.stat().st_mtime > FORSAKEN
    except FileNotFoundError:
        return False  # its process has just put it in place


def _is_running(process: int) -> bool:
    """Whether there is a process of that number, whoever owns it. Only for POSIX: on Windows the question ends it."""
    try:
        os.kill(process, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Turn an OSError in the block into a QilError that names the path, the reason and what to do."""
    try:
        yield
    except OSError as error:
        advice = ADVICE.get(error.errno or 0, "Check the path and the disk, or choose another folder.")
        raise QilError(f"Cannot write {path}: {error.strerror or error}. {advice}") from error


def _prepare(path: Path, made: list[Path]) -> None:
    """Fail before the work: no folder can be made, the name is too long, or a folder has it.

    made: the folders that this call makes are added to it, the outer ones first.
    """
    try:
        missing = [folder for folder in path.parents if not folder.exists()]
        for folder in reversed(missing):
            folder.mkdir(exist_ok=True)
            made.append(folder)
        with suppress(FileNotFoundError):
            path.lstat()
    except ValueError as error:  # a NUL or half a surrogate pair
        raise OSError(errno.EINVAL, str(error)) from error
    if path.is_dir():
        raise OSError(errno.EISDIR, "Is a folder")


def _remove(paths: Sequence[Path]) -> None:
    for path in paths:
        with suppress(OSError):
            path.unlink()


def _remove_folders(made: Sequence[Path]) -> None:
    """Remove the folders that were made, the inner ones first; one that somebody else has put a file into stays."""
    for folder in reversed(made):
        with suppress(OSError):
            folder.rmdir()
