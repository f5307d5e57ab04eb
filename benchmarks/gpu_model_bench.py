"""What every section of `gpu_model` uses: steps of stock diffusers and of ours, whole calls, and what they take."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor

from qil_core.model import denoise, devices
from qil_core.model.attention import rotary
from qil_core.model.first_block import FirstBlockCache
from qil_core.model.runtime import Runtime

from .gpu_model_results import Numbers
from .gpu_model_weights import Scale

TIMESTEP = 711.0
"""Of a single step; any would do."""

R = TypeVar("R", bound=Runtime)

TERA, GB = 1e12, 1e9
GIB = 1 << 30


@dataclass
class Bench:
    """The device, the sizes, and what stock diffusers gave: by side and layers, the velocity and seconds of a step."""

    scale: Scale
    device: torch.device
    truths: dict[tuple[int, int], tuple[Tensor, float]] = field(default_factory=dict)

    def synchronize(self) -> None:
        devices.synchronize(self.device)

    def reset(self) -> None:
        """Nothing of the row before: no compiled code, no memory that torch keeps, no limit, no peak."""
        torch.compiler.reset()
        gc.collect()
        self.synchronize()
        self.limit(None)
        devices.empty_cache(self.device)
        if self.device.type == "cuda":
            torch._C._host_emptyCache()  # pinned memory, which torch keeps for later too
        devices.forget_peak(self.device)

    def limit(self, size: int | None) -> None:
        """Let torch take so many bytes of device memory, as if the card had no more; None: all."""
        if self.device.type == "cuda":
            whole = torch.cuda.get_device_properties(self.device).total_memory
            torch.cuda.set_per_process_memory_fraction(min(1.0, (size or whole) / whole), self.device)

    def seconds(self, work: Callable[[], object], turns: int = 3, warm: int = 1) -> float:
        """Median wall time of `turns` calls, after `warm` that are not counted."""
        times = [self.once(work) for _ in range(warm + turns)]
        return statistics.median(times[warm:])

    def once(self, work: Callable[[], object]) -> float:
        """Wall time of a call and of what it has the device do."""
        self.synchronize()
        start = time.perf_counter()
        work()
        self.synchronize()
        return time.perf_counter() - start

    def memory(self) -> Numbers:
        """GiB of device memory at the most since the reset, and of host memory that the process holds now."""
        import psutil

        taken = devices.peak(self.device)
        held = psutil.Process().memory_info().rss
        return {"peak GiB": None if taken is None else taken / GIB, "host GiB": held / GIB}


# Steps


@dataclass
class Case:
    """One size of picture: its work and its start latents."""

    side: int
    layers: int
    work: denoise.Problem
    start: Tensor

    @property
    def tokens(self) -> int:
        """Of the longest pass."""
        return self.start.shape[1] + self.work.image.shape[1] + self.work.prompts[0].shape[1]


def make_case(
    side: int, layers: int, words: int, width: int, device: torch.device, dtype: torch.dtype, frames: int | None = None
) -> Case:
    """Random work. words: tokens of the prompt. frames: made at a time, else the layers and the whole picture."""
    rows = side // 16
    generator = torch.Generator(device).manual_seed(1)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, device=device, dtype=dtype)

    prompts = [random(1, words, width), random(1, 6, width)]
    count = layers + 1 if frames is None else frames
    work = denoise.Problem(prompts, random(1, rows * rows, 64), rows, rows, count, denoise.Guidance())
    return Case(side, layers, work, denoise.noise(work, 16, 0))


def case_for(bench: Bench, side: int, layers: int, frames: int | None = None) -> Case:
    """Of the scale's widths."""
    scale = bench.scale
    width = scale.transformer["joint_attention_dim"]
    return make_case(side, layers, scale.words, width, bench.device, scale.dtype, frames)


def teraflop(config: Any, case: Case) -> float:
    """Work of a step with both passes: 12 * width^2 weights a token, and attention among all tokens."""
    width, blocks = config["num_attention_heads"] * config["attention_head_dim"], config["num_layers"]
    image = case.start.shape[1] + case.work.image.shape[1]
    counts = [image + prompt.shape[1] for prompt in case.work.prompts]
    return sum(blocks * (24 * width**2 * n + 4 * width * n**2) for n in counts) / TERA


@torch.inference_mode()
def stock_step(model: Any, case: Case) -> Tensor:
    """One step as the stock pipelines do it: pass after pass."""
    work, latents = case.work, case.start
    given = torch.cat([latents, work.image], dim=1)
    more: dict[str, Any] = {
        "timestep": torch.full((1,), TIMESTEP / 1000, device=latents.device, dtype=latents.dtype),
        "img_shapes": [work.shapes],
        "return_dict": False,
    }
    if model.config.use_additional_t_cond:
        more["additional_t_cond"] = torch.zeros(1, dtype=torch.long, device=latents.device)
    outputs = [model(given, prompt, None, **more)[0][:, : latents.shape[1]] for prompt in work.prompts]
    return denoise.guide(outputs, work.guidance)


@torch.inference_mode()
def our_step(runtime: Runtime, case: Case, real: bool = False) -> Callable[[], Tensor]:
    """The same on a runtime, as it is placed now; what stays the same from step to step is made here."""
    model, device = runtime.parts.transformer, case.start.device
    runtime.placement.expect(case.tokens)
    use_table(runtime, case)
    tables = [rotary(model, case.work.shapes, prompt.shape[1], device, real) for prompt in case.work.prompts]
    timestep = torch.tensor(TIMESTEP, device=device)

    @torch.inference_mode()
    def step() -> Tensor:
        blocks = FirstBlockCache(runtime.placement.blocks())
        temb = denoise.condition(model, timestep, case.start)
        return denoise.guide(denoise.predict(model, blocks, case.start, case.work, temb, tables), case.work.guidance)

    return step


def use_table(runtime: Runtime, case: Case) -> None:
    """Have the modulation table of TIMESTEP in use."""
    parts, placement, key = runtime.parts, runtime.placement, "a benchmark's step"
    placement.end_words()
    placement.bring(parts.transformer.time_text_embed)
    conditions = [denoise.condition(parts.transformer, torch.tensor(TIMESTEP, device=case.start.device), case.start)]
    if not parts.modulation.knows(key):
        with placement.modulation_layers() as layers:
            parts.modulation.make(key, layers, conditions, lambda i: None)
    parts.modulation.use(key, case.start.device)
    parts.modulation.step.now.fill_(0)


def off(found: Tensor, true: Tensor) -> Numbers:
    """How far a result is from the true one."""
    found, true = found.float().cpu(), true.float().cpu()
    return {"equal bits": torch.equal(found, true), "relative difference": float((found - true).norm() / true.norm())}


def timed_step(bench: Bench, step: Callable[[], Tensor], case: Case, turns: int = 3) -> tuple[Numbers, Tensor]:
    """First step, further steps, speed and memory; and what a step gives."""
    results: list[Tensor] = []
    first = bench.once(lambda: results.append(step()))
    devices.forget_peak(bench.device)
    seconds = bench.seconds(step, turns, warm=0)
    speed = teraflop(bench.scale.transformer, case) / seconds
    numbers = {"s a step": seconds, "first step s": first, "TFLOP/s": speed, **bench.memory()}
    return numbers, results[0]


def against_stock(bench: Bench, step: Callable[[], Tensor], case: Case, turns: int = 3) -> Numbers:
    """The same, and how it compares with the stock step of this size where that was measured."""
    numbers, result = timed_step(bench, step, case, turns)
    truth = bench.truths.get((case.side, case.layers))
    if truth is None:
        return numbers
    return {**numbers, "x stock": truth[1] / numbers["s a step"], **off(result, truth[0])}


@contextmanager
def untuned(runtime: Runtime) -> Iterator[None]:
    """Afterwards no block is compiled, attention is computed as diffusers does by itself, and every step in full."""
    try:
        yield
    finally:
        runtime.tune()


@contextmanager
def released(runtime: R) -> Iterator[R]:
    """The same, and nothing of the runtime is on the device."""
    try:
        with untuned(runtime):
            yield runtime
    finally:
        runtime.placement.release()
