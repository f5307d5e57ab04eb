"""Which jobs there are to do, as the user gave them: one, one for each file of a pattern, or one for each row."""

from __future__ import annotations

import csv
import glob
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import QilError
from ..files.folder import natural
from ..text import quoted
from .naming import safe_name, safe_path

NAME = "name"
"""The column of a list that names a job and with it the folder of its results."""


@dataclass(frozen=True)
class Given:
    """A value for a slot as it was given. base: the folder that relative paths start from."""

    slot: str
    value: Any
    base: Path


@dataclass(frozen=True)
class Row:
    """A job as it was given. where: how errors name it. name: of its folder; None where it is to be made up."""

    where: str
    name: str | None
    given: Sequence[Given] = field(default_factory=list)


def rows_of(sets: Sequence[str], each: str | None, jobs: Path | None) -> list[Row]:
    """The jobs of --set, --each and --jobs; values of a row go before those of --set. Raises QilError."""
    common = [Given(*_split(text, "--set"), Path()) for text in sets]
    if each and jobs:
        raise QilError("Give either --each or --jobs: a list can name the files of each job itself.")
    if each:
        return [Row(row.where, row.name, [*common, *row.given]) for row in _each_file(*_split(each, "--each"))]
    if jobs:
        return [Row(row.where, row.name, [*common, *row.given]) for row in _listed(jobs)]
    return [Row("", None, common)]


def _split(text: str, option: str) -> tuple[str, str]:
    slot, equals, value = text.partition("=")
    if not equals or not slot:
        raise QilError(f"{option} {quoted(text)} sets nothing. Write NODE.INPUT=VALUE, such as 6.text=a fox.")
    return slot, value


def _each_file(slot: str, pattern: str) -> list[Row]:
    """A row for each file that a pattern matches, in natural order; a folder means the files in it."""
    wanted = str(Path(pattern) / "*") if Path(pattern).is_dir() else pattern
    files = sorted((Path(found) for found in glob.glob(wanted, recursive=True)), key=lambda path: natural(str(path)))
    files = [file for file in files if file.is_file()]
    if not files:
        raise QilError(f"--each: no file matches {quoted(pattern)}.")
    names = _names_below(_fixed_part(wanted), files)
    return [Row(str(file), name, [Given(slot, str(file), Path())]) for file, name in zip(files, names, strict=True)]


def _fixed_part(pattern: str) -> Path:
    """The folder that a pattern names before its first wildcard."""
    parts = Path(pattern).parts
    end = next((i for i, part in enumerate(parts) if glob.has_magic(part)), len(parts) - 1)
    return Path(*parts[:end])


def _names_below(root: Path, files: Sequence[Path]) -> list[str]:
    """Names of files by their place below a folder: without their ending where that is enough to tell them apart."""
    short = ["/".join(map(safe_name, file.relative_to(root).with_suffix("").parts)) for file in files]
    folded = [name.casefold() for name in short]
    full = ["/".join(map(safe_name, file.relative_to(root).parts)) for file in files]
    return [b if folded.count(a.casefold()) > 1 else a for a, b in zip(short, full, strict=True)]


def _listed(path: Path) -> list[Row]:
    """The rows of a CSV file with a header, or of a file of JSON lines. Raises QilError."""
    readers = {".csv": _csv_rows, ".jsonl": _json_rows, ".ndjson": _json_rows}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise QilError(f"{path} must be a .csv file with a header, or a .jsonl file with an object a line.")
    try:
        rows = [_row(path, number, cells) for number, cells in reader(path)]
    except OSError as error:
        raise QilError(f"The list {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise QilError(f"The list {path} is not in UTF-8: save it so.") from None
    if not rows:
        raise QilError(f"The list {path} holds no jobs.")
    return rows


def _csv_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Cells by their column; an empty cell leaves the workflow's own value."""
    with open(path, encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines, strict=True)
        try:
            for cells in reader:
                if None in cells or None in cells.values():
                    raise QilError(f"Line {reader.line_num} of {path} has more or fewer cells than the header.")
                yield reader.line_num, {column: cell for column, cell in cells.items() if cell != ""}
        except csv.Error as error:
            raise QilError(f"Line {reader.line_num} of {path} is no CSV: {error}.") from None


def _json_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Values by their slot; null leaves the workflow's own value."""
    with open(path, encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                cells = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise QilError(f"Line {number} of {path} is no JSON: {error}.") from None
            if not isinstance(cells, dict):
                raise QilError(f"Line {number} of {path} must be a JSON object of slots and values.")
            yield number, {slot: value for slot, value in cells.items() if value is not None}


def _row(path: Path, number: int, cells: dict[str, Any]) -> Row:
    where, name = f"line {number} of {path}", cells.pop(NAME, None)
    if name is not None and (not isinstance(name, str) or str(safe_path(name).as_posix()) != name):
        raise QilError(f"{where}: {quoted(str(name))} cannot be the name of a folder on every system.")
    return Row(where, name, [Given(slot, value, path.parent) for slot, value in cells.items()])
