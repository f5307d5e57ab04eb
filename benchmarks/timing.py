"""Timing two pieces of work in turns, so that a drifting machine hurts both alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

Work = Callable[[], object]


@dataclass(frozen=True)
class Pair:
    """Medians in seconds of two pieces of work, and the median of their ratios turn by turn (theirs / ours)."""

    ours: float
    theirs: float
    ratio: float

    def __str__(self) -> str:
        return f"ours {self.ours * 1e3:8.1f} ms, theirs {self.theirs * 1e3:8.1f} ms: {self.ratio:.2f}x faster"


def seconds(work: Work) -> float:
    """Wall time of one call, GPU work included."""
    start = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def median(work: Work, turns: int = 5) -> float:
    """Median wall time in seconds, after one call that is not counted."""
    work()
    return statistics.median(seconds(work) for _ in range(turns))


def in_turns(ours: Work, theirs: Work, turns: int = 9, warm: bool = True) -> Pair:
    """Time ours, theirs, ours, theirs, ... after one call of each that is not counted, unless that takes minutes."""
    if warm:
        ours(), theirs()
    times = [(seconds(ours), seconds(theirs)) for _ in range(turns)]
    a, b = zip(*times, strict=True)
    return Pair(statistics.median(a), statistics.median(b), statistics.median(t / o for o, t in times))
