"""What is asked of Model Studio's API: its models, the limits that are checked before anything is sent, the JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor

from ..edit_request import LIGHTNING, MAX_VARIANTS, EditRequest
from ..errors import QilError
from ..progress import Progress
from ..request import within
from ..stack import check_image
from . import MAX_PICTURES
from .studio_address import check_picture_url
from .studio_pictures import Size, data_uri, letterbox, native_size, parse_size

PATH = "/api/v1/services/aigc/multimodal-generation/generation"

LONGEST_TEXT, LONGEST_NEGATIVE = 800, 500
"""Characters of the words and of the negative ones that the API reads; it cuts off the others."""

MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}")


class Abilities(NamedTuple):
    """What a model takes. variants: pictures of one request; sized: `size`; extends: `prompt_extend`."""

    variants: int
    sized: bool
    extends: bool


ALL = Abilities(MAX_VARIANTS, sized=True, extends=True)
"""Those of the plus models, and of every model that is not known here: the API says so itself where it takes less."""

SINGLE = "qwen-image-edit"
"""The one model that makes one picture, in a size of its own, from the words as they are."""

MODELS: dict[str, Abilities] = {
    "qwen-image-edit-plus": ALL,
    "qwen-image-edit-plus-2025-12-15": ALL,
    "qwen-image-edit-plus-2025-10-30": ALL,
    "qwen-image-edit-max": ALL,
    "qwen-image-edit-max-2026-01-16": ALL,
    "qwen-image-2.0-pro": ALL,
    "qwen-image-2.0": ALL,
    SINGLE: Abilities(1, sized=False, extends=False),
}
"""Known models (Model Studio's "Qwen - image editing API reference", March 2026); others are sent all the same."""

DEFAULT_MODEL = next(iter(MODELS))


@dataclass(frozen=True)
class Options:
    """How a model is asked.

    size: see `studio_pictures.parse_size`. prompt_extend: let the API improve the words. watermark: "Qwen-Image" in a
    corner. Raises QilError for a name or a size that the API cannot take.
    """

    model: str = DEFAULT_MODEL
    size: str = "auto"
    prompt_extend: bool = True
    watermark: bool = False

    def __post_init__(self) -> None:
        if not MODEL_NAME.fullmatch(self.model):
            raise QilError(
                "The model's name must be 1 to 128 letters, digits, dots and hyphens. "
                f"Known ones are {', '.join(MODELS)}."
            )
        if parse_size(self.size) != parse_size("auto") and not self.abilities.sized:
            raise QilError(f"{self.model} takes no size, got {self.size}: use auto, or {DEFAULT_MODEL}.")

    @property
    def abilities(self) -> Abilities:
        return MODELS.get(self.model, ALL)

    @property
    def output(self) -> Size:
        return parse_size(self.size)

    def asks_size(self, request: EditRequest) -> bool:
        """Whether the size is in the API's request: it takes one for a single picture only."""
        return self.abilities.sized and request.variants == 1


def check(pictures: Sequence[Tensor], request: EditRequest, options: Options) -> list[Tensor]:
    """The pictures, float32 (H, W, 3). Raises QilError for what the API would refuse or cut off, before it is sent."""
    within("The number of pictures", len(pictures) + len(request.picture_urls), 1, MAX_PICTURES)
    given = [check_image(picture[None], channels=(3,))[0] for picture in pictures]
    if not given:
        raise QilError("The picture to edit must be given as pixels; addresses are for further pictures.")
    request.check()
    if request.schedule in LIGHTNING:
        raise QilError(f"Model Studio has a schedule of its own: set it to default, got {request.schedule}.")
    _at_most("The instruction", request.instruction, LONGEST_TEXT)
    _at_most("The negative prompt", request.negative_prompt, LONGEST_NEGATIVE)
    if request.variants > options.abilities.variants:
        raise QilError(
            f"{options.model} makes 1 picture at a time, got {request.variants} variants: use {DEFAULT_MODEL}."
        )
    _check_aspect_is_ours(request, options)
    for url in request.picture_urls:
        check_picture_url(url)
    return given


def _check_aspect_is_ours(request: EditRequest, options: Options) -> None:
    """The answer has the last picture's aspect where no size is asked for: that one's has to be known."""
    if options.asks_size(request):
        return
    if parse_size("auto") != options.output:
        raise QilError(
            f"Model Studio takes a size for one variant only, got {request.variants} variants and size {options.size}: "
            "use size auto, or one variant."
        )
    if request.picture_urls:
        raise QilError(
            f"Addresses of pictures work with one variant of a model that takes a size, such as {DEFAULT_MODEL}: else "
            "the answer has the aspect of the last picture, which is not known here. Give the picture itself instead."
        )


def _at_most(what: str, text: str, limit: int) -> None:
    if len(text) > limit:
        raise QilError(f"{what} has {len(text)} characters, Model Studio takes {limit}: shorten it.")


def body(pictures: list[Tensor], request: EditRequest, options: Options, progress: Progress) -> tuple[bytes, list[str]]:
    """The request's JSON, and notes on what was done to the pictures (H, W, 3)."""
    height, width, _ = pictures[0].shape
    size = native_size(width, height, options.output)
    pictures, notes = (pictures, []) if options.asks_size(request) else _in_aspect(pictures)
    content: list[dict[str, str]] = []
    for i, picture in enumerate(pictures):
        progress(i / len(pictures), f"Model Studio: preparing picture {i + 1}")
        uri, changed = data_uri(picture, f"Picture {i + 1}")
        content.append({"image": uri})
        notes += changed
    content += [{"image": url} for url in request.picture_urls]
    content.append({"text": request.instruction})
    said = {
        "model": options.model,
        "input": {"messages": [{"role": "user", "content": content}]},
        "parameters": _parameters(request, options, size),
    }
    return json.dumps(said, ensure_ascii=False).encode(errors="replace"), notes


def _in_aspect(pictures: list[Tensor]) -> tuple[list[Tensor], list[str]]:
    """Pictures of which the last one has the first one's aspect, and notes."""
    height, width, _ = pictures[0].shape
    padded = letterbox(pictures[-1], width, height) if len(pictures) > 1 else pictures[-1]
    if padded is pictures[-1]:
        return pictures, []
    note = f"Picture {len(pictures)} was padded to the aspect of picture 1: the answer's is the last's."
    return [*pictures[:-1], padded], [note]


def _parameters(request: EditRequest, options: Options, size: tuple[int, int]) -> dict[str, Any]:
    parameters: dict[str, Any] = {"n": request.variants, "watermark": options.watermark, "seed": request.seed}
    if request.negative_prompt:
        parameters["negative_prompt"] = request.negative_prompt
    if options.abilities.extends:
        parameters["prompt_extend"] = options.prompt_extend
    if options.asks_size(request):
        parameters["size"] = f"{size[0]}*{size[1]}"
    return parameters
