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

SIDE = 224
SLACK = 0.05

FROZEN = {
    ("shapes", "flat", 1): (0.5719, 0.9995),
    ("shapes", "photo", 1): (0.5706, 0.7931),
    ("text", "flat", 1): (0.9522, 0.9522),
    ("text", "gradient", 1): (0.8820, 0.8820),
    ("strokes", "flat", 0): (0.9802, 0.9802),
    ("strokes", "textured", 1): (0.4143, 0.7753),
    ("shadows", "flat", 0): (0.9837, 0.9837),
    ("shadows", "gradient", 0): (0.4284, 0.9592),
    ("panels", "flat", 1): (0.5748, 0.8937),
    ("panels", "gradient", 0): (0.6173, 0.9186),
    ("poster", "flat", 0): (0.4437, 0.6596),
    ("poster", "gradient", 1): (0.5857, 0.7654),
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
