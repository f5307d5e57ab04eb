"""The text encoder's two jobs: describe a picture, and turn a prompt into embeddings.

Templates are the stock pipeline's own, read from it. The caption's inputs are made without torchvision.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..request import Language

if TYPE_CHECKING:
    from PIL import Image

MAX_TOKENS = 512
"""Of a prompt, and of a caption."""


@cache
def stock() -> Any:
    """The stock pipeline without any model: its templates and constants."""
    from diffusers import QwenImageLayeredPipeline

    nothing: dict[str, Any] = dict.fromkeys(
        ("scheduler", "vae", "text_encoder", "tokenizer", "processor", "transformer")
    )
    return QwenImageLayeredPipeline(**nothing)


def token_count(tokenizer: Any, prompt: str) -> int:
    """Tokens of a prompt alone, without the template around it."""
    return len(tokenizer(prompt).input_ids)


def embed(tokenizer: Any, text_encoder: Any, prompt: str, device: torch.device) -> Tensor:
    """Embeddings (1, tokens, width) of a prompt in the template, its prefix dropped, at most 512 tokens."""
    pipeline = stock()
    inputs = tokenizer([pipeline.prompt_template_encode.format(prompt)], return_tensors="pt").to(device)
    states = text_encoder(
        input_ids=inputs.input_ids, attention_mask=inputs.attention_mask, output_hidden_states=True
    ).hidden_states[-1]
    return states[:, pipeline.prompt_template_encode_start_idx :][:, :MAX_TOKENS]


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
    vision = image_processor(images=[picture.convert("RGB")], return_tensors="pt")
    places = int(vision["image_grid_thw"].prod()) // image_processor.merge_size**2
    tokens = tokenizer([template.replace("<|image_pad|>", "<|image_pad|>" * places)], return_tensors="pt")
    inputs = {**tokens, "pixel_values": vision["pixel_values"], "image_grid_thw": vision["image_grid_thw"]}
    inputs.pop("token_type_ids", None)
    if "mm_token_type_ids" in inspect.signature(text_encoder.forward).parameters:
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
