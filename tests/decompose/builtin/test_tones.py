"""Grounds of two tones: rays and stripes go on under what covers them; waves and bars are no pattern."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from qil_core.decompose.builtin.step03_ground import find_background
from qil_core.decompose.builtin.tones import two_toned
from qil_core.decompose.builtin.working import Floats, Working, strongest

SHAPE = (240, 320)
LIGHT, DARK, THING = (np.array(color, np.float32) for color in ((200, 220, 120), (160, 180, 90), (220, 30, 60)))
Y, X = np.mgrid[: SHAPE[0], : SHAPE[1]] + 0.5
DISC = np.hypot(X - 150, Y - 100) < 55
TOLERANCE = np.float32(6)


def toned(is_dark: NDArray[np.bool_]) -> Floats:
    return np.where(is_dark[..., None], DARK, LIGHT).astype(np.float32)


def with_disc(rgb: Floats) -> Floats:
    return np.where(DISC[..., None], THING, rgb).astype(np.float32)


RAYS = toned(np.floor(np.arctan2(Y - 130, X - 160) / (np.pi / 9)) % 2 == 0)
STRIPES = toned(np.floor((X + 0.7 * Y) / 37) % 2 == 0)
CHECKS = toned((np.floor(X / 45) + np.floor(Y / 45)) % 2 == 0)
WAVES = toned(np.floor((Y + 14 * np.sin(X / 18)) / 40) % 2 == 0)


@pytest.mark.parametrize("ground", [RAYS, STRIPES, CHECKS], ids=["rays", "stripes", "checks"])
def test_two_tones_go_on_under_what_covers_them(ground: Floats) -> None:
    rgb = with_disc(ground)
    found = two_toned(rgb, np.broadcast_to(LIGHT, rgb.shape), strongest(rgb - LIGHT) > 6, TOLERANCE)
    assert found is not None
    assert (strongest(found.model - ground)[DISC] > 20).mean() < 0.03


def test_waves_are_no_pattern_of_lines() -> None:
    rgb = with_disc(WAVES)
    assert two_toned(rgb, np.broadcast_to(LIGHT, rgb.shape), strongest(rgb - LIGHT) > 6, TOLERANCE) is None


def test_a_bar_above_and_one_below_are_things() -> None:
    rgb = with_disc(toned((Y < 40) | (Y > 200)))
    assert two_toned(rgb, np.broadcast_to(LIGHT, rgb.shape), strongest(rgb - LIGHT) > 6, TOLERANCE) is None


def test_rays_are_one_ground_and_no_texture() -> None:
    rgb = with_disc(RAYS)
    background = find_background(Working(np.dstack([rgb, np.full(SHAPE, 255, np.float32)]), noise=0.0))
    assert background.is_two_toned
    assert background.roughness == 0
    assert (background.front ^ DISC).mean() < 0.01
