"""Shadows and cards in noise, strokes over edges, and scenes of each kind moved."""

from __future__ import annotations

import cv2
import numpy as np

from benchmarks.judging import moved_error, things
from benchmarks.scenes import draw
from qil_core.composite import composite
from qil_core.decompose import Request
from qil_core.decompose.builtin import Builtin
from qil_core.decompose.builtin.step02_strokes import find_strokes
from qil_core.decompose.builtin.step03_ground import Background
from qil_core.decompose.builtin.step05_regions import find_regions
from qil_core.decompose.builtin.step09_soft import calmed, find_softs
from qil_core.decompose.builtin.working import Floats, Labels, Working
from qil_core.progress import silent
from qil_core.stack import LayerStack, quantized

SHAPE_PX = (240, 240)
GROUND, CARD, DISC, LIGHT = (
    np.array(c, np.float32) for c in ((60, 30, 90), (90, 110, 230), (240, 230, 60), (220, 40, 30))
)
Y, X = np.mgrid[: SHAPE_PX[0], : SHAPE_PX[1]].astype(np.float32)
ON_CARD = (X > 60) & (X < 140) & (Y > 80) & (Y < 180)
ON_DISC = np.hypot(X - 140, Y - 80) < 20


def over(rgb: Floats, alpha: Floats, color: Floats) -> Floats:
    return np.asarray(rgb + alpha[..., None] * (color - rgb), np.float32)


def around(x: float, y: float, width: float, peak: float) -> Floats:
    """A soft round light's alpha."""
    return np.asarray(peak * np.exp(-(np.hypot(X - x, Y - y) ** 2) / (2 * width**2)), np.float32)


def seen(rgb: Floats, labels: Labels, noise: float = 0) -> tuple[Working, Background]:
    """A picture in noise of so many 1/255, and its known ground."""
    grain = np.random.default_rng(0).normal(0, max(noise, 1e-6), rgb.shape).astype(np.float32)
    rgba = np.dstack([rgb + grain, np.full(SHAPE_PX, 255, np.float32)])
    return Working(rgba, noise), Background(np.broadcast_to(GROUND, rgb.shape).astype(np.float32), labels > 0, "flat")


def card() -> tuple[Floats, Labels]:
    return np.where(ON_CARD[..., None], CARD, GROUND).astype(np.float32), ON_CARD.astype(np.int32)


def test_a_shadow_is_found_in_noise() -> None:
    rgb, labels = card()
    distance = cv2.distanceTransform((~ON_CARD).astype(np.uint8), cv2.DIST_L2, 5)
    dark = (0.7 * np.exp(-((distance / 12) ** 2)) * ~ON_CARD).astype(np.float32)
    work, ground = seen(over(rgb, dark, np.zeros(3, np.float32)), labels, noise=5)
    calm = calmed(work, labels)
    assert calm.noise < 1
    assert np.abs(calm.rgba[..., :3] - CARD)[ON_CARD].mean() < 1.5
    (soft,) = find_softs(calm, ground, labels)
    assert np.abs(soft.alpha - dark)[~ON_CARD].mean() < 0.02


def test_a_pale_card_does_not_leak_into_its_ground_in_noise() -> None:
    rgb = cv2.GaussianBlur(np.where(ON_CARD[..., None], GROUND + 45, GROUND).astype(np.float32), (0, 0), 1.0)
    work, ground = seen(rgb, ON_CARD.astype(np.int32), noise=5)
    regions = find_regions(work, ground)
    inside = ON_CARD & (cv2.erode(ON_CARD.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0)
    assert (regions[inside] == np.bincount(regions[inside]).argmax()).mean() > 0.95
    assert np.bincount(regions[inside]).argmax() != 0


def test_an_edge_that_strokes_cross_stays_an_edge() -> None:
    rgb, labels = card()
    lines = np.zeros(SHAPE_PX, np.uint8)
    for x in range(20, 220, 24):
        cv2.line(lines, (x, 60), (240 - x, 200), 255, 1, cv2.LINE_AA)
    work, _ = seen(over(rgb, lines.astype(np.float32) / 255, DISC), labels)
    found = find_strokes(work)
    assert found.numbers.max() > 0
    across = np.abs(np.diff(found.clean.rgba[..., 0:3], axis=0)).max(2)[74:87, 65:135].max(0)
    assert (across > 80).mean() > 0.95


def decomposed(content: str, background: str, seed: int) -> tuple[LayerStack, LayerStack]:
    """What is found, and the true layers."""
    true = draw(content, background, seed, 448)
    picture = quantized(composite(true))
    return Builtin().decompose(picture, Request(len(true)), silent).stack, true


def test_a_text_on_a_gradient_can_be_moved() -> None:
    found, true = decomposed("text", "gradient", 8)
    assert moved_error(found, true) < 1
    assert min(things(found, true).values()) > 0.8
