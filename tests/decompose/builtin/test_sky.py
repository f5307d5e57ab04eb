"""The ground of a drawn landscape is its sky: no polynomial goes through sky and land, however alike they are."""

from __future__ import annotations

import numpy as np
import pytest

from qil_core.decompose.builtin.gradient import gradient_of
from qil_core.decompose.builtin.step03_ground import find_background
from qil_core.decompose.builtin.working import Floats, Mask, Working, strongest

SHAPE = (240, 320)
Y, X = np.mgrid[: SHAPE[0], : SHAPE[1]] + 0.5


def blended(below: Floats, color: tuple[int, int, int], level: float, rise: float) -> Floats:
    """A band of land with a soft wavy edge before what lies behind it."""
    share = np.clip(Y - level - rise * np.sin(X / 50), 0, 1)[..., None]
    return np.asarray(below * (1 - share) + np.array(color) * share, np.float32)


def landscape(top: float, land: float) -> tuple[Floats, Floats, Mask]:
    """A picture (h, w, 3), its sky alone, and where land covers it."""
    sky = np.stack([20 + 0.1 * Y, 40 + 0.35 * Y, 90 + 0.25 * Y], -1).astype(np.float32)
    rgb = blended(sky, (52, 88, 66), top, 8)
    rgb = blended(rgb, (40, 80, 56), top + 50, 12)
    rgb = blended(rgb, (28, 74, 26), land, 3)
    rgb[150:200, 60:110] = (230, 60, 60)
    return rgb, sky, top + 8 * np.sin(X / 50) + 1 < Y


@pytest.mark.parametrize(("top", "land"), [(30.0, 150.0), (70.0, 160.0)], ids=["a strip of sky", "a third of sky"])
def test_the_sky_is_the_ground_and_hills_and_land_lie_before_it(top: float, land: float) -> None:
    rgb, sky, covered = landscape(top, land)
    background = find_background(Working(np.dstack([rgb, np.full(SHAPE, 255, np.float32)]), noise=0.0))
    assert background.has_formula
    assert strongest(background.model - sky)[~covered].max() < 10
    assert (background.front ^ covered).mean() < 0.03


def test_an_areas_gradient_is_the_simplest_that_explains_it() -> None:
    _, sky, covered = landscape(70, 160)
    found = gradient_of(np.where(covered[..., None], np.float32(200), sky), ~covered, 2.0)
    assert found is not None
    assert found[1] == 1
    assert strongest(found[0] - sky)[~covered].max() < 3


def test_an_area_of_many_colours_has_no_gradient() -> None:
    noise = np.random.default_rng(0).uniform(0, 255, (*SHAPE, 3)).astype(np.float32)
    assert gradient_of(noise, np.ones(SHAPE, bool), 6.0) is None


def test_the_bar_on_top_of_a_page_is_no_sky() -> None:
    rgb = np.full((*SHAPE, 3), 235, np.float32)
    rgb[:40] = (30, 60, 160)
    rgb[15:25, 100:220] = 255
    rgb[80:140, 60:160] = (200, 60, 60)
    background = find_background(Working(np.dstack([rgb, np.full(SHAPE, 255, np.float32)]), noise=0.0))
    assert background.model[120, 250] == pytest.approx(235, abs=1)
