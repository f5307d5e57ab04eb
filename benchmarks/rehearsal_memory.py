"""A memory limit for a child process, and what the child takes of memory and of the disk while it works. Linux only."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
INTERVAL = 0.02
"""Seconds between two looks at the child."""

KIB = 1024


@dataclass(frozen=True)
class Limit:
    """how: what keeps the limit, for people. procs: a child enters by writing its number there; None: no control group.

    size: bytes. peak: bytes that were taken at the most, the page cache's share in them.
    """

    how: str
    size: int
    procs: Path | None
    peak: Callable[[], int | None]


@contextmanager
def limited(size: int) -> Iterator[Limit]:
    """A limit of so many bytes for children that `enter` it, by a control group where one can be made."""
    for folder, limit, peak, version in _groups():
        if _made(folder, limit, size):
            try:
                how = f"control group ({version}); pages of mapped files count too"
                yield Limit(how, size, folder / "cgroup.procs", lambda at=folder / peak: _number(at))  # type: ignore[misc]
            finally:
                folder.rmdir()
            return
    yield Limit("RLIMIT_DATA; pages of mapped files do not count", size, None, lambda: None)


def _groups() -> Iterator[tuple[Path, str, str, str]]:
    """Where a control group might be made: folder, its file of the limit, its file of the peak, the version."""
    name = f"rehearsal-{os.getpid()}"
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, own = line.split(":", 2)
        if "memory" in controllers.split(","):
            folder = CGROUPS / "memory" / own.lstrip("/") / name
            yield folder, "memory.limit_in_bytes", "memory.max_usage_in_bytes", "v1"
        elif not controllers:  # a v2 group with processes in it has no groups with limits below it: beside it, then
            yield CGROUPS / own.lstrip("/") / ".." / name, "memory.max", "memory.peak", "v2"


def _made(folder: Path, limit: str, size: int) -> bool:
    try:
        folder.mkdir()
    except OSError:
        return False
    try:
        (folder / limit).write_text(str(size))
    except OSError:
        folder.rmdir()
        return False
    return True


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def enter(procs: str | None, size: int) -> None:
    """For the child: be under the limit from now on."""
    if procs:
        Path(procs).write_text(str(os.getpid()))
    else:
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (size, size))


@dataclass
class Figures:
    """Of a part of the child's work: seconds, bytes read from the disk, and the most bytes of memory at a time.

    work: seconds of all cores, which do not grow when other programs take them. anonymous: memory of the process's own.
    mapped: pages of files, which the system takes back when others need them.
    last: anonymous memory at the part's end.
    """

    seconds: float = 0.0
    work: float = 0.0
    read: int = 0
    resident: int = 0
    anonymous: int = 0
    mapped: int = 0
    last: int = 0

    def see(self, status: dict[str, int]) -> None:
        self.resident = max(self.resident, status.get("VmRSS", 0))
        self.anonymous = max(self.anonymous, status.get("RssAnon", 0))
        self.mapped = max(self.mapped, status.get("RssFile", 0) + status.get("RssShmem", 0))
        self.last = status.get("RssAnon", 0)


class Watch:
    """Figures of a process by the part of its work, which `begin` names."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.parts: dict[str, Figures] = {}
        self.highest = 0
        self._process = process
        self._now = Figures()
        self._read, self._worked, self._began = 0, 0.0, time.perf_counter()

    def begin(self, part: str) -> None:
        """What happens from now on belongs to this part."""
        self._close()
        self._now = self.parts.setdefault(part, Figures())

    def _close(self) -> None:
        read, now = _proc(self._process.pid, "io").get("read_bytes", self._read), time.perf_counter()
        worked = _worked(self._process.pid) or self._worked
        self._now.read += read - self._read
        self._now.work += worked - self._worked
        self._now.seconds += now - self._began
        self._read, self._worked, self._began = read, worked, now

    def look(self) -> None:
        """Take a sample; nothing where the process has ended."""
        status = _proc(self._process.pid, "status")
        if "VmRSS" in status:
            self._now.see(status)
            self.highest = max(self.highest, status["VmHWM"])

    def end(self) -> None:
        self._close()


def _worked(process: int) -> float:
    """Seconds that a process has spent on all cores, its own and the system's for it; 0 where it has ended."""
    with suppress(OSError):
        after_name = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, after_name[11:13])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _proc(process: int, name: str) -> dict[str, int]:
    """Numbers of /proc/PID/status, in bytes where they are given in kB, or of /proc/PID/io."""
    found = {}
    with suppress(OSError):
        for line in Path(f"/proc/{process}/{name}").read_text().splitlines():
            key, _, value = line.partition(":")
            words = value.split()
            if words and words[0].isdecimal():
                found[key] = int(words[0]) * (KIB if words[-1] == "kB" else 1)
    return found
