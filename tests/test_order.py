"""Layers are found by index or by name, one or a group; a list of them is a new stack."""

from __future__ import annotations

import pytest
import torch

from qil_core.composite import composite
from qil_core.errors import QilError
from qil_core.order import arrange, find, find_one, listed
from qil_core.stack import LayerStack

NAMES = ("sky", "girl/hair", "girl/dress", "title, large", "girl", "[draft]?")


def stack_of(*names: str) -> LayerStack:
    pixels = torch.linspace(0, 1, len(names) * 6 * 5 * 4).reshape(len(names), 6, 5, 4)
    return LayerStack(pixels, names)


@pytest.mark.parametrize(
    ("which", "found"),
    [
        (0, [0]),
        (-1, [5]),
        ("2", [2]),
        (" -2 ", [4]),
        ("girl", [4]),
        ("girl/hair", [1]),
        ("girl/*", [1, 2]),
        ("*l*", [1, 2, 3, 4]),
        ("*", [0, 1, 2, 3, 4, 5]),
        ("title, large", [3]),
        ("[draft]?", [5]),
    ],
)
def test_a_layer_is_found_by_its_index_or_its_name_and_a_star_stands_for_any_text(
    which: int | str, found: list[int]
) -> None:
    assert find(stack_of(*NAMES), which) == found


@pytest.mark.parametrize("which", ["Girl", "girl/", "hair", "", "draft", "1.5", "g?rl"])
def test_a_name_that_no_layer_has_is_refused_with_the_names_that_there_are(which: str) -> None:
    with pytest.raises(
        QilError, match=r'No layer is called .*: use an index or a name of 0 "sky", 1 "girl/hair", 2 "girl/dress"'
    ):
        find(stack_of(*NAMES), which)


def test_a_name_that_two_layers_have_is_refused_with_their_indices() -> None:
    stack = stack_of("sky", "dove", "dove")
    with pytest.raises(QilError, match=r'2 layers are called "dove": give one of the indices 1, 2'):
        find(stack, "dove")
    assert find(stack, "dov*") == [1, 2]


@pytest.mark.parametrize("which", [6, "-7", "9" * 4000])
def test_an_index_that_no_layer_has_is_refused(which: int | str) -> None:
    with pytest.raises(QilError, match="6 layers"):
        find(stack_of(*NAMES), which)


def test_where_one_layer_is_meant_a_group_is_refused() -> None:
    assert find_one(stack_of(*NAMES), "girl/h*") == 1
    with pytest.raises(QilError, match='"girl/\\*" means 2 layers, "girl/hair", "girl/dress"'):
        find_one(stack_of(*NAMES), "girl/*")


def test_a_name_with_many_stars_takes_no_time() -> None:
    with pytest.raises(QilError, match="No layer is called"):
        find(stack_of("a" * 200), "a*" * 2000 + "b")


@pytest.mark.parametrize(
    ("text", "indices"),
    [
        ("0,2,1", [0, 2, 1]),
        (" 0  2;1\n", [0, 2, 1]),
        ("1-3", [1, 2, 3]),
        ("3-1,-1", [3, 2, 1, 5]),
        ("0,0", [0, 0]),
        ("sky, girl/*; 3", [0, 1, 2, 3]),
        ("girl/dress\ngirl/hair", [2, 1]),
    ],
)
def test_an_order_is_a_list_of_indices_ranges_and_names(text: str, indices: list[int]) -> None:
    parts = listed(stack_of(*NAMES), text)
    assert [part.indices for part in parts] == [[i] for i in indices]
    assert [part.name for part in parts] == [NAMES[i] for i in indices]


@pytest.mark.parametrize("text", ["a", "1,b", "1--2", "0.5", "1:2"])
def test_an_order_that_cannot_be_read_says_which_part(text: str) -> None:
    with pytest.raises(QilError, match="No layer is called"):
        arrange(stack_of(*NAMES), text)


def test_arranging_reorders_drops_and_duplicates() -> None:
    stack = stack_of("sky", "dove", "girl", "tree")
    arranged = arrange(stack, "girl,0,2")
    assert torch.equal(arranged.pixels, stack.pixels[[2, 0, 2]])
    assert arranged.names == ("girl", "sky", "girl 2")


def test_layers_are_merged_as_they_lie_in_the_stack_and_renamed() -> None:
    pixels = torch.rand(4, 5, 6, 4)
    stack = LayerStack(pixels, ("sky", "girl/hair", "girl/dress", "hat"))
    arranged = arrange(stack, "person = hat + girl/*; sunset=sky, 3")
    assert arranged.names == ("person", "sunset", "hat")
    assert torch.equal(arranged.pixels[0], composite(stack.select([1, 2, 3])))
    assert torch.equal(arranged.pixels[1:], pixels[[0, 3]])


@pytest.mark.parametrize(
    ("order", "says"),
    [
        ("= sky", 'A new name is missing before "="'),
        ("a = ", "No layer is called"),
        ("a = sky + + girl", "No layer is called"),
        ("a = moon", 'No layer is called "moon"'),
        (",;", "names no layer"),
    ],
)
def test_a_merge_that_cannot_be_read_says_why(order: str, says: str) -> None:
    with pytest.raises(QilError, match=says):
        arrange(stack_of(*NAMES), order)


def test_an_order_that_is_empty_keeps_every_layer() -> None:
    stack = stack_of("sky", "dove")
    arranged = arrange(stack, " ")
    assert torch.equal(arranged.pixels, stack.pixels)
    assert arranged.names == stack.names


@pytest.mark.parametrize("order", ["0-999999999", "5-1001", "-1001", "9" * 4000, "0-999 " * 2, "0," * 5000, "*," * 201])
def test_an_order_names_no_more_layers_than_a_stack_can_have(order: str) -> None:
    with pytest.raises(QilError, match=r"1000|4096|No layer is called|6 layers"):
        listed(stack_of(*NAMES), order)
