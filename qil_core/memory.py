"""How much memory of the host is free: what the machine has, what a container may take, what the shell allows."""

from __future__ import annotations

from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
"""Where Linux says what a container may use of the machine (control groups, version 2)."""


def free_ram(cgroup: Path = CGROUP) -> int:
    """Bytes of host memory that are free, or that hold nothing but files which could be read again."""
    import psutil

    available = int(psutil.virtual_memory().available)
    left = left_in_container(cgroup)
    return available if left is None else max(0, min(available, left))


def left_in_container(cgroup: Path) -> int | None:
    """Bytes of memory that this container may still take; None where there is none, or it has no limit.

    What holds nothing but files counts as free: it is given back when the limit is near.
    """
    try:
        limit = (cgroup / "memory.max").read_text().strip()
        used = int((cgroup / "memory.current").read_text())
        about = dict(line.split() for line in (cgroup / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):  # no such system, or one that says it otherwise
        return None
    return int(limit) - used + int(about.get("file", 0)) if limit.isdigit() else None


def addressable() -> int | None:
    """Bytes that this process may still ask the system for (`ulimit -v`); None where there is no such limit."""
    try:
        import resource  # not on Windows
    except ImportError:
        return None
    import psutil

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return None
    return max(0, int(limit - psutil.Process().memory_info().vms))
