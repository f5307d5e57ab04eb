"""What is asked of an editor: one type for all of them; each uses what it knows."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .errors import QilError
from .request import one_of, within

MAX_VARIANTS = 6
"""Pictures of one edit, as Model Studio's API has it."""

MAX_SEED = 2**31 - 1
"""The largest seed, as Model Studio's API has it."""

LIGHTNING = {"lightning, 4 steps": 4, "lightning, 8 steps": 8}
"""Schedules for LoRAs of few steps, such as Qwen-Image-Edit-2511-Lightning, and their steps; without guidance."""

SCHEDULES = ("default", *LIGHTNING)
"""In the order in which nodes offer them; saved workflows hold these names."""


@dataclass(frozen=True)
class EditRequest:
    """What is asked of an editor.

    instruction: what to change, in words; further pictures are called "image 2" and "image 3" there. variants: 1..6
    pictures. seed: 0..2^31-1; variant i of a local model uses seed + i.
    For local models: steps, 1..200; true_cfg_scale, 1..20, where 1 is without guidance; schedule, one of SCHEDULES,
    where those of LIGHTNING bring their own steps and go without guidance (`as_scheduled`).
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
    schedule: str = "default"

    def check(self) -> None:
        """QilError when a value is out of its range."""
        if not self.instruction.strip():
            raise QilError("The instruction is empty: say what to change, for example: make the shirt light blue.")
        within("Variants", self.variants, 1, MAX_VARIANTS)
        within("Seed", self.seed, 0, MAX_SEED)
        within("Steps", self.steps, 1, 200)
        within("True CFG scale", self.true_cfg_scale, 1, 20)
        one_of("Schedule", self.schedule, SCHEDULES)

    def as_scheduled(self) -> EditRequest:
        """The same with the steps and the guidance that its schedule goes with."""
        steps = LIGHTNING.get(self.schedule)
        return self if steps is None else replace(self, steps=steps, true_cfg_scale=1.0)
