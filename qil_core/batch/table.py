"""All pictures of a run, on the disk: 100 000 of them take no memory of the process that leads the run.

A temporary SQLite file, which the system removes with the process, holds two tables: jobs, in the order of the inputs,
and the newest line of the manifest for each folder of results.
"""

from __future__ import annotations

import json
import pickle
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from .job import OK, Job

SCHEMA = """
CREATE TABLE jobs (position INTEGER PRIMARY KEY, folder BLOB UNIQUE, job BLOB, settled INTEGER DEFAULT 0);
CREATE TABLE lines (folder BLOB PRIMARY KEY, line TEXT);
CREATE TABLE names (folder BLOB PRIMARY KEY, count INTEGER);
CREATE TABLE found (path BLOB, entry BLOB);
"""

CACHE_KIB = 2048
"""Memory that SQLite may use for pages of the file, in KiB (its own default)."""


class Table:
    """Jobs and lines. Not for several threads."""

    def __init__(self) -> None:
        # An empty name makes a private file on the disk; no commits are needed, since nobody else ever reads it.
        self._base = sqlite3.connect("", isolation_level=None)
        self._base.executescript(f"PRAGMA cache_size = -{CACHE_KIB}; PRAGMA journal_mode = OFF; {SCHEMA}")
        self._count = 0

    def __len__(self) -> int:
        """How many jobs there are."""
        return self._count

    def add(self, job: Job) -> None:
        """One more job; where its folder is taken by another one, "name (2)", "name (3)" ... is free."""
        wished, folder = job.folder, job.folder
        while self._has(folder):
            folder = f"{wished} ({self._again(wished)})"
        job = replace(job, folder=folder, position=self._count)
        self._base.execute(
            "INSERT INTO jobs (position, folder, job) VALUES (?, ?, ?)", (self._count, _key(job.folder), _pack(job))
        )
        self._count += 1

    def _again(self, wished: str) -> int:
        """2, 3, ...: the next number for a folder's name."""
        key = (_key(wished),)
        self._base.execute("INSERT INTO names VALUES (?, 2) ON CONFLICT (folder) DO UPDATE SET count = count + 1", key)
        return int(self._base.execute("SELECT count FROM names WHERE folder = ?", key).fetchone()[0])

    def _has(self, folder: str) -> bool:
        return bool(self._base.execute("SELECT 1 FROM jobs WHERE folder = ?", (_key(folder),)).fetchone())

    def pending(self) -> Iterator[Job]:
        """Jobs that are not settled, in order. Meanwhile any of those that have been given out may be settled."""
        position = -1
        while True:
            wanted = "SELECT position, job FROM jobs WHERE position > ? AND NOT settled ORDER BY position LIMIT 100"
            some = self._base.execute(wanted, (position,)).fetchall()
            if not some:
                return
            for _, job in some:
                yield pickle.loads(job)  # our own bytes, written a moment ago
            position = some[-1][0]

    def count_pending(self) -> int:
        """How many jobs are not settled."""
        return int(self._base.execute("SELECT count(*) FROM jobs WHERE NOT settled").fetchone()[0])

    def settle(self, job: Job, line: Mapping[str, Any] | None = None) -> None:
        """A job is done with. line: its line of the manifest; None where that is there already."""
        self._base.execute("UPDATE jobs SET settled = 1 WHERE position = ?", (job.position,))
        if line is not None:
            self.remember(line)

    def remember(self, line: Mapping[str, Any]) -> None:
        """A line of the manifest, in the place of an earlier one for the same folder."""
        values = (_key(str(line.get("folder", ""))), json.dumps(line))
        self._base.execute("INSERT OR REPLACE INTO lines VALUES (?, ?)", values)

    def line_of(self, job: Job) -> dict[str, Any] | None:
        """The newest line for a job's folder."""
        found = self._base.execute("SELECT line FROM lines WHERE folder = ?", (_key(job.folder),)).fetchone()
        return json.loads(found[0]) if found else None

    def lines(self) -> Iterator[dict[str, Any]]:
        """All lines: those of jobs in the jobs' order, then what earlier runs left of other inputs."""
        joined = "SELECT line FROM lines LEFT JOIN jobs USING (folder) ORDER BY position IS NULL, position, lines.rowid"
        for (line,) in self._base.execute(joined):
            yield json.loads(line)

    def failures(self, most: int) -> list[dict[str, Any]]:
        """Lines of this run's jobs that failed, the first ones."""
        lines = self._base.execute("SELECT line FROM jobs JOIN lines USING (folder) ORDER BY position")
        failed = (line for (text,) in lines if (line := json.loads(text))["status"] != OK)
        return [line for line, _ in zip(failed, range(most), strict=False)]

    def in_order(self, found: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
        """Paths and what is known of each, sorted by path."""
        self._base.execute("DELETE FROM found")
        packed = ((_text(path), _pack(entry)) for path, entry in found)
        self._base.executemany("INSERT INTO found VALUES (?, ?)", packed)
        for path, entry in self._base.execute("SELECT path, entry FROM found ORDER BY path"):
            yield path.decode("utf-8", "surrogatepass"), pickle.loads(entry)


def _key(folder: str) -> bytes:
    """The same for folders that Windows and macOS take for one."""
    return _text(folder.casefold())


def _text(text: str) -> bytes:
    """File names may hold what is no text, half a surrogate pair, which SQLite's own texts cannot."""
    return text.encode("utf-8", "surrogatepass")


def _pack(value: object) -> bytes:
    return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
