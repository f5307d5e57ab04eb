"""A whole run: what is left to do, doing it, and the manifest in the end."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import QilError
from ..files.atomic import atomic_path
from ..manifest import Manifest, rows
from ..request import LATER
from . import places
from .job import OK, Job, Work
from .places import Folder, Output
from .stages import Setup
from .table import Table

NAME = "manifest.jsonl"
PARQUET = "manifest.parquet"

TRIES = 2
"""Workers that a picture may kill before it is given up."""

DIED = "Its worker died."
"""Where the engine does not know why."""

MAX_DEATHS = 10
"""Workers that may die one after the other: more are no fault of single pictures."""

SO_MANY = f" So did the {MAX_DEATHS - 1} before: is there memory enough for the decomposer and so many workers?"

ROWS_AT_ONCE = 1000
"""Lines of the manifest that are in memory while it is written as Parquet."""

Engine = Callable[[Iterable[Job], bool], Generator[Work, None, None]]
"""Does jobs; the flag: they are tried again. Jobs whose worker died come as `died`, or not at all."""

Watch = Callable[[int, int, int], None]
"""Called with the numbers of pictures that are settled, failed, and there in all."""


@dataclass
class Summary:
    """What came of a run. there: pictures that an earlier run had done. stopped: why it ended early, or "".

    parquet: whether the manifest was written as Parquet too, for which pyarrow must be installed.
    """

    total: int
    there: int = 0
    done: int = 0
    failed: int = 0
    stopped: str = ""
    parquet: bool = False


def settings_key(setup: Setup, recipe: Mapping[str, Any]) -> str:
    """Names what is asked of all pictures: results that another key made are made anew. recipe: of the decomposer.

    What older versions did not know, and nobody asks for, changes no key: their batches go on where they are.
    """
    limits = asdict(setup.limits) if setup.limits else None
    request = {name: value for name, value in asdict(setup.request).items() if LATER.get(name) != value}
    editable = {name: getattr(setup.asked, name) for name in setup.asked.given()}
    asked = {"recipe": recipe, "request": request, "limits": limits, "formats": setup.formats, **editable}
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]


def key_of(job: Job, key: str) -> str:
    """The same with what a list says of one picture."""
    own = [job.layers, job.prompt, job.seed]
    if own == [None, None, None]:
        return key
    return f"{key}-{hashlib.sha256(json.dumps(own).encode()).hexdigest()[:8]}"


class Run:
    """One run over the pictures of a table."""

    def __init__(self, table: Table, output: Output, key: str, watch: Watch) -> None:
        """key: see `settings_key`. Raises QilError: a manifest that cannot be read or written."""
        self._table, self._output, self._key, self._watch = table, output, key, watch
        self.summary = Summary(len(table))
        self._path = _manifest_path(output)
        if not self._path.exists():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            output.fetch(NAME, self._path)
        for line in rows(self._path):
            table.remember(line)
        for job in table.pending():
            if self._is_done(job):
                table.settle(job)
                self.summary.there += 1

    def _is_done(self, job: Job) -> bool:
        """Whether an earlier run did this picture, as it is now, with these settings, and the results are there."""
        line = self._table.line_of(job)
        if line is None or line["status"] != OK or line["input"] != job.input:
            return False
        if line["settings"] != key_of(job, self._key) or not self._output.has(line["outputs"]):
            return False
        try:
            if (job.state or places.state_of(job.input)) == line["state"]:
                return True
            return hashlib.sha256(places.read_bytes(job.input)).hexdigest() == line["sha256"]
        except QilError:
            return False  # read again as part of the run, which says what is wrong

    def do(self, engine: Engine) -> Summary:
        """Everything that is not done, and then the manifest in order. Raises QilError: the manifest, the cluster.

        After an error the manifest stays in the order in which pictures became done: the disk may be full.
        """
        died: dict[int, str] = {}
        try:
            with Manifest(self._path) as manifest:
                for attempt in range(TRIES):
                    died.clear()
                    self._pass(engine, manifest, attempt > 0, died)
                    left = self._table.count_pending()
                    if left >= MAX_DEATHS and not self.summary.done + self.summary.failed:
                        self.summary.stopped = DIED + SO_MANY
                    if self.summary.stopped or not left:
                        break
                if not self.summary.stopped:
                    self._give_up(manifest, died)
        except KeyboardInterrupt:
            self._put_in_order()
            raise
        if not self.summary.stopped:
            self._put_in_order()
        return self.summary

    def _pass(self, engine: Engine, manifest: Manifest, again: bool, died: dict[int, str]) -> None:
        in_a_row = 0
        with closing(engine(self._table.pending(), again)) as works:
            for work in works:
                in_a_row = in_a_row + 1 if work.died else 0
                if work.died:
                    died[work.job.position] = work.error
                else:
                    self._settle(manifest, work)
                if work.stops or in_a_row == MAX_DEATHS:
                    self.summary.stopped = work.error + ("" if work.stops else SO_MANY)
                    return

    def _give_up(self, manifest: Manifest, died: Mapping[int, str]) -> None:
        """Name the pictures that killed every worker they were given to."""
        for job in self._table.pending():
            why = f"{died.get(job.position, DIED)} It was tried {TRIES} times, each time on a fresh worker."
            self._settle(manifest, Work(job, error=why))

    def _settle(self, manifest: Manifest, work: Work) -> None:
        line = work.line(key_of(work.job, self._key))
        manifest.append(line)
        self._table.settle(work.job, line)
        if work.error:
            self.summary.failed += 1
        else:
            self.summary.done += 1
        settled = self.summary.there + self.summary.done + self.summary.failed
        self._watch(settled, self.summary.failed, self.summary.total)

    def _put_in_order(self) -> None:
        """The manifest anew, in the order of the inputs, and as Parquet where pyarrow is installed."""
        with atomic_path(self._path) as path, path.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in self._table.lines())
        beside = self._path.with_name(PARQUET)
        self.summary.parquet = write_parquet(self._table.lines(), beside)
        if not isinstance(self._output, Folder):
            self._output.put(NAME, self._path)
            if self.summary.parquet:
                self._output.put(PARQUET, beside)
                beside.unlink()
            self._path.unlink()


def _manifest_path(output: Output) -> Path:
    """Where the manifest is while the run is on: in the output folder; for a bucket, where nothing can be appended to,
    on this machine under a name made of the URL, so that a run that was killed finds it again."""
    if isinstance(output, Folder):
        return output.root / NAME
    name = hashlib.sha256(repr(output).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir(), f"qil-batch-{name}", NAME)


def write_parquet(lines: Iterable[Mapping[str, Any]], path: Path) -> bool:
    """The manifest as a table with typed columns; False where pyarrow is not installed. Raises QilError: the disk."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        return False
    schema = pa.schema(
        [
            (name, pa.string())
            for name in ("input", "status", "error", "sha256", "state", "folder", "settings", "report")
        ]
        + [("outputs", pa.list_(pa.string())), ("seconds", pa.float64()), ("layers", pa.int64())]
    )
    with atomic_path(path) as temporary, parquet.ParquetWriter(temporary, schema) as writer:
        some: list[dict[str, Any]] = []
        for line in lines:
            some.append({name: _utf8(line.get(name)) for name in schema.names})
            if len(some) == ROWS_AT_ONCE:
                writer.write_table(pa.Table.from_pylist(some, schema))
                some = []
        writer.write_table(pa.Table.from_pylist(some, schema))
    return True


def _utf8(value: Any) -> Any:
    """Parquet holds UTF-8 alone: halves of surrogate pairs are written as their escapes."""
    if isinstance(value, list):
        return [_utf8(each) for each in value]
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
