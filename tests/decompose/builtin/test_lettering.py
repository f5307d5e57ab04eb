"""Outlined letters are told by their two colours: whole, on the next line too, without what lies between them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from qil_core.decompose.builtin.lettering import letters_of, style_of
from qil_core.decompose.builtin.shapes import grown
from qil_core.decompose.builtin.working import Floats, Mask

SHAPE = (300, 400)
PAPER, FILL, RIM, SKIN = (90, 140, 120), (240, 200, 40), (60, 10, 70), (230, 180, 160)
AROUND = np.array([PAPER, PAPER], np.float32)
LINES = (("ABC", 100), ("XYZ", 190))


def drawn(rim_px: int) -> tuple[Floats, Mask]:
    """A picture (h, w, 3) with two lines of letters, and where these are."""
    canvas = np.zeros(SHAPE, np.uint8)
    for word, foot in LINES:
        cv2.putText(canvas, word, (60, foot), cv2.FONT_HERSHEY_SIMPLEX, 2.6, 255, 9)
    filling = canvas > 127
    letters = grown(filling, rim_px)
    rgb = np.where(filling[..., None], FILL, np.where(letters[..., None], RIM, PAPER))
    return rgb.astype(np.float32), letters


def first_line(mask: Mask) -> Mask:
    return mask & (np.arange(SHAPE[0]) < 122)[:, None]


def found(rgb: Floats, ink: Mask) -> NDArray[np.bool_]:
    style = style_of(rgb, 0.0, ink, AROUND)
    assert style is not None
    letters = letters_of(rgb, 0.0, style, (40.0, 110.0), 70.0)
    assert letters is not None
    return letters


def test_the_style_is_the_two_colours_and_the_outlines_width() -> None:
    rgb, letters = drawn(rim_px=6)
    style = style_of(rgb, 0.0, first_line(letters), AROUND)
    assert style is not None
    assert style.fill == pytest.approx(np.array(FILL, np.float32))
    assert style.rim == pytest.approx(np.array(RIM, np.float32))
    assert style.width == pytest.approx(6, abs=1.5)


def test_an_outline_that_was_not_taken_for_ink_is_found_around_it() -> None:
    rgb, letters = drawn(rim_px=6)
    filling = first_line(letters) & (rgb[..., 0] > 200)
    assert (found(rgb, filling) ^ letters).sum() < 0.05 * letters.sum()


def test_letters_without_an_outline_have_no_style() -> None:
    rgb, letters = drawn(rim_px=0)
    assert style_of(rgb, 0.0, first_line(letters), AROUND) is None


def test_the_next_line_belongs_to_the_letters_though_a_figure_hides_much_of_it() -> None:
    rgb, letters = drawn(rim_px=6)
    figure = np.hypot(np.arange(SHAPE[1]) - 150, np.arange(SHAPE[0])[:, None] - 230) < 70
    rgb[figure] = SKIN
    assert (found(rgb, first_line(letters)) ^ (letters & ~figure)).sum() < 0.05 * letters.sum()


def test_what_was_taken_for_ink_between_the_letters_is_none() -> None:
    rgb, letters = drawn(rim_px=6)
    ear = np.zeros(SHAPE, bool)
    ear[60:118, 150:160] = True
    rgb[ear] = SKIN
    assert not found(rgb, first_line(letters | ear))[ear].any()


def test_a_thing_of_the_fillings_colour_that_has_no_outline_is_no_letter() -> None:
    rgb, letters = drawn(rim_px=6)
    ball = np.hypot(np.arange(SHAPE[1]) - 350, np.arange(SHAPE[0])[:, None] - 150) < 12
    rgb[ball] = FILL
    assert not found(rgb, first_line(letters))[ball].any()
