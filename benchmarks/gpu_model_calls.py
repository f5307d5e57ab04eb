"""Whole calls of our runtime in `gpu_model`, watched as they go."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from qil_core.model import devices
from qil_core.model.pipeline import LayeredModel
from qil_core.model.runtime import Run, Runtime
from qil_core.request import Request

from .gpu_model_bench import GB, GIB, Bench
from .gpu_model_results import Numbers


class Enough(Exception):
    """What was to be seen has been seen."""


class Watch:
    """A Progress that notes when each thing began, and what was in memory and on the way then."""

    def __init__(self, bench: Bench, runtime: Runtime, stop: str = "", count: int = 1) -> None:
        """Raises Enough when it hears for the count-th time of what begins with `stop`."""
        self._bench, self._runtime, self._stop, self._count = bench, runtime, stop, count
        self.begun = time.perf_counter()
        self.marks: list[tuple[str, float, int]] = []
        self.denoising_peak: int | None = None

    def __call__(self, fraction: float, what: str) -> None:
        self._bench.synchronize()
        if what.startswith("step 2 "):
            devices.forget_peak(self._bench.device)
        if what.startswith("decoding") and self.denoising_peak is None:
            self.denoising_peak = devices.peak(self._bench.device)
        streamed = self._runtime.placement.streamed
        self.marks.append((what, time.perf_counter(), 0 if streamed is None else streamed.moved))
        if self._stop and len(self.of(self._stop)) >= self._count:
            raise Enough

    def of(self, beginning: str) -> list[tuple[str, float, int]]:
        """The marks of what begins so."""
        return [mark for mark in self.marks if mark[0].startswith(beginning)]

    def numbers(self) -> Numbers:
        """Seconds and bytes a step, seconds of bringing the blocks, peak of the steps after the first."""
        steps = self.of("step")
        times = [b[1] - a[1] for a, b in pairwise(steps)]
        moved = [b[2] - a[2] for a, b in pairwise(steps)]
        found: Numbers = {}
        if len(times) > 1:
            found = {"s a step": statistics.median(times[1:]), "first step s": times[0]}
        if moved and moved[-1]:
            found["GB moved a step"] = moved[-1] / GB
        prepared = self.of("preparing")
        if prepared and steps:
            found |= {"table s": prepared[-1][1] - prepared[0][1], "to the first step s": steps[0][1] - prepared[-1][1]}
        if self.denoising_peak is not None:
            found["denoising peak GiB"] = self.denoising_peak / GIB
        return found


def until_enough(work: Callable[[], object]) -> None:
    """Work whose Watch stops it. Raises RuntimeError when it comes to its end."""
    try:
        work()
    except Enough:
        return
    raise RuntimeError("the call came to its end before what it was to be stopped at")


def told(bench: Bench, runtime: Runtime, watch: Watch, run: Run | None = None) -> Numbers:
    """All numbers of a call."""
    machine = runtime.placement.machine
    found = watch.numbers() | bench.memory() | {"pinned GiB": getattr(machine, "most_pinned", 0) / GIB}
    if run is not None:
        found |= {f"{name} s": seconds for name, seconds in run.seconds.items()} | {"notes": run.notes}
    return found


def picture(width: int, height: int, channels: int = 4) -> Tensor:
    """Noise (H, W, channels)."""
    return torch.rand(height, width, channels, generator=torch.Generator().manual_seed(2))


def prompt(words: int) -> str:
    """A text of so many tokens (a word and a space are two)."""
    return " ".join(f"w{i}" for i in range(words // 2))


def whole_call(
    bench: Bench, model: LayeredModel, side: int, layers: int, steps: int | None = None, height: int | None = None
) -> Numbers:
    """All of a call of the layered model with a prompt. steps: those of the scale, unless given."""
    request = Request(layers, prompt=prompt(bench.scale.words), resolution=side, steps=steps or bench.scale.steps)
    watch = Watch(bench, model)
    return told(bench, model, watch, model.layers(picture(side, height or side), request, watch)[1])


def caption(bench: Bench, model: LayeredModel, tokens: int) -> Numbers:
    """Seconds to the first token of a caption, weights brought, and tokens a second after it."""
    side = bench.scale.sides[0]
    watch = Watch(bench, model, "describing", tokens)
    until_enough(lambda: model.layers(picture(side, side), Request(resolution=side), watch))
    times = [time for _, time, _ in watch.of("describing")]
    rate = (len(times) - 1) / (times[-1] - times[0])
    return {"first token s": times[0] - watch.begun, "tokens a second": rate, **bench.memory()}
