"""What is hidden of flat art goes on in its plain colours; gradients and textures run on smoothly."""

from __future__ import annotations

import numpy as np
import pytest

from qil_core.decompose.builtin.completion import completed
from qil_core.decompose.builtin.fill import smooth_fill
from qil_core.decompose.builtin.working import Floats, Mask

SHAPE = (120, 160)
RED, WHITE, SKY = (200, 30, 40), (250, 250, 245), (90, 160, 220)


def hole(top: int, bottom: int, left: int, right: int) -> Mask:
    hidden = np.zeros(SHAPE, bool)
    hidden[top:bottom, left:right] = True
    return hidden


HIDDEN = hole(40, 80, 50, 110)


def filled(colors: Floats, hidden: Mask = HIDDEN) -> Floats:
    shown = np.where(hidden[..., None], 0, colors).astype(np.float32)
    return completed(shown, (~hidden).astype(np.float32), hidden, 0.0)


def halves(above: tuple[int, int, int], below: tuple[int, int, int]) -> Floats:
    colors = np.full((*SHAPE, 3), above, np.float32)
    colors[60:] = below
    return colors


def test_two_plain_colours_go_on_and_meet_at_the_border_that_is_seen_on_both_sides() -> None:
    colors = halves(RED, WHITE)
    off = np.abs(filled(colors) - colors).max(2)[HIDDEN]
    assert float((off > 2).mean()) < 0.03, "and nothing between red and white"
    between = (off > 2) & (off < 200)
    assert float(between.mean()) < 0.01


def test_one_colour_on_all_sides_is_that_colour_also_where_a_cover_parts_it() -> None:
    parted = hole(0, 120, 60, 100)
    assert filled(halves(SKY, SKY), parted) == pytest.approx(halves(SKY, SKY), abs=1)


def test_a_gradient_that_a_cover_parts_goes_on_without_a_border() -> None:
    ramp = np.repeat(np.linspace(60, 200, SHAPE[1], dtype=np.float32)[None, :, None], SHAPE[0], 0).repeat(3, 2)
    steps = np.abs(np.diff(filled(ramp, hole(0, 120, 70, 90))[60, 68:92, 0]))
    assert float(steps.max()) < 6


def test_textures_run_into_each_other_as_before() -> None:
    noise = np.random.default_rng(0).normal(0, 25, (*SHAPE, 1)).astype(np.float32)
    colors = np.clip(halves((90, 90, 90), (170, 170, 170)) + noise, 0, 255)
    shown = np.where(HIDDEN[..., None], 0, colors).astype(np.float32)
    off = np.abs(filled(colors) - smooth_fill(shown, (~HIDDEN).astype(np.float32)))
    assert float(off[HIDDEN].mean()) < 2


def test_what_shows_stays_as_it_is() -> None:
    colors = halves(RED, WHITE)
    assert np.array_equal(filled(colors)[~HIDDEN], colors[~HIDDEN])
