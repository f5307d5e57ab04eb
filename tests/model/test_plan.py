"""Where weights are to live, on machines of every size: the decision is arithmetic on sizes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import memory_table
import pytest

from qil_core.errors import QilError
from qil_core.model.plan import ALL, GIB, LEAVES, LOSSY, STREAMED, WORKING, Free, Plan, Sizes, choose, smaller, working

NEED = Sizes(28 * GIB, GIB * 28 // 60, 60, 16 * GIB, GIB // 2, 28, GIB)
DOCS = Path(__file__).resolve().parents[2] / "docs" / "model.md"


def test_a_plan_fits_the_memory_there_is() -> None:
    assert choose("auto", Free(80 * GIB), NEED) == Plan(ALL, 60, 28, leaves=False)
    assert choose("auto", Free(40 * GIB), NEED) == Plan(LEAVES, 60, 28)
    streamed = choose("auto", Free(24 * GIB), NEED)
    assert streamed.mode == STREAMED
    assert 30 <= streamed.resident <= 45
    assert streamed.words == 28, "alone it fits, and writing a caption word by word is no work for a bus"
    assert choose("auto", Free(8 * GIB), NEED).resident < 9
    with pytest.raises(QilError, match="Unknown memory mode"):
        choose("fast", Free(80 * GIB), NEED)


@pytest.mark.parametrize("device", [8, 12, 16, 24])
@pytest.mark.parametrize("tokens", [10_112, 25_088, 49_664])
def test_what_stays_on_the_device_fits_beside_slots_and_working_memory(device: int, tokens: int) -> None:
    plan = choose(STREAMED, Free(device * GIB), NEED, tokens)
    others = NEED.transformer - NEED.blocks * NEED.block + NEED.vae
    taken = others + (plan.resident + 2) * NEED.block + working(tokens)
    assert taken <= device * GIB or plan.resident == 0
    assert taken + NEED.block > device * GIB
    words = NEED.text_encoder - (28 - plan.words) * NEED.layer + 2 * NEED.layer + NEED.vae + WORKING
    assert words <= device * GIB or plan.words == 28 or plan.words == 0


def test_more_tokens_leave_less_room_for_weights() -> None:
    few, many = (choose(STREAMED, Free(24 * GIB), NEED, tokens) for tokens in (10_112, 49_664))
    assert many.resident < few.resident
    assert choose("auto", Free(50 * GIB), NEED, 10_112).mode == ALL
    assert choose("auto", Free(50 * GIB), NEED, 100_000).mode == LEAVES


@pytest.mark.parametrize("ram", [8, 16, 32, 64])
def test_no_more_is_pinned_than_may_be_stages_included(ram: int) -> None:
    free = Free(12 * GIB, ram * GIB, ram * GIB // 2)
    plan = choose(STREAMED, free, NEED)
    assert (plan.pinned + 2) * NEED.block <= free.pinnable
    assert plan.resident + plan.pinned <= NEED.blocks
    assert plan.pinned == NEED.blocks - plan.resident or (plan.pinned + 3) * NEED.block > free.pinnable
    assert choose(STREAMED, Free(12 * GIB, ram * GIB, 0), NEED).pinned == 0


def test_auto_says_what_it_chose_and_why() -> None:
    assert choose("auto", Free(47 * GIB), NEED).why == (
        "Of 47.0 GiB free on the GPU, all on the GPU takes 47.5 GiB, text encoder leaves 31.5 GiB."
    )
    large = choose("auto", Free(12 * GIB, 60 * GIB, 30 * GIB), NEED).why
    assert large.startswith("Of 12.0 GiB free on the GPU and 60.0 GiB of RAM: 16 of 60 blocks stay on the GPU, 44 in")
    assert "the disk" not in large
    small = choose("auto", Free(12 * GIB, 12 * GIB, 6 * GIB), NEED).why
    assert "34 are read from the file in every step (15.9 GiB), from the disk: RAM does not hold them." in small


def test_smaller_plans_end_with_the_smallest() -> None:
    plan: Plan | None = choose("auto", Free(80 * GIB), NEED)
    modes = []
    while plan is not None:
        modes.append((plan.mode, plan.resident, plan.words))
        plan = smaller(plan)
    assert modes == [(ALL, 60, 28), (LEAVES, 60, 28), (STREAMED, 0, 0)]
    lossy = choose(next(iter(LOSSY)), Free(80 * GIB), NEED)
    less = smaller(lossy)
    assert less is not None
    assert (less.mode, less.words) == (lossy.mode, 0)
    assert smaller(less) is None


def test_the_documents_tables_are_what_the_function_gives() -> None:
    pytest.importorskip("diffusers")
    written = DOCS.read_text(encoding="utf-8")
    assert memory_table.tables() in written, "print them with tests/helpers/memory_table.py"


@pytest.mark.parametrize(("device", "words", "leaves"), [(7, 3, True), (15, 28, True), (24, 28, False)])
def test_in_lossy_modes_the_text_encoder_has_8_bits_and_comes_whole_where_it_fits(
    device: int, words: int, leaves: bool
) -> None:
    packed = replace(NEED, transformer=8 * GIB, block=GIB // 8, packed_words=8 * GIB)
    plan = choose("nf4 storage (lossy)", Free(device * GIB), packed)
    assert (plan.words, plan.leaves) == (words, leaves)
