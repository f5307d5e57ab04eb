"""What the runtime decides before any weight is read: sizes, and what it remembers."""

from __future__ import annotations

import pytest
import torch

from qil_core.model import cache
from qil_core.model.runtime import bucket, tokens


@pytest.mark.parametrize(
    ("size", "want"),
    [((640, 640), (640, 640)), ((1920, 1080), (864, 480)), ((1, 5000), (160, 2560)), ((80, 60), (736, 544))],
)
def test_buckets_keep_the_aspect_on_a_grid_of_32(size: tuple[int, int], want: tuple[int, int]) -> None:
    assert bucket(*size, 640) == want


def test_tokens_are_the_patches_of_what_the_model_sees() -> None:
    assert tokens((640, 640), 640) == 1600
    assert tokens((80, 60), 1024) == 74 * 56


def test_the_cache_is_bounded_and_forgets_the_least_recently_used() -> None:
    held = cache.ContentCache(limit=3000)
    made: list[str] = []

    def ask(name: str) -> torch.Tensor:
        return held.get(name, lambda: made.append(name) or torch.zeros(250))  # 1000 bytes

    for name in ("a", "b", "c", "a", "d", "a", "b"):
        ask(name)
    assert made == ["a", "b", "c", "d", "b"]
    assert held.size <= 3000


def test_what_the_cache_lacks_of_several_things_is_made_at_once() -> None:
    held = cache.ContentCache(limit=2000)
    made: list[list[str]] = []

    def ask(*names: str) -> list[float]:
        def make(new: list[int]) -> list[torch.Tensor]:
            made.append([names[i] for i in new])
            return [torch.full((250,), float(ord(names[i]))) for i in new]  # 1000 bytes each

        return [value[0].item() for value in held.get_all(names, make)]

    assert ask("a", "b") == [97, 98]
    assert ask("b", "c", "c") == [98, 99, 99], "a is forgotten"
    assert ask("d", "b", "a") == [100, 98, 97], "b is kept for the answer, though it has to make room"
    assert ask("a") == [97]
    assert made == [["a", "b"], ["c"], ["d", "a"]]


def test_equal_contents_have_equal_keys_and_others_do_not() -> None:
    x = torch.rand(3, 4)
    assert cache.content_key(x, "a") == cache.content_key(x.clone().t().contiguous().t(), "a")
    assert cache.content_key(x, "a") != cache.content_key(x, "b")
    assert cache.content_key(x) != cache.content_key(x.reshape(4, 3))
    assert cache.content_key("1") != cache.content_key(1)
