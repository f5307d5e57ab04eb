"""The text encoder's jobs: describe a picture, and turn a prompt into embeddings, alone or with pictures.

Templates are the stock pipelines' own, read from them. What goes with pictures is made without torchvision.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..errors import QilError
from ..request import Language
from .models import LAYERED, Model

if TYPE_CHECKING:
    from PIL import Image

MAX_TOKENS = 512
"""Of a layered model's prompt, and of a caption."""

PLACE = "<|image_pad|>"
"""Where a picture stands in a text."""

NAMED = "Picture {}: <|vision_start|><|image_pad|><|vision_end|>"
"""How a template without a place for a picture speaks of each; a local name in QwenImageEditPlusPipeline."""


@cache
def stock(name: str = LAYERED.stock) -> Any:
    """The stock pipeline of that name without any model: its templates and constants."""
    import diffusers

    nothing: dict[str, Any] = dict.fromkeys(
        ("scheduler", "vae", "text_encoder", "tokenizer", "processor", "transformer")
    )
    return getattr(diffusers, name)(**nothing)


def token_count(tokenizer: Any, prompt: str) -> int:
    """Tokens of a prompt alone, without the template around it."""
    return len(tokenizer(prompt).input_ids)


def embed(tokenizer: Any, text_encoder: Any, prompts: Sequence[str], device: torch.device) -> list[Tensor]:
    """Embeddings (1, tokens, width) of each prompt in the template, its prefix dropped, at most 512 tokens."""
    pipeline = stock()
    texts = [tokenizer([pipeline.prompt_template_encode.format(prompt)], return_tensors="pt") for prompt in prompts]
    inputs = [{"input_ids": text.input_ids, "attention_mask": text.attention_mask} for text in texts]
    begin = pipeline.prompt_template_encode_start_idx
    return [states[:, begin:][:, :MAX_TOKENS] for states in last_states(text_encoder, inputs, device)]


def last_states(
    text_encoder: Any,
    inputs: Sequence[Mapping[str, Tensor]],
    device: torch.device,
    each: Callable[[float], None] = lambda done: None,
) -> list[Tensor]:
    """Last hidden states (1, tokens, width) of every input, as the text encoder's forward gives them, without logits.

    Each layer serves all inputs while it is at hand, so where the weights travel they travel once. each(fraction done)
    is called before every layer; it may raise to stop.
    """
    language = text_encoder.model.language_model
    calls = [_first_call(text_encoder.model, {name: value.to(device) for name, value in i.items()}) for i in inputs]
    states = [call.states for call in calls]
    for i, layer in enumerate(language.layers):
        each(i / len(language.layers))
        states = [_states(layer(state, **call.given)) for state, call in zip(states, calls, strict=True)]
    return [language.norm(state) for state in states]


class _FirstCall(Exception):
    """With what the first layer was called: hidden states (1, tokens, width), and what is the same for every layer."""

    def __init__(self, states: Tensor, given: Mapping[str, Any]) -> None:
        self.states, self.given = states, given


class _StopsHere(torch.nn.Module):
    """Stands in for the layers while the model's own forward prepares its input for them."""

    attention_type = "full_attention"  # transformers 4 asks its layers; all of Qwen2.5-VL's are alike

    def forward(self, hidden_states: Tensor, **given: Any) -> Tensor:
        raise _FirstCall(hidden_states, given)


def _first_call(model: Any, inputs: Mapping[str, Tensor]) -> _FirstCall:
    language = model.language_model
    layers, language.layers = language.layers, torch.nn.ModuleList([_StopsHere()])
    try:
        model(**inputs)
    except _FirstCall as call:
        return call.with_traceback(None)
    finally:
        language.layers = layers
    raise AssertionError("the model called no layer")


def _states(result: Any) -> Tensor:
    """Hidden states of what a layer gives, with transformers 4 the first one of several things."""
    return result if isinstance(result, Tensor) else result[0]


def describe(
    tokenizer: Any,
    image_processor: Any,
    text_encoder: Any,
    picture: Image.Image,
    language: Language,
    device: torch.device,
    each: Callable[[int], None],
) -> str:
    """A caption of the picture. each(n) is called after every token; it may raise to stop."""
    inputs = caption_inputs(tokenizer, image_processor, text_encoder, template(language), picture)
    given = {name: value.to(device) for name, value in inputs.items()}
    result = text_encoder.generate(**given, max_new_tokens=MAX_TOKENS, stopping_criteria=[_Counting(each)])
    words = result[:, given["input_ids"].shape[1] :]
    return tokenizer.batch_decode(words, skip_special_tokens=True, clean_up_tokenization_spaces=False)[0].strip()


def template(language: Language) -> str:
    """What the text encoder is asked for a caption, with one <|image_pad|>."""
    return stock().image_caption_prompt_en if language == "English" else stock().image_caption_prompt_cn


def caption_inputs(
    tokenizer: Any, image_processor: Any, text_encoder: Any, template: str, picture: Image.Image
) -> dict[str, Tensor]:
    """What the text encoder's generate() takes: the template with one place a merged patch, and the patches."""
    return seeing_inputs(tokenizer, image_processor, text_encoder, template, [picture])


def embed_with_pictures(
    tokenizer: Any,
    image_processor: Any,
    text_encoder: Any,
    model: Model,
    prompts: Sequence[str],
    pictures: Sequence[Image.Image],
    device: torch.device,
    each: Callable[[float], None] = lambda done: None,
) -> list[Tensor]:
    """Embeddings (1, tokens, width) of pictures with each prompt in the model's template, its prefix dropped.

    each: see `last_states`.
    """
    pipeline = stock(model.stock)
    template = pipeline.prompt_template_encode
    names = "" if PLACE in template else "".join(NAMED.format(i + 1) for i in range(len(pictures)))
    inputs = [
        seeing_inputs(tokenizer, image_processor, text_encoder, template.format(names + prompt), pictures)
        for prompt in prompts
    ]
    begin = pipeline.prompt_template_encode_start_idx
    return [states[:, begin:] for states in last_states(text_encoder, inputs, device, each)]


def seeing_inputs(
    tokenizer: Any, image_processor: Any, text_encoder: Any, text: str, pictures: Sequence[Image.Image]
) -> dict[str, Tensor]:
    """What the text encoder takes: the text with one place a merged patch of each picture, and the patches.

    Raises QilError when the text has not one place a picture.
    """
    vision = image_processor(images=[picture.convert("RGB") for picture in pictures], return_tensors="pt")
    places = (vision["image_grid_thw"].prod(1) // image_processor.merge_size**2).tolist()
    pieces = text.split(PLACE)
    if len(pieces) != len(places) + 1:
        raise QilError(f"A prompt must not have {PLACE} in it: it stands for a picture. Take it out.")
    whole = "".join(piece + PLACE * count for piece, count in zip(pieces, [*places, 0], strict=True))
    tokens = tokenizer([whole], return_tensors="pt")
    inputs = {**tokens, "pixel_values": vision["pixel_values"], "image_grid_thw": vision["image_grid_thw"]}
    inputs.pop("token_type_ids", None)
    if "mm_token_type_ids" in inspect.signature(text_encoder.forward).parameters:
        # The stock pipelines leave it out (diffusers issue 14194), and transformers 5 then forgets where patches are.
        inputs["mm_token_type_ids"] = (tokens.input_ids == text_encoder.config.image_token_id).int()
    return inputs


class _Counting:
    """A stopping criterion that never stops by itself: it reports, and what it calls may raise."""

    def __init__(self, each: Callable[[int], None]) -> None:
        self._each = each
        self._count = 0

    def __call__(self, input_ids: Tensor, scores: Any, **_: Any) -> Tensor:
        self._count += 1
        self._each(self._count)
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)
