"""Jobs over several servers.

Each server has SLOTS threads that take a job, do it and give back its result. A job goes to the server with the fewest
prompts before it, other people's counted. When a server is lost its jobs go back, to the end of the line, and it is
asked now and then whether it is there again; a job that was lost with MAX_LOST servers is thought to be the cause and
fails. Every job ends with exactly one Result.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from uuid import uuid4

from ..errors import QilError
from .faults import JobFailed, ServerLost, Stopped
from .jobs import Job, graph_with
from .outputs import fetch, outputs_of
from .prompt import Prompt
from .record import Result
from .server import Server
from .workflow import Workflow

SLOTS = 2
"""Jobs that a server has at a time: while one runs, the next waits in its queue and the last one's files come back."""

MAX_LOST = 3
"""Lost servers after which a job is not tried again."""

FAREWELL = 15.0
"""Seconds that threads have to cancel their prompts after a stop."""


@dataclass
class Attempt:
    """A job on its way. lost: how many servers went away with it. prompt_id: of the current try."""

    job: Job
    lost: int = 0
    server: Server | None = None
    prompt_id: str = ""
    began: float = 0.0


@dataclass
class Line:
    """One server as the pool sees it. down_since: when it was lost; None while it answers. asked: one thread asks
    whether it is back."""

    server: Server
    attempts: list[Attempt] = field(default_factory=list)
    down_since: float | None = None
    asked: bool = False

    def load(self) -> int:
        """Prompts that a new one would wait for: the pool's own, or all that the server knows of if it told."""
        return max(len(self.attempts), self.server.events.queued or 0)


class Pool:
    """Runs jobs and gives their results as they come.

    folder: where each job gets a folder of its name. limit: seconds that a job may run. wait: seconds without any
    server after which the remaining jobs fail.
    """

    def __init__(
        self, workflow: Workflow, servers: Sequence[Server], folder: Path, limit: float = 3600, wait: float = 120
    ) -> None:
        self._workflow, self._folder, self._limit, self._wait = workflow, folder, limit, wait
        self.lines = [Line(server) for server in servers]
        self._waiting: deque[Attempt] = deque()
        self._left = 0
        self._changed = threading.Condition()
        self._results: SimpleQueue[Result | BaseException] = SimpleQueue()
        self._stop = servers[0].stop
        self._threads: list[threading.Thread] = []

    def run(self, jobs: Sequence[Job], tick: float = 0.2) -> Generator[Result | None, None, None]:
        """Results in the order in which jobs end, and None every `tick` seconds between them, to draw progress.

        Raises DiskFault when a result cannot be kept: no further job is begun then. Close the generator to stop.
        """
        self._waiting.extend(map(Attempt, jobs))
        self._left = len(jobs)
        self._start()
        try:
            for _ in range(len(jobs)):
                while (result := self._next(tick)) is None:
                    yield None
                yield result
        finally:
            self._end()

    def _next(self, tick: float) -> Result | None:
        with suppress(Empty):
            result = self._results.get(timeout=tick)
            if isinstance(result, BaseException):
                raise result
            return result
        self._give_up()
        return None

    def _start(self) -> None:
        for line in self.lines:
            line.server.events.start()
            for number in range(SLOTS):
                name = f"{line.server.url} {number}"
                self._threads.append(threading.Thread(target=self._work, args=(line,), name=name, daemon=True))
        for line in self.lines:  # what is told before it listens is lost, and fast jobs would wait for the next look
            line.server.events.tried.wait(line.server.patience.connect)
        for thread in self._threads:
            thread.start()

    def _end(self) -> None:
        """Stop what still runs, and wait until its prompts are cancelled."""
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
        end = time.monotonic() + FAREWELL
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        for line in self.lines:
            line.server.close()

    def _work(self, line: Line) -> None:
        """A thread's work. What nobody foresaw goes to the main thread, which raises it: no job may end unheard."""
        try:
            while attempt := self._take(line):
                self._do(line, attempt)
        except Stopped:
            pass
        except BaseException as error:
            self._results.put(error)

    def _take(self, line: Line) -> Attempt | None:
        """The next job for a server once it is its turn; None when there is nothing more to do."""
        with self._changed:
            while self._left and not self._stop.is_set():
                if line.down_since is not None:
                    self._look_after(line)
                elif self._waiting and self._is_least_busy(line):
                    attempt = self._waiting.popleft()
                    line.attempts.append(attempt)
                    attempt.server, attempt.began = line.server, time.monotonic()
                    return attempt
                else:
                    self._changed.wait(line.server.patience.pause)  # what other people queue is told by nobody
        return None

    def _is_least_busy(self, line: Line) -> bool:
        free = [each for each in self.lines if each.down_since is None and len(each.attempts) < SLOTS]
        return line.load() <= min((each.load() for each in free), default=0)

    def _look_after(self, line: Line) -> None:
        """Wait a while, then see whether a lost server is back. The lock is open meanwhile."""
        self._changed.wait(line.server.patience.back)
        if self._stop.is_set() or not self._left or line.down_since is None or line.attempts or line.asked:
            return
        line.asked = True
        self._changed.release()
        try:
            back = line.server.is_back()
        finally:
            self._changed.acquire()
            line.asked = False
        if back:
            line.down_since = None
            self._changed.notify_all()

    def _do(self, line: Line, attempt: Attempt) -> None:
        try:
            result = self._done(line.server, attempt)
        except ServerLost as error:
            return self._lost(line, attempt, error)
        except Stopped:
            self._cancel(attempt)
            raise
        except JobFailed as error:
            result = self._failed(attempt, str(error))
        with self._changed:
            self._finish(line, attempt, result)

    def _done(self, server: Server, attempt: Attempt) -> Result:
        """Upload, run, fetch."""
        job = attempt.job
        names = {file.sha256: server.upload(file) for _, file in job.files()}
        graph = graph_with(self._workflow.graph, job.values, lambda file: names[file.sha256])
        attempt.prompt_id = str(uuid4())
        entry = Prompt(server, attempt.prompt_id, graph, self._limit).run()
        files = fetch(server, outputs_of(entry), self._folder / job.name)
        seconds = time.monotonic() - attempt.began
        return Result(job, files, "", server.url, attempt.prompt_id, seconds, server.versions)

    def _failed(self, attempt: Attempt, error: str) -> Result:
        server = attempt.server
        seconds = time.monotonic() - attempt.began if server else 0.0
        versions, url = (server.versions, server.url) if server else (None, "")
        return Result(attempt.job, (), error, url, attempt.prompt_id, seconds, versions)

    def _cancel(self, attempt: Attempt) -> None:
        """After a stop: take the job's prompt from the server, if that still answers."""
        if attempt.prompt_id and attempt.server:
            with suppress(QilError):
                attempt.server.cancel(attempt.prompt_id)

    def _lost(self, line: Line, attempt: Attempt, error: ServerLost) -> None:
        if attempt.prompt_id:
            line.server.abandon(attempt.prompt_id)
        with self._changed:
            line.down_since = line.down_since or time.monotonic()
            attempt.lost += 1
            if attempt.lost >= MAX_LOST:
                said = f"It was lost {attempt.lost} times with its server, which may be its own doing. The last time: "
                said += str(error)
                return self._finish(line, attempt, self._failed(attempt, said))
            line.attempts.remove(attempt)
            attempt.prompt_id = ""
            self._waiting.append(attempt)
            self._changed.notify_all()

    def _finish(self, line: Line, attempt: Attempt, result: Result) -> None:
        line.attempts.remove(attempt)
        self._left -= 1
        self._results.put(result)
        self._changed.notify_all()

    def _give_up(self) -> None:
        """Fail what is left when no server has been there for too long."""
        with self._changed:
            downs = [line.down_since for line in self.lines]
            busy = any(line.attempts for line in self.lines)
            if busy or not all(downs) or time.monotonic() - max(down or 0 for down in downs) < self._wait:
                return
            for attempt in self._waiting:
                self._results.put(self._failed(attempt, f"No server was there for {self._wait:g} s; --wait sets that."))
            self._left -= len(self._waiting)
            self._waiting.clear()
            self._changed.notify_all()
