"""Shadows and glows are smooth, have no edge, fall off and fade out; other changes of the background do not."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qil_core.decompose.builtin.softness import MAX_CORRELATION, MAX_CORRELATION_ALONE, falls_off, is_soft

Floats = NDArray[np.float32]
ROWS, COLUMNS = np.mgrid[:160, :200].astype(np.float32)
THING = (np.abs(ROWS - 80) < 20) & (np.abs(COLUMNS - 60) < 20)
FROM_THING = np.hypot(np.maximum(np.abs(ROWS - 80) - 20, 0), np.maximum(np.abs(COLUMNS - 60) - 20, 0))
AREA = (FROM_THING > 0) & (FROM_THING < 40)
INNER = (FROM_THING > 3) & AREA
GLOW = (0.6 * np.exp(-((FROM_THING / 15) ** 2))).astype(np.float32)


def soft(alpha: Floats) -> bool:
    return is_soft(alpha.astype(np.float32), AREA, THING, THING, INNER, MAX_CORRELATION)


def test_a_glow_is_soft() -> None:
    assert soft(GLOW)


def test_a_glow_in_faint_noise_is_soft() -> None:
    assert soft(np.clip(GLOW + np.random.default_rng(0).normal(0, 0.004, GLOW.shape), 0, 1))


def test_artefacts_of_compression_are_rough() -> None:
    blocks = np.kron(np.random.default_rng(0).uniform(0, 1, (80, 100)), np.ones((2, 2)))
    assert not soft(GLOW * blocks)


def test_what_has_an_edge_is_no_glow() -> None:
    assert not soft(np.where((COLUMNS > 84) & (COLUMNS < 92) & (ROWS > 60), 0.6, 0.3 * GLOW))


def test_a_gradient_that_goes_on_is_no_glow() -> None:
    assert not soft(0.6 - FROM_THING / 200)


def test_what_gets_stronger_away_from_the_thing_is_not_cast_by_it() -> None:
    assert falls_off(GLOW, INNER, THING, MAX_CORRELATION)
    assert not falls_off(0.6 - GLOW, INNER, THING, MAX_CORRELATION)
    assert not soft(0.6 - GLOW)


def test_a_constant_change_does_not_fall_off() -> None:
    assert not falls_off(np.full_like(GLOW, 0.5), INNER, THING, MAX_CORRELATION)


def test_a_light_that_stands_alone_is_round_and_clouds_are_not() -> None:
    everywhere, nothing = np.ones(GLOW.shape, bool), np.zeros(GLOW.shape, bool)
    round_one = np.exp(-((np.hypot(ROWS - 80, COLUMNS - 100) / 40) ** 2)).astype(np.float32)
    clouds = (round_one + np.roll(round_one, (60, 90), (0, 1))).clip(0, 1)
    for alpha, expected in ((round_one, True), (clouds, False)):
        middle = alpha > 0.7
        middle[:, 150:] = False
        assert is_soft(alpha, everywhere, nothing, middle, everywhere, MAX_CORRELATION_ALONE) == expected
