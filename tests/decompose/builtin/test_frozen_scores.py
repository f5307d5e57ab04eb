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
    ("shapes", "photo", 1): (0.9188, 0.9188),
    ("text", "flat", 1): (0.9969, 0.9969),
    ("text", "gradient", 1): (0.9912, 0.9912),
    ("strokes", "flat", 0): (0.9454, 0.9454),
    ("strokes", "textured", 1): (0.3579, 0.6306),
    ("shadows", "flat", 0): (0.9901, 0.9901),
    ("shadows", "gradient", 0): (0.9378, 0.9378),
    ("panels", "flat", 1): (0.4791, 0.8214),
    ("panels", "gradient", 0): (0.9533, 0.9533),
    ("poster", "flat", 0): (0.5448, 0.6810),
    ("poster", "gradient", 1): (0.9683, 0.9683),
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
