"""The glyphs of a line of text, found in the box that a reader gives."""

from __future__ import annotations

import io

import numpy as np
import pytest
from drawings import SIDE, Floats, mask, words
from numpy.typing import NDArray
from PIL import Image

from qil_core.decompose.builtin.ink import Ink, find_ink

WHITE, INK, RED, YELLOW = (250, 250, 250), (25, 25, 45), (210, 50, 40), (250, 220, 60)
BOX = np.array([[12, 116], [308, 116], [308, 196], [12, 196]], np.float32)
LETTERS = words("Whole", 30, 120, 64)
PAPER = np.full((SIDE, SIDE, 3), (225, 215, 190), np.float32)
NONE = np.zeros((SIDE, SIDE), bool)


def over(canvas: Floats, *shapes: tuple[Floats, tuple[int, int, int]]) -> Floats:
    for alpha, color in shapes:
        canvas = canvas + (np.array(color, np.float32) - canvas) * alpha[..., None]
    return canvas


def iou(ink: Ink | None, truth: Floats) -> float:
    assert ink is not None
    found = np.zeros((SIDE, SIDE), bool)
    found[ink.window] = ink.mask
    return float((found & (truth > 0.5)).sum() / (found | (truth > 0.5)).sum())


def thick(letters: Floats, pixels: int) -> Floats:
    import cv2

    return np.asarray(cv2.dilate(letters, np.ones((2 * pixels + 1, 2 * pixels + 1))), np.float32)


def clouds() -> Floats:
    noise = np.random.default_rng(1).random((9, 9, 3)).astype(np.float32)
    sky = Image.fromarray((noise * 130 + 60).astype(np.uint8)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    return np.asarray(sky, np.float32)


def compressed(canvas: Floats) -> Floats:
    file = io.BytesIO()
    Image.fromarray(canvas.round().astype(np.uint8)).save(file, "JPEG", quality=80)
    return np.asarray(Image.open(file), np.float32)


def test_the_glyphs_on_an_even_page_are_found_whole() -> None:
    assert iou(find_ink(over(PAPER, (LETTERS, INK)), 0, BOX, NONE), LETTERS) > 0.95


def test_jpeg_changes_nothing_of_that() -> None:
    assert iou(find_ink(compressed(over(PAPER, (LETTERS, INK))), 0, BOX, NONE), LETTERS) > 0.93


def test_an_outline_belongs_to_its_glyphs_and_so_does_their_filling() -> None:
    outlined = thick(LETTERS, 3)
    picture = over(PAPER, (outlined, INK), (LETTERS, YELLOW))
    assert iou(find_ink(picture, 0, BOX, NONE), outlined) > 0.93


def test_a_faint_filling_in_a_strong_outline_is_ink() -> None:
    outlined = thick(LETTERS, 4)
    picture = over(PAPER, (outlined, INK), (LETTERS, (195, 215, 190)))
    assert iou(find_ink(picture, 0, BOX, NONE), outlined) > 0.93


def test_a_faint_outline_around_strong_letters_is_ink() -> None:
    outlined = thick(LETTERS, 4)
    picture = over(PAPER, (outlined, (180, 170, 150)), (LETTERS, INK))
    assert iou(find_ink(picture, 0, BOX, NONE), outlined) > 0.85


def test_glyphs_are_found_on_clouds() -> None:
    assert iou(find_ink(over(clouds(), (LETTERS, WHITE)), 0, BOX, NONE), LETTERS) > 0.9


def test_a_figure_that_crosses_the_line_is_left_where_it_is() -> None:
    pole = mask("rectangle", 150, 30, 172, 300)
    picture = over(PAPER, (pole, RED), (LETTERS, INK))
    assert iou(find_ink(picture, 0, BOX, NONE), LETTERS) > 0.93


def test_a_figure_of_the_letters_own_colour_beside_the_line_does_not_hide_them() -> None:
    disc = mask("ellipse", -60, 190, 120, 330)
    assert iou(find_ink(over(PAPER, (disc, INK), (LETTERS, INK)), 0, BOX, NONE), LETTERS) > 0.93


def test_a_letter_that_the_box_misses_belongs_to_its_word() -> None:
    short = BOX.copy()
    short[[0, 3], 0] = 105  # the W is outside
    assert iou(find_ink(over(PAPER, (LETTERS, INK)), 0, short, NONE), LETTERS) > 0.93


def test_a_ribbon_under_the_line_is_no_ink() -> None:
    ribbon = mask("rectangle", 6, 110, 314, 202)
    found = find_ink(over(PAPER, (ribbon, RED), (LETTERS, WHITE)), 0, BOX, NONE)
    assert found is not None
    assert found.mask.sum() < 1.1 * LETTERS.sum()


def test_around_a_glow_no_letter_is_lost() -> None:
    wide = Image.fromarray((thick(LETTERS, 6) * 255).astype(np.uint8)).resize((40, 40)).resize((SIDE, SIDE))
    halo = np.asarray(wide, np.float32) / 900
    picture = over(np.full_like(PAPER, 30), (halo, (0, 200, 255)), (LETTERS, WHITE))
    found = find_ink(picture, 0, BOX, NONE)
    assert found is not None
    assert found.mask[(LETTERS > 0.5)[found.window]].all()
    assert not found.mask[(halo == 0)[found.window]].any()


@pytest.mark.parametrize("canvas", [PAPER, clouds()], ids=["page", "clouds"])
def test_where_nothing_is_written_there_is_no_ink(canvas: Floats) -> None:
    found = find_ink(canvas, 0, BOX, NONE)
    assert found is None or found.mask.mean() < 0.2


def test_what_lies_in_the_box_of_another_line_is_that_ones() -> None:
    below = words("Second", 30, 180, 64)
    other: NDArray[np.bool_] = np.zeros((SIDE, SIDE), bool)
    other[197:262, 12:308] = True
    found = find_ink(over(PAPER, (LETTERS, INK), (below, INK)), 0, BOX, other)
    assert iou(found, LETTERS) > 0.9
