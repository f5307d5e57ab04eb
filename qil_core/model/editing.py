"""Qwen-Image-Edit from pictures and an instruction to pictures: embed, encode, denoise, decode."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..edit_request import LIGHTNING, EditRequest
from ..errors import QilError
from ..progress import Preview, Progress, part, unseen
from . import denoise, words
from .cache import content_key
from .denoise import Guidance, Problem
from .models import EDIT_2509, EDIT_2511
from .runtime import DENOISED, ENCODED, Run, Runtime, bucket, fit, tokens

RESOLUTION = 1024
"""Side of the square with as many pixels as pictures have when they are edited."""


def native_size(width: int, height: int) -> tuple[int, int]:
    """Width and height in which a picture comes back: about 1024 x 1024 pixels in its aspect, multiples of 32."""
    return bucket(width, height, RESOLUTION)


class EditModel(Runtime):
    """Qwen-Image-Edit of one edition on one device.

    Calls with the same pictures and words, and variants of one call, skip what was done before.
    """

    advice = "or give fewer pictures"

    @torch.inference_mode()
    def edit(
        self, pictures: Sequence[Tensor], request: EditRequest, progress: Progress, preview: Preview = unseen
    ) -> tuple[Tensor, Run]:
        """Pictures (variants, h, w, 3) in [0, 1], at the native size of the first one of pictures (H, W, 3) in [0, 1].

        Unlike the stock pipeline, whose last picture decides the size: it is the first one that is edited.
        progress may raise to stop between steps; memory that runs out and preview: as `LayeredModel.layers` has it.
        Raises QilError for more pictures than this edition takes.
        """
        self._check(pictures)
        request = request.as_scheduled()
        run = Run(request.instruction)
        sizes = [(picture.shape[1], picture.shape[0]) for picture in pictures]
        seen = sum(tokens(size, RESOLUTION) for size in [sizes[0], *sizes])
        work = partial(self._edit, pictures, request, run, progress, preview)
        return self._in_memory(work, run, seen + words.MAX_TOKENS), run

    def _check(self, pictures: Sequence[Tensor]) -> None:
        model = self.parts.model
        if not 1 <= len(pictures) <= model.pictures:
            takes = f"1 to {model.pictures} pictures" if model.pictures > 1 else "one picture"
            more = f": {EDIT_2509.label} and {EDIT_2511.label} take up to 3" if model.pictures == 1 else ""
            raise QilError(f"{model.label} takes {takes}, got {len(pictures)}{more}.")

    def _edit(
        self, pictures: Sequence[Tensor], request: EditRequest, run: Run, progress: Progress, preview: Preview
    ) -> Tensor:
        problem = self._problem(pictures, request, run, part(progress, 0, ENCODED))
        with run.stage("denoising"):
            latents = [
                self._variant(i, problem, request, run, part(progress, ENCODED, DENOISED), preview)
                for i in range(request.variants)
            ]
        with run.stage("decoding"):
            edited = self._decode(torch.cat(latents), run, part(progress, DENOISED, 1), "picture")
        run.notes.append(f"Model: {self.parts.model.label}.")
        if request.schedule in LIGHTNING:
            run.notes.append(f"Schedule: {request.schedule}, without guidance.")
        return edited

    def _problem(self, pictures: Sequence[Tensor], request: EditRequest, run: Run, progress: Progress) -> Problem:
        """Everything that no seed changes."""
        prompts = [request.instruction, request.negative_prompt][: 2 if request.true_cfg_scale > 1 else 1]
        seen = [fit(picture, self.parts.model.sight)[0] for picture in pictures]
        with run.stage("text"):
            embeddings = self._embeddings(prompts, seen, part(progress, 0, 0.7))
        with run.stage("image"):
            images = []
            for i, picture in enumerate(pictures):
                progress(0.7 + 0.3 * i / len(pictures), f"encoding picture {i + 1}")
                images.append(self._encode(fit(picture, RESOLUTION)[1], run))
        tokens = torch.cat([denoise.pack(image.permute(0, 2, 1, 3, 4)) for image in images], dim=1)
        grids = [(image.shape[-2] // 2, image.shape[-1] // 2) for image in images]
        return Problem(embeddings, tokens, *grids[0], 1, Guidance(request.true_cfg_scale), grids)

    def _embeddings(self, prompts: Sequence[str], seen: Sequence[Any], progress: Progress) -> list[Tensor]:
        def make(new: list[int]) -> list[Tensor]:
            parts, asked = self.parts, [prompts[i] for i in new]
            with self.placement.words() as encoder:
                return words.embed_with_pictures(
                    parts.tokenizer, parts.image_processor, encoder, parts.model, asked, seen, self.device,
                    lambda done: progress(done, "reading the instruction"),
                )  # fmt: skip

        pictures = [torch.from_numpy(np.array(picture)) for picture in seen]
        return self.cache.get_all([content_key("prompt", self._reading, p, *pictures) for p in prompts], make)

    def _variant(
        self, i: int, problem: Problem, request: EditRequest, run: Run, progress: Progress, preview: Preview
    ) -> Tensor:
        """Latents (1, z, 1, h, w) of variant i of the request's."""
        one_of_them = part(progress, i / request.variants, (i + 1) / request.variants)
        tokens = problem.rows * problem.columns
        scheduler = self.parts.scheduler
        if request.schedule in LIGHTNING:
            scheduler = denoise.lightning_scheduler(scheduler)
        denoise.edit_schedule(scheduler, request.steps, tokens, self.device)
        latents = self._denoise(problem, scheduler, request.seed + i, run, one_of_them, preview)
        return self._frames(latents, problem)
