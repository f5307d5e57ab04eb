"""Letters on an arc, laid flat."""

from __future__ import annotations

import math

import numpy as np

from qil_core.naming.arc import unrolled


def dots(count: int, radius: float, bend: float) -> np.ndarray:
    """Ink (200, 300) of squares on an arc over (150, 150)."""
    ink = np.zeros((200, 300), np.float32)
    for angle in np.linspace(-bend / 2, bend / 2, count):
        x, y = round(150 + radius * math.sin(angle)), round(150 - radius * math.cos(angle))
        ink[y - 5 : y + 5, x - 5 : x + 5] = 1
    return ink


def test_letters_on_an_arc_stand_in_a_row_when_it_is_laid_flat() -> None:
    flat, other = list(unrolled(dots(9, 110, 2.0)))
    rows = np.flatnonzero(flat.max(1) > 0.5)
    assert rows[-1] - rows[0] < 20, "a row of squares of 10 px that are turned a little"
    assert np.array_equal(other, flat[::-1, ::-1])


def test_letters_in_a_row_or_too_few_are_left_as_they_are() -> None:
    assert not list(unrolled(dots(9, 110, 0.2)))
    assert not list(unrolled(dots(3, 110, 2.0)))
    assert not list(unrolled(np.zeros((20, 20), np.float32)))
