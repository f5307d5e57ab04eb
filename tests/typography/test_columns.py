"""Columns of ideographs cut into letters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from qil_core import ocr
from qil_core.typography.columns import cells_of, read_column
from qil_core.typography.ink import Ink, ink_of


def column(*letters: tuple[int, int], width: int = 40) -> Ink:
    """Letters as blocks of ink from row to row."""
    alpha = np.zeros((letters[-1][1] + 20, width + 20), np.float32)
    for top, bottom in letters:
        alpha[top:bottom, 10 : 10 + width] = 1
    return ink_of(alpha)


EVEN = tuple((10 + 44 * number, 50 + 44 * number) for number in range(4))


def test_a_column_is_cut_between_its_letters() -> None:
    cells = cells_of(column(*EVEN).alpha.sum(1), 40)
    assert len(cells) == 4
    assert cells[1] == (pytest.approx(52, abs=2), pytest.approx(96, abs=2))


def test_a_letter_of_two_parts_stays_one() -> None:
    parted = ((10, 26), (34, 50), *EVEN[1:])  # like the ideograph for two
    assert len(cells_of(column(*parted).alpha.sum(1), 40)) == 4


def test_ink_that_runs_through_is_no_column() -> None:
    assert cells_of(column((10, 186)).alpha.sum(1), 40) == []


class Fake:
    """A reader with one answer, which keeps what it was given."""

    def __init__(self, text: str) -> None:
        self.text = text

    def read_line(self, line: ocr.Picture) -> ocr.Words:
        self.line = line
        return ocr.Words(self.text, 0.99)


def read(ink: Ink, text: str) -> tuple[ocr.Words, Fake]:
    fake: Any = Fake(text)
    return read_column(ink, [int(label) for label in np.unique(ink.labels[ink.labels > 0])], fake), fake


def test_the_letters_are_read_side_by_side() -> None:
    words, fake = read(column(*EVEN), "年度总结")
    assert words == ("年度总结", 0.99)
    assert fake.line.shape == (ocr.READ_HEIGHT_PX, 4 * ocr.READ_HEIGHT_PX, 3)


@pytest.mark.parametrize("text", ["年度总", "plan"])
def test_another_number_of_letters_or_latin_ones_are_no_reading(text: str) -> None:
    assert read(column(*EVEN), text)[0] == ("", 0.0)
