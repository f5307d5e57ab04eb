"""The Ray path with many workers whose decomposer takes a fixed time: how much of it the scheduling costs.

A hundred processes with torch take 25 GB. Here ten pictures at a time sleep in each worker process, as threads, so that
a hundred workers are ten processes; to the scheduler they are a hundred pictures under way.
"""

from __future__ import annotations

import math
import os
import tempfile
import time
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

TAKES_S = 5.0
"""Seconds that the fake decomposer takes: a tenth of what an H100 takes for a picture, see docs/capacity.md."""

WORKERS = (1, 10, 100)
ROUNDS = 8
"""Pictures a worker."""

THREADS = 10
"""Workers that share a process."""


class Sleeper:
    """A decomposer that only waits."""

    label = "Sleeper"

    def __init__(self, takes: float) -> None:
        self.takes = takes

    def decompose(self, picture: Tensor, request: Request, progress: Progress) -> Decomposed:
        time.sleep(self.takes)
        return Decomposed(LayerStack(picture[None], ("sheet",)), ())


def run() -> None:
    """A line for each number of workers."""
    os.environ["PYTHONPATH"] = os.pathsep.join([os.getcwd(), os.environ.get("PYTHONPATH", "")])
    for workers in WORKERS:
        with tempfile.TemporaryDirectory() as there:
            _simulate(Path(there), workers)


def _simulate(there: Path, workers: int) -> None:
    draw_poster(24, 24).save(there / "x.png")
    jobs = [Job(i, str(there / "x.png"), str(i)) for i in range(workers * (ROUNDS + 2))]
    setup = Setup(partial(Sleeper, TAKES_S), Request(2), None, ("zip",), Nowhere())
    threads = min(THREADS, workers)
    processes = math.ceil(workers / threads)
    asked = Cluster(workers=processes, gpus=0.0, cpus=0.1)
    with cluster.connected(asked, 2) as there_is, patch.object(cluster, "_pool", partial(_pool, threads)):
        own = time.process_time()
        ends = [time.perf_counter() for work in cluster.run(setup, jobs, there_is) if not work.error]
        own = (time.process_time() - own) / len(jobs)
    steady = ends[workers:-workers]  # without the round in which workers start, and the one in which they run out
    rate = (len(steady) - 1) / (steady[-1] - steady[0])
    ideal = processes * threads / TAKES_S
    print(
        f"  {processes * threads:3} workers in {processes} processes, {len(ends)} of {len(jobs)} pictures of "
        f"{TAKES_S:g} s: {rate:.2f} a second of {ideal:.2f}: scheduling, reading, writing take {1 - rate / ideal:.1%}; "
        f"leading process {own * 1e3:.0f} ms a picture",
        flush=True,
    )


def _pool(threads: int, workers: int) -> Any:
    from ray.data import ActorPoolStrategy

    return ActorPoolStrategy(
        size=workers,
        max_tasks_in_flight_per_actor=threads,
        max_concurrent_calls_per_actor=threads,
        enable_true_multi_threading=True,
    )
