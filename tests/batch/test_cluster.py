"""The engine on Ray, with a real cluster of this machine."""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from batch_fakes import KILLER, draw, draw_many, setup

from qil_core.batch import cluster
from qil_core.batch.cluster import Cluster
from qil_core.batch.inputs import list_inputs
from qil_core.batch.job import Job, Work
from qil_core.batch.run import NAME, Run, Summary
from qil_core.batch.stages import Setup
from qil_core.batch.table import Table
from qil_core.errors import QilError

pytest.importorskip("ray", reason="no Ray here: nothing about clusters is tested (pip install 'ray[data]')")
pytestmark = pytest.mark.slow

HELPERS = Path(__file__).parent.parent / "helpers"
BAD = ("003", "011")
KILLS = "007"


@pytest.fixture(scope="module")
def there() -> Iterator[Cluster]:
    with pytest.MonkeyPatch.context() as patch:  # its processes are to find the decomposer that kills them
        patch.setenv("PYTHONPATH", os.pathsep.join([str(HELPERS), os.environ.get("PYTHONPATH", "")]))
        with cluster.connected(Cluster(workers=2, gpus=0.0), 2) as started:
            yield started


def run(folder: Path, given: Setup, there: Cluster) -> Summary:
    table = Table()
    list_inputs([str(folder)], str(given.output), table)

    def engine(jobs: Any, again: bool) -> Generator[Work, None, None]:
        return cluster.run(given, jobs, replace(there, retrying=again))

    return Run(table, given.output, "key", lambda *_: None).do(engine)


def test_every_good_picture_comes_out_once_and_every_bad_one_is_named(tmp_path: Path, there: Cluster) -> None:
    draw_many(tmp_path / "in", 20)
    for name in BAD:
        (tmp_path / "in" / f"{name}.png").write_text("broken")
    draw(tmp_path / "in" / f"{KILLS}.png", KILLER)
    summary = run(tmp_path / "in", setup(tmp_path / "out"), there)
    lines = [json.loads(line) for line in (tmp_path / "out" / NAME).read_text().splitlines()]
    assert [line["folder"] for line in lines] == [f"{i:03}" for i in range(20)]
    failed = {line["folder"]: line["error"] for line in lines if line["status"] == "failed"}
    assert failed.keys() == {*BAD, KILLS}
    assert all("cannot be read as a picture" in failed[name] for name in BAD)
    assert failed[KILLS] == "Its worker died. It was tried 2 times, each time on a fresh worker."
    assert (summary.done, summary.failed) == (17, 3)
    assert len(list((tmp_path / "out").rglob("*.zip"))) == 17


def test_too_many_workers_for_the_cluster_are_refused() -> None:
    with pytest.raises(QilError, match=r"8 CPUs and 0 GPUs, too little for 8 workers of 1 CPUs and 0 GPUs"):
        cluster._fitted(Cluster("auto", workers=8, gpus=0.0), {"CPU": 8.0})
    assert cluster._fitted(Cluster("auto", gpus=0.0), {"CPU": 8.0}).workers == 7


def test_a_model_has_a_gpu_of_its_own_where_the_cluster_has_some() -> None:
    assert cluster._fitted(Cluster("auto"), {"CPU": 64.0, "GPU": 4.0}).workers == 4
    assert cluster._fitted(Cluster("auto", gpus=0.5), {"CPU": 64.0, "GPU": 4.0}).workers == 8
    with pytest.raises(QilError, match="and 0 GPUs, too little"):
        cluster._fitted(Cluster("auto", gpus=1.0), {"CPU": 64.0})


def test_jobs_are_packed_in_growing_tasks_of_a_bounded_size() -> None:
    import pickle
    import zlib

    jobs = [Job(i, f"{i}.png", str(i)) for i in range(5000)]
    packed = [pickle.loads(zlib.decompress(some)) for some in cluster._packed(jobs, 64, 2)]
    assert [len(some) for some in packed[:3]] == [1, 2, 3]
    assert max(map(len, packed)) == 64
    assert [job for some in packed for job in some] == jobs
