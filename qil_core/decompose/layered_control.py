"""Qwen-Image-Layered-Control behind the Decomposer protocol: the layers that are named, and what lies below them.

1. `ControlModel.elements`: a small layer for each element, in its own pass.
2. `_cut`: nothing of an element outside of its box, where it has one.
3. `restore.restore`: alpha at the picture's size, above a background that is filled at the small size (`_ground`).
4. `_ground` at the picture's size: what no element covers, carried on under them, as for masks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..elements import Element, shares_note
from ..errors import QilError
from ..model.sources import DOWNLOAD, FILES, FOLDER, Wanted, sources
from ..naming import BACKGROUND, numbered
from ..progress import Progress, part
from ..resample import resize
from ..restore import restore, settled
from ..stack import LayerStack
from . import MIN_COVERAGE, Decomposed, Entry, Place, Request
from .masks import CLEAR, SOLID, filled
from .qwen import Qwen

if TYPE_CHECKING:
    from ..model.control import ControlModel

WANTED = Wanted(
    repository="DiffSynth-Studio/Qwen-Image-Layered-Control",
    size="58 GB",
    transformer="qwen_image_layered_control_bf16, fp8 or GGUF",
    vae="qwen_image_layered_vae, with 4 channels",
    advice="Qwen-Image-Layered-Control needs qwen_image_layered_control_bf16.safetensors (41 GB) in "
    "models/diffusion_models, qwen_2.5_vl_7b_fp8_scaled.safetensors (9 GB) in models/text_encoders and "
    "qwen_image_layered_vae.safetensors (0.3 GB) in models/vae, or a diffusers folder in models/diffusers.",
    rest="Qwen/Qwen-Image-Layered",
)

DENOISING = 0.9
"""Share of the progress at which the model is done."""


class LayeredControl(Qwen):
    """Qwen-Image-Layered-Control on one device."""

    label = "Qwen-Image-Layered-Control"
    takes_elements = True
    model: ControlModel

    def decompose(self, picture: Tensor, request: Request, progress: Progress) -> Decomposed:
        """The background and a layer for each element of the request, in their order, bottom first.

        Raises QilError without elements.
        """
        from ..model.runtime import report_lines

        prompts = prompts_of(request)
        layers, run = self.model.elements(picture, prompts, request, part(progress, 0, DENOISING), self.preview)
        stack, notes = assembled(layers, request, picture, part(progress, DENOISING, 1))
        return Decomposed(stack, (*notes, *report_lines(run)), said(request))


def prompts_of(request: Request) -> list[str]:
    """What the model is told, each once: a pass serves all elements of the same words. Raises QilError without any."""
    check_named(request)
    return list(dict.fromkeys(map(prompt_of, request.elements)))


def said(request: Request) -> str:
    """The elements as text, a line each."""
    return "\n".join(map(str, request.elements))


def check_named(request: Request) -> None:
    """QilError without elements."""
    if not request.elements:
        raise QilError(
            "Qwen-Image-Layered-Control makes the layers that are named, and no element is: write one a line under "
            '"elements", bottom first, such as: girl. For all layers of a picture load Qwen-Image-Layered.'
        )


def unused(request: Request) -> list[str]:
    """A note where the request has a prompt, which the control model has no use for."""
    return ["The prompt was not used: every element is its own."] if request.prompt.strip() else []


def prompt_of(element: Element) -> str:
    """What the model is told: an element's words; a text that stands alone is called one, as its authors do."""
    return f"Text '{element.text}'" if element.name == element.text else element.name


def assembled(
    made: Tensor, request: Request, picture: Tensor, progress: Progress
) -> tuple[LayerStack, tuple[str, ...]]:
    """A stack at the size of picture (H, W, 4), the background and the elements' layers on it, and notes.

    made: a layer (h, w, 4) for each of `prompts_of`.
    """
    elements, prompts = request.elements, prompts_of(request)
    height, width = picture.shape[:2]
    layers = made[[prompts.index(prompt_of(each)) for each in elements]]
    _cut(layers, elements, width, height)
    seen = resize(picture[None], *made.shape[1:3])[0]
    names = (BACKGROUND, *numbered([element.name for element in elements]))
    whole = LayerStack(torch.cat([_ground(layers, seen)[None], layers]), names)
    stack = restore(whole, picture, part(progress, 0, 0.7))
    _cut(stack.pixels[1:], elements, width, height)
    progress(0.7, "completing the background")
    stack.pixels[0] = _ground(stack.pixels[1:], picture)
    return stack, (*explained(stack), *unused(request))


def _cut(layers: Tensor, elements: Sequence[Element], width: int, height: int) -> None:
    """Take out of layers (N, h, w, 4) what lies outside of the elements' boxes, in pixels of width x height."""
    y = (torch.arange(layers.shape[1]) + 0.5) * height / layers.shape[1]
    x = (torch.arange(layers.shape[2]) + 0.5) * width / layers.shape[2]
    for layer, element in zip(layers, elements, strict=True):
        if box := element.box:
            inside = ((y >= box.top) & (y < box.bottom))[:, None] & (x >= box.left) & (x < box.right)
            layer[..., 3] *= inside.to(layer)


def _ground(layers: Tensor, picture: Tensor) -> Tensor:
    """An opaque layer (h, w, 4): what the layers (N, h, w, 4) leave of a picture (h, w, 4), carried on under them.

    The model's alpha wavers, so it is settled first: else all of the picture would count as covered a little.
    """
    through = torch.ones_like(layers[0, ..., 3])
    for layer in layers:
        through *= 1 - settled(layer)[1][..., 3]
    rgb, shown = picture[..., :3].cpu().numpy(), picture[..., 3].cpu().numpy() >= SOLID
    free = (through >= 1 - CLEAR).cpu().numpy() & shown
    colors = torch.from_numpy(filled(rgb, free)).to(picture)
    return torch.cat([colors, torch.ones_like(colors[..., :1])], dim=2)


def explained(stack: LayerStack) -> list[str]:
    """Notes: what share of the picture each element covers, and which came back empty."""
    named = {stack.names[i]: stack.coverage(i) for i in range(1, len(stack))}
    notes = [shares_note(named)]
    empty = [f'"{name}"' for name, share in named.items() if share < MIN_COVERAGE]
    if empty:
        notes.append(f"Came back empty: {', '.join(empty)}. Name it otherwise, in English, or leave it out.")
    return notes


def _opener(label: str) -> Any:
    """Opens the control model from a source that is called so for every model."""

    def open_(values: Mapping[str, Any], place: Place) -> LayeredControl:
        from ..model import models
        from ..model.control import ControlModel

        chosen = {**values, "source": label}
        return LayeredControl(place.runtime(ControlModel, chosen, WANTED, (models.CONTROL,)), place.preview)

    return open_


NAMES = {FOLDER: "control", FILES: "control-files", DOWNLOAD: "control-download"}
ENTRIES = tuple(
    Entry(NAMES[label], f"Layered-Control, {label}", options, _opener(label), takes_elements=True)
    for label, options in sources(WANTED).items()
)
