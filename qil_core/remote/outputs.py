"""The files of a finished job: every {filename, subfolder, type} in the history, previews left out, fetched whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from ..errors import QilError
from ..files.atomic import atomic_path
from .faults import JobFailed, ServerLost, Stopped
from .naming import safe_name
from .server import Server
from .web import Answer, Lost

MAX_FILES = 10_000
"""Files of one job: far above what a graph writes, and below what would fill a folder."""


class DiskFault(QilError):
    """A result cannot be written here: no other job could be, either."""


@dataclass(frozen=True)
class Output:
    """A file that a node reports."""

    filename: str
    subfolder: str
    type: str


@dataclass(frozen=True)
class Fetched:
    """A file of a job's folder."""

    path: Path
    size: int
    sha256: str


def outputs_of(entry: Mapping[str, Any]) -> list[Output]:
    """The files of a history entry, whatever key a node reports them under; each once. Raises JobFailed: too many."""
    found = list(dict.fromkeys(output for output in _reported(entry) if output.type != "temp"))
    if len(found) > MAX_FILES:
        raise JobFailed(f"It reports {len(found)} files; at most {MAX_FILES} are fetched.")
    return found


def _reported(entry: Mapping[str, Any]) -> Iterator[Output]:
    for node in _values(entry.get("outputs")):
        for items in _values(node):
            for item in items if isinstance(items, list) else ():
                if isinstance(item, dict) and isinstance(item.get("filename"), str):
                    yield Output(item["filename"], str(item.get("subfolder") or ""), str(item.get("type") or "output"))


def _values(found: Any) -> list[Any]:
    return list(found.values()) if isinstance(found, dict) else []


def fetch(server: Server, outputs: list[Output], folder: Path) -> list[Fetched]:
    """Write the files of a job into its folder, each whole or not at all.

    Raises ServerLost, JobFailed, Stopped, and DiskFault when this machine cannot keep them.
    """
    return [
        _fetch(server, output, folder / name) for output, name in zip(outputs, _names(outputs), strict=True)
    ]  # one by one: the server reads them from one disk


def _names(outputs: list[Output]) -> list[str]:
    """A safe name for each; files of one name from several subfolders are numbered."""
    names: list[str] = []
    taken: set[str] = set()
    for output in outputs:
        name = safe_name(output.filename)
        stem, dot, ending = name.rpartition(".")
        number = 1
        while name.casefold() in taken:
            number += 1
            name = f"{stem} ({number}){dot}{ending}" if stem else f"{ending} ({number})"
        taken.add(name.casefold())
        names.append(name)
    return names


def _fetch(server: Server, output: Output, path: Path) -> Fetched:
    query = {"filename": output.filename, "subfolder": output.subfolder, "type": output.type}
    try:
        with atomic_path(path) as temporary:
            return _download(server, query, temporary, path)
    except (JobFailed, ServerLost):
        raise
    except QilError as error:
        raise DiskFault(str(error)) from None


def _download(server: Server, query: Mapping[str, str], temporary: Path, path: Path) -> Fetched:
    done: list[Fetched] = []

    def once() -> Answer | Lost:
        if server.stop.is_set():
            raise Stopped
        try:
            with server.web.stream("/view", query) as (status, pieces):
                if status == 200:
                    done.append(_kept(pieces, temporary, path))
                return Answer(status, b"")
        except ServerLost as error:
            return Lost(str(error), sent=True)

    answer = server.web.repeated(once)
    if not done:
        raise JobFailed(
            f"{server.url} no longer has its file {query['filename']} (HTTP {answer.status}). ComfyUI remembers the "
            "results of equal graphs: where its output folder was cleaned, start it anew or let it free its memory."
        )
    return done[-1]


def _kept(pieces: Iterator[bytes], temporary: Path, path: Path) -> Fetched:
    found, size = sha256(), 0
    with open(temporary, "wb") as file:
        for piece in pieces:
            file.write(piece)
            found.update(piece)
            size += len(piece)
    return Fetched(path, size, found.hexdigest())
