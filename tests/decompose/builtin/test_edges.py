"""Edges of layers: no haze, alpha solved against what lies below, and hidden parts that meet what covers them."""

from __future__ import annotations

import io

import cv2
import numpy as np
import torch
from drawings import SIDE, Floats, mask, paint, words
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from qil_core.composite import composite
from qil_core.decompose import Request
from qil_core.decompose.builtin import Builtin
from qil_core.decompose.builtin.step01_look import working_copy
from qil_core.decompose.builtin.step03_ground import find_background
from qil_core.decompose.builtin.step12_plan import color_trust, edges, grain, plan_layers
from qil_core.decompose.builtin.step13_render import render
from qil_core.decompose.builtin.units import SHAPE, STROKES, TEXT, Units
from qil_core.decompose.builtin.working import Working
from qil_core.progress import silent
from qil_core.stack import LayerStack

RED, BLUE, INK, SUN = (210, 50, 40), (40, 80, 190), (25, 25, 35), (250, 215, 45)
DISC = mask("ellipse", 170, 120, 260, 210)
STAR = mask("polygon", 20, 60, 160, 100, 300, 40, 230, 170, 300, 290, 150, 230, 30, 300, 90, 170)


def flat(color: tuple[int, int, int]) -> Floats:
    return np.full((SIDE, SIDE, 3), color, np.float32)


def opaque(rgb: Tensor) -> Tensor:
    return torch.cat([rgb, torch.ones(SIDE, SIDE, 1)], dim=-1)


def compressed(rgb: Tensor, quality: int) -> Tensor:
    """An opaque picture as JPEG leaves it."""
    file = io.BytesIO()
    Image.fromarray((rgb.numpy() * 255).astype(np.uint8)).save(file, "JPEG", quality=quality)
    return opaque(torch.from_numpy(np.asarray(Image.open(file), np.float32) / 255))


def layers_of(picture: Tensor, layers: int) -> LayerStack:
    return Builtin().decompose(picture, Request(layers=layers), silent).stack


def overlap(alpha: Tensor, truth: Floats) -> float:
    other = torch.from_numpy(truth)
    return float(torch.minimum(alpha, other).sum() / torch.maximum(alpha, other).sum())


def matching(stack: LayerStack, truth: Floats) -> Tensor:
    """The layer (H, W, 4) whose alpha is most like a mask."""
    return max(stack.pixels, key=lambda layer: overlap(layer[..., 3], truth))


def away_from(truth: Floats, radius: int) -> Tensor:
    """Where no pixel of a mask is within so many rows and columns."""
    near = torch.nn.functional.max_pool2d(torch.from_numpy(truth)[None], 2 * radius + 1, 1, radius)[0]
    return near == 0


def test_artefacts_of_compression_around_letters_are_no_glow() -> None:
    title = np.maximum(words("Still", 20, 20, 110), words("here", 20, 150, 110))
    stack = layers_of(compressed(paint(flat(SUN), (title, INK)), 90), 2)
    haze = stack.pixels[1:, ..., 3].amax(0)[away_from(title, 5)]
    assert float(haze.sum()) < 0.001 * float(title.sum())


def test_noise_around_a_thing_leaves_no_haze_and_no_holes() -> None:
    noise = np.random.default_rng(0).normal(0, 3, (SIDE, SIDE, 3)).astype(np.float32)
    picture = opaque((paint(flat(SUN), (DISC, BLUE)) + torch.from_numpy(noise / 255)).clamp(0, 1))
    disc = matching(layers_of(picture, 2), DISC)[..., 3]
    assert float(disc[away_from(DISC, 1)].max()) == 0
    assert float(disc[away_from(1 - DISC, 1)].min()) == 1
    assert overlap(disc, DISC) > 0.99


def test_an_edge_between_two_things_is_solved_against_the_lower_one() -> None:
    stack = layers_of(opaque(paint(flat(SUN), (STAR, BLUE), (DISC, RED))), 3)
    disc = matching(stack, DISC)
    error = (disc[..., 3] - torch.from_numpy(DISC)).abs()
    assert int((error > 0.06).sum()) <= 6, "only where the disc, the star and the ground meet"
    soft = (disc[..., 3] > 0.02) & (disc[..., 3] < 1)
    assert float((disc[soft][:, :3] * 255 - torch.tensor(RED)).abs().max()) < 4, "no blue and no yellow in its edge"


def test_a_thing_goes_on_under_what_is_lifted_off_it_without_a_gap() -> None:
    picture = opaque(paint(flat(SUN), (STAR, BLUE), (DISC, RED)))
    stack = layers_of(picture, 3)
    disc = max(range(3), key=lambda i: overlap(stack.pixels[i, ..., 3], DISC))
    pixels = stack.pixels.clone()
    pixels[disc] = 0
    shown = composite(LayerStack(pixels, stack.names))[..., :3]
    hidden = torch.from_numpy(DISC) > 0
    edge = hidden & ~away_from(1 - DISC, 2) & ~away_from(STAR * (1 - DISC), 1) & away_from(1 - STAR, 4)
    assert int(edge.sum()) > 150
    assert float((shown[edge] * 255 - torch.tensor(BLUE)).abs().max()) < 4


def test_every_layer_is_clear_outside_its_own_box() -> None:
    stack = layers_of(opaque(paint(flat(SUN), (mask("rectangle", 20, 20, 80, 80), BLUE), (DISC, RED))), 3)
    for layer in stack.pixels[1:]:
        assert bool((layer[290:] == 0).all())


def test_grain_is_the_noise_of_calm_areas_and_takes_no_notice_of_edges() -> None:
    noise = np.random.default_rng(1).normal(0, 4, (200, 200, 4)).astype(np.float32)
    noise[:, 100:] = 0
    labels = np.zeros((200, 200), np.int32)
    labels[80:120] = 1
    step = np.where(labels > 0, 200, 50)[..., None].astype(np.float32)
    rough = grain(Working(step + noise, 4), labels)
    assert float(rough[:, 10:80].min()) > 4, "of the strongest channel"
    assert float(rough[:, 10:80].max()) < 8
    assert float(rough[:, 180:].max()) < 0.2


def test_letters_with_an_outline_of_another_colour_come_out_whole() -> None:
    ink = np.maximum(words("Glow", 30, 60, 100), words("ing", 60, 170, 110))
    outlined = cv2.dilate(ink, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9)))
    picture = opaque(paint(flat((120, 160, 210)), (outlined, (20, 30, 60)), (ink, (250, 250, 245)))).numpy()
    whole, inside = outlined > 0.5, ink > 0.5
    pieces = connected(whole & ~inside)
    pieces = np.where(inside, connected(inside) + pieces.max(), pieces)
    units = Units(whole.astype(np.int32), np.array([SHAPE, TEXT], np.int8), pieces.astype(np.int32))
    work = working_copy(picture)
    layers = np.zeros((2, SIDE, SIDE, 4), np.float32)
    render(picture, plan_layers(work, work, find_background(work), units, [], [1]), layers, silent)
    alpha = torch.from_numpy(layers[1, ..., 3])
    assert overlap(alpha, outlined) > 0.98
    assert float(alpha[torch.from_numpy(outlined) == 1].min()) > 0.97
    assert float(np.abs(layers[0, ..., :3] * 255 - [120, 160, 210]).max()) < 2


def test_a_card_is_evenly_coloured_under_small_letters() -> None:
    card = mask("rectangle", 20, 60, 300, 260)
    lines = np.maximum.reduce([words("an evening of music", 34, 70 + 30 * i, 18 - i) for i in range(6)])
    picture = opaque(paint(flat(BLUE), (card, (255, 240, 222)), (lines, INK)))
    work = working_copy(picture.numpy())
    labels = np.where(lines > 0.4, 2, card > 0.5).astype(np.int32)
    pieces = np.where(labels == 1, connected(labels == 1), connected(labels == 2) + 1000).astype(np.int32)
    units = Units(labels, np.array([SHAPE, SHAPE, TEXT], np.int8), pieces)
    plans = plan_layers(work, work, find_background(work), units, [], [1, 2])
    color = plans.layers[1].color[plans.layers[1].extent > 3]
    assert float(np.abs(color - [255, 240, 222]).max()) < 4


def test_faint_lines_of_a_chart_are_pure_though_they_touch_a_strong_curve() -> None:
    grid, curve = mask("rectangle", 20, 100, 300, 101) > 0.5, mask("rectangle", 90, 40, 110, 160) > 0.5
    visible = grid | curve
    contrast = np.where(curve, 200, np.where(grid, 40, 0)).astype(np.float32)
    trust = color_trust(visible, visible.astype(np.int32), STROKES, contrast)
    assert float(trust[grid & (np.arange(SIDE) > 130)].min()) == 1
    assert float(trust[curve].min()) == 1


def test_a_soft_edge_has_its_own_alpha_and_none_of_the_grounds_colour() -> None:
    soft = cv2.GaussianBlur(mask("ellipse", 80, 80, 240, 240), (0, 0), 2)
    disc = matching(layers_of(opaque(paint(flat(SUN), (soft, BLUE))), 2), soft)
    edge = torch.from_numpy((soft > 0.05) & (soft < 0.98))
    assert float((disc[..., 3] - torch.from_numpy(soft))[edge].abs().mean()) < 0.01
    assert float((disc[edge][:, :3] * 255 - torch.tensor(BLUE)).abs().mean()) < 2


def test_a_shade_along_a_crisp_edge_is_no_soft_edge() -> None:
    disc = mask("ellipse", 80, 80, 240, 240)
    shade = disc * (1 - 0.4 * cv2.GaussianBlur(1 - disc, (0, 0), 4))
    picture = opaque(paint(flat((255, 255, 255)), (shade, BLUE)))
    found = matching(layers_of(picture, 2), disc)[..., 3]
    assert float(found[away_from(1 - disc, 2)].min()) == 1


def connected(where: NDArray[np.bool_]) -> NDArray[np.int32]:
    return np.asarray(cv2.connectedComponents(where.astype(np.uint8))[1], np.int32)


def test_edges_are_where_labels_differ_and_seams_where_neither_is_0() -> None:
    labels = np.array([[0, 1, 1, 2], [0, 1, 1, 2]], np.int32)
    assert edges(labels).tolist() == [[False, True, False, True]] * 2
    assert edges(labels, 1).tolist() == [[False, False, False, True]] * 2
