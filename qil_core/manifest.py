"""A record of finished work: a file of JSON lines that a run which was cut off can read to go on."""

from __future__ import annotations

import json
import mmap
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .errors import QilError


class Manifest:
    """Appends a line for each finished piece of work, and has it on disk before the next one.

    A line that a crash cut off in the middle is removed when the file is opened again.
    """

    def __init__(self, path: Path) -> None:
        """Make the file and its folder, or go on with what is there. Raises QilError when that cannot be done."""
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _drop_half_a_line(path)
            self._file = open(path, "ab")  # noqa: SIM115  # held until close()
        except OSError as error:
            raise QilError(f"The manifest {path} cannot be written: {error.strerror}.") from None

    def append(self, row: Mapping[str, Any]) -> None:
        """Write one line, onto the disk. Raises QilError when the disk is full or gone."""
        try:
            self._file.write(json.dumps(row, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise QilError(f"The manifest {self.path} cannot be written: {error.strerror}.") from None

    def close(self) -> None:
        """Give the file back."""
        self._file.close()

    def __enter__(self) -> Manifest:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a manifest, in the order in which work was finished; none when there is no file.

    Raises QilError, with the line's number, for a line that is no JSON object. A last line that was cut off by a crash
    has no end of line and is passed over.
    """
    if not path.exists():
        return
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if line.endswith("\n"):
                yield _row(path, number, line)


def _row(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError:
        row = None
    if not isinstance(row, dict):
        raise QilError(f"Line {number} of the manifest {path} is not a JSON object: mend it or move the file away.")
    return row


def _drop_half_a_line(path: Path) -> None:
    if not path.exists() or not path.stat().st_size:
        return
    with open(path, "r+b") as file:
        with mmap.mmap(file.fileno(), 0) as lines:  # which may be many
            end = lines.rfind(b"\n") + 1
        file.truncate(end)
