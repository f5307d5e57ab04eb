"""All blocks of a step, or the first one only: when it does what it did before, the others would do so too.

Lossy, and off at threshold 0. The first block's residual tells how far a step is from the last one that was computed
in full; while it is near, what the other blocks added then is added again. The idea is ParaAttention's "first block
cache" (which follows TeaCache, arXiv 2411.19108); diffusers has it as FirstBlockCacheConfig.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from torch import Tensor

States = Sequence[tuple[Tensor, Tensor]]
"""Text and image tokens (1, tokens, width) of every guidance pass."""


class FirstBlockCache:
    """The blocks of one denoising run. `steps` and `computed` count the model's evaluations, and those done in full:
    one a step, or with Heun's method two.
    """

    def __init__(self, blocks: Iterable[Any], threshold: float = 0.0) -> None:
        """threshold: mean |change| of the first block's residual over its mean size, up to which a step is cut short.

        0.05 to 0.15 are usual.
        """
        self._blocks = blocks
        self._threshold = threshold
        self._first: list[Tensor] = []  # the first block's residual of every pass
        self._others: list[Tensor] = []  # what the other blocks added
        self.steps = self.computed = 0

    @property
    def note(self) -> str:
        """For the report."""
        return f"First block cache (lossy): {self.computed} of {self.steps} evaluations were computed in full."

    def run(self, states: States, through: Callable[[Any, States], States]) -> list[Tensor]:
        """Image tokens after the last block. through(block, states) gives the states after a block."""
        self.steps += 1
        start = [image for _, image in states]
        middle: list[Tensor] = []
        for block in self._blocks:
            states = through(block, states)
            if self._threshold and not middle:
                middle = [image for _, image in states]
                first = [after - before for after, before in zip(middle, start, strict=True)]
                if self._near(first):
                    return [image + added for image, added in zip(middle, self._others, strict=True)]
                self._first = first
        self.computed += 1
        end = [image for _, image in states]
        self._others = [after - before for after, before in zip(end, middle, strict=True)] if middle else []
        return end

    def _near(self, first: Sequence[Tensor]) -> bool:
        pairs = list(zip(first, self._first, strict=False))
        return bool(pairs) and all(change(new, old) < self._threshold for new, old in pairs)


def change(new: Tensor, old: Tensor) -> float:
    """Mean |new - old| over mean |old|."""
    return float((new - old).abs().mean() / old.abs().mean())
