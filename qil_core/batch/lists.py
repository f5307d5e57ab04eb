"""A list of pictures with options for each: CSV, JSON lines or Parquet, with the columns of COLUMNS."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import QilError
from ..request import MAX_LAYERS, MIN_LAYERS
from ..text import MAX_LINE, MAX_PROMPT, quoted
from . import places

COLUMNS = ("input", "layers", "prompt", "seed")
LIST_SUFFIXES = (".csv", ".jsonl", ".parquet")
AUTO = "auto"

MAX_DIGITS = 20
"""Of a number: 2^64 has as many."""

ROWS_AT_ONCE = 1000
"""Rows of a Parquet file that are in memory at the same time."""


@dataclass(frozen=True)
class Listed:
    """A row. said: the input as the list has it; input: the same, relative paths from the list's folder on."""

    said: str
    input: str
    layers: str | None
    prompt: str | None
    seed: int | None


def read_list(text: str) -> Iterator[Listed]:
    """The rows of a list. Raises QilError, with the row's number, for what is none, and for columns nobody knows."""
    if places.is_url(text):
        raise QilError(f"{text} is a list: bring it to this machine first. The pictures that it names may be URLs.")
    path = places.local_path(text)
    if not path.is_file():
        raise QilError(f"There is no list {text}.")
    readers = {".csv": _csv, ".jsonl": _jsonl, ".parquet": _parquet}
    try:
        for number, row in enumerate(readers[path.suffix.lower()](path), 1):
            yield _listed(path, number, row)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise QilError(f"The list {text} cannot be read: {error}.") from error


def _csv(path: Path) -> Iterator[Mapping[str, Any]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        _check_columns(path, rows.fieldnames or ())
        for row in rows:
            if None in row:
                raise QilError(f"Row {rows.line_num} of {path} has more cells than the first row names.")
            yield row


def _jsonl(path: Path) -> Iterator[Mapping[str, Any]]:
    with path.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError:
                row = None
            if not isinstance(row, dict):
                raise QilError(f"Line {number} of {path} is not a JSON object.")
            _check_columns(path, row)
            yield row


def _parquet(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        from pyarrow import ArrowInvalid, parquet
    except ImportError:
        raise QilError("Parquet lists need pyarrow: pip install 'comfyui-qwen-layers[cluster]', or use CSV.") from None
    try:
        file = parquet.ParquetFile(path)
        _check_columns(path, file.schema_arrow.names)
        for batch in file.iter_batches(ROWS_AT_ONCE):
            yield from batch.to_pylist()
    except ArrowInvalid as error:
        raise QilError(f"{path} is no Parquet file that can be read: {error}.") from None


def _check_columns(path: Path, names: Iterable[str]) -> None:
    unknown = [name for name in names if name not in COLUMNS]
    if unknown:
        raise QilError(f"{path} has columns that nobody knows: {', '.join(unknown)}. Known: {', '.join(COLUMNS)}.")
    if "input" not in names:
        raise QilError(f'{path} has no column "input" with the pictures\' paths or URLs.')


def _listed(path: Path, number: int, row: Mapping[str, Any]) -> Listed:
    where = f"Row {number} of {path}"
    said = row["input"]
    if not isinstance(said, str) or not said.strip() or len(said) > MAX_LINE or "\0" in said:
        raise QilError(f'{where} has no path or URL in the column "input".')
    input = said if places.is_url(said) or said.startswith("file://") else os.path.join(path.parent, said)
    return Listed(said, input, _layers(where, row), _prompt(where, row), _seed(where, row))


def _given(row: Mapping[str, Any], name: str) -> Any:
    """A cell; None where it is empty."""
    value = row.get(name)
    return None if value == "" else value


def _layers(where: str, row: Mapping[str, Any]) -> str | None:
    value = _given(row, "layers")
    if value is None or value == AUTO:
        return value
    count = _whole(value)
    if count is None or not MIN_LAYERS <= count <= MAX_LAYERS:
        wanted = f"{MIN_LAYERS} to {MAX_LAYERS}, or {AUTO}"
        raise QilError(f"{where} asks for {quoted(str(value))} layers, expected {wanted}.")
    return str(count)


def _prompt(where: str, row: Mapping[str, Any]) -> str | None:
    value = _given(row, "prompt")
    if value is not None and (not isinstance(value, str) or len(value) > MAX_PROMPT):
        raise QilError(f"{where} has a prompt that is no text of at most {MAX_PROMPT} characters.")
    return value


def _seed(where: str, row: Mapping[str, Any]) -> int | None:
    value = _given(row, "seed")
    if value is None:
        return None
    seed = _whole(value)
    if seed is None or not 0 <= seed < 2**64:
        raise QilError(f"{where} has the seed {quoted(str(value))}, expected a whole number from 0 to 2^64 - 1.")
    return seed


def _whole(value: object) -> int | None:
    """A whole number of any type that lists have, "4", 4 or 4.0; None for anything else."""
    text = str(value).removesuffix(".0")
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= MAX_DIGITS else None
