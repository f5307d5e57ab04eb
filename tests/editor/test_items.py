"""Which layers there are after the edits, and that no edit ever goes to another layer."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from qil_core.editor.items import arrange_items
from qil_core.editor.state import Edit, Edits

A, B, C, D = (f"00112233445566a{i}" for i in range(4))
ids = st.sampled_from([A, B, C, D, f"{A}~2", f"{D}~3", "m1", "m2"])
anything = st.builds(
    Edits,
    st.dictionaries(ids, st.just(Edit(dx=1.0))),
    st.lists(ids, unique=True).map(tuple),
    st.dictionaries(
        st.sampled_from(["m1", "m2"]), st.lists(ids, unique=True, min_size=2, max_size=3).map(tuple), max_size=2
    ),
)
stacks = st.lists(st.sampled_from([A, B, C, D]), unique=True, min_size=1)


def test_without_an_order_the_stack_keeps_its_own() -> None:
    assert arrange_items(Edits(), [A, B, C]).order == (A, B, C)


def test_an_order_holds_and_a_new_layer_comes_above_the_one_below_it() -> None:
    assert arrange_items(Edits(order=(C, A)), [A, B, C]).order == (C, A, B)
    assert arrange_items(Edits(order=(C, B)), [A, B, C]).order == (A, C, B)


def test_a_duplicate_is_there_when_the_order_names_it() -> None:
    assert arrange_items(Edits(order=(A, f"{A}~2", B)), [A, B]).order == (A, f"{A}~2", B)
    assert arrange_items(Edits(by_layer={f"{A}~2": Edit(dx=1)}), [A, B]).order == (A, B)


def test_a_merged_layer_stands_for_its_parts() -> None:
    items = arrange_items(Edits(order=(A, "m1"), merged={"m1": (B, C)}), [A, B, C])
    assert items.order == (A, "m1")
    assert items.merged == {"m1": (B, C)}


def test_where_a_part_is_gone_the_other_parts_are_layers_again() -> None:
    items = arrange_items(Edits(order=(A, "m1"), merged={"m1": (B, C)}), [A, B])
    assert items.order == (A, B)
    assert items.stale == ("m1", C)


def test_merges_of_merges_and_no_part_in_two_of_them() -> None:
    nested = Edits(order=("m2",), merged={"m2": ("m1", C), "m1": (A, B)})
    assert arrange_items(nested, [A, B, C]).order == ("m2",)
    twice = Edits(merged={"m1": (A, B), "m2": (B, C)})
    assert arrange_items(twice, [A, B, C]).merged == {"m1": (A, B)}
    assert arrange_items(Edits(merged={"m1": ("m1", A)}), [A, B]).order == (A, B)


def test_edits_of_layers_that_are_gone_are_stale() -> None:
    edits = Edits({A: Edit(dx=1.0), D: Edit(dx=2.0), f"{D}~2": Edit()}, (D, A))
    items = arrange_items(edits, [A, B])
    assert items.order == (A, B)
    assert items.stale == (D, f"{D}~2")


@given(anything, stacks)
def test_every_layer_is_there_once_by_itself_or_as_a_part(edits: Edits, stack: list[str]) -> None:
    items = arrange_items(edits, stack)
    parts = [part for group in items.merged.values() for part in group]
    for layer in stack:
        assert (*items.order, *parts).count(layer) == 1
    assert len(set(items.order)) == len(items.order)


@given(anything, stacks)
def test_what_is_stale_is_not_there_and_what_is_there_is_not_stale(edits: Edits, stack: list[str]) -> None:
    items = arrange_items(edits, stack)
    assert not set(items.stale) & {*items.order, *items.merged}
