"""`qil run`: a workflow on one ComfyUI server or several, with one job or thousands."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from ..error_codes import told
from ..errors import QilError
from ..remote.address import DEFAULT, ENVIRONMENT, header, server_urls
from ..remote.jobs import Job, jobs_of
from ..remote.lists import rows_of
from ..remote.pool import Line, Pool
from ..remote.preflight import check_disk, check_nodes, check_uploads, connect, convert_with
from ..remote.record import OK, Record
from ..remote.server import Server
from ..remote.workflow import Workflow, load_workflow
from ..text import printable

UNBEGUN = 2
"""Exit status when nothing could be begun: argparse's own for a wrong command line."""

LISTED_FAILURES = 20
"""Failed jobs that the table at the end shows; all are in the manifest."""

NAME_WIDTH = 32
"""Characters of a job's name in a table or before a bar."""


def add(commands: argparse._SubParsersAction) -> None:
    """The command and its options."""
    run = commands.add_parser("run", help="a workflow on ComfyUI servers, with one job or thousands")
    run.add_argument("workflow", type=Path, metavar="WORKFLOW.json", help="from Workflow > Export (API)")
    run.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="folder for a folder a job")
    slot = "an input of a node by id or title: 6.text=a fox, or Your picture.image=photo.png; a file is uploaded"
    run.add_argument("--set", action="append", default=[], metavar="NODE.INPUT=VALUE", help=slot)
    run.add_argument(
        "--each", metavar="NODE.INPUT=FILES", help="a job for each file of a folder or pattern: photos/*.png"
    )
    run.add_argument("--jobs", type=Path, metavar="LIST", help="a job for each row of a .csv or .jsonl: slots and name")
    where = f"repeatable; jobs go to the least busy (default: ${ENVIRONMENT}, else {DEFAULT})"
    run.add_argument("--server", action="append", default=[], metavar="URL", help=where)
    run.add_argument("--header", action="append", default=[], metavar="NAME:VALUE", help="sent to every server")
    run.add_argument("--timeout", type=_seconds, default=3600, metavar="S", help="seconds a job may run (default 3600)")
    wait = "seconds to wait for servers when all went away (default 120)"
    run.add_argument("--wait", type=_seconds, default=120, metavar="S", help=wait)
    run.add_argument("--json", action="store_true", help="a JSON object on stdout for each job that ends")
    run.set_defaults(run=_run)


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 < number < 1e9:
        raise argparse.ArgumentTypeError(f"{text} is no number of seconds")
    return number


def _run(options: argparse.Namespace) -> None:
    stop = threading.Event()
    with suppress(ValueError):  # not in the main thread
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # a scheduler's way of Ctrl-C
    try:
        servers, workflow, jobs = _prepared(options, stop)
        check_disk(options.output)
        record = Record(options.output, workflow)
    except QilError as error:
        print(f"qil: {told(error)}", file=sys.stderr)
        raise SystemExit(UNBEGUN) from None
    with closing(record):
        pool = Pool(workflow, servers, options.output, options.timeout, options.wait)
        tally = Tally(len(jobs), options.json)
        try:
            _work(pool, jobs, record, tally, workflow)
        except KeyboardInterrupt:
            tally.stopped(record.path)
            raise
    tally.end(record.path)


def _prepared(options: argparse.Namespace, stop: threading.Event) -> tuple[list[Server], Workflow, list[Job]]:
    """All that can be checked before work begins. Raises QilError."""
    rows = rows_of(options.set, options.each, options.jobs)
    servers = connect(server_urls(options.server), dict(map(header, options.header)), stop)
    workflow = load_workflow(options.workflow, convert_with(servers))
    jobs = jobs_of(workflow, check_nodes(workflow, servers), rows)
    check_uploads(jobs, servers)
    return servers, workflow, jobs


def _work(pool: Pool, jobs: Sequence[Job], record: Record, tally: Tally, workflow: Workflow) -> None:
    """Do what is not done yet, and tell of each job as it ends."""
    todo = []
    for job in jobs:
        if row := record.done(job):
            tally.tell(row, before=True)
        else:
            todo.append(job)
    with closing(pool.run(todo)) as results, Bars(jobs, len(jobs) - len(todo), workflow) as bars:
        for result in results:
            if result is not None:
                bars.advance()
                tally.tell(record.add(result))
            bars.draw(pool.lines)


class Tally:
    """What is said about jobs that ended: lines for people or JSON for programs, and a table at the end."""

    def __init__(self, total: int, as_json: bool) -> None:
        self._total, self._json, self._began = total, as_json, time.monotonic()
        self._count: Counter[str] = Counter()
        self._failed: list[Mapping[str, Any]] = []

    def tell(self, row: Mapping[str, Any], before: bool = False) -> None:
        """One job's line of the manifest. before: an earlier run did it."""
        from tqdm import tqdm

        self._count["before" if before else row["status"]] += 1
        if row["status"] != OK:
            self._failed.append(row)
        if self._json:
            tqdm.write(json.dumps({**row, "before": before}), file=sys.stdout)
        elif not before:
            tqdm.write(printable(_line(row)), file=sys.stdout)
        sys.stdout.flush()

    def stopped(self, manifest: Path) -> None:
        """After Ctrl-C."""
        print(f"qil: stopped with {self._summary()}; the same command goes on ({manifest})", file=sys.stderr)

    def end(self, manifest: Path) -> None:
        """The summary, on stderr in JSON mode. Raises QilError when jobs failed: exit status 1."""
        where = sys.stderr if self._json else sys.stdout
        seconds = time.monotonic() - self._began
        print(f"{self._summary()}, in {seconds:.1f} s. Manifest: {manifest}", file=where)
        if self._failed:
            print(printable("\n".join(self._table())), file=sys.stderr)
            raise QilError(f"{len(self._failed)} of {self._total} jobs failed.")

    def _summary(self) -> str:
        before = self._count["before"]
        parts = [f"{self._count[OK] + before} of {self._total} jobs done"]
        parts += [f"{before} of them before"] if before else []
        parts += [f"{len(self._failed)} failed"] if self._failed else []
        return ", ".join(parts)

    def _table(self) -> Iterator[str]:
        width = min(NAME_WIDTH, max(len(row["name"]) for row in self._failed))
        for row in self._failed[:LISTED_FAILURES]:
            yield f"  {row['name'][:NAME_WIDTH]:{width}}  {' '.join(row['error'].split())}"
        if (more := len(self._failed) - LISTED_FAILURES) > 0:
            yield f"  and {more} more"


def _line(row: Mapping[str, Any]) -> str:
    if row["status"] != OK:
        return f"failed {row['name']}: {' '.join(row['error'].split())}"
    files = row["outputs"]
    what = (
        files[0]["path"]
        if len(files) == 1
        else f"{len(files)} files"
        if files
        else "no files, for the workflow saves none"
    )
    return f"done   {row['name']}: {what}, {row['seconds']:.1f} s on {row['server']}"


class Bars:
    """On a terminal's stderr a bar for the whole run and one for each job that is on a server; else nothing."""

    def __init__(self, jobs: Sequence[Job], done: int, workflow: Workflow) -> None:
        from tqdm import tqdm

        self._width = min(NAME_WIDTH, max((len(job.name) for job in jobs), default=0))
        self._titles = {node: workflow.title(node) for node in workflow.graph}
        self._whole = tqdm(total=len(jobs), initial=done, desc="jobs", unit="job", disable=None, leave=False)
        self._jobs: dict[str, Any] = {}

    def __enter__(self) -> Bars:
        return self

    def __exit__(self, *_: object) -> None:
        for bar in (*self._jobs.values(), self._whole):
            bar.close()

    def advance(self) -> None:
        """A job has ended."""
        self._whole.update()

    def draw(self, lines: Sequence[Line]) -> None:
        """Show how far the jobs on the servers are."""
        if self._whole.disable:
            return
        running = {each.prompt_id: (line, each) for line in lines for each in list(line.attempts) if each.prompt_id}
        for gone in self._jobs.keys() - running.keys():
            self._jobs.pop(gone).close()
        for prompt_id, (line, attempt) in running.items():
            if watch := line.server.events.watched(prompt_id):
                what = self._titles.get(watch.node, "") if watch.running else "waiting for its turn"
                self._show(self._bar(prompt_id, attempt.job.name), watch.fraction(), what)

    def _bar(self, prompt_id: str, name: str) -> Any:
        from tqdm import tqdm

        if prompt_id not in self._jobs:
            title = f"{printable(name[:NAME_WIDTH]):{self._width}}"
            form = "{desc} {bar:24} {percentage:3.0f}%{postfix}"
            self._jobs[prompt_id] = tqdm(total=1.0, desc=title, bar_format=form, leave=False)
        return self._jobs[prompt_id]

    def _show(self, bar: Any, fraction: float, what: str) -> None:
        bar.set_postfix_str(printable(what), refresh=False)
        bar.n = fraction
        bar.refresh()
