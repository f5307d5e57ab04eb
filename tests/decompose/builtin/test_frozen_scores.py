"""Scores of a few small scenes, frozen with five per cent slack: no threshold moves unnoticed.

They are taken without a reader of words, whose versions differ. A change that makes the decomposer better fails here
too: freeze the figures that the failing test shows.
"""

from __future__ import annotations

import pytest

from benchmarks.scenes import draw
from benchmarks.scores import scored
from qil_core.composite import composite
from qil_core.decompose import Request
from qil_core.decompose.builtin import Builtin
from qil_core.decompose.run import decompose

SIDE = 448
SLACK = 0.05

FROZEN = {
    ("shapes", "flat", 1): (0.5729, 1.0000),
    ("shapes", "photo", 1): (0.9195, 0.9195),
    ("text", "flat", 1): (0.6271, 0.9399),
    ("text", "gradient", 1): (0.9912, 0.9912),
    ("strokes", "flat", 0): (0.9843, 0.9843),
    ("strokes", "textured", 1): (0.3210, 0.5404),
    ("shadows", "flat", 0): (0.9902, 0.9902),
    ("shadows", "gradient", 0): (0.9355, 0.9355),
    ("panels", "flat", 1): (0.4791, 0.8214),
    ("panels", "gradient", 0): (0.9534, 0.9534),
    ("poster", "flat", 0): (0.5598, 0.6997),
    ("poster", "gradient", 1): (0.9670, 0.9670),
}
"""Alpha IoU (LayersEditDist) without merges and with five, by content, background and seed."""


@pytest.mark.usefixtures("same_letters", "nobody_reads")
@pytest.mark.parametrize("scene", FROZEN, ids=str)
def test_the_score_of_a_scene_is_what_it_was(scene: tuple[str, str, int]) -> None:
    true = draw(*scene, SIDE)
    found, report = decompose(Builtin(), composite(true)[..., :3], Request(len(true)))
    row = scored(found, true)
    assert (row["IoU at 0"], row["IoU at 5"]) == pytest.approx(FROZEN[scene], rel=SLACK)
    assert report.after.max_error <= 1
