"""Noise, texture and JPEG: what they leave in a picture is no thing."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
import torch
from drawings import SIDE, Floats, mask, paint, words
from PIL import Image
from torch import Tensor

from benchmarks.scenes import draw
from benchmarks.scores import scored
from qil_core.composite import composite
from qil_core.decompose import Request
from qil_core.decompose.builtin import Builtin, jpeg, texture
from qil_core.decompose.builtin.step01_look import working_copy
from qil_core.decompose.builtin.step02_strokes import find_strokes
from qil_core.decompose.builtin.step03_ground import find_background
from qil_core.decompose.builtin.step05_regions import find_regions
from qil_core.naming import named
from qil_core.progress import silent
from qil_core.stack import LayerStack

PAPER, GREEN, RED, INK = (240, 230, 210), (75, 200, 40), (210, 50, 40), (25, 25, 35)
DISC, RING = mask("ellipse", 40, 40, 150, 150), mask("ellipse", 170, 30, 300, 160) - mask("ellipse", 205, 65, 265, 125)
WORDS = words("Region tree", 30, 200, 40)


def flat(color: tuple[int, int, int] = PAPER) -> Floats:
    return np.full((SIDE, SIDE, 3), color, np.float32)


def blotches(strength: float, blur: float, seed: int = 0) -> Floats:
    """Soft grey blotches (SIDE, SIDE, 1) of this standard deviation in 1/255."""
    grain = np.random.default_rng(seed).normal(size=(SIDE, SIDE)).astype(np.float32)
    soft = np.asarray(cv2.GaussianBlur(grain, (0, 0), blur), np.float32)
    return (soft / soft.std() * strength)[..., None]


def opaque(rgb: Tensor) -> Tensor:
    return torch.cat([rgb, torch.ones_like(rgb[..., :1])], -1)


def as_jpeg(rgb: Tensor, quality: int) -> Tensor:
    """The same picture (h, w, 3) after JPEG, its colour at half the resolution."""
    file = io.BytesIO()
    Image.fromarray((rgb.numpy() * 255).round().astype(np.uint8)).save(file, "JPEG", quality=quality, subsampling=2)
    return torch.from_numpy(np.asarray(Image.open(file).convert("RGB"), np.float32) / 255)


def layers_of(rgb: Tensor, layers: int) -> LayerStack:
    done = Builtin().decompose(opaque(rgb), Request(layers=layers), silent)
    return named(done.stack, done.kinds)


@pytest.mark.parametrize(("strength", "blur"), [(3, 3), (5, 4), (8, 2)])
def test_the_blotches_of_paper_do_not_become_layers(strength: float, blur: float) -> None:
    paper = flat((200, 190, 170)) + blotches(strength, blur)
    stack = layers_of(paint(paper, (DISC, RED)), 5)
    assert stack.names == ("background", "red circle")
    assert float((stack.pixels[1, ..., 3] - torch.from_numpy(DISC)).abs().mean()) < 0.01


def test_a_texture_of_three_colours_is_one_background() -> None:
    true = draw("shapes", "textured", 0, 448)
    found = layers_of(composite(true)[..., :3], len(true))
    assert scored(found, true)["IoU at 0"] > 0.95


@pytest.mark.parametrize("strength", [2, 6])
def test_the_strength_of_a_stationary_texture_is_measured_beside_things(strength: float) -> None:
    rgb = paint(flat() + blotches(strength, 3) - 20, (DISC, RED), (WORDS, INK)).numpy() * 255
    assert texture.stationary_texture(rgb) == pytest.approx(strength, rel=0.3)


def test_scenery_is_no_stationary_texture() -> None:
    scenery = composite(draw("text", "photo", 0, 448))[..., :3]
    background = find_background(working_copy(opaque(scenery).numpy()))
    assert (background.kind, background.roughness) == ("inpainted", 0)


@pytest.mark.parametrize("quality", [60, 80, 90])
def test_jpeg_is_known_by_its_blocks(quality: int) -> None:
    drawn = paint(flat(), (DISC, RED), (RING, GREEN), (WORDS, INK))
    assert jpeg.blockiness(opaque(drawn).numpy()) < jpeg.MIN_BLOCKINESS
    assert jpeg.blockiness(opaque(as_jpeg(drawn, quality)).numpy()) > jpeg.MIN_BLOCKINESS


def test_a_picture_without_blocks_is_looked_at_as_it_is() -> None:
    drawn = opaque(paint(flat(), (DISC, RED), (WORDS, INK)))
    work = working_copy(drawn.numpy())
    assert work.ringing is None
    assert np.array_equal(work.rgba, drawn.numpy() * 255)


@pytest.mark.parametrize("quality", [80, 90])
def test_ringing_around_edges_is_neither_region_nor_shape(quality: int) -> None:
    drawn = paint(flat(), (DISC, RED), (RING, GREEN), (WORDS, INK))
    work = working_copy(opaque(as_jpeg(drawn, quality)).numpy())
    regions = find_regions(work, find_background(work))
    true = np.maximum(np.maximum(DISC, RING), WORDS) > 0.5
    assert float(((regions > 0) != true).mean()) < 0.01
    strays = np.bincount(regions.ravel()) - 2 * np.bincount(regions.ravel(), weights=true.ravel())
    assert float(strays[1:].max()) < 40, "no region lies beside the things but for specks and counters"


@pytest.mark.parametrize("quality", [75, 90])
def test_after_jpeg_a_disc_and_a_ring_are_still_two_layers(quality: int) -> None:
    stack = layers_of(as_jpeg(paint(flat(), (DISC, RED), (RING, GREEN)), quality), 6)
    assert stack.names == ("background", "light green ring", "red circle")


GAP, CARD, LINE = (28, 31, 25), (45, 49, 38), (60, 64, 52)


def screen() -> Tensor:
    """Four cards with an outline of 1 px on a dark ground: they cover most of it, and differ from it by 18 steps."""
    picture = flat(GAP)
    for left, top in ((20, 20), (170, 20), (20, 170), (170, 170)):
        picture[top : top + 130, left : left + 130] = LINE
        picture[top + 1 : top + 129, left + 1 : left + 129] = CARD
    return torch.from_numpy(picture / 255)


def test_what_encloses_cards_is_the_ground_even_where_they_cover_more() -> None:
    background = find_background(working_copy(opaque(screen()).numpy()))
    assert background.kind == "flat"
    assert np.abs(background.model - np.float32(GAP)).max() < 1


def test_cards_hardly_brighter_than_their_ground_are_regions_of_their_own() -> None:
    work = working_copy(opaque(screen()).numpy())
    clean = find_strokes(work).clean
    regions = find_regions(clean, find_background(clean))
    middles = [int(regions[y, x]) for y in (85, 235) for x in (85, 235)]
    assert len({0, *middles}) == 5
    assert int(regions[160, 160]) == 0


def test_a_picture_of_flat_colours_is_even_and_a_grainy_one_is_not() -> None:
    assert working_copy(opaque(screen()).numpy()).is_even
    assert not working_copy(opaque(paint(flat() + blotches(3, 2) - 20)).numpy()).is_even
