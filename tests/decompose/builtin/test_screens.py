"""App screens: panels with all that lies on them are layers, before their ground."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.drawn import draw, jpeg
from benchmarks.judging import shown, things, traces
from qil_core.decompose import MAX_LAYERS, Request
from qil_core.decompose.builtin import Builtin
from qil_core.decompose.builtin.areas import linked_areas
from qil_core.decompose.builtin.step01_look import working_copy
from qil_core.decompose.builtin.step02_strokes import find_strokes
from qil_core.decompose.builtin.step03_ground import Background, find_background
from qil_core.decompose.builtin.step07_reading import no_texts
from qil_core.decompose.builtin.step08_screen import Screen, find_screen
from qil_core.decompose.builtin.units import SHAPE, TEXT, Units
from qil_core.decompose.builtin.working import Floats, Labels, Mask, Working
from qil_core.progress import silent
from qil_core.stack import LayerStack

SIDE = 400
GROUND, PANEL = (28, 31, 25), (43, 49, 38)
Box = tuple[int, int, int, int]
CARDS: tuple[Box, ...] = ((140, 60, 250, 140), (270, 60, 380, 140), (140, 170, 380, 380))
BARS: tuple[Box, ...] = ((0, 0, 100, 400), (102, 0, 400, 40))
RULE: Box = (100, 0, 102, 400)


def box_mask(box: Box) -> Mask:
    left, top, right, bottom = box
    mask = np.zeros((SIDE, SIDE), bool)
    mask[top:bottom, left:right] = True
    return mask


def painted(*boxes: tuple[Box, tuple[int, int, int]]) -> Floats:
    """A screen of boxes on its ground: (SIDE, SIDE, 4) in 0..255."""
    rgba = np.full((SIDE, SIDE, 4), 255, np.float32)
    rgba[..., :3] = GROUND
    for box, color in boxes:
        rgba[box_mask(box), :3] = color
    return rgba


def map_of(*boxes: Box) -> Labels:
    """A map (SIDE, SIDE) with a number for each box."""
    labels = np.zeros((SIDE, SIDE), np.int32)
    for number, box in enumerate(boxes, 1):
        labels[box_mask(box)] = number
    return labels


def screen_of(regions: Labels, strokes: Labels | None = None) -> Screen | None:
    """What is found of these regions and strokes before a flat ground."""
    none = np.zeros_like(regions)
    ground = Background(np.zeros((SIDE, SIDE, 3), np.float32), regions > 0, "flat")
    units = Units(regions, np.full(int(regions.max()) + 1, SHAPE, np.int8), regions)
    work = Working(painted(), 0.0, is_even=True)
    return find_screen(work, ground, units, regions, no_texts(regions.shape), none if strokes is None else strokes)


def found(regions: Labels, strokes: Labels | None = None) -> Units:
    screen = screen_of(regions, strokes)
    assert screen is not None
    return screen.units


def at(units: Units, x: int, y: int) -> int:
    return int(units.labels[y, x])


def test_a_card_and_what_lies_on_it_are_one_unit() -> None:
    units = found(map_of(*CARDS, *BARS, (160, 70, 190, 100), (200, 80, 240, 90)))
    assert at(units, 145, 65) == at(units, 170, 85) == at(units, 220, 85) != 0
    assert len({at(units, *place) for place in ((145, 65), (300, 65), (145, 180))}) == 3


def test_a_rule_on_a_card_belongs_to_the_card() -> None:
    strokes = map_of((140, 250, 380, 251))
    screen = screen_of(map_of(*CARDS, *BARS), strokes)
    assert screen is not None
    assert at(screen.units, 200, 250) == at(screen.units, 200, 300)
    assert not screen.clear[strokes > 0].any()


def test_a_rule_parts_a_sidebar_and_a_toolbar_of_one_colour() -> None:
    both = np.where(map_of(*BARS, RULE) > 0, 4, map_of(*CARDS)).astype(np.int32)
    assert at(found(both), 50, 20) == at(found(both), 300, 20)
    parted = found(both, map_of(RULE))
    assert at(parted, 50, 20) != at(parted, 300, 20)


def test_the_rows_of_a_table_stay_together() -> None:
    rules = map_of(*((140, y, 380, y + 1) for y in range(200, 380, 20)))
    units = found(map_of(*CARDS, *BARS), rules)
    assert len(np.unique(units.labels[box_mask(CARDS[2])])) == 1


def test_a_menu_is_a_unit_of_its_own_and_a_title_is_part_of_its_bar() -> None:
    menu = [(20, y, 40, y + 6) for y in range(60, 180, 30)]
    units = found(map_of(*CARDS, *BARS, *menu, (120, 17, 140, 23)))
    assert len({at(units, 30, y + 3) for y in range(60, 180, 30)}) == 1
    assert units.kinds[at(units, 30, 63)] == TEXT
    assert at(units, 30, 63) != at(units, 80, 65)
    assert at(units, 130, 20) == at(units, 200, 20)


def test_a_field_on_a_toolbar_is_a_unit_with_what_is_in_it() -> None:
    units = found(map_of(*CARDS, *BARS, (250, 10, 350, 30), (260, 15, 300, 25)))
    assert at(units, 270, 20) == at(units, 340, 20) != at(units, 200, 20)


def test_a_slide_with_one_photograph_and_a_banner_is_no_screen() -> None:
    assert screen_of(map_of(CARDS[2], (0, 0, 400, 40))) is None


def test_discs_are_no_cards() -> None:
    y, x = np.mgrid[:SIDE, :SIDE]
    regions = map_of(BARS[0])
    for number, (middle_x, middle_y) in enumerate(((250, 100), (250, 290)), 2):
        regions[np.hypot(x - middle_x, y - middle_y) < 90] = number
    assert screen_of(regions) is None


def test_what_lies_between_cards_is_the_ground_though_bars_of_their_colour_reach_the_border() -> None:
    everything = painted(*((box, PANEL) for box in (*CARDS, *BARS, RULE)))
    background = find_background(working_copy(everything / np.float32(255)))
    assert background.kind == "flat"
    assert np.abs(background.model - np.float32(GROUND)).max() < 1


def test_areas_are_not_linked_across_the_edge_of_what_covers_the_ground() -> None:
    ramp = np.repeat(np.arange(40, dtype=np.float32)[None, :, None], 20, axis=0).repeat(4, axis=2)
    front = np.zeros((20, 40), bool)
    front[:, 10:30] = True
    assert len(np.unique(linked_areas(ramp, 5))) == 1
    areas = linked_areas(ramp, 5, front)
    assert len(np.unique(areas)) == 3


def test_the_picture_without_strokes_that_are_texts_is_still_known_to_be_even() -> None:
    work = working_copy(painted(*((box, PANEL) for box in CARDS)) / np.float32(255))
    assert find_strokes(work).without(np.zeros((SIDE, SIDE), bool), work).clean.is_even


def test_a_picture_of_flat_colours_is_even_after_jpeg_too() -> None:
    picture = jpeg(torch.from_numpy(painted(*((box, (90, 60, 200)) for box in CARDS))[..., :3] / 255))
    work = working_copy(np.concatenate([picture.numpy(), np.ones((SIDE, SIDE, 1), np.float32)], 2))
    assert work.ringing is not None
    assert work.is_even


@pytest.mark.parametrize("compressed", [False, True])
def test_the_cards_of_a_drawn_screen_come_whole_and_leave_no_traces(compressed: bool) -> None:
    true = draw("screens", 2, 1024)
    picture = shown(true)
    picture = jpeg(picture) if compressed else picture
    rgba = torch.cat([picture, torch.ones_like(picture[..., :1])], -1)
    stack: LayerStack = Builtin().decompose(rgba, Request(min(len(true), MAX_LAYERS)), silent).stack
    ious = things(stack, true)
    assert min(ious[name] for name in ("card 1", "card 2", "card 3", "table", "sidebar", "toolbar")) > 0.9
    assert traces(stack, true) < 0.01
