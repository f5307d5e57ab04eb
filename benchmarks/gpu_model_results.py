"""Rows of measurements that survive whatever comes after them: each is on the disk as soon as it is there.

Every row is guarded: what it raises is recorded with the end of its traceback, and the next one runs. A row that takes
too long is stopped, and when the time of the command is used up, the other sections are skipped and named.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

TRACEBACK_LINES = 6
"""Of a failure's traceback, the last ones: the place and the message."""

LEAST = 20.0
"""Seconds that must be left for a row to begin."""

LONGEST_ROW = 180.0
"""Seconds after which a row is stopped, so that one that hangs does not take the time of all others."""

GRACE = 20.0
"""Seconds after the end of the time until the process ends itself, where a row cannot be stopped."""

Numbers = dict[str, Any]
Row = tuple[str, Callable[[], Numbers]]
"""A row's name, and what measures it."""

Section = Callable[[Any], Iterator[Row]]
"""Gives its rows for a `Measured`; what it makes for them lives until the last one is done."""


class Measured(Protocol):
    """What is measured."""

    def reset(self) -> None:
        """Forget the row before."""


class OutOfTime(Exception):
    """A row took too long."""


class Results:
    """What one command found out, and how much of its time is left."""

    def __init__(self, path: Path, seconds: float) -> None:
        """path: of a JSON file, which is written anew with every row. seconds: until the command is to end."""
        self.path = path
        self._end = time.monotonic() + seconds
        self.machine: Numbers = {}
        self.rows: list[Numbers] = []
        self.failed: list[Numbers] = []
        self.skipped: list[str] = []

    @property
    def left(self) -> float:
        """Seconds until the command is to end."""
        return self._end - time.monotonic()

    def add(self, section: str, name: str, numbers: Mapping[str, Any]) -> None:
        """Keep and show a row."""
        self.rows.append({"section": section, "row": name, **numbers})
        self.write()
        print(f"  {section}: {name}: " + ", ".join(f"{key} {_short(value)}" for key, value in numbers.items()))

    def fail(self, section: str, name: str, error: BaseException) -> None:
        """Keep and show what went wrong."""
        end = "".join(traceback.format_exception(error)).strip().splitlines()[-TRACEBACK_LINES:]
        self.failed.append({"section": section, "row": name, "error": f"{type(error).__name__}: {error}", "end": end})
        self.write()
        print(f"  {section}: {name}: FAILED\n    " + "\n    ".join(end))

    def skip(self, section: str) -> None:
        """Keep and show what there was no time for."""
        self.skipped.append(section)
        self.write()
        print(f"  {section}: skipped, {max(self.left, 0):.0f} s are left")

    def write(self) -> None:
        """All of it to the disk, in one piece or not at all."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_suffix(".new")
        whole = {"machine": self.machine, "rows": self.rows, "failed": self.failed, "skipped": self.skipped}
        new.write_text(json.dumps(whole, indent=1), encoding="utf-8")
        os.replace(new, self.path)
        sys.stdout.flush()


def new_path(folder: Path, name: str) -> Path:
    """name.json in a folder, or name-2.json and so on: what another visit found is never written over."""
    names = [f"{name}.json", *(f"{name}-{i}.json" for i in range(2, 1000))]
    return next(folder / each for each in names if not (folder / each).exists())


def run_sections(results: Results, sections: Mapping[str, Section], bench: Measured, only: str = "") -> None:
    """Run all rows of all sections, or those whose section or name has the text `only` in it."""
    for name, section in sections.items():
        if results.left < LEAST:
            results.skip(name)
            continue
        _run_section(results, name, section, bench, only)
        bench.reset()


def _run_section(results: Results, name: str, section: Section, bench: Measured, only: str) -> None:
    """All in here, so that nothing holds a section's networks when it is done."""
    try:
        for row, work in _timely(results, name, section(bench)):
            if only in f"{name}: {row}":
                _run_row(results, name, row, work, bench)
    except Exception as error:  # what the section makes for its rows could not be made
        results.fail(name, "preparing", error)


def _timely(results: Results, section: str, rows: Iterator[Row]) -> Iterator[Row]:
    """The rows, each fetched within the time. When that is used up, the next one is named as skipped."""
    while True:
        with limited(min(LONGEST_ROW, max(results.left, LEAST))):
            row = next(rows, None)
        if row is None:
            return
        if results.left < LEAST:
            results.skip(f"{section}: {row[0]}, and what comes after it there")
            return
        yield row


def _run_row(results: Results, section: str, row: str, work: Callable[[], Numbers], bench: Measured) -> None:
    bench.reset()
    begun = time.perf_counter()
    try:
        with limited(min(LONGEST_ROW, max(results.left, LEAST))):
            numbers = work()
    except Exception as error:
        results.fail(section, row, error)
        return
    results.add(section, row, {**numbers, "row s": time.perf_counter() - begun})


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise OutOfTime in here after so many seconds. Only systems with alarms have it, and only their main thread."""
    if not hasattr(signal, "SIGALRM") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(number: int, frame: Any) -> None:
        raise OutOfTime(f"stopped after {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def end_for_sure(results: Results) -> threading.Timer:
    """A timer that ends the process a while after the time is used up, were it stuck in a call that nothing stops."""

    def end() -> None:
        print("the time is used up, and what runs cannot be stopped: the process ends", flush=True)
        os._exit(1)

    timer = threading.Timer(results.left + GRACE, end)
    timer.daemon = True
    timer.start()
    return timer


def _short(value: Any) -> Any:
    return f"{value:.4g}" if isinstance(value, float) else value
