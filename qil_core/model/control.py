"""Qwen-Image-Layered-Control: a layer for every element that is named, one pass through the model for each.

The network is Qwen-Image-Layered's; the authors (DiffSynth-Studio) trained it to give a single frame, the element that
the prompt names, where the layered model gives the whole picture and its layers. Their pipeline (diffsynth/pipelines/
qwen_image.py with layer_num=0, and diffsynth/diffusion/flow_match.py, "Qwen-Image") samples it as Qwen-Image-Edit: an
exponential shift by the number of tokens that ends at 0.02, and guidance without normalisation.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from ..progress import Preview, Progress, part, unseen
from ..request import Request
from . import denoise, words
from .denoise import Guidance, Problem
from .pipeline import LayeredModel
from .runtime import DENOISED, ENCODED, Run, fit, tokens


class ControlModel(LayeredModel):
    """The control model on one device. Calls with the same picture and words skip what was done before."""

    advice = "ask for resolution 640"
    unseen_frames = 0  # the only frame is the element

    @torch.inference_mode()
    def elements(
        self,
        picture: Tensor,
        prompts: Sequence[str],
        request: Request,
        progress: Progress,
        preview: Preview = unseen,
    ) -> tuple[Tensor, Run]:
        """A layer for each prompt, (N, h, w, 4) in [0, 1], straight alpha, at the bucket's size, of a picture (H, W, 4)
        in [0, 1].

        All begin with the same noise, so what a prompt gives does not depend on the others. Of the request everything
        counts but layers, prompt and language. progress, preview and memory that runs out: as `LayeredModel.layers`.
        """
        run = Run("; ".join(prompts))
        seen = 2 * tokens((picture.shape[1], picture.shape[0]), request.resolution)
        work = partial(self._elements, picture, prompts, request, run, progress, preview)
        return self._in_memory(work, run, seen + words.MAX_TOKENS), run

    def _elements(
        self, picture: Tensor, prompts: Sequence[str], request: Request, run: Run, progress: Progress, preview: Preview
    ) -> Tensor:
        negative = [request.negative_prompt] if request.true_cfg_scale > 1 else []
        with run.stage("text"):
            embeddings = self._embeddings([*prompts, *negative])
        with run.stage("image"):
            image = self._encode(fit(picture, request.resolution)[1], run)
        grid = image.shape[-2] // denoise.PATCH, image.shape[-1] // denoise.PATCH
        condition = denoise.pack(image.permute(0, 2, 1, 3, 4))
        guidance = Guidance(request.true_cfg_scale, request.cfg_normalize)
        forming = part(progress, ENCODED, DENOISED)
        latents = []
        with run.stage("denoising"):
            for i, words_of_it in enumerate(embeddings[: len(prompts)]):
                problem = Problem([words_of_it, *embeddings[len(prompts) :]], condition, *grid, 1, guidance)
                scheduler = denoise.control_scheduler(self.parts.scheduler)
                denoise.edit_schedule(scheduler, request.steps, condition.shape[1], self.device)
                share = _named(part(forming, i / len(prompts), (i + 1) / len(prompts)), prompts[i])
                made = self._denoise(problem, scheduler, request.seed, run, share, preview, request.sampler)
                latents.append(self._frames(made, problem))
        with run.stage("decoding"):
            return self._decode(torch.cat(latents), run, part(progress, DENOISED, 1))


def _named(progress: Progress, what: str) -> Progress:
    """Progress that says which element it is about."""
    return lambda fraction, step: progress(fraction, f"{what}: {step}")
