"""What a shape looks like where something above hides part of it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from qil_core.decompose.builtin.shapes import box_around, completed, continued

Mask = NDArray[np.bool_]
ROWS, COLUMNS = np.mgrid[:200, :240]


def rectangle(top: int, left: int, bottom: int, right: int) -> Mask:
    return (top <= ROWS) & (bottom > ROWS) & (left <= COLUMNS) & (right > COLUMNS)


def disc(row: int, column: int, radius: int) -> Mask:
    return np.hypot(ROWS - row, COLUMNS - column) <= radius


def test_a_rectangle_without_one_corner_is_whole_again() -> None:
    whole, above = rectangle(40, 40, 120, 160), disc(120, 160, 30)
    assert np.array_equal(completed(whole & ~above, above), whole)


def test_a_disc_without_one_side_is_whole_again() -> None:
    whole, above = disc(100, 100, 50), rectangle(90, 110, 200, 240)
    found = completed(whole & ~above, above)
    assert (found & whole).sum() > 0.98 * (found | whole).sum()


def test_a_ridge_before_which_things_stand_is_not_made_a_rectangle() -> None:
    ridge = (100 + 6 * np.sin(COLUMNS / 9) < ROWS) & (ROWS < 115)
    above = ROWS >= 115
    assert np.array_equal(completed(ridge, above), ridge)


@pytest.mark.parametrize("whole", [rectangle(20, 20, 180, 220), disc(100, 120, 90)], ids=["rectangle", "disc"])
def test_nothing_is_completed_to_more_than_twice_what_is_visible(whole: Mask) -> None:
    above = rectangle(40, 10, 200, 230)
    visible = whole & ~above
    assert continued(visible, above).sum() <= 2.5 * visible.sum()


def test_a_band_goes_on_under_a_bar_that_crosses_it() -> None:
    band, bar = rectangle(80, 0, 120, 240), rectangle(0, 100, 200, 116)
    found = continued(band & ~bar, bar)
    assert (found & band).sum() > 0.95 * band.sum()
    assert not (found & ~band).any(), "nothing outside the hull of what is visible"


def test_what_a_bar_covers_of_the_ground_beside_a_thing_is_not_the_thing() -> None:
    thing, bar = rectangle(80, 40, 120, 100), rectangle(0, 100, 200, 130)
    assert np.array_equal(continued(thing, bar), thing)


def hexagon() -> Mask:
    import cv2

    angles = np.arange(6) * np.pi / 3 + 0.3
    points = np.stack([120 + 70 * np.cos(angles), 100 + 70 * np.sin(angles)], 1).round().astype(np.int32)
    return np.asarray(cv2.fillConvexPoly(np.zeros(ROWS.shape, np.uint8), points, 1) > 0)


def test_a_hexagon_that_a_ring_cuts_in_two_is_whole_again() -> None:
    ring = disc(20, 60, 120) & ~disc(20, 60, 75)
    visible = hexagon() & ~ring
    found = continued(visible, ring)
    assert (found & hexagon()).sum() > 0.97 * (found | hexagon()).sum()


def test_a_star_under_a_ring_gets_no_hull_that_is_not_seen() -> None:
    star, ring = rectangle(95, 20, 105, 220) | rectangle(10, 115, 190, 125), disc(100, 120, 40) & ~disc(100, 120, 25)
    found = continued(star & ~ring, ring)
    assert (found & ~star).sum() < 0.25 * star.sum()


def test_a_box_is_clipped_to_the_picture() -> None:
    assert box_around(rectangle(2, 50, 10, 60), 4) == (slice(0, 14), slice(46, 64))
    assert box_around(rectangle(190, 230, 200, 240), 4) == (slice(186, 200), slice(226, 240))
    assert box_around(np.zeros((5, 5), bool), 3) == (slice(0, 1), slice(0, 1))
