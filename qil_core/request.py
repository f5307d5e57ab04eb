"""What is asked of a decomposer: one type for all of them; each uses what it knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .elements import Element, check_elements
from .errors import QilError
from .text import MAX_PROMPT

MIN_LAYERS, MAX_LAYERS = 2, 10
MAX_TOTAL = 50
"""Largest number of layers in all, of what is counted or split again."""

RESOLUTIONS = (640, 1024)
SAMPLERS = ("euler", "heun")
LANGUAGES = ("English", "Chinese")
Language = Literal["English", "Chinese"]


@dataclass(frozen=True)
class Request:
    """layers: 2..10, background included. seed: the same seed gives the same result, 0..2^64-1.

    The rest is for models. prompt: describes the whole picture, hidden parts too; "" asks for an automatic caption in
    `language`. resolution: 640 or 1024, the side of the square with as many pixels as the model sees. steps: 1..200.
    true_cfg_scale: 1..20, 1 is without guidance (twice as fast). cfg_normalize: keep the length of the prediction.
    sampler: one of SAMPLERS; heun asks the model twice a step, but for the last one.

    at_most: as many layers as the picture has, up to `layers`, 2..50, of a decomposer that counts them (`Decomposer`).
    elements: the layers that are wanted, in words, of a decomposer that takes them; `layers` then counts for nothing.
    """

    layers: int = 4
    seed: int = 0
    prompt: str = ""
    negative_prompt: str = " "
    language: Language = "English"
    resolution: int = 640
    steps: int = 50
    true_cfg_scale: float = 4.0
    cfg_normalize: bool = True
    at_most: bool = False
    elements: tuple[Element, ...] = ()
    sampler: str = "euler"

    def check(self) -> None:
        """QilError when a value is out of its range."""
        within("Layers", self.layers, MIN_LAYERS, MAX_TOTAL if self.at_most else MAX_LAYERS)
        within("Seed", self.seed, 0, 2**64 - 1)
        within("Steps", self.steps, 1, 200)
        within("True CFG scale", self.true_cfg_scale, 1, 20)
        one_of("Resolution", self.resolution, RESOLUTIONS)
        one_of("Sampler", self.sampler, SAMPLERS)
        one_of("Caption language", self.language, LANGUAGES)
        readable("The prompt", self.prompt, MAX_PROMPT)
        readable("The negative prompt", self.negative_prompt, MAX_PROMPT)
        check_elements(self.elements)


LATER = {"elements": Request.elements, "sampler": Request.sampler}
"""What reports and batches of older versions do not say of a request, and its default, which counts for them."""


def within(what: str, value: float, low: float, high: float) -> None:
    """QilError unless low <= value <= high."""
    if not low <= value <= high:
        raise QilError(f"{what} must be {low} to {high}, got {value:g}.")


def one_of(what: str, value: object, allowed: tuple[object, ...]) -> None:
    """QilError unless value is an allowed one."""
    if value not in allowed:
        raise QilError(f"{what} must be one of {', '.join(map(str, allowed))}; got {value}.")


def readable(what: str, text: str, limit: int) -> None:
    """QilError unless a text is at most `limit` characters long and can be written as UTF-8."""
    if len(text) > limit:
        raise QilError(f"{what} is {len(text)} characters long, at most {limit} are read: shorten it.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = f"{text[error.start]} at position {error.start}"
        raise QilError(f"{what} holds half of a character, {half}: delete it or write it anew.") from None
