"""Jobs: values that fit the nodes they are for, files with their hashes, and a key that says when two jobs are one.

A job's key is made of its name and of all that decides its result: the graph with its values, where a file stands by
the hash of its content. A run that goes on, and a list with a row twice, are recognised by it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from ..errors import QilError
from .lists import Given, Row
from .naming import safe_name
from .schema import Input, brought, inputs_of, is_on_server, typed
from .workflow import Graph, Slot, Workflow, check_sendable, digest_of

Schemas = Mapping[str, Mapping[str, Any]]
"""What one server's /object_info says, by class."""

MAX_ERRORS = 10
"""Faulty jobs that are named at once; the others are counted."""

KEY_DIGITS = 8
"""Hexadecimal digits of a key in a made-up name: enough to tell thousands of jobs of one folder apart."""

HASHED_AT_ONCE = 1 << 20
"""Bytes of a file that are read at a time."""


@dataclass(frozen=True)
class Local:
    """A file of this machine that is the value, or a line of the value, of an input."""

    path: Path
    sha256: str
    size: int


Value = Any
"""What JSON holds, a Local, or a tuple of Locals and texts, which is a line for each."""


@dataclass(frozen=True)
class Job:
    """One run of the workflow. values: by slot. given: by slot as the user wrote it, for the manifest."""

    name: str
    values: Mapping[Slot, Value]
    given: Mapping[str, Any]
    key: str

    def files(self) -> Iterator[tuple[Slot, Local]]:
        """The files that it needs, with where."""
        return _files_in(self.values)


def _files_in(values: Mapping[Slot, Value]) -> Iterator[tuple[Slot, Local]]:
    for slot, value in values.items():
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, Local):
                yield slot, part


def graph_with(graph: Graph, values: Mapping[Slot, Value], name_of: Callable[[Local], str]) -> Graph:
    """A graph with values put in. name_of: what stands for a file."""
    filled = {key: {**node, "inputs": dict(node["inputs"])} for key, node in graph.items()}
    for slot, value in values.items():
        filled[slot.node]["inputs"][slot.input] = _written(value, name_of)
    return filled


def _written(value: Value, name_of: Callable[[Local], str]) -> Any:
    if isinstance(value, tuple):
        return "\n".join(_written(part, name_of) for part in value)
    return name_of(value) if isinstance(value, Local) else value


def jobs_of(workflow: Workflow, servers: Mapping[str, Schemas], rows: Sequence[Row]) -> list[Job]:
    """The jobs of rows, each value checked against every server's nodes.

    servers: schemas by address. Raises QilError that names the rows at fault: no such node or input, a wrong value, a
    missing file, two jobs that are the same or share a name.
    """
    jobs, faults = [], []
    for row in rows:
        try:
            jobs.append(_job(workflow, servers, row))
        except QilError as error:
            faults.append(f"{row.where}: {error}" if row.where else str(error))
    if faults:
        more = len(faults) - MAX_ERRORS
        raise QilError("\n".join(faults[:MAX_ERRORS]) + (f"\nand {more} more jobs are faulty" if more > 0 else ""))
    _check_unique([job.key for job in jobs], rows, "are the same job: remove one, or name both in a column `name`")
    _check_unique([job.name.casefold() for job in jobs], rows, "have the same name")
    return jobs


def _check_unique(marks: Sequence[str], rows: Sequence[Row], what: str) -> None:
    places = defaultdict(list)
    for mark, row in zip(marks, rows, strict=True):
        places[mark].append(row.where)
    if twice := next((found for found in places.values() if len(found) > 1), None):
        raise QilError(f"{' and '.join(twice[:MAX_ERRORS])} {what}.")


def _job(workflow: Workflow, servers: Mapping[str, Schemas], row: Row) -> Job:
    given = {workflow.slot(each.slot): each for each in row.given}
    values: dict[Slot, Value] = {}
    for slot in sorted(given, key=lambda slot: slot.input.count(".")):  # a choice before the inputs that it brings
        values[slot] = _value(workflow, servers, values, slot, given[slot])
    for slot in given:
        _complete(workflow, next(iter(servers.values())), values, slot)
    shown = {each.slot: each.value for each in given.values()}
    content = digest_of(graph_with(workflow.graph, values, lambda file: f"sha256:{file.sha256}"))
    name = row.name if row.name is not None else _made_up(workflow, values, content)
    return Job(name, values, shown, sha256(f"{name}\n{content}".encode()).hexdigest())


def _made_up(workflow: Workflow, values: Mapping[Slot, Value], content: str) -> str:
    """ "photo-1a2b3c4d": the first file's name, else the workflow's, and the beginning of what the job is made of."""
    first = next((file for _, file in _files_in(values)), None)
    return f"{safe_name((first.path if first else workflow.path).stem)}-{content[:KEY_DIGITS]}"


def _value(
    workflow: Workflow, servers: Mapping[str, Schemas], values: Mapping[Slot, Value], slot: Slot, given: Given
) -> Value:
    """The value for a slot that fits on every server."""
    node = workflow.graph[slot.node]
    current = _current(workflow, values, slot.node)
    read: list[Value] = []
    for url, schemas in servers.items():
        inputs = inputs_of(schemas[node["class_type"]], current)
        known = inputs.get(slot.input) or _alike(current.get(slot.input))
        if known is None:
            raise QilError(f"Node {workflow.label(slot.node)} has no input {slot.input}. It has: {', '.join(inputs)}.")
        read.append(_read(known, given, f"{given.slot} (on {url})" if len(servers) > 1 else given.slot))
    return read[0]


def _complete(workflow: Workflow, schemas: Schemas, values: dict[Slot, Value], slot: Slot) -> None:
    """Add what a dynamic choice that was set brings with it and nobody gave."""
    current = _current(workflow, values, slot.node)
    defaults = brought(schemas[workflow.graph[slot.node]["class_type"]], current, slot.input)
    values.update({Slot(slot.node, name): value for name, value in defaults.items()})


def _current(workflow: Workflow, values: Mapping[Slot, Value], node: str) -> dict[str, Value]:
    """The inputs of a node: the workflow's own, and above them the values so far."""
    own: dict[str, Value] = workflow.graph[node]["inputs"]
    return own | {slot.input: value for slot, value in values.items() if slot.node == node}


def _alike(value: Any) -> Input | None:
    """For an input that the workflow has and the schema does not list, as Autogrow makes them: as its value is."""
    if value is None:
        return None
    kinds = {bool: "BOOLEAN", int: "INT", float: "FLOAT", str: "STRING"}
    return Input(kinds.get(type(value), "*"), {}, None, False)


def _read(known: Input, given: Given, name: str) -> Value:
    if not known.file or not isinstance(given.value, str):
        check_sendable(given.value, name)
        return typed(known, given.value, name)
    if known.choices is None:  # a text with a file a line
        return tuple(_file(known, line, given.base, name) for line in given.value.splitlines() if line.strip())
    return _file(known, given.value, given.base, name)


def _file(known: Input, text: str, base: Path, name: str) -> Local | str:
    """A file that is here, or else the name of one that the server has."""
    path = base / text
    try:
        if path.is_file():
            return _local(path)
    except OSError as error:
        raise QilError(f"{name}: {path} cannot be read: {error.strerror}.") from None
    if is_on_server(known, text):
        return text
    raise QilError(f"{name}: there is no file {path} here, and the server has none of that name.")


def _local(path: Path) -> Local:
    state = path.stat()
    return _hashed(path, state.st_mtime_ns, state.st_size)


@cache
def _hashed(path: Path, changed: int, size: int) -> Local:
    """changed and size tell versions of one file apart, which many rows of a list may name."""
    found = sha256()
    with open(path, "rb") as file:
        while piece := file.read(HASHED_AT_ONCE):
            found.update(piece)
    return Local(path, found.hexdigest(), size)
