"""`qil batch`: workers against one and against a plain loop, its own time, and its memory with many inputs.

Each side is a process of its own, timed from its start to its end, so imports and the start of workers count.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from qil_core.batch import cluster, local
from qil_core.batch.cluster import Cluster
from qil_core.batch.inputs import list_inputs
from qil_core.batch.places import Make
from qil_core.batch.run import NAME, Engine, Run
from qil_core.batch.stages import Setup
from qil_core.batch.table import Table
from qil_core.decompose import Decomposed, Request
from qil_core.example import draw_poster
from qil_core.progress import Progress
from qil_core.stack import LayerStack

from .timing import seconds

PICTURES = 200
SIDES = (480, 640)
"""Pixels of the pictures, width and height."""

LISTED = (("local", 1_000), ("local", 100_000), ("ray", 1_000), ("ray", 10_000))
"""Engines and numbers of inputs; Ray needs some 30 ms of the leading process for each, so there are fewer of them."""

WORKERS = 2

LOOP = """
import sys
from pathlib import Path
from qil_core.batch.results import write_results
from qil_core.decompose import Request
from qil_core.decompose.builtin import Builtin
from qil_core.decompose.run import decompose
from qil_core.files.picture import load_picture
from qil_core.files.registry import FORMATS
builtin = Builtin()
for path in sorted(Path(sys.argv[1]).iterdir()):
    stack, report = decompose(builtin, load_picture(path), Request(4))
    write_results(stack, report, Path(sys.argv[2]) / path.stem, path.stem, [FORMATS["png"], FORMATS["pptx"]])
"""


def run() -> None:
    """All of it."""
    with tempfile.TemporaryDirectory() as there:
        _speed(Path(there), int(os.environ.get("QIL_BENCH_PICTURES", PICTURES)))
    for engine, count in LISTED:  # in a process each, since the peak of a process never falls
        subprocess.run([sys.executable, "-m", "benchmarks.batch", engine, str(count)], check=True)


def _speed(there: Path, count: int) -> None:
    (there / "in").mkdir()
    for i in range(count):
        draw_poster(*SIDES, seed=i).save(there / "in" / f"{i:04}.png")
    two, one, loop = _batch(there, 2), _batch(there, 1), _plain_loop(there)
    print(f"  {count} posters of {SIDES[0]} x {SIDES[1]}, built-in decomposer, PNG and PPTX, seconds from start to end")
    print(f"  2 workers {two:.1f}, 1 worker {one:.1f}: {one / two:.2f}x; plain loop {loop:.1f}: {loop / two:.2f}x")
    lines = [json.loads(line) for line in (there / "out1" / NAME).read_text().splitlines()]
    worked = sum(line["seconds"] for line in lines)
    apart = [json.loads((there / "out1" / line["report"]).read_text())["seconds"] for line in lines]
    own = (one - worked) / count
    print(
        f"  1 worker, a picture: {one / count * 1e3:.0f} ms, of which stages {worked / count * 1e3:.0f} ms, "
        f"decomposition {sum(apart) / count * 1e3:.0f} ms; the batch layer's own {own * 1e3:.1f} ms "
        f"({own / (sum(apart) / count):.1%} of the decomposition), start and end included"
    )


def _batch(there: Path, workers: int) -> float:
    asked = [str(there / "in"), "-o", str(there / f"out{workers}"), "--workers", str(workers)]
    asked += ["--engine", "local"]
    return seconds(partial(subprocess.run, [sys.executable, "-m", "qil_core", "batch", *asked], check=True, stdout=-3))


def _plain_loop(there: Path) -> float:
    command = [sys.executable, "-c", LOOP, str(there / "in"), str(there / "loop")]
    return seconds(partial(subprocess.run, command, check=True))


class Sheet:
    """A decomposer that does nothing: the picture is its one layer."""

    label = "Sheet"

    def decompose(self, picture: Tensor, request: Request, progress: Progress) -> Decomposed:
        return Decomposed(LayerStack(picture[None], ("sheet",)), ())


class Nowhere:
    """An output that takes nothing: what is measured is the process that leads the run."""

    def check(self) -> None: ...

    def deliver(self, folder: str, make: Make) -> tuple[str, ...]:
        return (f"{folder}/report.json",)

    def has(self, outputs: list[str]) -> bool:
        return False

    def fetch(self, name: str, to: Path) -> None: ...

    def put(self, name: str, file: Path) -> None: ...


def lead(engine: str, count: int) -> None:
    """Lead a run over a list of so many inputs with 2 workers, and print this process's memory."""
    with tempfile.TemporaryDirectory() as there:
        _list(Path(there), count)
        before = _peak_mb()
        table = Table()
        list_inputs([f"{there}/list.csv"], "nowhere", table)
        listed = _peak_mb()
        setup = Setup(Sheet, Request(2), None, ("zip",), Nowhere())
        work = Run(table, Nowhere(), f"key{os.getpid()}", lambda *_: None)
        with _ready(engine, setup) as ready:
            took = seconds(lambda: work.do(ready))
        print(
            f"  {engine}, {count} inputs: {work.summary.done} done in {took:.0f} s ({took / count * 1e3:.1f} ms each); "
            f"peak of the leading process: {before:.0f} MB before, {listed:.0f} listed, {_peak_mb():.0f} at the end"
        )


@contextmanager
def _ready(engine: str, setup: Setup) -> Iterator[Engine]:
    if engine == "local":
        yield lambda jobs, again: local.run(setup, jobs, WORKERS)
        return
    os.environ["PYTHONPATH"] = os.pathsep.join([os.getcwd(), os.environ.get("PYTHONPATH", "")])
    with cluster.connected(Cluster(workers=WORKERS, gpus=0.0), WORKERS) as there:
        yield lambda jobs, again: cluster.run(setup, jobs, there)


def _list(there: Path, count: int) -> None:
    """Paths as long as people's, all of one small picture."""
    (there / "pictures").mkdir()
    draw_poster(24, 24).save(there / "pictures" / "a product as its photographer called it.png")
    with (there / "list.csv").open("w") as file:
        file.write("input,seed\n")
        file.writelines(f"pictures/a product as its photographer called it.png,{i}\n" for i in range(count))


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    torch.set_num_threads(1)
    lead(sys.argv[1], int(sys.argv[2]))
