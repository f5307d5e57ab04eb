"""Which units become one layer: things that touch, enclose and outline, before colours."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from drawings import SIDE, Floats, mask, paint
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from qil_core.decompose import Request
from qil_core.decompose.builtin import Builtin
from qil_core.decompose.builtin.merge_tree import Parts, grown_trees, measured, with_bands, with_scenery
from qil_core.decompose.builtin.outlines import without_outlines
from qil_core.decompose.builtin.step03_ground import Background, behind_land
from qil_core.decompose.builtin.step10_group import MIN_MEANS, group_units
from qil_core.decompose.builtin.table import measure
from qil_core.decompose.builtin.units import SHAPE, TEXT, Units
from qil_core.decompose.builtin.working import Labels, Working
from qil_core.progress import silent
from qil_core.stack import LayerStack

PAPER = (240, 230, 210)
Color = tuple[int, int, int]
Drawn = tuple[Floats, Color]

RED, BLUE, GREEN, INK, SKIN = (210, 50, 40), (40, 80, 190), (30, 140, 80), (20, 20, 25), (235, 190, 160)


def drawn(*shapes: Drawn, kinds: tuple[int, ...] = ()) -> tuple[Working, Units]:
    """A working copy of shapes on paper, and each shape as a unit, numbered from 1."""
    rgb = paint(np.full((SIDE, SIDE, 3), PAPER, np.float32), *shapes).numpy() * 255
    labels = np.zeros((SIDE, SIDE), np.int32)
    for number, (alpha, _) in enumerate(shapes, 1):
        labels[alpha > 0.5] = number
    rgba = np.concatenate([rgb, np.full((SIDE, SIDE, 1), 255)], 2).astype(np.float32)
    of_units = np.array([SHAPE, *(kinds or (SHAPE,) * len(shapes))], np.int8)
    return Working(rgba, 0.0), Units(labels, of_units, labels)


def groups(shapes: list[Drawn], budget: int, kinds: tuple[int, ...] = ()) -> list[set[int]]:
    """Which shapes, numbered from 1, share a layer; {0, ...} are those that went to the background."""
    work, units = drawn(*shapes, kinds=kinds)
    found = group_units(work, units, budget)
    assert len(found) <= budget + 1
    return [set(np.unique(units.labels[found.labels == i]).tolist()) - {0} for i in range(1, len(found))]


def test_what_means_little_beside_the_first_thing_is_not_counted() -> None:
    large, dot = (mask("rectangle", 20, 20, 200, 200), INK), (mask("ellipse", 250, 250, 256, 256), INK)
    work, units = drawn(large, (mask("rectangle", 220, 20, 300, 120), INK), dot)
    assert len(group_units(work, units, 9)) == 4
    assert len(group_units(work, units, 9, MIN_MEANS)) == 3


def figure(x: float, y: float, cloth: Color) -> list[Drawn]:
    """A head with an eye and a hat over a body."""
    return [
        (mask("rectangle", x - 30, y + 20, x + 30, y + 90), cloth),
        (mask("ellipse", x - 25, y - 25, x + 25, y + 25), SKIN),
        (mask("ellipse", x - 5, y - 8, x + 3, y), INK),
        (mask("rectangle", x - 30, y - 35, x + 30, y - 15), cloth),
    ]


def test_two_figures_of_the_same_colours_are_two_things_each_with_its_eye_and_hat() -> None:
    shapes = [*figure(80, 100, RED), *figure(240, 100, RED)]
    assert sorted(map(sorted, groups(shapes, 2))) == [[1, 2, 3, 4], [5, 6, 7, 8]]


def test_the_smaller_of_two_figures_comes_before_the_parts_of_the_larger() -> None:
    small = [(mask("ellipse", 250, 250, 300, 300), BLUE), (mask("ellipse", 262, 262, 288, 288), SKIN)]
    assert {5, 6} in groups([*figure(100, 120, RED), *small], 3)


def test_dots_share_a_layer_when_layers_are_short() -> None:
    dots = [(mask("ellipse", x, 280, x + 20, 300), INK) for x in (20, 90, 160, 230)]
    assert {5, 6, 7, 8} in groups([*figure(160, 100, RED), *dots], 2)


def test_what_is_unlike_and_apart_shares_no_layer_while_there_are_enough() -> None:
    dots = [(mask("ellipse", 20, 280, 40, 300), GREEN), (mask("ellipse", 220, 220, 290, 290), BLUE)]
    found = groups([*figure(160, 100, RED), *dots], 3)
    assert {5} in found
    assert {6} in found


def test_ground_along_the_border_is_no_glue_between_the_things_on_it() -> None:
    ground = (mask("rectangle", -5, 220, SIDE + 5, SIDE + 5), GREEN)
    shapes = [ground, (mask("rectangle", 40, 150, 100, 260), RED), (mask("rectangle", 200, 150, 260, 260), BLUE)]
    found = groups(shapes, 3)
    assert {2} in found
    assert {3} in found


def test_scenery_is_what_is_long_on_the_border_for_its_size() -> None:
    ground = (mask("rectangle", -5, 220, SIDE + 5, SIDE + 5), GREEN)
    standing = (mask("rectangle", 100, 100, 160, SIDE + 5), BLUE)
    work, units = drawn(ground, standing)
    assert with_scenery(measured(work, units.labels, units.kinds)).scenery.tolist() == [True, True, False]


def test_a_thing_in_a_corner_is_no_scenery() -> None:
    hill, ring = (mask("ellipse", -30, 120, 350, 220), GREEN), (mask("ellipse", -90, -90, 110, 110), RED)
    work, units = drawn(hill, ring)
    assert with_bands(measured(work, units.labels, units.kinds)).scenery.tolist() == [False, True, False]


def test_the_sky_is_the_background_where_land_was_taken_for_it() -> None:
    regions = np.zeros((60, 90), np.int32)
    regions[:35], regions[20:50, 30:40] = 1, 2
    background, found = behind_land(Background(np.zeros((60, 90, 3), np.float32), regions > 0, "flat"), regions)
    assert (found == np.array([1, 0, 2])[regions]).all()
    assert (background.front == (found > 0)).all()
    assert background.kind == "inpainted"


def test_the_bar_on_top_of_a_page_is_no_sky() -> None:
    regions = np.zeros((60, 90), np.int32)
    regions[:12] = 1
    page = Background(np.zeros((60, 90, 3), np.float32), regions > 0, "flat")
    assert behind_land(page, regions) == (page, regions)


def test_a_hill_from_side_to_side_is_a_layer_of_its_own() -> None:
    """It reaches the borders at two narrow places, and figures that stand before it touch nothing else."""
    hill = (mask("ellipse", -30, 120, 350, 220), GREEN)
    found = groups([hill, *figure(80, 150, RED), *figure(240, 150, BLUE)], 3)
    assert sorted(map(sorted, found)) == [[1], [2, 3, 4, 5], [6, 7, 8, 9]]


def test_figures_side_by_side_that_touch_are_parted_before_their_heads_are() -> None:
    couple = [*figure(110, 150, RED), *figure(166, 150, BLUE)]
    assert sorted(map(sorted, groups(couple, 2))) == [[1, 2, 3, 4], [5, 6, 7, 8]]


def test_a_label_on_a_card_goes_with_the_card_when_layers_are_short() -> None:
    card = (mask("rectangle", 40, 40, 280, 140), BLUE)
    label, disc = (mask("rectangle", 80, 80, 160, 95), PAPER), (mask("ellipse", 100, 200, 190, 290), RED)
    assert groups([card, label, disc], 2, kinds=(SHAPE, TEXT, SHAPE)) == [{1, 2}, {3}]


def test_texts_take_two_thirds_of_the_layers_at_most_while_things_wait() -> None:
    lines = [(mask("rectangle", 20, y, 220, y + 40), INK) for y in (10, 70, 130)]
    discs = [(mask("ellipse", x, 260, x + 30, 290), color) for x, color in ((20, RED), (200, GREEN))]
    found = groups([*lines, *discs], 3, kinds=(TEXT, TEXT, TEXT, SHAPE, SHAPE))
    assert sum(bool(group & {1, 2, 3}) for group in found) == 2


def test_a_photograph_on_a_page_is_one_unit_however_many_layers_there_are() -> None:
    rng = np.random.default_rng(0)
    tiles = [
        (mask("rectangle", x, y, x + 20, y + 20), tuple(rng.integers(0, 200, 3).tolist()))
        for x in range(100, 200, 20)
        for y in range(100, 180, 20)
    ]
    assert len(groups(tiles, 8)) == 1


def test_a_ring_behind_a_bar_is_one_thing() -> None:
    bar = (mask("rectangle", 140, 20, 180, 300), BLUE)
    halves = [
        (mask("ellipse", 60, 60, 260, 260) * side, RED) for side in (np.arange(SIDE) < 160, np.arange(SIDE) >= 160)
    ]
    assert sorted(map(sorted, groups([*halves, bar], 2))) == [[1, 2], [3]]


def test_an_outline_that_two_discs_share_is_parted_between_them() -> None:
    left, right = mask("ellipse", 60, 100, 160, 200), mask("ellipse", 164, 100, 264, 200)
    inner = mask("ellipse", 66, 106, 154, 194), mask("ellipse", 170, 106, 258, 194)
    ink = np.maximum.reduce([left, right, mask("rectangle", 155, 146, 170, 154)])
    work, units = drawn((ink, INK), (inner[0], RED), (inner[1], BLUE))
    found = without_outlines(units.labels, measure(units.labels, work.rgba), np.zeros(4, bool))
    assert set(np.unique(found)) == {0, 2, 3}
    assert ((found == 2) == (left > 0.5)).mean() > 0.99
    assert ((found == 3) == (right > 0.5)).mean() > 0.99


def test_an_outline_before_a_hill_goes_to_what_it_encloses() -> None:
    hill, ink = mask("rectangle", 0, 80, 320, 320), mask("ellipse", 100, 120, 220, 240)
    work, units = drawn((hill, GREEN), (ink, INK), (mask("ellipse", 106, 126, 214, 234), RED))
    found = without_outlines(units.labels, measure(units.labels, work.rgba), np.zeros(4, bool))
    assert set(np.unique(found)) == {0, 1, 3}
    assert ((found == 3) == (ink > 0.5)).mean() > 0.998


def test_a_stroke_across_a_card_is_no_outline() -> None:
    card, stroke = mask("rectangle", 40, 40, 280, 280), mask("rectangle", 80, 150, 240, 154)
    work, units = drawn((card, BLUE), (stroke, INK))
    found = without_outlines(units.labels, measure(units.labels, work.rgba), np.zeros(3, bool))
    assert (found == units.labels).all()


def parts_of(labels: Labels) -> Parts:
    work = Working(np.full((*labels.shape, 4), 255, np.float32), 0.0)
    return measured(work, labels, np.zeros(int(labels.max()) + 1, np.int8))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_every_part_is_in_one_tree_and_every_node_is_its_children(seed: int, count: int) -> None:
    small = np.random.default_rng(seed).integers(0, count + 1, (6, 6))
    labels = np.searchsorted(np.union1d(0, small), small).repeat(4, 0).repeat(4, 1).astype(np.int32)
    roots = grown_trees(parts_of(labels))
    assert sorted(part for root in roots for part in root.parts) == sorted(set(np.unique(labels).tolist()) - {0})
    stack = list(roots)
    while stack:
        node = stack.pop()
        stack += node.children
        assert node.area * labels.size == pytest.approx(np.isin(labels, node.parts).sum())
        if node.children:
            assert sorted(node.parts) == sorted(part for child in node.children for part in child.parts)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 6))
def test_there_are_never_more_layers_than_the_budget(seed: int, budget: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 9, (8, 8)).repeat(4, 0).repeat(4, 1).astype(np.int32)
    labels = np.searchsorted(np.union1d(0, labels), labels).astype(np.int32)
    kinds = np.append(0, rng.integers(0, 4, int(labels.max()))).astype(np.int8)
    work = Working(rng.uniform(0, 255, (32, 32, 4)).astype(np.float32), 0.0)
    found = group_units(work, Units(labels, kinds, labels), budget)
    assert len(found) <= budget + 1
    assert set(np.unique(found.labels)) <= set(range(len(found)))


def painted_scene() -> tuple[Tensor, Floats]:
    """A disc of two colours before hills and a sky of soft blotches, which no formula explains."""
    import cv2

    rng = np.random.default_rng(1)
    sky = cv2.GaussianBlur(rng.normal(0, 1, (SIDE, SIDE, 3)).astype(np.float32), (0, 0), 24)
    canvas = np.asarray(np.clip(130 + 1500 * sky, 40, 220), np.float32)
    disc, half = mask("ellipse", 100, 100, 220, 220), mask("ellipse", 130, 130, 190, 190)
    return torch.cat(
        [paint(canvas, (disc, (250, 240, 30)), (half, (200, 20, 20))), torch.ones(SIDE, SIDE, 1)], -1
    ), disc


def test_a_thing_of_two_colours_in_a_painted_scene_is_one_layer() -> None:
    picture, disc = painted_scene()
    stack: LayerStack = Builtin().decompose(picture, Request(layers=3), silent).stack
    alpha, truth = stack.pixels[1:, ..., 3], torch.from_numpy(disc)
    assert float((torch.minimum(alpha, truth).sum((1, 2)) / torch.maximum(alpha, truth).sum((1, 2))).max()) > 0.9


def test_bands_of_scenery_are_parted_before_a_figure_is() -> None:
    hill, ground = mask("rectangle", 0, 110, SIDE, 170), mask("rectangle", 0, 170, SIDE, SIDE)
    found = groups([(hill, (110, 150, 110)), (ground, (70, 110, 60)), *figure(120, 120, RED)], 3)
    assert sorted(map(sorted, found)) == [[1], [2], [3, 4, 5, 6]]


def test_parts_of_one_colour_with_an_outline_between_them_are_one_thing() -> None:
    ribs = [mask("rectangle", 40 + 40 * i, 60, 80 + 40 * i, 140) for i in (0, 1)]
    badge = mask("rectangle", 120, 60, 175, 140)
    work, units = drawn((ribs[0], (230, 120, 30)), (ribs[1], (225, 115, 30)), (badge, (230, 180, 60)))
    work.rgba[60:140, 78:82, :3] = (120, 60, 20)
    found = group_units(work, units, 2).labels
    assert found[100, 60] == found[100, 100] != found[100, 150]


def test_a_head_before_a_headline_shares_a_layer_with_its_body_rather_than_the_footer_is_lost() -> None:
    title, footer = mask("rectangle", 20, 20, 220, 90), mask("rectangle", 90, 222, 150, 232)
    head, body = mask("ellipse", 90, 40, 150, 112), mask("rectangle", 90, 122, 150, 200)
    kinds = (TEXT, SHAPE, SHAPE, TEXT)
    found = groups([(title, INK), (head, BLUE), (body, BLUE), (footer, INK)], 3, kinds)
    assert sorted(map(sorted, found)) == [[1], [2, 3], [4]]
