"""One rule for names and groups, whatever the format: there and back, nothing lost, the order kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qil_core.files.names import Group, Leaf, clean, join_levels, nest, split_levels, split_name

TEXT = st.text(st.sampled_from("ab/\\ 背"), max_size=12)


@pytest.mark.parametrize(
    ("name", "levels"),
    [
        ("a", ["a"]),
        ("girl/hair", ["girl", "hair"]),
        (r"either\/or", ["either/or"]),
        (r"C:\temp", [r"C:\temp"]),
        (r"ends with \\/b", ["ends with \\", "b"]),
        (r"a\\\/b", [r"a\/b"]),
        ("a\\", ["a\\"]),
        ("", [""]),
        ("/a/", ["", "a", ""]),
    ],
)
def test_a_slash_makes_a_group_unless_it_is_escaped(name: str, levels: list[str]) -> None:
    assert split_levels(name) == levels
    assert join_levels(levels) == name


@given(st.lists(TEXT, min_size=1, max_size=4))
def test_any_levels_survive_being_joined_and_split(levels: list[str]) -> None:
    assert split_levels(join_levels(levels)) == levels


@given(TEXT)
def test_any_name_survives_being_split_and_joined(name: str) -> None:
    assert join_levels(split_levels(name)) == name


def test_what_no_file_can_hold_is_left_out_of_a_name() -> None:
    assert clean("a\x00b\x1bc\ud83dd\ufffee\x7f") == "abcde"
    assert clean("two\nlines\u2028three") == "two lines three"
    assert clean("背景 👗 سلم  é") == "背景 👗 سلم  é"


def test_empty_levels_are_dropped_and_a_layer_is_never_nameless() -> None:
    assert split_name(" / a // b ") == ["a", "b"]
    assert split_name(" / \x00") == ["layer"]


def test_layers_that_follow_each_other_share_their_group() -> None:
    tree = nest(["bg", "g/a", "g/h/b", "x", "g/c"])
    assert tree == [
        Leaf(0, "bg"),
        Group("g", [Leaf(1, "a"), Group("h", [Leaf(2, "b")])]),
        Leaf(3, "x"),
        Group("g", [Leaf(4, "c")]),
    ]


@given(st.lists(TEXT, max_size=8))
def test_nesting_keeps_every_layer_in_its_order(names: list[str]) -> None:
    def leaves(items: list[Group | Leaf]) -> list[int]:
        return [i for item in items for i in (leaves(item.items) if isinstance(item, Group) else [item.index])]

    assert leaves(nest(names)) == list(range(len(names)))
