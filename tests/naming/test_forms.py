"""Words for forms, of figures drawn anti-aliased at several sizes."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageDraw

from qil_core.naming.forms import _crop, form_of

Pen = Callable[[ImageDraw.ImageDraw], None]
FINE = 4
"""Figures are drawn on a sheet of 200 units, so many times as fine."""


def solid(draw: Pen, side: int = 200) -> np.ndarray:
    """What is drawn with units of 1/200 of a sheet, as a mask cropped to it."""
    sheet = Image.new("L", (200 * FINE, 200 * FINE))
    draw(ImageDraw.Draw(sheet))
    return _crop(np.asarray(sheet.resize((side, side), Image.Resampling.BOX)) > 127)


def drawn(kind: str, *numbers: float, **more: float) -> Pen:
    return lambda pen: getattr(pen, kind)(
        [n * FINE for n in numbers], fill=255, **{key: int(value * FINE) for key, value in more.items()}
    )


def polygon(corners: int, turn: float = 0.0, dent: float = 1.0) -> Pen:
    """A regular polygon, or with a dent a star."""
    angles = [2 * math.pi * i / corners + turn for i in range(corners)]
    reach = [90 * (1 if i % 2 == 0 else dent) for i in range(corners)]
    points = [(100 + r * math.sin(a), 100 - r * math.cos(a)) for a, r in zip(angles, reach, strict=True)]
    return lambda pen: pen.polygon([(x * FINE, y * FINE) for x, y in points], fill=255)


def ring(pen: ImageDraw.ImageDraw) -> None:
    drawn("ellipse", 10, 10, 190, 190)(pen)
    pen.ellipse([n * FINE for n in (60, 60, 140, 140)], fill=0)


FIGURES = [
    (drawn("ellipse", 10, 10, 190, 190), "circle"),
    (drawn("ellipse", 10, 50, 190, 150), "ellipse"),
    (drawn("rectangle", 10, 50, 190, 150), "rectangle"),
    (drawn("rectangle", 10, 10, 190, 190), "square"),
    (drawn("rounded_rectangle", 10, 50, 190, 150, radius=20), "rounded rectangle"),
    (drawn("rounded_rectangle", 10, 80, 190, 120, radius=20), "rounded rectangle"),
    (drawn("rounded_rectangle", 10, 10, 190, 190, radius=40), "rounded square"),
    (drawn("line", 10, 10, 190, 150, width=6), "line"),
    (polygon(4), "square"),
    (polygon(4, 0.3), "square"),
    (polygon(3), "triangle"),
    (polygon(3, 0.4), "triangle"),
    (ring, "ring"),
]


@pytest.mark.parametrize(("draw", "form"), FIGURES)
def test_a_figure_is_called_by_its_form(draw: Pen, form: str) -> None:
    assert form_of(solid(draw)) == form


@pytest.mark.parametrize("side", [24, 48, 400])
def test_a_figure_has_the_same_form_at_any_size(side: int) -> None:
    assert form_of(solid(drawn("ellipse", 10, 10, 190, 190), side)) == "circle"
    assert form_of(solid(drawn("rectangle", 10, 60, 190, 140), side)) == "rectangle"


@pytest.mark.parametrize("draw", [polygon(5), polygon(6), polygon(8), polygon(10, dent=0.4)])
def test_what_is_none_of_these_has_no_form(draw: Pen) -> None:
    assert form_of(solid(draw)) == ""


def test_two_figures_have_no_form_together_and_specks_do_not_count() -> None:
    two = np.zeros((60, 200), bool)
    two[10:50, 10:50] = two[10:50, 150:190] = True
    assert form_of(_crop(two)) == ""
    two[10:50, 150:190] = False
    two[0, 0] = True
    assert form_of(_crop(two)) == "square"


def test_a_circle_that_the_picture_cuts_off_is_a_circle() -> None:
    half = solid(drawn("ellipse", -60, 40, 60, 160))
    assert form_of(half) == ""
    assert form_of(half, (True, False, False, False)) == "circle"


def test_nothing_has_no_form() -> None:
    assert form_of(np.zeros((5, 5), bool)) == ""
