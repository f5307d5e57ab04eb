"""The engine of one machine: processes that may die."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from batch_fakes import KILLER, draw, draw_many, setup

from qil_core.batch import local
from qil_core.batch.job import Job

pytestmark = pytest.mark.slow


def jobs(folder: Path) -> list[Job]:
    return [Job(i, str(path), path.stem) for i, path in enumerate(sorted(folder.iterdir()))]


def test_a_worker_that_dies_takes_one_picture_with_it(tmp_path: Path) -> None:
    draw_many(tmp_path / "in", 6)
    draw(tmp_path / "in" / "002.png", KILLER)
    works = {work.job.stem: work for work in local.run(setup(tmp_path / "out"), jobs(tmp_path / "in"), 2)}
    assert len(works) == 6
    killed = works.pop("002")
    assert killed.died
    assert killed.error == "Its worker died of SIGKILL, as the system does when memory is used up."
    assert all(not work.error and (tmp_path / "out" / work.outputs[0]).exists() for work in works.values())


def test_whoever_stops_asking_leaves_no_process_behind(tmp_path: Path) -> None:
    draw_many(tmp_path / "in", 3)
    works = local.run(setup(tmp_path / "out", seconds=60.0), jobs(tmp_path / "in"), 1)
    signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    signal.alarm(4)
    try:
        with pytest.raises(KeyboardInterrupt):
            next(works)
    finally:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
    (children,) = Path(f"/proc/{os.getpid()}/task/{os.getpid()}").glob("children")
    running = [pid for pid in children.read_text().split() if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()]
    assert running == []
