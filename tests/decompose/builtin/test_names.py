"""Plain words for colours."""

from __future__ import annotations

import pytest

from qil_core.decompose.builtin.step14_names import color_name


@pytest.mark.parametrize(
    ("color", "name"),
    [
        ((255, 239, 222), "white"),
        ((246, 246, 246), "white"),
        ((200, 200, 205), "grey"),
        ((20, 20, 25), "black"),
        ((139, 69, 19), "brown"),
        ((240, 140, 30), "orange"),
        ((220, 40, 40), "red"),
    ],
)
def test_a_colour_has_the_name_that_people_give_it(color: tuple[int, int, int], name: str) -> None:
    assert color_name(*color) == name
