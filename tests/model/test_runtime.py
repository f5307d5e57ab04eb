"""What the runtime decides before any weight is read: memory plans, sizes, and what it remembers."""

from __future__ import annotations

import pytest
import torch

from qil_core.errors import QilError
from qil_core.model import cache, placement
from qil_core.model.placement import ALL, LEAVES, STREAMED, Plan
from qil_core.model.runtime import bucket


def test_a_plan_fits_the_memory_there_is() -> None:
    gib = placement.GIB
    need = placement.Sizes(28 * gib, gib * 28 // 60, 60, 16 * gib, gib)
    assert placement.choose("auto", 80 * gib, need) == Plan(ALL, 60)
    assert placement.choose("auto", 40 * gib, need) == Plan(LEAVES, 60)
    streamed = placement.choose("auto", 24 * gib, need)
    assert streamed.mode == STREAMED
    assert 30 <= streamed.resident <= 45
    assert not streamed.streams_words, "alone it fits, and writing a caption word by word is no work for a bus"
    assert placement.choose(STREAMED, 12 * gib, need).streams_words
    assert placement.choose("auto", 8 * gib, need).resident < 6
    with pytest.raises(QilError, match="Unknown memory mode"):
        placement.choose("fast", 80 * gib, need)


@pytest.mark.parametrize(
    ("size", "want"),
    [((640, 640), (640, 640)), ((1920, 1080), (864, 480)), ((1, 5000), (160, 2560)), ((80, 60), (736, 544))],
)
def test_buckets_keep_the_aspect_on_a_grid_of_32(size: tuple[int, int], want: tuple[int, int]) -> None:
    assert bucket(*size, 640) == want


def test_the_cache_is_bounded_and_forgets_the_least_recently_used() -> None:
    held = cache.ContentCache(limit=3000)
    made: list[str] = []

    def ask(name: str) -> torch.Tensor:
        return held.get(name, lambda: made.append(name) or torch.zeros(250))  # 1000 bytes

    for name in ("a", "b", "c", "a", "d", "a", "b"):
        ask(name)
    assert made == ["a", "b", "c", "d", "b"]
    assert held.size <= 3000


def test_equal_contents_have_equal_keys_and_others_do_not() -> None:
    x = torch.rand(3, 4)
    assert cache.content_key(x, "a") == cache.content_key(x.clone().t().contiguous().t(), "a")
    assert cache.content_key(x, "a") != cache.content_key(x, "b")
    assert cache.content_key(x) != cache.content_key(x.reshape(4, 3))
    assert cache.content_key("1") != cache.content_key(1)
