"""The engine of one machine: processes that take whole pictures through all stages, one picture each at a time.

A process that dies (out of memory, a fault in a library) takes nothing with it but the picture that it held: that one
is given out as `died`, and a new process takes its place. Processes are spawned, not forked: torch's threads do not
survive a fork. One whose run is gone finds its pipe closed and ends.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Generator, Iterable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from . import stages
from .job import Job, Work
from .stages import Setup

LONGEST_FAREWELL_S = 5.0
"""Seconds that a process has to end when it is told to."""


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(setup: Setup, jobs: Iterable[Job], workers: int) -> Generator[Work, None, None]:
    """The work of each job when it is done, in the order in which they become done. workers: processes, 1 or more."""
    todo = iter(jobs)
    busy: dict[Any, _Worker] = {}
    try:
        for job in todo:
            worker = _started(setup)
            worker.take(job)
            busy[worker.pipe] = worker
            if len(busy) == workers:
                break
        while busy:
            for pipe in wait(list(busy)):
                worker = busy.pop(pipe)
                work = worker.answer()
                following = None if work.stops else next(todo, None)
                if following is None:
                    worker.end()
                else:
                    worker = _started(setup) if work.died else worker
                    worker.take(following)
                    busy[worker.pipe] = worker
                yield work
    finally:
        for worker in busy.values():
            worker.end()


@dataclass
class _Worker:
    """A process and the picture that it holds."""

    process: Any
    pipe: Connection
    job: Job | None = None

    def take(self, job: Job) -> None:
        self.job = job
        with suppress(OSError):  # it died between two pictures: answer() finds the pipe closed
            self.pipe.send(job)

    def answer(self) -> Work:
        """What came of its picture; waits for it."""
        assert self.job is not None
        try:
            work: Work = self.pipe.recv()
        except (EOFError, OSError):
            self.end()
            return Work(self.job, error=_last_words(self.process.exitcode), died=True)
        return work

    def end(self) -> None:
        self.pipe.close()
        if self.process.exitcode is None:
            self.process.terminate()
        self.process.join(LONGEST_FAREWELL_S)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()


def _started(setup: Setup) -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, its = context.Pipe()
    process = context.Process(target=_main, args=(its, setup), daemon=True)
    process.start()
    its.close()  # so that its end is the only one, and reading tells when the process is gone
    return _Worker(process, ours)


def _main(pipe: Connection, setup: Setup) -> None:
    """In the process: a job comes, its work goes back, until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes of a terminal; the run ends this one
    decompose = stages.Decompose(setup)
    with suppress(EOFError, OSError):  # whoever led the run is gone
        while True:
            work = stages.before(Work(pipe.recv()))
            work = stages.guarded("decompose", decompose, work)
            pipe.send(stages.after(setup, work))


def _last_words(code: int | None) -> str:
    """Why a process died, as far as its exit status tells."""
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        why = ", as the system does when memory is used up" if name == "SIGKILL" else ""
        return f"Its worker died of {name}{why}."
    return f"Its worker ended with exit status {code}."
