"""Remains of letters that a decomposer left in another layer."""

from __future__ import annotations

import torch
from torch import Tensor

from qil_core.stack import Box
from qil_core.typography.ghosts import Placed, without_ghosts
from qil_core.typography.layer import Recognized
from qil_core.typography.paragraphs import Block

from .test_paragraphs import line

LETTERS = tuple(range(10, 190, 20))


def layer(*boxes: tuple[int, int, int, int]) -> Tensor:
    """A layer of 200 x 40 with opaque boxes: left, top, right, bottom."""
    pixels = torch.zeros(40, 200, 4)
    for left, top, right, bottom in boxes:
        pixels[top:bottom, left:right] = 1
    return pixels


def text() -> Placed:
    """Nine letters of 10 x 20 px, recognised."""
    words = Block(((line("ninewords", 10, 30, width=180, size=28),),), "left", 0.0)
    crop = layer(*((left, 10, left + 10, 30) for left in LETTERS))
    return Placed(crop, Box(100, 100, 300, 140), Recognized((words,), None, ()))


HERE = Box(100, 100, 300, 140)


def cleaned(other: Tensor, box: Box = HERE) -> Recognized | None:
    return without_ghosts([Placed(other, box, None), text()])[0]


def test_a_bit_that_lies_on_a_letter_and_its_rim_goes() -> None:
    found = cleaned(layer((28, 8, 42, 32)))
    assert found is not None
    assert (found.rest, found.replaces_layer, found.blocks) == (None, True, ())


def test_of_a_layer_with_other_things_only_the_bit_goes() -> None:
    found = cleaned(layer((28, 8, 42, 32), (0, 36, 200, 40)))
    assert found is not None
    assert found.rest is not None
    assert float(found.rest[8:32, 28:42, 3].max()) == 0
    assert float(found.rest[37, :, 3].min()) == 1


def test_a_highlight_or_a_line_below_the_words_stays() -> None:
    assert cleaned(layer((5, 2, 120, 38))) is None
    assert cleaned(layer((10, 33, 190, 35))) is None


def test_what_lies_on_all_letters_is_their_shadow_and_stays() -> None:
    assert cleaned(layer(*((left + 1, 11, left + 11, 31) for left in LETTERS))) is None


def test_layers_are_compared_where_they_lie() -> None:
    assert cleaned(layer((28, 8, 42, 32)), Box(500, 100, 700, 140)) is None
