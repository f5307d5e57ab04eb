"""The first block cache on blocks whose sums can be done in the head."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("diffusers")

import tiny_model
from diffusers.hooks import FirstBlockCacheConfig, apply_first_block_cache

from qil_core.checkpoints.folders import Files
from qil_core.model.first_block import FirstBlockCache, States, change
from qil_core.model.parts import load
from qil_core.model.pipeline import LayeredModel
from qil_core.model.plan import STREAMED
from qil_core.progress import silent
from qil_core.request import Request


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
    assert "1 of 2 evaluations" in cache.note


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


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model.build(tmp_path_factory.mktemp("tiny"))


STEPS, THRESHOLD = 12, 1.0


def streamed(folder: Path) -> LayeredModel:
    return LayeredModel(load(Files.of_folder(folder), torch.float32), torch.device("cpu"), STREAMED, free=0)


def layers(model: LayeredModel) -> tuple[torch.Tensor, int]:
    """Layers by one guidance pass, and the bytes of blocks that were moved for that."""
    asked = Request(layers=1, steps=STEPS, prompt="a disc", true_cfg_scale=1.0, resolution=128)
    found, _ = model.layers(torch.ones(8, 8, 4), asked, silent)
    assert model.placement.streamed is not None
    return found, model.placement.streamed.moved


def test_it_gives_the_bits_of_diffusers_own_cache_whose_hooks_move_every_block_in_every_step(folder: Path) -> None:
    """Why there is a cache of our own: diffusers' blocks find out that they are not needed when they are there."""
    whole, every_step = layers(streamed(folder))
    mine = streamed(folder)
    mine.tune(reuse=THRESHOLD)
    theirs = streamed(folder)
    transformer = theirs.parts.transformer
    apply_first_block_cache(transformer, FirstBlockCacheConfig(THRESHOLD))
    got, moved = layers(mine)
    with transformer.cache_context("cond"):
        want, moved_by_hooks = layers(theirs)
    assert torch.equal(got, want)
    assert not torch.equal(got, whole)
    assert moved_by_hooks == every_step
    assert moved < 0.9 * every_step
