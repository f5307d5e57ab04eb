"""A hole in a textured ground is filled with its texture, without a seam."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from benchmarks.canvas import Canvas
from benchmarks.filling import row
from qil_core.decompose.builtin.fill import smooth_fill
from qil_core.decompose.builtin.patches import MAX_SEARCHED, _searched, patch_fill
from qil_core.decompose.builtin.working import Floats, Mask

SIDE = 200


def texture() -> Floats:
    noise = Canvas(SIDE, (1, 1)).noise(3, range(4, 7), 0.9)
    return np.clip(128 + 12 * noise, 0, 255).astype(np.float32)


def with_hole(side: int = SIDE) -> Mask:
    """Known everywhere but in a disc."""
    y, x = np.mgrid[:side, :side]
    return np.asarray(np.hypot(y - side / 2, x - side / 2) > 0.2 * side)


def emptied(colors: Floats, known: Mask) -> Floats:
    return np.where(known[..., None], colors, 0).astype(np.float32)


def roughness(colors: Floats, where: Mask) -> float:
    """Mean difference from the surroundings."""
    return float(np.abs(colors - cv2.GaussianBlur(colors, (0, 0), 4))[where].mean())


def test_what_is_known_keeps_its_bits_and_the_same_picture_is_filled_in_the_same_way() -> None:
    colors, known = texture(), with_hole()
    filled = patch_fill(emptied(colors, known), known)
    assert np.array_equal(filled[known], colors[known])
    assert np.array_equal(filled, patch_fill(emptied(colors, known), known))


def test_a_hole_has_the_texture_of_what_is_around_it() -> None:
    colors, known = texture(), with_hole()
    patched = patch_fill(emptied(colors, known), known)
    smooth = smooth_fill(emptied(colors, known), known.astype(np.float32))
    assert roughness(smooth, ~known) < 0.35 * roughness(colors, ~known)
    assert roughness(patched, ~known) == pytest.approx(roughness(colors, ~known), rel=0.25)
    assert patched[~known].mean() == pytest.approx(float(colors[known].mean()), abs=6)


def test_there_is_no_seam_around_the_hole() -> None:
    colors, known = texture(), with_hole()
    filled = patch_fill(emptied(colors, known), known)
    seam = cv2.dilate((~known).astype(np.uint8), np.ones((3, 3), np.uint8)) > known
    steps, usual = (np.abs(cv2.Laplacian(c, cv2.CV_32F))[seam].mean() for c in (filled, colors))
    assert steps < 1.4 * usual


def test_a_hole_in_a_gradient_stays_a_gradient() -> None:
    ramp = np.repeat(np.linspace(40, 200, SIDE, dtype=np.float32)[None, :, None], SIDE, 0).repeat(3, 2)
    filled = patch_fill(emptied(ramp, with_hole()), with_hole())
    assert np.abs(filled - ramp).mean() < 1
    assert np.abs(filled - ramp).max() < 12


@pytest.mark.parametrize("side", [1, 5, 12])
def test_pictures_without_a_whole_known_patch_are_filled_smoothly(side: int) -> None:
    colors, known = np.full((side, side, 3), 90, np.float32), np.zeros((side, side), bool)
    known[0, 0] = True
    assert np.allclose(patch_fill(emptied(colors, known), known), 90, atol=0.01)
    assert np.allclose(patch_fill(colors, np.ones((side, side), bool)), 90)


def test_a_large_picture_is_filled_from_its_own_pixels() -> None:
    side = 600
    colors = np.random.default_rng(1).integers(0, 2, (side, side, 1)).repeat(3, 2).astype(np.float32) * 200
    known = with_hole(side)
    filled = patch_fill(emptied(colors, known), known)
    assert roughness(filled, ~known) > 0.5 * roughness(colors, ~known)


def test_patches_give_textures_back_and_the_smooth_fill_does_not() -> None:
    colors, known = texture(), with_hole()
    patches, smooth = (row(fill, colors, known) for fill in (patch_fill, _smooth))
    assert smooth["fine texture"] < 0.2
    assert patches["fine texture"] == pytest.approx(1, abs=0.3)


def _smooth(colors: Floats, known: Mask) -> Floats:
    return smooth_fill(colors, known.astype(np.float32))


def test_a_large_hole_is_searched_at_a_smaller_size() -> None:
    known = np.ones((512, 512), bool)
    known[:, :250] = False
    offsets = _searched(np.random.default_rng(0).uniform(0, 255, (512, 512, 3)).astype(np.float32), known)
    assert offsets is not None
    height, width = offsets.shape[1:]
    assert 0.9 * MAX_SEARCHED < height * width * (~known).mean() <= MAX_SEARCHED
