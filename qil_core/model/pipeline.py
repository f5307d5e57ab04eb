"""Qwen-Image-Layered from a picture to layers: describe, embed, encode, denoise, decode."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import QilError
from ..progress import Preview, Progress, part, unseen
from ..request import Request
from . import denoise, words
from .cache import content_key
from .denoise import Guidance, Problem
from .runtime import DENOISED, ENCODED, Run, Runtime, fit, tokens


class LayeredModel(Runtime):
    """The layered model on one device. Calls with the same picture and prompt skip what was done before."""

    advice = "ask for fewer layers, or use resolution 640"
    unseen_frames = 1  # the whole picture

    @torch.inference_mode()
    def layers(
        self, picture: Tensor, request: Request, progress: Progress, preview: Preview = unseen
    ) -> tuple[Tensor, Run]:
        """Layers (N, h, w, 4) in [0, 1], straight alpha, bottom first, at the bucket's size, of a picture (H, W, 4).

        progress may raise to stop between steps. When the device's memory runs out, everything is freed and the
        next smaller memory mode is tried once. preview is offered a picture after the first step and every tenth.
        """
        run = Run()
        seen = tokens((picture.shape[1], picture.shape[0]), request.resolution) * (request.layers + 2)
        work = partial(self._layers, picture, request, run, progress, preview)
        return self._in_memory(work, run, seen + words.MAX_TOKENS), run

    def _layers(self, picture: Tensor, request: Request, run: Run, progress: Progress, preview: Preview) -> Tensor:
        seen, pixels = fit(picture, request.resolution)
        run.prompt = self._prompt(seen, request, run, part(progress, 0, ENCODED))
        prompts = [run.prompt, request.negative_prompt] if request.true_cfg_scale > 1 else [run.prompt]
        with run.stage("text"):
            embeddings = self._embeddings(prompts)
        with run.stage("image"):
            image = self._encode(pixels, run)
        rows, columns = image.shape[-2] // 2, image.shape[-1] // 2
        tokens = denoise.pack(image.permute(0, 2, 1, 3, 4))
        guidance = Guidance(request.true_cfg_scale, request.cfg_normalize)
        problem = Problem(embeddings, tokens, rows, columns, request.layers + 1, guidance)
        with run.stage("denoising"):
            scheduler, forming = self.parts.scheduler, part(progress, ENCODED, DENOISED)
            denoise.schedule(scheduler, request.steps, tokens.shape[1], self.device)
            latents = self._denoise(problem, scheduler, request.seed, run, forming, preview, request.sampler)
        with run.stage("decoding"):
            layers = self._decode(self._frames(latents, problem), run, part(progress, DENOISED, 1))
        return layers

    def _prompt(self, seen: Any, request: Request, run: Run, progress: Progress) -> str:
        if request.prompt.strip():
            if words.token_count(self.parts.tokenizer, request.prompt) > words.MAX_TOKENS:
                run.notes.append(f"The prompt is longer than {words.MAX_TOKENS} tokens; its end was not read.")
            return request.prompt
        if not self.parts.can_caption:
            raise QilError("This text encoder file cannot describe pictures. Write a prompt, or use a complete file.")

        def make() -> str:
            with self.placement.words() as encoder:
                return words.describe(
                    self.parts.tokenizer, self.parts.image_processor, encoder, seen, request.language, self.device,
                    lambda count: progress(count / words.MAX_TOKENS, "describing the picture"),
                )  # fmt: skip

        with run.stage("caption"):
            key = content_key(torch.from_numpy(np.array(seen)), request.language, self._reading)
            return self.cache.get(key, make)

    def _embeddings(self, prompts: Sequence[str]) -> list[Tensor]:
        def make(new: list[int]) -> list[Tensor]:
            with self.placement.words() as encoder:
                return words.embed(self.parts.tokenizer, encoder, [prompts[i] for i in new], self.device)

        return self.cache.get_all([content_key("prompt", self._reading, prompt) for prompt in prompts], make)
