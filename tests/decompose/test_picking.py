"""Picking things: boxes that compete for pixels, and clicks."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.picking import mapped, worst
from qil_core.decompose.builtin.working import Floats, Mask
from qil_core.decompose.likeness import Likeness, Point
from qil_core.decompose.picking import Picker
from qil_core.decompose.superpixels import superpixels
from qil_core.stack import Box

pytest.importorskip("pymatting", reason="PyMatting is missing, so nothing of picking was tested")

WIDTH, HEIGHT = 300, 200
GROUND, RED, BLUE = (0.5, 0.6, 0.5), (0.8, 0.2, 0.2), (0.2, 0.3, 0.8)


def disc(x: float, y: float, radius: float) -> Mask:
    row, column = np.mgrid[0.5:HEIGHT, 0.5:WIDTH]
    return np.asarray(np.hypot(column - x, row - y) < radius)


def grainy(*things: tuple[tuple[float, float, float], Mask]) -> Floats:
    """A picture with noise: things of one colour, the lowest first, on a ground."""
    picture = np.full((HEIGHT, WIDTH, 3), GROUND)
    for color, mask in things:
        picture[mask] = color
    return np.clip(picture + np.random.default_rng(0).normal(0, 0.03, picture.shape), 0, 1).astype(np.float32)


def box_of(mask: Mask) -> Box:
    rows, columns = np.nonzero(mask)
    return Box(int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)


def likeness(one: Mask, other: Mask) -> float:
    """Intersection over union."""
    return float((one & other).sum() / (one | other).sum())


LOW, HIGH = disc(120, 100, 60), disc(180, 100, 50)
TWO = grainy((RED, LOW), (BLUE, HIGH))
SEEN = LOW & ~HIGH


def test_boxes_that_overlap_share_out_their_pixels() -> None:
    low, high = Picker(TWO).boxes([box_of(SEEN), box_of(HIGH)]).masks()
    assert likeness(low, SEEN) > 0.97
    assert likeness(high, HIGH) > 0.97
    assert not (low & high).any()


def test_the_same_boxes_give_the_same_masks() -> None:
    first, again = (Picker(TWO).boxes([box_of(SEEN)]).clicked(0, Point(100, 100), True).masks() for _ in range(2))
    assert np.array_equal(first, again)


def test_thin_letters_are_found_between_their_ground() -> None:
    letters = np.zeros((HEIGHT, WIDTH), bool)
    letters[80:110, 60:240:9] = letters[80:110, 61:241:9] = True
    (found,) = Picker(grainy(((0.1, 0.1, 0.1), letters))).boxes([box_of(letters)]).masks()
    assert likeness(found, letters) > 0.8


def test_a_thing_as_large_as_the_picture_is_what_is_not_around_the_others() -> None:
    dots = disc(0, 0, 50) | disc(300, 0, 50) | disc(0, 200, 50) | disc(300, 200, 50)
    middle = disc(150, 100, 40)
    boxes = [Box(0, 0, WIDTH, HEIGHT), box_of(middle)]
    found, _ = Picker(grainy((RED, dots), (BLUE, middle))).boxes(boxes).masks()
    assert likeness(found, dots) > 0.9


def test_a_click_adds_what_a_box_missed_and_one_takes_away_what_it_should_not_have() -> None:
    whole = LOW | HIGH
    picking = Picker(TWO).boxes([box_of(SEEN)])
    before = picking.masks()[0]
    added = picking.clicked(0, Point(200, 100), True).masks()[0]
    assert likeness(added, whole) > 0.95 > likeness(before, whole)
    both = Picker(TWO).boxes([box_of(LOW | HIGH)])
    (taken,) = both.clicked(0, Point(190, 100), False).masks()
    assert likeness(both.masks()[0], whole) > 0.95
    assert likeness(taken, SEEN) > 0.9


def test_a_click_into_nothing_finds_the_thing_there() -> None:
    none = np.zeros((HEIGHT, WIDTH), bool)
    (found,) = Picker(TWO).mask(none).clicked(0, Point(190, 100), True).masks()
    assert likeness(found, HIGH) > 0.95


def test_a_given_mask_is_kept_but_around_clicks() -> None:
    ragged = np.zeros((HEIGHT, WIDTH), bool)
    ragged[3:9, 3:9] = True  # what no click comes near, however wrong
    given = Picker(TWO).mask(ragged | SEEN)
    assert np.array_equal(given.masks()[0], ragged | SEEN)
    (changed,) = given.clicked(0, Point(200, 100), True).masks()
    assert changed[3:9, 3:9].all()
    assert likeness(changed & ~ragged, LOW | HIGH) > 0.95


def test_what_one_thing_gets_by_a_click_another_one_loses() -> None:
    picking = Picker(TWO).boxes([box_of(LOW | HIGH), box_of(HIGH)]).clicked(0, Point(200, 100), True)
    first, second = picking.masks()
    assert first[100, 200]
    assert not second[100, 200]


@pytest.mark.parametrize("shape", [(1, 1), (1, 60), (60, 1), (2, 2), (9, 9), (5, 2000)])
def test_pictures_of_any_shape_are_taken(shape: tuple[int, int]) -> None:
    height, width = shape
    picker = Picker(np.random.default_rng(0).random((height, width, 3)).astype(np.float32))
    first, second = picker.boxes([Box(0, 0, width, height), Box(-9, -9, 1, 1)]).masks()
    assert first.shape == second.shape == shape
    (clicked,) = picker.mask(np.zeros(shape, bool)).clicked(0, Point(width - 0.5, height - 0.5), True).masks()
    assert clicked[-1, -1]


def test_a_picture_of_one_colour_has_no_edges_and_still_answers() -> None:
    flat = np.full((HEIGHT, WIDTH, 3), 0.5, np.float32)
    (found,) = Picker(flat).boxes([Box(100, 50, 200, 150)]).masks()
    assert not found[:40].any()


def test_superpixels_cover_all_and_keep_to_edges() -> None:
    parts = superpixels(TWO)
    assert parts.area.sum() == WIDTH * HEIGHT
    assert set(np.unique(parts.labels)) == set(range(len(parts)))
    share = parts.means(HIGH)
    assert ((share < 0.1) | (share > 0.9)).mean() > 0.97


def test_neighbours_of_superpixels_are_known_both_ways_round() -> None:
    like = Likeness(TWO)
    assert (like._steps != like._steps.T).nnz == 0
    assert like.parted(0, 1e6).max() < 1e6, "all are connected"


def test_the_simulated_click_goes_into_the_middle_of_the_largest_error() -> None:
    things = HIGH.astype(np.uint8)
    wrong = HIGH & ~disc(200, 100, 20) | disc(30, 30, 5)
    found = worst(mapped(TWO, things), 1, wrong)
    assert found is not None
    point, is_inside = found
    assert is_inside
    assert np.hypot(point.x - 200, point.y - 100) < 2
