"""Editing pictures by words. One protocol, several editors: Qwen-Image-Edit on this machine, or Model Studio's API."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from torch import Tensor

from ..errors import QilError
from ..progress import Progress
from ..request import within

MAX_PICTURES = 3
MAX_VARIANTS = 6


@dataclass(frozen=True)
class EditRequest:
    """What is asked of an editor.

    instruction: what to change, in words; further pictures are called "image 2" and "image 3" there. variants: 1..6
    pictures. seed: 0..2^31-1; variant i of a local model uses seed + i. The rest is for local models. steps: 1..200.
    true_cfg_scale: 1..20, 1 is without guidance.
    """

    instruction: str
    negative_prompt: str = " "
    variants: int = 1
    seed: int = 0
    steps: int = 40
    true_cfg_scale: float = 4.0

    def check(self) -> None:
        """QilError when a value is out of its range."""
        if not self.instruction.strip():
            raise QilError("The instruction is empty: say what to change, for example: make the shirt light blue.")
        within("Variants", self.variants, 1, MAX_VARIANTS)
        within("Seed", self.seed, 0, 2**31 - 1)
        within("Steps", self.steps, 1, 200)
        within("True CFG scale", self.true_cfg_scale, 1, 20)


class Edited(NamedTuple):
    """An editor's answer: pictures (h, w, 3) float32 in [0, 1], each in the editor's own size, notes for the report."""

    pictures: tuple[Tensor, ...]
    notes: tuple[str, ...] = ()


class Editor(Protocol):
    """Anything that edits pictures by words."""

    label: str
    """What it is, for people: "Qwen-Image-Edit-2509"."""

    def native_size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height in pixels in which a picture of width x height comes back."""
        ...

    def edit(self, pictures: Sequence[Tensor], request: EditRequest, progress: Progress) -> Edited:
        """request.variants pictures made of 1..3 pictures, float32 (H, W, 3) in [0, 1]; the first one is edited.

        Raises QilError.
        """
        ...
