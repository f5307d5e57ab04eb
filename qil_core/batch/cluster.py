"""The engine of many machines: a Ray Data pipeline, of Ray's own cluster on this machine or one that is there already.

read and decode run ahead as the pipeline's source, decompose runs in actors that keep their decomposer, write runs in
tasks behind them. Every picture is a block of its own, so that a worker that dies takes one picture with it: Ray drops
that block (`max_errored_blocks`), starts the actor again, and the run sees that a picture never came out.

Between stages a picture is two columns: its Work, pickled, and its pixels, which Ray keeps in shared memory. What is
under way is bounded by the object store, whatever the number of inputs.
"""

from __future__ import annotations

import logging
import math
import os
import pickle
import warnings
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from ..errors import QilError
from . import stages
from .job import Job, Work
from .stages import Setup

STORE_BYTES = 1 << 30
"""Shared memory of a cluster that is started here (1 GiB): pictures and layers that wait between two stages."""

JOBS_A_TASK = 64
"""Pictures that one task of the source reads, at the most: more make fewer tasks, fewer spread better."""

TASK_CPU = 0.5
"""Of a core, what a task that reads or writes is counted as: for half of the time it waits."""

NO_PIXELS = np.zeros((0, 0, 0, 4), np.uint8)
"""In the place of pixels where a picture has failed or is done."""

Batch = dict[str, Any]


@dataclass(frozen=True)
class Cluster:
    """What to run on. address: of a cluster; None starts one here. workers: actors that decompose, None: as many as
    there is room for. gpus: of each actor, may be a fraction; None: one with a model where the cluster has GPUs.
    cpus: of each actor, may be a fraction. retrying: of pictures that killed a worker, so one task for each.
    """

    address: str | None = None
    workers: int | None = None
    gpus: float | None = None
    cpus: float = 1.0
    retrying: bool = False


@contextmanager
def connected(cluster: Cluster, cores: int) -> Iterator[Cluster]:
    """The cluster with its number of workers, joined or started, until the block ends. Raises QilError."""
    ray = _ray()
    quiet = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    try:
        with _hushed():
            if cluster.address:
                ray.init(cluster.address, **quiet)
            else:
                cpus = math.ceil((cluster.workers or cores) * cluster.cpus) + 1  # Ray takes whole ones
                ray.init("local", num_cpus=cpus, include_dashboard=False, object_store_memory=STORE_BYTES, **quiet)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        where = f"The Ray cluster {cluster.address}" if cluster.address else "Ray on this machine"
        raise QilError(f"{where} cannot be reached ({error}). Check the address and that Ray runs there.") from error
    try:
        yield _fitted(cluster, ray.cluster_resources())
    finally:
        ray.shutdown()


def _fitted(cluster: Cluster, has: dict[str, float]) -> Cluster:
    """As many workers as there is room for, a core being left for reading and writing. Raises QilError: not so many."""
    gpus = (1.0 if has.get("GPU") else 0.0) if cluster.gpus is None else cluster.gpus
    room = int((has.get("CPU", 0) - 1) / cluster.cpus)
    room = min(room, int(has.get("GPU", 0) / gpus)) if gpus else room
    if room < (cluster.workers or 1):
        asked = f"{cluster.workers or 1} workers of {cluster.cpus:g} CPUs and {gpus:g} GPUs, and a CPU for the rest"
        there = f"{has.get('CPU', 0):g} CPUs and {has.get('GPU', 0):g} GPUs"
        raise QilError(f"The cluster has {there}, too little for {asked}: use fewer --workers, or other --num-gpus.")
    return replace(cluster, workers=cluster.workers or room, gpus=gpus)


def run(setup: Setup, jobs: Iterable[Job], cluster: Cluster) -> Generator[Work, None, None]:
    """The work of each job when it is done; a job whose worker died does not come. Call it in `connected`."""
    ray = _ray()
    todo = list(_packed(jobs, 1 if cluster.retrying else JOBS_A_TASK, cluster.workers or 1))
    if not todo:
        return
    try:
        for batch in _pipeline(setup, todo, cluster).iter_batches(batch_size=None, prefetch_batches=0):
            for work in batch["work"]:
                yield pickle.loads(work)  # made by our own stages, see _columns
    except ray.exceptions.RayError as error:
        raise QilError(f"The Ray cluster stopped working: {error}. Run the same command again to go on.") from error


def _packed(jobs: Iterable[Job], most: int, workers: int) -> Iterator[bytes]:
    """Jobs by the taskful, compressed: the leading process holds all of them. The first tasks are small, so that all
    workers have something to do soon."""
    todo, size = iter(jobs), 1
    while some := list(islice(todo, size)):
        yield zlib.compress(pickle.dumps(some))
        size = min(most, size + 1)


def _pipeline(setup: Setup, todo: list[bytes], cluster: Cluster) -> Any:
    from ray.data import DataContext, read_datasource

    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1  # any number: the run counts what does not come out
    context.target_max_block_size = 1  # bytes, so that no two pictures share a block
    context.target_min_block_size = 1
    source = read_datasource(_source(todo), override_num_blocks=len(todo), num_cpus=TASK_CPU)
    with warnings.catch_warnings():  # max_restarts and max_task_retries have no other place; Ray 2.64 takes it away
        warnings.simplefilter("ignore")
        layers = source.map_batches(
            _Actor,
            fn_constructor_args=(setup,),
            batch_size=1,
            compute=_pool(cluster.workers or 1),
            num_cpus=cluster.cpus,
            num_gpus=cluster.gpus or None,
            max_restarts=-1,
            max_task_retries=0,
        )
    return layers.map_batches(_write, fn_args=(setup,), batch_size=1, num_cpus=TASK_CPU)


def _pool(workers: int) -> Any:
    """One picture a worker at a time: one that waited behind another would die with it."""
    from ray.data import ActorPoolStrategy

    return ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=1)


def _source(todo: list[bytes]) -> Any:
    from ray.data.block import BlockMetadata
    from ray.data.datasource import Datasource, ReadTask

    class Pictures(Datasource):
        """read and decode, a task for some jobs."""

        def estimate_inmemory_data_size(self) -> int | None:
            return None

        def get_read_tasks(self, parallelism: int, *_: Any, **__: Any) -> list[Any]:
            unknown = BlockMetadata(num_rows=None, size_bytes=None, input_files=None, exec_stats=None)
            return [ReadTask(_reader(some), unknown) for some in todo]

    return Pictures()


def _reader(some: bytes) -> Callable[[], Iterator[Any]]:
    def blocks() -> Iterator[Any]:
        from ray.data.block import BlockAccessor

        for job in pickle.loads(zlib.decompress(some)):
            yield BlockAccessor.batch_to_block(_columns(stages.before(Work(job))))

    return blocks


class _Actor:
    """The stage that keeps its decomposer."""

    def __init__(self, setup: Setup) -> None:
        self._decompose = stages.Decompose(setup)

    def __call__(self, batch: Batch) -> Batch:
        return _columns(stages.guarded("decompose", self._decompose, _work(batch)))


def _write(batch: Batch, setup: Setup) -> Batch:
    return {"work": _columns(stages.after(setup, _work(batch)))["work"]}


def _columns(work: Work) -> Batch:
    """A Work as a batch of one row."""
    pixels = NO_PIXELS if work.pixels is None else work.pixels
    return {"work": np.array([pickle.dumps(replace(work, pixels=None))], object), "pixels": pixels[None]}


def _work(batch: Batch) -> Work:
    work: Work = pickle.loads(batch["work"][0])
    pixels = np.asarray(batch["pixels"][0])
    return replace(work, pixels=pixels.copy() if pixels.size else None)  # shared memory is read-only


@contextmanager
def _hushed() -> Iterator[None]:
    """Without what libraries in C++ write to stderr: Ray's says there at every start how much it will say."""
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


def _ray() -> Any:
    """Ray, quiet. Raises QilError where it is not installed."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    try:
        import ray
        import ray.data
    except ImportError as error:
        install = "pip install 'comfyui-qwen-layers[cluster]'"
        raise QilError(f"The engine ray is not installed ({error}): {install}, or use --engine local.") from None
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    return ray
