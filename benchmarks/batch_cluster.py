"""The Ray path with many workers whose decomposer takes a fixed time: how much of it the scheduling costs.

A hundred processes with torch take 25 GB. Here ten pictures at a time sleep in each worker process, as threads, so that
a hundred workers are ten processes; to the scheduler they are a hundred pictures under way.
"""

from __future__ import annotations

import math
import os
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from torch import Tensor

from qil_core.batch import cluster
from qil_core.batch.cluster import Cluster
from qil_core.batch.job import Job
from qil_core.batch.stages import Setup
from qil_core.decompose import Decomposed, Request
from qil_core.example import draw_poster
from qil_core.progress import Progress
from qil_core.stack import LayerStack

from .batch import Nowhere

CASES = ((1, 5.0), (10, 5.0), (100, 5.0), (100, 20.0))
"""Workers, and seconds that the fake decomposer takes: an H100 takes 54 for a picture, see docs/capacity.md."""

ROUNDS = 4
"""Pictures a worker."""

THREADS = 10
"""Workers that share a process."""


class Sleeper:
    """A decomposer that only waits. Its notes say when it began and ended, in seconds since 1970."""

    label = "Sleeper"

    def __init__(self, takes: float) -> None:
        self.takes = takes

    def decompose(self, picture: Tensor, request: Request, progress: Progress) -> Decomposed:
        began = time.time()
        time.sleep(self.takes)
        return Decomposed(LayerStack(picture[None], ("sheet",)), (repr(began), repr(time.time())))


def run() -> None:
    """A line for each case."""
    os.environ["PYTHONPATH"] = os.pathsep.join([os.getcwd(), os.environ.get("PYTHONPATH", "")])
    for workers, takes in CASES:
        with tempfile.TemporaryDirectory() as there:
            _simulate(Path(there), workers, takes)


def _simulate(there: Path, workers: int, takes: float) -> None:
    draw_poster(24, 24).save(there / "x.png")
    jobs = [Job(i, str(there / "x.png"), str(i)) for i in range(workers * (ROUNDS + 2))]
    setup = Setup(partial(Sleeper, takes), Request(2), None, ("zip",), Nowhere())
    threads = min(THREADS, workers)
    processes = math.ceil(workers / threads)
    asked = Cluster(workers=processes, gpus=0.0, cpus=0.1)
    with cluster.connected(asked, 2) as there_is, patch.object(cluster, "_pool", partial(_pool, threads)):
        own = time.process_time()
        works = [work for work in cluster.run(setup, jobs, there_is) if work.report]
        own = (time.process_time() - own) / len(jobs)
    busy = _busy([tuple(map(float, work.report.notes)) for work in works if work.report], processes * threads)
    print(
        f"  {processes * threads:3} workers in {processes} processes, {len(works)} of {len(jobs)} pictures of "
        f"{takes:g} s: workers wait {1 - busy:.1%} of the time for the next picture; "
        f"leading process {own * 1e3:.0f} ms a picture",
        flush=True,
    )


def _busy(spans: Sequence[tuple[float, ...]], workers: int) -> float:
    """Share of the workers' time in which they decompose, from when all have begun until the last picture begins."""
    starts = sorted(start for start, _ in spans)
    begin, end = starts[workers - 1], starts[-1]
    inside = sum(max(0.0, min(stop, end) - max(start, begin)) for start, stop in spans)
    return inside / (workers * (end - begin))


def _pool(threads: int, workers: int) -> Any:
    from ray.data import ActorPoolStrategy

    return ActorPoolStrategy(
        size=workers,
        max_tasks_in_flight_per_actor=threads,
        max_concurrent_calls_per_actor=threads,
        enable_true_multi_threading=True,
    )
