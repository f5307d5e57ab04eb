"""Files appear whole or not at all: written under a temporary name beside the target, then renamed onto it."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from ..errors import QilError

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

    Should a rename fail half way, the files that this call had already put in place are removed.
    """
    with _naming(paths[0]):
        for path in paths:
            _prepare(path)
        temporaries = [path.with_name(f".{uuid4().hex}{path.suffix}") for path in paths]
        placed: list[Path] = []
        try:
            yield temporaries
            for temporary, path in zip(temporaries, paths, strict=True):
                temporary.replace(path)
                placed.append(path)
        except BaseException:
            _remove([*temporaries, *placed])
            raise


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Turn an OSError in the block into a QilError that names the path, the reason and what to do."""
    try:
        yield
    except OSError as error:
        advice = ADVICE.get(error.errno or 0, "Check the path and the disk, or choose another folder.")
        raise QilError(f"Cannot write {path}: {error.strerror or error}. {advice}") from error


def _prepare(path: Path) -> None:
    """Fail before the work: no folder can be made, the name is too long, or a folder has it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
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
