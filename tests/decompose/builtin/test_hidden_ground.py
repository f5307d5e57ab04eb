"""What stands under the things of a picture: patches of scenery and texture, smooth colours else, no crumbs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from qil_core.decompose.builtin.step03_ground import Background, completed_colors
from qil_core.decompose.builtin.step14_names import GUESSED, notes
from qil_core.decompose.builtin.working import Working

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]
SHAPE = (160, 200)
GREY = np.full((*SHAPE, 3), 120, np.float32)
FLAT = Background(GREY, np.zeros(SHAPE, bool), "flat")
SCENERY = Background(np.zeros_like(GREY), np.zeros(SHAPE, bool), "inpainted")


def hidden(rows: slice, columns: slice) -> Mask:
    mask = np.zeros(SHAPE, bool)
    mask[rows, columns] = True
    return mask


SQUARE = hidden(slice(60, 100), slice(80, 120))


def grainy() -> Floats:
    """Grey with a grain of 20/255, the same in all channels."""
    grain = np.random.default_rng(0).normal(0, 20, (*SHAPE, 1)).astype(np.float32)
    return np.asarray(np.clip(GREY + grain, 0, 255), np.float32)


def with_square(rgb: Floats) -> Floats:
    return np.where(SQUARE[..., None], 255, rgb).astype(np.float32)


def test_small_pieces_that_no_layer_took_are_not_carried_on_under_what_lies_beside_them() -> None:
    letter = hidden(slice(76, 84), slice(67, 78))
    rgb = np.where(letter[..., None], np.float32([255, 120, 0]), with_square(GREY))
    under = completed_colors(rgb, replace(FLAT, front=SQUARE | letter), SQUARE)
    assert under[SQUARE] == pytest.approx(120, abs=1)


def test_a_large_building_before_a_gradient_goes_on_under_what_covers_it() -> None:
    building = hidden(slice(40, 120), slice(0, 80))
    rgb = np.where(building[..., None], np.float32(40), with_square(GREY))
    under = completed_colors(rgb, replace(FLAT, front=SQUARE | building), SQUARE)
    assert under[80, 84, 0] < 80


@pytest.mark.parametrize("ground", [SCENERY, replace(FLAT, roughness=20)], ids=["scenery", "texture"])
def test_the_texture_of_a_ground_goes_on_under_things(ground: Background) -> None:
    under = completed_colors(with_square(grainy()), ground, SQUARE)
    assert 10 < under[SQUARE].std() < 22


def test_a_formula_without_texture_stays_smooth() -> None:
    under = completed_colors(with_square(grainy()), FLAT, SQUARE)
    assert under[70:90, 90:110].std() < 5


def test_scenery_that_is_hidden_for_the_most_part_is_filled_smoothly() -> None:
    most = hidden(slice(0, 160), slice(60, 200))
    under = completed_colors(np.where(most[..., None], np.float32(255), grainy()), SCENERY, most)
    assert under[20:140, 100:180].std() < 5


def test_the_report_says_that_large_hidden_parts_of_scenery_are_guessed() -> None:
    work = Working(np.dstack([GREY, np.full(SHAPE, 255, np.float32)]), noise=0.0)
    regions = np.zeros(SHAPE, np.int32)
    large, small = hidden(slice(0, 100), slice(0, 100)), hidden(slice(0, 10), slice(0, 10))
    assert GUESSED in notes(work, SCENERY, regions, large, 3, 4)
    assert GUESSED not in notes(work, SCENERY, regions, small, 3, 4)
    assert GUESSED not in notes(work, FLAT, regions, large, 3, 4)
