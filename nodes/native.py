"""Qwen-Image-Layered through ComfyUI's own MODEL, CLIP and VAE: the template's twelve nodes behind one Decomposer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import comfy.model_management
import comfy.model_sampling
import comfy.utils
import node_helpers
import numpy as np
import torch
from comfy_api.latest import io
from comfy_execution.progress import get_progress_state
from comfy_execution.utils import get_executing_context
from PIL import Image
from torch import Tensor

from ..qil_core.decompose import Decomposed, Request
from ..qil_core.decompose.layered_control import assembled, prompts_of, said
from ..qil_core.errors import QilError
from ..qil_core.model.runtime import bucket
from ..qil_core.naming import nameless
from ..qil_core.progress import Progress, part
from ..qil_core.request import RESOLUTIONS
from ..qil_core.restore import restore
from ..qil_core.stack import LayerStack, to_bytes
from .door import Node
from .sockets import CATEGORY, LayeredModel

CHANNELS, LATENT = 4, 16
"""Channels of a layer and of its latent."""

VAE_FILE = "qwen_image_layered_vae.safetensors"
RIGHT_CLIP = "load qwen_2.5_vl_7b.safetensors (or its fp8 or GGUF version) with Load CLIP, type qwen_image."

OWN_SHIFT, TEMPLATE_SHIFT = 0.0, 1.0
"""What the widget has for the MODEL's own shift; and the shift of ComfyUI's template, for a MODEL that sets none."""

WHOLE, NAMED = "all layers", "named elements (Layered-Control)"
"""What a MODEL makes. The weights of Qwen-Image-Layered-Control do not tell it from Qwen-Image-Layered."""

WORDS = "qwen25_7b"
"""Key of the tokens that CLIP type qwen_image makes."""

Conditioning = list[Any]


class NativeLayeredModel(Node):
    """Make a decomposer of models that ComfyUI loaded."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="NativeLayeredModel",
            display_name="Native Layered Model",
            category=CATEGORY,
            description="Makes a layered model of ComfyUI's own MODEL, CLIP and VAE: GGUF files, LoRAs and ComfyUI's "
            "memory management work with it.",
            search_aliases=["qwen image layered", "native layered", "layered from model clip vae", "gguf layered"],
            inputs=[*_models(), *_texts(), *_sampling(), _makes()],
            outputs=[LayeredModel.Output("layered_model", tooltip="For Decompose to Layers and Split Layer.")],
        )

    @classmethod
    def execute(cls, model: Any, clip: Any, vae: Any, resolution: str, **settings: Any) -> io.NodeOutput:
        check_model(model)
        check_vae(vae)
        check_clip(clip)
        return io.NodeOutput(Native(model, clip, vae, Sampling(resolution=int(resolution), **settings)))


def _models() -> list[Any]:
    return [
        io.Model.Input("model", tooltip="Load Diffusion Model with qwen_image_layered_bf16.safetensors, or its GGUF."),
        io.Clip.Input("clip", tooltip="Load CLIP with qwen_2.5_vl_7b, type qwen_image."),
        io.Vae.Input("vae", tooltip="Load VAE with qwen_image_layered_vae.safetensors: the one with 4 channels."),
    ]


def _texts() -> list[Any]:
    return [
        io.String.Input(
            "prompt",
            multiline=True,
            dynamic_prompts=True,
            default="",
            tooltip="Describes the whole picture, hidden parts too. It does not steer single layers. It may be empty.",
        ),
        io.String.Input(
            "negative_prompt",
            multiline=True,
            dynamic_prompts=True,
            default=" ",
            tooltip="The model's authors use a space.",
        ),
    ]


def _sampling() -> list[Any]:
    from comfy.samplers import KSampler  # loads the whole of ComfyUI

    return [
        io.Combo.Input(
            "resolution",
            options=[str(side) for side in RESOLUTIONS],
            tooltip="The model sees as many pixels as a square of this side has; layers get the picture's own size.",
        ),
        io.Int.Input(
            "steps", default=20, min=1, max=200, tooltip="ComfyUI's template takes 20, the model's authors 50."
        ),
        io.Float.Input(
            "cfg",
            default=2.5,
            min=0.0,
            max=20.0,
            step=0.1,
            round=0.01,
            tooltip="Guidance. 1 leaves the negative prompt out and takes half the time.",
        ),
        io.Combo.Input("sampler", options=KSampler.SAMPLERS, default="euler", tooltip="As in KSampler."),
        io.Combo.Input("scheduler", options=KSampler.SCHEDULERS, default="simple", tooltip="As in KSampler."),
        io.Float.Input(
            "shift",
            default=OWN_SHIFT,
            min=OWN_SHIFT,
            max=100.0,
            step=0.01,
            tooltip="0: what a ModelSamplingAuraFlow before this node has set, and without one 1, as in ComfyUI's "
            "template. Above 0: this, whatever was set before. The model's authors take 2.5 at 640 and 4 at 1024.",
        ),
    ]


def _makes() -> Any:
    tooltip = (
        f"{NAMED}: for qwen_image_layered_control_bf16.safetensors, whose weights do not tell it. What you name under "
        "elements in Decompose to Layers becomes a layer, in a pass of its own."
    )
    return io.Combo.Input("makes", options=[WHOLE, NAMED], optional=True, tooltip=tooltip)


def check_model(model: Any) -> None:
    """QilError unless a MODEL is Qwen-Image-Layered, told by its second timestep condition, which no other has."""
    core = getattr(model, "model", None)
    network = getattr(core, "diffusion_model", None)
    config = getattr(getattr(core, "model_config", None), "unet_config", None) or {}
    embedder = getattr(network, "time_text_embed", None)
    if config.get("use_additional_t_cond") or getattr(embedder, "use_additional_t_cond", False):
        return
    plain = config.get("image_model") == "qwen_image"
    kind = type(model if core is None else core).__name__
    found = "a plain Qwen-Image or Qwen-Image-Edit" if plain else f"{kind}, another kind of"
    raise QilError(
        f"This MODEL is {found} model, which cannot make layers: load qwen_image_layered_bf16.safetensors (or its fp8 "
        "or GGUF version) with Load Diffusion Model."
    )


def check_vae(vae: Any) -> None:
    """QilError unless a VAE takes and gives RGBA and makes this model's latents."""
    channels = getattr(vae, "output_channels", CHANNELS)
    latent = getattr(vae, "latent_channels", LATENT)
    if channels != CHANNELS:
        raise QilError(f"This VAE has {channels} channels, not {CHANNELS} (RGBA): use {VAE_FILE}.")
    if latent != LATENT:
        raise QilError(f"This VAE makes latents of {latent} channels, not {LATENT}: use {VAE_FILE}.")


def check_clip(clip: Any) -> None:
    """QilError unless a CLIP makes the tokens of CLIP type qwen_image, and no others."""
    found = sorted(clip.tokenize('the word "a"'))  # what is quoted gets tokens of its own from type hunyuan_image
    if found != [WORDS]:
        raise QilError(f"This CLIP makes tokens for {', '.join(found)}, not for {WORDS} alone: {RIGHT_CLIP}")


def check_width(conditioning: Conditioning, model: Any) -> None:
    """QilError when a text encoder's embeddings do not fit the model. No check where the width is unknown."""
    takes = getattr(getattr(model.model.diffusion_model, "txt_in", None), "in_features", None)
    gives = conditioning[0][0].shape[-1]
    if takes not in (None, gives):
        raise QilError(f"This CLIP's embeddings are {gives} wide, and the MODEL takes {takes}: {RIGHT_CLIP}")


@dataclass(frozen=True)
class Sampling:
    """What the node's widgets say; names and meanings are KSampler's and ModelSamplingAuraFlow's."""

    prompt: str = ""
    negative_prompt: str = " "
    resolution: int = 640
    steps: int = 20
    cfg: float = 2.5
    sampler: str = "euler"
    scheduler: str = "simple"
    shift: float = OWN_SHIFT
    makes: str = WHOLE

    def __str__(self) -> str:
        return f"{self.steps} steps of {self.sampler}, {self.scheduler}, cfg {self.cfg:g}"


@dataclass(frozen=True, eq=False)
class Native:
    """A Decomposer that runs ComfyUI's MODEL, CLIP and VAE as the nodes of its layered template do."""

    model: Any
    clip: Any
    vae: Any
    sampling: Sampling
    _held: dict[str, tuple[Conditioning, Conditioning]] = field(default_factory=dict, init=False, repr=False)

    @property
    def takes_elements(self) -> bool:
        return self.sampling.makes == NAMED

    @property
    def label(self) -> str:
        return f"Qwen-Image-Layered{'-Control' if self.takes_elements else ''} (ComfyUI)"

    def decompose(self, picture: Tensor, request: Request, progress: Progress) -> Decomposed:
        """Layers of picture (H, W, 4), bottom first, restored from the model's resolution, and notes for the report.

        Of the request it takes layers or elements, seed and, where there is one, the prompt; all else is set on the
        node.
        """
        progress(0.0, "encoding the picture")
        seen = at_bucket(picture, self.sampling.resolution)
        reference = self.vae.encode(seen)
        model = with_shift(self.model, self.sampling.shift)
        note = f"The model saw {seen.shape[2]} x {seen.shape[1]} px; {self.sampling}, {shift_of(model)}."
        if self.takes_elements:
            return self._elements(picture, reference, model, request, note, part(progress, 0.05, 1))
        prompt, frames = request.prompt or self.sampling.prompt, request.layers + 1
        latents = self._latents(model, reference, prompt, frames, request.seed, part(progress, 0.05, 0.9))
        made = self._decode(latents[:, :, 1:], part(progress, 0.9, 1.0))  # frame 0 is the whole picture
        stack = restore(LayerStack.from_image(made), picture)
        return Decomposed(nameless(stack.pixels), (note,), prompt)

    def _elements(
        self, picture: Tensor, reference: Tensor, model: Any, request: Request, note: str, progress: Progress
    ) -> Decomposed:
        """As the control model's own decomposer: a single frame for each element, which is its layer."""
        prompts = prompts_of(request)
        latents = []
        for i, prompt in enumerate(prompts):
            share = part(progress, 0.9 * i / len(prompts), 0.9 * (i + 1) / len(prompts))
            latents.append(self._latents(model, reference, prompt, 1, request.seed, share))
        made = self._decode(torch.cat(latents, dim=2), part(progress, 0.9, 0.95))
        asked = replace(request, prompt=request.prompt or self.sampling.prompt)
        stack, notes = assembled(made, asked, picture, part(progress, 0.95, 1))
        return Decomposed(stack, (*notes, note), said(request))

    def _latents(
        self, model: Any, reference: Tensor, prompt: str, frames: int, seed: int, progress: Progress
    ) -> Tensor:
        """Latents (1, 16, frames, h, w) that the model makes of a prompt and the picture's latent."""
        progress(0.0, "reading the prompt")
        words = [refer(each, reference) for each in self._read(prompt)]
        return self._sample(model, reference, words, frames, seed, part(progress, 0.05, 1))

    def _read(self, prompt: str) -> tuple[Conditioning, Conditioning]:
        """Conditioning of a prompt and of the negative prompt: the last one is kept, for all pictures and layers."""
        if prompt not in self._held:
            texts = prompt, self.sampling.negative_prompt
            positive, negative = (self.clip.encode_from_tokens_scheduled(self.clip.tokenize(text)) for text in texts)
            check_width(positive, self.model)
            self._held.clear()
            self._held[prompt] = positive, negative
        return self._held[prompt]

    def _sample(
        self, model: Any, reference: Tensor, prompts: list[Conditioning], frames: int, seed: int, progress: Progress
    ) -> Tensor:
        """Latents (1, 16, frames, h, w), by core's KSampler."""
        from comfy import sample

        chosen = self.sampling
        start = empty_latent(reference, frames)
        return sample.sample(
            model,
            sample.prepare_noise(start, seed),
            chosen.steps,
            chosen.cfg,
            chosen.sampler,
            chosen.scheduler,
            *prompts,
            start,
            callback=reporter(self.model, progress),
            disable_pbar=not comfy.utils.PROGRESS_BAR_ENABLED,
            seed=seed,
        )

    def _decode(self, latents: Tensor, progress: Progress) -> Tensor:
        """Layers (N, h, w, 4) in [0, 1] of latents (1, 16, N, h, w), each decoded alone: they are no video."""
        count = latents.shape[2]
        frames = []
        for i, latent in enumerate(latents.split(1, dim=2)):
            progress(i / count, f"decoding layer {i + 1} of {count}")
            image = self.vae.decode(latent)
            frames.append(image.reshape(-1, *image.shape[-3:]))
        return torch.cat(frames).float().clamp_(0, 1)


def at_bucket(picture: Tensor, resolution: int) -> Tensor:
    """A picture (H, W, 4) as a batch of one (1, h, w, 4), at the size that the model sees.

    Pillow's Lanczos, as in the authors' pipeline; it premultiplies RGBA.
    """
    image = Image.fromarray(to_bytes(picture.cpu()).numpy())
    size = bucket(image.width, image.height, resolution)
    seen = image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)
    return torch.from_numpy(np.array(seen)).float().div_(255)[None]


def refer(words: Conditioning, reference: Tensor) -> Conditioning:
    """As core's ReferenceLatent."""
    return node_helpers.conditioning_set_values(words, {"reference_latents": [reference]}, append=True)


def empty_latent(reference: Tensor, frames: int) -> Tensor:
    """As core's EmptyQwenImageLayeredLatentImage, at the size of the reference's latent (1, 16, 1, h, w)."""
    size = (1, LATENT, frames, *reference.shape[-2:])
    return torch.zeros(size, device=comfy.model_management.intermediate_device())


class _Sampling(comfy.model_sampling.ModelSamplingDiscreteFlow, comfy.model_sampling.CONST):
    """The rectified flow that core's ModelSamplingAuraFlow puts together."""


def with_shift(model: Any, shift: float) -> Any:
    """As core's ModelSamplingAuraFlow: a clone of the model; the model itself stays as it is.

    OWN_SHIFT leaves what a node before this one has set: the model is given back as it came.
    """
    if shift == OWN_SHIFT and "model_sampling" in model.object_patches:
        return model
    sampling = _Sampling(model.model.model_config)
    sampling.set_parameters(shift=shift or TEMPLATE_SHIFT, multiplier=1.0)
    clone = model.clone()
    clone.add_object_patch("model_sampling", sampling)
    return clone


def shift_of(model: Any) -> str:
    """The shift that a model samples with, for the report."""
    shift = getattr(model.get_model_object("model_sampling"), "shift", None)  # a MODEL's own sampling may have none
    return "the MODEL's own schedule" if shift is None else f"shift {shift:g}"


def reporter(model: Any, progress: Progress) -> Callable[[int, Tensor, Tensor, int], None]:
    """A sampler's callback: moves the bar, stops when the user interrupts, and shows core's preview."""
    from latent_preview import get_previewer

    previewer = get_previewer(model.load_device, model.model.latent_format)

    def report(step: int, denoised: Tensor, latents: Tensor, steps: int) -> None:
        progress((step + 1) / steps, f"step {step + 1} of {steps}")
        if previewer is not None:
            show(previewer.decode_latent_to_preview_image("JPEG", denoised))

    return report


def show(preview: Any) -> None:
    """Put a preview on the node that runs; its progress bar stays where it is."""
    context = get_executing_context()
    if context is not None:
        registry = get_progress_state()
        bar = registry.ensure_entry(context.node_id)
        registry.update_progress(context.node_id, bar["value"], bar["max"], preview)
