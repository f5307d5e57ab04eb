"""What is asked of an editor: one type for all of them; each uses what it knows."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import QilError
from .request import within

MAX_VARIANTS = 6
"""Pictures of one edit, as Model Studio's API has it."""

MAX_SEED = 2**31 - 1
"""The largest seed, as Model Studio's API has it."""


@dataclass(frozen=True)
class EditRequest:
    """What is asked of an editor.

    instruction: what to change, in words; further pictures are called "image 2" and "image 3" there. variants: 1..6
    pictures. seed: 0..2^31-1; variant i of a local model uses seed + i.
    For local models: steps, 1..200; true_cfg_scale, 1..20, where 1 is without guidance.
    For Model Studio: picture_urls, public https addresses of further pictures, counted after those that are given as
    pixels. They are passed on as they are, nothing here fetches them.
    """

    instruction: str
    negative_prompt: str = " "
    variants: int = 1
    seed: int = 0
    steps: int = 40
    true_cfg_scale: float = 4.0
    picture_urls: tuple[str, ...] = ()

    def check(self) -> None:
        """QilError when a value is out of its range."""
        if not self.instruction.strip():
            raise QilError("The instruction is empty: say what to change, for example: make the shirt light blue.")
        within("Variants", self.variants, 1, MAX_VARIANTS)
        within("Seed", self.seed, 0, MAX_SEED)
        within("Steps", self.steps, 1, 200)
        within("True CFG scale", self.true_cfg_scale, 1, 20)
