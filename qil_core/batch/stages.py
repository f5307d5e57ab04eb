"""What is done with each picture, by both engines: read, decode, decompose, write.

A stage takes a `Work` and gives the next one. An error is part of the Work, never the end of the run: the stages that
follow pass it on.
"""

from __future__ import annotations

import hashlib
import io
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from ..decompose import Decomposer, Request
from ..decompose.automatic import Limits, decompose_automatically
from ..decompose.run import decompose
from ..errors import QilError
from ..files.format import NONE, Options
from ..files.picture import picture_of
from ..files.registry import FORMATS
from ..stack import GRID, LayerStack, to_bytes
from . import places
from .job import Job, Work
from .places import Output
from .results import with_found, write_results

AUTO = "auto"
"""Number of layers that is counted."""

Stage = Callable[[Work], Work]


@dataclass(frozen=True)
class Setup:
    """What all pictures share, as it goes to the workers.

    open: opens the decomposer, once a worker; it must be one that pickle takes. request: what is asked where a list
    says nothing else. limits: of an automatic count; None: as many layers as the request says. formats: their keys.
    threads: cores that a worker may use. asked: whether text and shapes are to be editable.
    """

    open: Callable[[], Decomposer]
    request: Request
    limits: Limits | None
    formats: tuple[str, ...]
    output: Output
    threads: int = 1
    asked: Options = NONE

    def request_of(self, job: Job) -> tuple[Request, Limits | None]:
        """What is asked for one picture. Raises QilError: out of range."""
        seed = self.request.seed if job.seed is None else job.seed
        prompt = self.request.prompt if job.prompt is None else job.prompt
        request = replace(self.request, seed=seed, prompt=prompt)
        limits = self.limits
        if job.layers is not None:
            limits = (self.limits or Limits()) if job.layers == AUTO else None
            request = request if job.layers == AUTO else replace(request, layers=int(job.layers))
        request.check()
        return request, limits


def guarded(name: str, stage: Stage, work: Work) -> Work:
    """stage(work) with its seconds. What it raises becomes the work's error; after an error nothing is done."""
    if work.error:
        return work
    started = time.perf_counter()
    try:
        work = stage(work)
    except Exception as error:  # a picture may break anything; the run goes on, and the manifest says what happened
        said = str(error) if isinstance(error, QilError) else f"{type(error).__name__}: {error}"
        said = QilError(said).args[0]
        work = replace(work, data=b"", pixels=None, found=(), error=said, stops=places.concerns_all(error))
    return replace(work, seconds={**work.seconds, name: time.perf_counter() - started})


def read(work: Work) -> Work:
    """The input's bytes and their hash."""
    state = work.job.state or places.state_of(work.job.input)
    data = places.read_bytes(work.job.input)
    return replace(work, data=data, sha256=hashlib.sha256(data).hexdigest(), state=state)


def decode(work: Work) -> Work:
    """The picture, upright."""
    pixels = to_bytes(picture_of(io.BytesIO(work.data), work.job.input))
    return replace(work, data=b"", pixels=pixels[None].numpy())


class Decompose:
    """The stage that is slow: one of it a worker, which opens the decomposer at its first picture."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self._decomposer: Decomposer | None = None

    def __call__(self, work: Work) -> Work:
        """Layers, what is editable in them, and report."""
        assert work.pixels is not None
        request, limits = self.setup.request_of(work.job)
        if self._decomposer is None:
            use_threads(self.setup.threads)
            try:
                self._decomposer = self.setup.open()
            except QilError as error:  # no other picture will have a decomposer either
                return replace(work, pixels=None, error=str(error), stops=True)
        picture = torch.from_numpy(work.pixels[0]).float().div_(GRID)
        way = partial(decompose_automatically, limits=limits) if limits else decompose
        stack, report = way(self._decomposer, picture, request)
        found = with_found(stack, self.setup.asked).found  # here, for its reader of text is opened once a worker
        pixels = to_bytes(stack.pixels).cpu().numpy()
        return replace(work, pixels=pixels, names=stack.names, found=found, report=report)


def write(setup: Setup, work: Work) -> Work:
    """The results, where they belong."""
    assert work.pixels is not None
    assert work.report is not None
    stack = LayerStack(torch.from_numpy(np.ascontiguousarray(work.pixels)).float().div_(GRID), work.names)
    report, formats = work.report, [FORMATS[key] for key in setup.formats]

    asked = replace(setup.asked, found=work.found)

    def make(folder: Path) -> list[Path]:
        return [path for _, path in write_results(stack, report, folder, work.job.stem, formats, asked)]

    return replace(work, pixels=None, found=(), outputs=setup.output.deliver(work.job.folder, make))


def before(work: Work) -> Work:
    """read and decode: what runs ahead of the decomposer."""
    return guarded("decode", decode, guarded("read", read, work))


def after(setup: Setup, work: Work) -> Work:
    """write: what runs behind the decomposer."""
    return guarded("write", partial(write, setup), work)


def use_threads(count: int) -> None:
    """Have the libraries of this process use so many cores: the others belong to other workers."""
    import cv2

    os.environ["OMP_NUM_THREADS"] = str(count)
    torch.set_num_threads(count)
    cv2.setNumThreads(count)


def formats_of(text: str) -> tuple[str, ...]:
    """The keys in a text such as "png,pptx". Raises QilError that says which there are."""
    keys = tuple(item.strip() for item in text.split(",") if item.strip())
    unknown = [key for key in keys if key not in FORMATS]
    if unknown or not keys:
        raise QilError(f'Unknown format "{", ".join(unknown)}". Use one or more of: {", ".join(FORMATS)}.')
    return keys
