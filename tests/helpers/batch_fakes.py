"""What tests of `qil batch` need: small pictures, and decomposers that workers can open, some of which kill them."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Generator, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from PIL import Image

from qil_core.batch import stages
from qil_core.batch.job import Job, Work
from qil_core.batch.places import output_at
from qil_core.batch.stages import Setup
from qil_core.decompose import Decomposed, Decomposer, Request
from qil_core.errors import QilError
from qil_core.progress import Progress
from qil_core.stack import LayerStack

KILLER = (255, 0, 255)
"""Colour of pictures that kill the worker which takes them apart."""

SIDE = 24


class Halves:
    """Everything, and the left half on top of it. Kills its process for a picture of the colour KILLER."""

    label = "Halves"

    def __init__(self, seconds: float = 0.0) -> None:
        """seconds: how long each picture takes."""
        self.seconds = seconds

    def decompose(self, picture: torch.Tensor, request: Request, progress: Progress) -> Decomposed:
        if tuple((picture[0, 0, :3] * 255).round().int().tolist()) == KILLER:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(self.seconds)
        left = picture.clone()
        left[:, picture.shape[1] // 2 :] = 0
        return Decomposed(LayerStack(torch.stack([picture, left]), ("whole", "left")), ())


def no_weights() -> Decomposer:
    raise QilError("The model has no weights.")


def setup(output: object, seconds: float = 0.0, formats: tuple[str, ...] = ("zip",), **more: object) -> Setup:
    """Halves, as one ZIP a picture, or in other formats."""
    return Setup(partial(Halves, seconds), Request(2), None, formats, output_at(str(output)), **more)  # type: ignore[arg-type]


def in_turn(setup: Setup, jobs: Iterable[Job], again: bool = False) -> Generator[Work, None, None]:
    """An engine in this process."""
    decompose = stages.Decompose(replace(setup, threads=torch.get_num_threads()))
    for job in jobs:
        yield stages.after(setup, stages.guarded("decompose", decompose, stages.before(Work(job))))


def draw(path: Path, color: tuple[int, int, int] = (200, 30, 30)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (SIDE, SIDE), color).save(path)
    return path


def draw_many(folder: Path, count: int) -> None:
    """Pictures 000.png, 001.png, ..., each of another colour."""
    for i in range(count):
        draw(folder / f"{i:03}.png", (i % 250, 40, 90))


def command(arguments: list[str], seconds: float = 0.0) -> None:
    """`qil batch` with Halves in the place of the built-in decomposer, in this process and its workers."""
    from qil_core.cli import batch, main

    batch.open_by_name = partial(opened, seconds)  # type: ignore[assignment]
    sys.exit(main(["batch", *arguments]))


def opened(seconds: float, name: str, given: list[str], place: object) -> Decomposer:
    """In the place of registry.open_by_name; a function of a module, so that workers can unpickle it."""
    return Halves(seconds)


if __name__ == "__main__":
    command(sys.argv[2:], float(sys.argv[1]))
