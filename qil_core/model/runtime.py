"""What every model's runtime does: place the parts, encode and decode, denoise, and keep what can be used again."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import QilError
from ..progress import Preview, Progress, part, silent
from ..stack import to_bytes
from . import denoise, devices, vae
from .attention import DEFAULT, LOSSY_BACKENDS, Tuning
from .cache import ContentCache, content_key
from .denoise import Problem
from .first_block import FirstBlockCache
from .machine import Machine
from .placement import Placement
from .plan import LOSSY, smaller

if TYPE_CHECKING:
    from typing_extensions import Self

GRID = 32
"""Sides of the picture that the model sees are multiples of this."""

TOKEN = 16
"""Pixels of a side of what one token stands for: a patch of 2 x 2 latents of 8 x 8 pixels."""

MAX_ASPECT = 16.0
"""The longer side over the shorter one, at the most, of what the model sees: a line of pixels still makes a picture."""

LOOKS = 10
"""Previews that a call offers at the most, besides the first one: one a tenth of the way."""

SHRINK = 4
"""How many times smaller than the result a preview's sides are: 160 px at 640, decoded in a sixteenth of the time."""

ENCODED = 0.1
"""Share of a call's progress at which texts and pictures are encoded and denoising begins."""

DENOISED = 0.95
"""Share of a call's progress at which denoising ends and decoding begins."""

PREPARED = 0.05
"""Share of denoising's progress that is for making the modulation tables."""


@dataclass
class Run:
    """What one call did: the caption or prompt, seconds a stage, notes for the report."""

    prompt: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started


def bucket(width: int, height: int, resolution: int) -> tuple[int, int]:
    """Width and height that the model sees: about resolution^2 pixels in the picture's aspect, multiples of 32.

    The aspect is kept within MAX_ASPECT.
    """
    ratio = min(max(width / height, 1 / MAX_ASPECT), MAX_ASPECT)
    wide = math.sqrt(resolution * resolution * ratio)
    return max(GRID, round(wide / GRID) * GRID), max(GRID, round(wide / ratio / GRID) * GRID)


def tokens(size: tuple[int, int], resolution: int) -> int:
    """Tokens of one picture of this width and height, as the model sees it."""
    width, height = bucket(*size, resolution)
    return width * height // TOKEN**2


@dataclass(frozen=True)
class Settings:
    """How a model runs. memory: one of `plan.MODES`. attention: diffusers' name of a backend.

    compile: whether blocks are compiled, which makes the first steps slow. reuse: threshold of
    `first_block.FirstBlockCache`, lossy; 0 computes every step.
    """

    memory: str = "auto"
    attention: str = DEFAULT
    compile: bool = False
    reuse: float = 0.0


class Runtime:
    """A model on one device. What a call had to work out, the next one with the same input gets for nothing.

    Runtimes that `with_settings` made of each other are one model: they share its weights and its results.
    """

    advice = ""
    """What to ask for when memory is not enough."""

    unseen_frames = 0
    """Frames at the front of the latents that are no part of the result."""

    def __init__(
        self,
        parts: Any,
        device: torch.device,
        memory: str = "auto",
        free: int | None = None,
        machine: Machine | None = None,
    ) -> None:
        """parts: see `parts.load`. memory: one of `plan.MODES`, else QilError.

        free: bytes of device memory that may be used; None takes what the machine says is free at the first call.
        """
        machine = machine or Machine(device)
        self.parts = parts
        self.device = machine.device
        self.cache = ContentCache()
        self.settings = Settings(memory)
        self.placement = Placement(parts, machine, memory, free)
        self._tuning = Tuning(parts.transformer, self.device)

    def with_settings(self, settings: Settings) -> Self:
        """The same model with other settings; nothing is loaded for that. Raises QilError for what cannot be used."""
        other = copy.copy(self)
        other.settings = settings
        other._apply()
        return other

    def tune(self, attention: str = DEFAULT, compile: bool = False, reuse: float = 0.0) -> None:
        """Change settings, see `Settings`. Raises QilError when the backend is not installed or not known."""
        self.settings = replace(self.settings, attention=attention, compile=compile, reuse=reuse)
        self._apply()

    def _apply(self) -> None:
        """Have these settings count, whatever others of the same model have set."""
        self.placement.use(self.settings.memory)
        self._tuning.use(self.settings.attention, self.settings.compile)

    def _in_memory(self, work: Callable[[], Tensor], run: Run, tokens: int) -> Tensor:
        """What work gives; afterwards run's notes also say what every call of this model has to say.

        tokens: of the transformer's longest pass, for which there has to be memory beside the weights. When the
        device's memory runs out, all is freed and the next smaller mode is tried once.
        """
        devices.forget_peak(self.device)
        self._apply()
        width = next(self.parts.vae.parameters()).dtype.itemsize
        self.placement.expect(tokens * width // torch.bfloat16.itemsize)  # plans count in bf16
        result = self._tried_twice(work, run)
        run.notes += [*self.parts.notes, f"Memory: {self.placement.plan}{peak(self.device)}.", *self.placement.notes]
        return result

    def _tried_twice(self, work: Callable[[], Tensor], run: Run) -> Tensor:
        try:
            return work()
        except Exception as error:
            if not self.placement.machine.is_oom(error):
                raise
            plan = smaller(self.placement.plan)
            if plan is None:
                raise QilError(_OUT_OF_MEMORY.format(self.placement.plan, self.advice)) from None
            run.notes.append(f"Out of GPU memory with {self.placement.plan}: done again with {plan}.")
        self.placement.plan = plan  # only here is nothing of the failed call alive any more
        return work()

    @property
    def _reading(self) -> str:
        """Part of the name under which what the text encoder gives is kept: in lossy modes it gives something else."""
        return self.settings.memory if self.settings.memory in LOSSY else ""

    def _encode(self, pixels: Tensor, run: Run) -> Tensor:
        """Normalised latents (1, z, 1, H/8, W/8) of a picture's pixels (1, 3 or 4, H, W) in [-1, 1]."""

        def make() -> Tensor:
            coder = self.placement.bring(self.parts.vae)
            seen = pixels.to(self.device, next(coder.parameters()).dtype)
            return self._small_if_need_be(lambda tile: vae.encode(coder, seen, tile), run)

        return self.cache.get(content_key("image", pixels), make)

    def _small_if_need_be(self, work: Callable[[int | None], Tensor], run: Run) -> Tensor:
        """work(None), or work(vae.TILE) when the device's memory does not hold it."""
        try:
            return work(None)
        except Exception as error:
            if not self.placement.machine.is_oom(error):
                raise
        devices.empty_cache(self.device)
        run.notes.append("Little GPU memory: the VAE worked in tiles.")
        return work(vae.TILE)

    def _decode(self, latents: Tensor, run: Run, progress: Progress = silent, what: str = "layer") -> Tensor:
        """Pictures (N, 8 * h, 8 * w, 3 or 4) of normalised latents (N, z, 1, h, w). progress may raise between them."""
        coder = self.placement.bring(self.parts.vae)

        def each(i: int) -> None:
            progress(i / len(latents), f"decoding {what} {i + 1}")

        frames = self._small_if_need_be(lambda tile: vae.decode(coder, latents, each, tile), run)
        return (frames / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).float().cpu()

    def _frames(self, tokens: Tensor, problem: Problem) -> Tensor:
        """The result's latents (N, z, 1, h, w) of all tokens that were made."""
        return denoise.unpack(tokens, problem.rows, problem.columns)[self.unseen_frames :]

    def _denoise(
        self,
        problem: Problem,
        scheduler: Any,
        seed: int,
        run: Run,
        progress: Progress,
        preview: Preview,
        sampler: str = "euler",
    ) -> Tensor:
        """Tokens after the last timestep of a scheduler that is set up. sampler: one of `denoise.METHODS`."""
        transformer, steps = self.parts.transformer, len(scheduler.timesteps)
        self._modulate(scheduler.timesteps, problem.image, part(progress, 0, PREPARED))
        blocks = FirstBlockCache(self.placement.blocks(), self.settings.reuse)
        step = self.parts.modulation.step
        before = start = denoise.noise(problem, self.parts.vae.config.z_dim, seed)

        def each(i: int, latents: Tensor) -> None:
            nonlocal before
            progress(PREPARED + (1 - PREPARED) * i / steps, f"step {i + 1} of {steps}")
            if worth_a_look(i, steps):
                preview(partial(self._glimpse, problem, before, latents, scheduler.sigmas[i - 1 : i + 1]))
            before = latents

        compiled = self.settings.compile
        latents = denoise.denoise(transformer, blocks, scheduler, start, problem, step, each, compiled, sampler)
        run.notes += [blocks.note] if self.settings.reuse else []
        if self.settings.attention.lower().startswith(LOSSY_BACKENDS):
            run.notes.append(f"Attention (lossy): {self.settings.attention} computes in 8 bits.")
        return latents

    def _glimpse(self, problem: Problem, before: Tensor, after: Tensor, sigmas: Tensor) -> Tensor:
        """RGBA (N, h, w, 4) at a quarter of the result's size, as the step from before to after foresees it."""
        end = foreseen(before, after, sigmas).to(before.dtype)
        frames = self._frames(end, problem)[:, :, 0]
        seen = self._decode(F.avg_pool2d(frames, SHRINK)[:, :, None], Run())
        return F.pad(seen, (0, 4 - seen.shape[-1]), value=1.0)

    def _modulate(self, timesteps: Tensor, like: Tensor, progress: Progress) -> None:
        """Have the modulation table of these timesteps in use; it is made unless it is known already."""
        transformer, modulation = self.parts.transformer, self.parts.modulation
        key = content_key(timesteps, str(like.dtype))
        if not modulation.knows(key):
            self.placement.end_words()
            self.placement.bring(transformer.time_text_embed)
            conditions = [denoise.condition(transformer, timestep, like) for timestep in timesteps]
            count = len(modulation.layers)
            with self.placement.modulation_layers() as layers:
                modulation.make(key, layers, conditions, lambda i: progress((i + 1) / count, "preparing the steps"))
        modulation.use(key, self.device)


_OUT_OF_MEMORY = 'The GPU\'s memory is not enough, even with the memory mode "{}". Close other programs, {}.'


def worth_a_look(step: int, steps: int) -> bool:
    """Whether a picture is offered before this step, 0..steps - 1: after the first, then when a tenth more is done."""
    return step == 1 or (step > 1 and LOOKS * step // steps > LOOKS * (step - 1) // steps)


def foreseen(before: Tensor, after: Tensor, sigmas: Tensor) -> Tensor:
    """Clean latents x0 = x - sigma * v in float32, v being the velocity of the Euler step from sigmas[0] to sigmas[1].

    Of the two latents alone, so that the loop need not give its velocity away.
    """
    start, end = sigmas.tolist()
    velocity = (after.float() - before.float()) / (end - start)
    return after.float() - end * velocity


def peak(device: torch.device) -> str:
    """The most memory that a call took on a GPU, for the report."""
    taken = devices.peak(device)
    return "" if taken is None else f", {taken / 2**30:.1f} GiB at the most"


def fit(picture: Tensor, resolution: int) -> tuple[Any, Tensor]:
    """A picture (H, W, 3 or 4) at its bucket's size, as an image and as pixels (1, 3 or 4, h, w) in [-1, 1]."""
    from PIL import Image

    image = Image.fromarray(to_bytes(picture.cpu()).numpy())
    size = bucket(image.width, image.height, resolution)
    seen = image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)
    pixels = torch.from_numpy(np.array(seen)).float() / 255
    return seen, (2 * pixels - 1).permute(2, 0, 1)[None]


def report_lines(run: Run) -> Sequence[str]:
    """Caption, timing and notes as lines for people."""
    timing = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in run.seconds.items())
    return [f"Prompt: {run.prompt}", f"Time: {timing}", *run.notes]
