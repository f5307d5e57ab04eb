"""The denoising loop: diffusers' transformer, scheduler and arithmetic; both guidance passes block by block.

A schedule has n timesteps. `euler` asks the model for its velocity once a step; `heun` twice, but for the last step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import QilError
from .attention import rotary
from .first_block import FirstBlockCache, States
from .modulation import Step

PATCH = 2
"""Side in latents of a patch, which is one token (patch_size of the published transformers)."""

TIMESTEPS = 1000
"""Timesteps run from this to 0; the time embedding takes 1 to 0 (num_train_timesteps of the scheduler)."""

LEAST_EDIT_STEPS = 2
"""Where a schedule ends above 0 (shift_terminal), a single step would begin and end at once."""

BASE_TOKENS = 256
"""Condition tokens at which the schedule's shift is 1."""

LIGHTNING_SHIFT = 3.0
"""At every size: few-step LoRAs for Qwen-Image-Edit are distilled with it (lightx2v's Qwen-Image-Lightning,
generate_with_diffusers.py)."""


@dataclass(frozen=True)
class Guidance:
    """True classifier-free guidance: n + scale * (p - n); normalize keeps the length of the conditional prediction."""

    scale: float = 4.0
    normalize: bool = True


@dataclass(frozen=True, eq=False)
class Problem:
    """All that the loop needs. prompts: (1, L, D) each, the prompt first, then the negative one when there is guidance.

    image: condition latents (1, tokens, 64). rows, columns: latent grid in patches of 2 x 2. frames: made at a time.
    conditions: rows and columns of each condition picture; none given: one picture of the frames' size.
    """

    prompts: Sequence[Tensor]
    image: Tensor
    rows: int
    columns: int
    frames: int
    guidance: Guidance
    conditions: Sequence[tuple[int, int]] = ()

    @property
    def shapes(self) -> list[tuple[int, int, int]]:
        grid = (self.rows, self.columns)
        return [(1, *grid)] * self.frames + [(1, *other) for other in self.conditions or [grid]]


def schedule(scheduler: Any, steps: int, condition_tokens: int, device: torch.device) -> Tensor:
    """Set a FlowMatchEulerDiscreteScheduler up as Qwen-Image-Layered's authors do, and give its timesteps (steps,)."""
    sigmas = np.linspace(1.0, 0, steps + 1)[:-1]
    return _set_up(scheduler, sigmas, (condition_tokens / BASE_TOKENS) ** 0.5, device)


def edit_schedule(scheduler: Any, steps: int, tokens: int, device: torch.device) -> Tensor:
    """The same as Qwen-Image-Edit's authors do; tokens: of the picture that is made.

    Raises QilError for fewer than LEAST_EDIT_STEPS where the schedule ends above 0.
    """
    config = scheduler.config
    if steps < LEAST_EDIT_STEPS and config.shift_terminal:
        raise QilError(f"This model needs {LEAST_EDIT_STEPS} steps at the least, got {steps}. 40 are usual.")
    slope = (config.max_shift - config.base_shift) / (config.max_image_seq_len - config.base_image_seq_len)
    mu = tokens * slope + (config.base_shift - slope * config.base_image_seq_len)
    return _set_up(scheduler, np.linspace(1.0, 1 / steps, steps), mu, device)


def lightning_scheduler(scheduler: Any) -> Any:
    """A scheduler as LoRAs for few steps want it: LIGHTNING_SHIFT at every size, and no terminal shift."""
    mu = math.log(LIGHTNING_SHIFT)
    changes = {"base_shift": mu, "max_shift": mu, "shift_terminal": None, "time_shift_type": "exponential"}
    return type(scheduler).from_config(scheduler.config, **changes)


def control_scheduler(scheduler: Any) -> Any:
    """A scheduler as the authors of Qwen-Image-Layered-Control have it: that of Qwen-Image-Edit."""
    by_tokens = {"base_shift": 0.5, "max_shift": 0.9, "base_image_seq_len": 256, "max_image_seq_len": 8192}
    changes = {**by_tokens, "shift_terminal": 0.02, "time_shift_type": "exponential"}
    return type(scheduler).from_config(scheduler.config, **changes)


def _set_up(scheduler: Any, sigmas: np.ndarray, mu: float, device: torch.device) -> Tensor:
    scheduler.set_timesteps(sigmas=sigmas, device=device, mu=mu)
    scheduler.set_begin_index(0)
    return scheduler.timesteps


def noise(problem: Problem, channels: int, seed: int) -> Tensor:
    """Start latents (1, frames * tokens, 4 * channels): drawn on the CPU, so every device starts alike."""
    height, width = PATCH * problem.rows, PATCH * problem.columns
    generator = torch.Generator().manual_seed(seed)
    latents = torch.randn(1, problem.frames, channels, height, width, generator=generator, dtype=problem.image.dtype)
    return pack(latents).to(problem.image.device)


def pack(latents: Tensor) -> Tensor:
    """(B, F, C, H, W) to tokens (B, F * H/2 * W/2, 4 * C), patches of 2 x 2."""
    batch, frames, channels, height, width = latents.shape
    rows, columns = height // PATCH, width // PATCH
    patches = latents.view(batch, frames, channels, rows, PATCH, columns, PATCH).permute(0, 1, 3, 5, 2, 4, 6)
    return patches.reshape(batch, frames * rows * columns, channels * PATCH * PATCH)


def unpack(tokens: Tensor, rows: int, columns: int) -> Tensor:
    """Tokens (1, F * rows * columns, 4 * C) to frames (F, C, 1, 2 * rows, 2 * columns)."""
    channels = tokens.shape[2] // PATCH**2
    patches = tokens.view(-1, rows, columns, channels, PATCH, PATCH).permute(0, 3, 1, 4, 2, 5)
    return patches.reshape(len(patches), -1, 1, PATCH * rows, PATCH * columns)


def condition(transformer: Any, timestep: Tensor, like: Tensor) -> Tensor:
    """The time embedding (1, width) of one timestep 0..1000; (2, width), that of 0 too, for a model with zero_cond_t.

    The layered model has a second condition. It is 0: these are no RGB pictures.
    """
    scaled = timestep.expand(1).to(like.dtype) / TIMESTEPS
    if transformer.zero_cond_t:
        scaled = torch.cat([scaled, scaled * 0])
    return transformer.time_text_embed(scaled, like, torch.zeros(len(scaled), dtype=torch.long, device=like.device))


def rows_of_tokens(transformer: Any, generated: int, tokens: int, device: torch.device) -> dict[str, Tensor]:
    """For the blocks of a model with zero_cond_t: which row of `condition` modulates each of its image tokens."""
    if not transformer.zero_cond_t:
        return {}
    return {"modulate_index": (torch.arange(tokens, device=device) >= generated).int()[None]}


def predict(
    transformer: Any, blocks: FirstBlockCache, latents: Tensor, problem: Problem, temb: Tensor, tables: Sequence[Tensor]
) -> list[Tensor]:
    """Velocity (1, tokens, 64) for every prompt; each block serves all prompts while it is at hand."""
    image = transformer.img_in(torch.cat([latents, problem.image], dim=1))
    states = [(transformer.txt_in(transformer.txt_norm(prompt)), image) for prompt in problem.prompts]
    count = latents.shape[1]
    rows = rows_of_tokens(transformer, count, image.shape[1], image.device)

    def through(block: Any, states: States) -> States:
        return [
            block(
                hidden_states=image,
                encoder_hidden_states=text,
                encoder_hidden_states_mask=None,
                temb=temb,
                image_rotary_emb=table,
                **rows,
            )
            for (text, image), table in zip(states, tables, strict=True)
        ]

    images = blocks.run(states, through)
    return [transformer.proj_out(transformer.norm_out(image, temb[:1]))[:, :count] for image in images]


def guide(predictions: Sequence[Tensor], guidance: Guidance) -> Tensor:
    """Join the prompt's and the negative prompt's velocity."""
    if len(predictions) == 1:
        return predictions[0]
    positive, negative = predictions
    joined = negative + guidance.scale * (positive - negative)
    if not guidance.normalize:
        return joined
    length, wanted = (torch.norm(v, dim=-1, keepdim=True) for v in (joined, positive))
    return joined * (wanted / length)


Velocity = Callable[[int, Tensor], Tensor]
"""velocity(i, latents): what the model predicts at timestep i."""


def euler(scheduler: Any, velocity: Velocity, i: int, latents: Tensor) -> Tensor:
    """Latents after step i, by the velocity at its beginning."""
    step: Tensor = scheduler.step(velocity(i, latents), scheduler.timesteps[i], latents, return_dict=False)[0]
    return step


def heun(scheduler: Any, velocity: Velocity, i: int, latents: Tensor) -> Tensor:
    """Latents after step i, by the mean of the velocities at its beginning and where an Euler step would end.

    Heun's method: second order. At the end of the last step sigma is 0, where the model knows no velocity: it is an
    Euler step, so that n steps take 2n - 1 evaluations. In float32, as the scheduler's own steps.
    """
    span = scheduler.sigmas[i + 1] - scheduler.sigmas[i]
    first = velocity(i, latents)
    there = (latents.float() + span * first.float()).to(first.dtype)
    if i + 1 == len(scheduler.timesteps):
        return there
    mean = (first.float() + velocity(i + 1, there).float()) / 2
    return (latents.float() + span * mean).to(first.dtype)


METHODS: Mapping[str, Callable[[Any, Velocity, int, Tensor], Tensor]] = {"euler": euler, "heun": heun}
"""By the name in `request.SAMPLERS`."""


def denoise(
    transformer: Any,
    blocks: FirstBlockCache,
    scheduler: Any,
    latents: Tensor,
    problem: Problem,
    step: Step,
    each: Callable[[int, Tensor], None],
    real_rotary: bool = False,
    sampler: str = "euler",
) -> Tensor:
    """Latents after the scheduler's last timestep. each(i, latents) is called before step i; it may raise to stop.

    real_rotary: for compiled blocks. sampler: one of METHODS.
    """
    device = latents.device
    tables = [rotary(transformer, problem.shapes, prompt.shape[1], device, real_rotary) for prompt in problem.prompts]

    def velocity(i: int, latents: Tensor) -> Tensor:
        step.now.fill_(i)
        temb = condition(transformer, scheduler.timesteps[i], latents)
        return guide(predict(transformer, blocks, latents, problem, temb, tables), problem.guidance)

    for i in range(len(scheduler.timesteps)):
        each(i, latents)
        latents = METHODS[sampler](scheduler, velocity, i, latents)
    return latents
