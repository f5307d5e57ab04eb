"""Bullets that become signs."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from qil_core.typography.bullets import bullet_of, dot_before
from qil_core.typography.ink import Floats, Ink, ink_of

LINE = [60, 40, 300, 80]
"""A block of ink that stands for a line of words; its baseline is at its foot."""


def ink_with(shape: str, box: list[float]) -> Ink:
    """The line and a shape before it."""
    mask = Image.new("L", (320, 120))
    draw = ImageDraw.Draw(mask)
    draw.rectangle(LINE, fill=255)
    getattr(draw, shape)(box, fill=255)
    return ink_of(np.asarray(mask, np.float32) / 255)


def rgb_of(ink: Ink) -> Floats:
    return np.broadcast_to(np.array([0.2, 0.4, 0.8], np.float32), (*ink.alpha.shape, 3)).copy()


def line_piece(ink: Ink) -> int:
    return int(ink.labels[60, 200])


@pytest.mark.parametrize(
    ("shape", "box", "sign"),
    [
        ("ellipse", [20, 56, 32, 68], "•"),
        ("rectangle", [20, 56, 31, 67], "▪"),
        ("rectangle", [16, 64, 40, 67], "\N{EN DASH}"),
    ],
)
def test_dots_squares_and_dashes_are_written_as_signs(shape: str, box: list[float], sign: str) -> None:
    ink = ink_with(shape, box)
    piece = dot_before(ink, [line_piece(ink)])
    bullet = bullet_of(ink, rgb_of(ink), piece, size=44, baseline=77)
    assert bullet is not None
    assert (bullet.sign, bullet.color) == (sign, (51, 102, 204))
    assert bullet.left == pytest.approx(box[0], abs=1)


def test_a_dot_of_the_size_of_arials_own_has_the_size_of_its_text() -> None:
    ink = ink_with("ellipse", [20, 56, 31, 67])
    bullet = bullet_of(ink, rgb_of(ink), dot_before(ink, [line_piece(ink)]), size=44, baseline=77)
    assert bullet is not None
    assert bullet.scale == pytest.approx(1, abs=0.05)


def test_a_triangle_stays_a_picture_for_no_sign_looks_like_it() -> None:
    ink = ink_with("polygon", [20, 70, 26, 56, 32, 70])
    piece = dot_before(ink, [line_piece(ink)])
    assert piece
    assert bullet_of(ink, rgb_of(ink), piece, size=44, baseline=77) is None


def test_a_dot_that_stands_too_high_for_the_sign_stays_where_it_is() -> None:
    ink = ink_with("ellipse", [20, 45, 31, 56])
    assert bullet_of(ink, rgb_of(ink), dot_before(ink, [line_piece(ink)]), size=44, baseline=77) is None


def test_a_speck_of_noise_or_a_dot_far_away_is_no_bullet() -> None:
    for box in ([40, 60, 42, 62], [2, 56, 3, 57]):
        ink = ink_with("rectangle", box)
        assert dot_before(ink, [line_piece(ink)]) == 0
