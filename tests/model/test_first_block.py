"""The first block cache on blocks whose sums can be done in the head."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from qil_core.model.first_block import FirstBlockCache, States, change


class Blocks:
    """Three blocks that add a number to the image tokens; counts how often each ran."""

    def __init__(self) -> None:
        self.adds = [1.0, 10.0, 100.0]
        self.calls = [0, 0, 0]

    def through(self, block: int, states: States) -> States:
        self.calls[block] += 1
        return [(text, image + self.adds[block]) for text, image in states]


def states(value: float) -> States:
    return [(torch.zeros(1, 1, 1), torch.full((1, 2, 1), value + i)) for i in range(2)]


def values(images: list[torch.Tensor]) -> list[Any]:
    return [image.unique().item() for image in images]


def test_a_first_block_that_does_the_same_again_adds_what_the_others_added_before() -> None:
    blocks = Blocks()
    cache = FirstBlockCache(range(3), threshold=0.5)
    assert values(cache.run(states(0), blocks.through)) == [111, 112]
    blocks.adds = [1.2, 20.0, 200.0]
    assert values(cache.run(states(5), blocks.through)) == pytest.approx([5 + 1.2 + 110, 6 + 1.2 + 110])
    assert blocks.calls == [2, 1, 1]
    assert (cache.steps, cache.computed) == (2, 1)
    assert "1 of 2 steps" in cache.note


def test_one_that_does_something_else_makes_the_whole_step() -> None:
    blocks = Blocks()
    cache = FirstBlockCache(range(3), threshold=0.5)
    cache.run(states(0), blocks.through)
    blocks.adds = [1.6, 20.0, 200.0]
    assert values(cache.run(states(0), blocks.through)) == pytest.approx([221.6, 222.6])
    assert blocks.calls == [2, 2, 2]


def test_changes_are_counted_from_the_last_full_step_not_the_last_one() -> None:
    blocks = Blocks()
    cache = FirstBlockCache(range(3), threshold=0.5)
    for add in (1.0, 1.4, 1.6):
        blocks.adds[0] = add
        cache.run(states(0), blocks.through)
    assert cache.computed == 2


def test_at_threshold_0_every_step_is_whole_and_nothing_is_kept() -> None:
    blocks = Blocks()
    cache = FirstBlockCache(range(3))
    assert values(cache.run(states(0), blocks.through)) == [111, 112]
    assert values(cache.run(states(0), blocks.through)) == [111, 112]
    assert blocks.calls == [2, 2, 2]
    assert cache._others == []


def test_change_is_the_mean_difference_over_the_mean_size() -> None:
    assert change(torch.tensor([1.0, -3.0]), torch.tensor([2.0, -2.0])) == 0.5
