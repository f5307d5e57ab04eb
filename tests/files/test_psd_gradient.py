"""Gradients laid out and smoothed as Photoshop does it; test_other_programs.py holds them against its own pixels."""

from __future__ import annotations

import numpy as np
import pytest
from psd_edits import gradient_fill
from psd_tools.constants import ColorMode

from qil_core.files.psd_gradient import DIAMOND, LINEAR, RADIAL, REFLECTED, draw_gradient
from qil_core.stack import Box

pytest.importorskip("scipy", reason="NOT CHECKED: psd-tools draws gradients with scipy")
SIDE = 64


def drawn(kind: bytes, **options: float) -> np.ndarray:
    """A gradient from black to white on SIDE x SIDE pixels, straight between the stops unless it is smoothed."""
    found = draw_gradient(gradient_fill(kind, **options), ColorMode.RGB, (0, 0, SIDE, SIDE), Box(0, 0, SIDE, SIDE))
    assert found is not None
    assert np.array_equal(found[1], np.ones((SIDE, SIDE, 1)))
    return found[0][..., 0]


def test_a_linear_gradient_runs_along_its_angle() -> None:
    right, up = drawn(LINEAR), drawn(LINEAR, angle=90)
    assert np.abs(right - np.arange(SIDE)[None] / SIDE).max() < 1e-3
    assert np.abs(up[1:] - (1 - np.arange(SIDE) / SIDE)[1:, None]).max() < 1e-3


def test_a_turned_gradient_ends_where_its_line_leaves_the_box() -> None:
    """At 45 degrees from corner to corner, at 30 where it meets the sides: as long as the width over the cosine."""
    assert drawn(LINEAR, angle=-45)[0, 0] == pytest.approx(0, abs=1e-3)
    turned = drawn(LINEAR, angle=30)
    step = np.cos(np.radians(30)) ** 2 / SIDE
    assert turned[32, 40] - turned[32, 32] == pytest.approx(8 * step, abs=1e-3)


def test_scale_offset_and_reverse() -> None:
    assert drawn(LINEAR, scale=200)[0, 0] == pytest.approx(0.25, abs=1e-3)
    assert drawn(LINEAR, offset=25)[0, 48] == pytest.approx(0.5, abs=1e-3)
    assert drawn(LINEAR, reverse=1)[0, 16] == pytest.approx(0.75, abs=1e-3)


@pytest.mark.parametrize("kind", [REFLECTED, RADIAL, DIAMOND], ids=["reflected", "radial", "diamond"])
def test_other_styles_grow_from_the_centre(kind: bytes) -> None:
    found = drawn(kind)
    assert found[32, 32] == pytest.approx(0, abs=1e-3)
    assert found[32, 48] == pytest.approx(0.5, abs=1e-3)
    assert (found[0, 0], found[32, 0]) == pytest.approx((1, 1), abs=1e-3)
    above = {REFLECTED: 0, RADIAL: 0.5, DIAMOND: 0.5}[kind]
    assert found[48, 32] == pytest.approx(above, abs=1e-3)


def test_a_smooth_gradient_is_a_spline() -> None:
    """Photoshop stored 52 of 255 at a quarter of a gradient from 0 to 255 (psd-tools' file vector-mask2.psd)."""
    assert drawn(LINEAR, smoothness=1)[0, 16] * 255 == pytest.approx(52, abs=0.5)
    assert drawn(LINEAR, smoothness=0.5)[0, 16] * 255 == pytest.approx((52 + 63.75) / 2, abs=0.5)


def test_what_is_laid_out_otherwise_is_left_to_psd_tools() -> None:
    assert draw_gradient(gradient_fill(b"Angl"), ColorMode.RGB, (0, 0, 9, 9), Box(0, 0, 9, 9)) is None
