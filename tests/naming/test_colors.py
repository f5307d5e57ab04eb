"""Plain words for colours."""

from __future__ import annotations

import pytest
import torch

from qil_core.color import parse_color
from qil_core.naming.colors import GREYS, TABLE, color_of


def pixels(*colors: str) -> torch.Tensor:
    return torch.tensor([parse_color(color) for color in colors])


@pytest.mark.parametrize(
    ("color", "name"),
    [
        ("#ffefde", "white"),
        ("#f6f6f6", "white"),
        ("#c8c8cd", "light grey"),
        ("#777777", "grey"),
        ("#141419", "black"),
        ("#8b4513", "brown"),
        ("#f08c1e", "orange"),
        ("#dc2828", "red"),
        ("#4a90e2", "blue"),
        ("#0f172a", "dark blue"),
        ("#03a9f4", "light blue"),
        ("#009688", "teal"),
        ("#2ca02c", "green"),
        ("#ffdd28", "yellow"),
        ("#9c27b0", "purple"),
        ("#e377c2", "pink"),
    ],
)
def test_a_colour_has_the_name_that_people_give_it(color: str, name: str) -> None:
    assert color_of(pixels(color)) == name


def test_every_colour_of_the_survey_has_its_own_word() -> None:
    for words in TABLE.values():
        for word, colors in words.items():
            assert [color_of(pixels(color)) for color in colors.split()] == [word] * len(colors.split())


def test_every_grey_has_a_word_and_the_lightness_alone_says_which() -> None:
    named = [color_of(torch.full((1, 3), level / 255)) for level in range(256)]
    assert list(dict.fromkeys(named)) == [word for word, _ in GREYS]


def test_most_of_the_pixels_say_the_word() -> None:
    assert color_of(pixels("red", "red", "red", "blue")) == "red"
    assert color_of(pixels("red", "blue", "green")) == "", "many colours have none"
    assert color_of(torch.zeros(0, 3)) == ""


def test_shades_of_one_colour_have_its_familys_word() -> None:
    assert color_of(pixels("#95d0fc", "#2c6fbb", "#00035b")) == "blue"
