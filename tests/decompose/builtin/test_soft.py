"""A shadow or glow is cast where one is seen, and not where the ground around letters is only uneven."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from qil_core.decompose.builtin.step03_ground import Background
from qil_core.decompose.builtin.step09_soft import Soft, find_softs
from qil_core.decompose.builtin.working import Working

Floats = NDArray[np.float32]
SHAPE = (200, 200)
GROUND = np.array([254, 221, 40], np.float32)
ROWS, COLUMNS = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(np.float32)
DISTANCE = np.hypot(ROWS - 100, COLUMNS - 100) - 20


def softs_around_a_disc(change: Floats) -> list[Soft]:
    """What is found around a black disc with a blurred edge, where the ground changes by so much (3,) beside it."""
    fading = np.exp(-(np.maximum(DISTANCE, 0) ** 2) / 15**2)[..., None]
    cover = np.clip(0.5 - DISTANCE / 5, 0, 1)[..., None]
    rgb = ((GROUND + change * fading) * (1 - cover)).astype(np.float32)
    model = np.broadcast_to(GROUND, rgb.shape).astype(np.float32)
    labels = (DISTANCE <= 0).astype(np.int32)
    work = Working(np.dstack([rgb, np.full(SHAPE, 255, np.float32)]), noise=0.2)
    return find_softs(work, Background(model, labels > 0, "flat"), labels)


def test_a_shadow_that_is_seen_is_found() -> None:
    (soft,) = softs_around_a_disc(-0.3 * GROUND)
    assert not soft.alone
    assert soft.alpha[100, 125] == pytest.approx(0.3 * np.exp(-(5**2) / 15**2), abs=0.03)


def test_the_uneven_ground_around_letters_is_no_shadow() -> None:
    assert softs_around_a_disc(np.array([-4, -3, 7], np.float32)) == []
