"""Runs a rehearsal's child process, watches it, and prints what it took."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from .rehearsal_child import Task
from .rehearsal_memory import INTERVAL, Figures, Limit, Watch

GB = 1e9
ROOT = Path(__file__).parents[1]
KILLED = -9
"""Exit status of a process that the system killed, as it does where a control group's memory is used up."""

DENOISING = ("denoising", "preparing the steps", "step ")
"""Parts in which only the transformer works."""

WORDS = ("caption", "describing the picture", "text")
"""Parts in which only the text encoder works."""


@dataclass
class Outcome:
    """How a child did. said: its last words. highest: bytes of resident memory at the most. code: its exit status."""

    parts: dict[str, Figures] = field(default_factory=dict)
    said: dict[str, Any] = field(default_factory=dict)
    highest: int = 0
    code: int = 0

    @property
    def is_done(self) -> bool:
        return "done" in self.said

    @property
    def error(self) -> str:
        """What a user would read; empty where all went well, or where the child died without a word."""
        return str(self.said.get("error", ""))

    @property
    def ended(self) -> str:
        """For people."""
        if self.is_done:
            return "it did its work"
        return "killed, its memory was used up" if self.code == KILLED else f"it ended with exit status {self.code}"

    @property
    def seconds(self) -> float:
        """Since its imports were done."""
        return sum(figures.seconds for part, figures in self.parts.items() if part != "imports")


def run_child(task: Task) -> Outcome:
    """Let a child do a task. It is ended when this is."""
    command = [sys.executable, "-m", "benchmarks.rehearsal_child", task.as_text()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            return _watched(process)
        finally:
            process.kill()


def _watched(process: subprocess.Popen[str]) -> Outcome:
    watch, outcome, lines = Watch(process), Outcome(), SimpleQueue[str]()
    Thread(target=_forward, args=(process, lines), daemon=True).start()
    while True:
        ended = process.poll() is not None
        watch.look()
        try:
            said = json.loads(lines.get(timeout=INTERVAL))
        except Empty:
            if ended:
                break
            continue
        if "part" in said:
            watch.begin(said["part"])
        else:
            outcome.said = said
    watch.end()
    outcome.parts, outcome.highest, outcome.code = watch.parts, watch.highest, process.wait()
    return outcome


def _forward(process: subprocess.Popen[str], lines: SimpleQueue[str]) -> None:
    """Put the child's own lines aside; what libraries print goes on to people."""
    for line in process.stdout or ():
        if line.startswith("{"):
            lines.put(line)
        else:
            print(f"    {line.rstrip()}")


# For people


def gb(size: float) -> str:
    """Bytes as disks are sold."""
    return f"{size / GB:.1f} GB"


COLUMNS = ("seconds", "work", "read", "resident", "anonymous", "mapped")


def print_run(outcome: Outcome, transformer: Path, limit: Limit) -> None:
    """A line a part, then what the goals ask for."""
    print(f"    {'part':28}" + "".join(f"{name:>12}" for name in COLUMNS))
    for part, figures in outcome.parts.items():
        print(f"    {part:28}" + _line(figures))
    print(f"    {'' if outcome.is_done else '! '}{outcome.ended} {outcome.error}")
    taken = limit.peak()
    group = f"; the control group held {gb(taken)} at the most" if taken else ""
    print(f"    resident memory at the most {gb(outcome.highest)}{group}")
    _print_memory(outcome, transformer.stat().st_size)
    _print_first_step(outcome)
    for name, message in (outcome.said.get("done") or {}).get("refused", {}).items():
        print(f"    full disk, {name}: {message}")
    for note in (outcome.said.get("done") or {}).get("notes", ()):
        print(f"    | {note}")
    sys.stdout.flush()


def _line(figures: Figures) -> str:
    sizes = (figures.read, figures.resident, figures.anonymous, figures.mapped)
    return f"{figures.seconds:10.1f} s{figures.work:10.1f} s" + "".join(f"{gb(size):>12}" for size in sizes)


def _print_memory(outcome: Outcome, size: int) -> None:
    """The transformer's pages lie in the page cache once, whoever maps them: its size. More is the process's own."""
    before = outcome.parts.get("opening", Figures()).last
    own = max((f.anonymous for part, f in outcome.parts.items() if part.startswith(DENOISING)), default=before) - before
    loaded = max((f.anonymous for part, f in outcome.parts.items() if part.startswith("Loading")), default=before)
    print(
        f"    anonymous memory, beside {gb(before)} of the libraries: {gb(loaded - before)} after loading, {gb(own)} "
        f"with the transformer at work; with its file's {gb(size)} that is {(size + own) / size:.2f}x the file"
    )


def _print_first_step(outcome: Outcome) -> None:
    """Seconds from opening the files to the first step."""
    order = list(outcome.parts)
    if "step 1 of 2" not in order:
        return
    before = [part for part in order[: order.index("step 1 of 2")] if part != "imports"]
    total = sum(outcome.parts[part].seconds for part in before)
    words = sum(outcome.parts[part].seconds for part in before if part in WORDS)
    step = outcome.parts["step 1 of 2"].seconds
    print(
        f"    to the first step {total:.1f} s, {words:.1f} s of them the text encoder's; the step itself {step:.1f} s"
    )
