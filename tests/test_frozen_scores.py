"""Scores of small scenes, frozen: a threshold of restoring that moves shows here, for the better or the worse.

Each scene is drawn at 512 px; its layers at a quarter of that, blurred and noisy, are restored and made exact. A score
may move by five per cent, which leaves room for other versions of torch and OpenCV. Who changes a threshold on purpose
runs `python -m benchmarks scores`, which has many scenes, and writes the new figures here.
"""

from __future__ import annotations

import pytest
import torch.nn.functional as F

from benchmarks.scenes import draw
from benchmarks.scores import color_error, degraded
from qil_core.composite import composite
from qil_core.exact import make_exact
from qil_core.metrics import edge_band, edge_error
from qil_core.restore import restore

SIDE, SEED, SHRUNK, SLACK = 512, 1, 0.25, 0.05


@pytest.mark.usefixtures("same_letters")
@pytest.mark.parametrize(
    ("content", "background", "alpha", "color"),
    [
        ("shapes", "gradient", 0.0529, 0.00297),
        ("shadows", "photo", 0.0191, 0.03801),
        ("panels", "textured", 0.0208, 0.00945),
        ("strokes", "flat", 0.0192, 0.00630),
    ],
)
def test_restored_layers_are_as_near_to_the_true_ones_as_they_were(
    content: str, background: str, alpha: float, color: float
) -> None:
    true = draw(content, background, SEED, SIDE)
    picture = composite(true)
    ours = make_exact(restore(degraded(true, SHRUNK), picture), picture).pixels
    true_alpha = true.pixels[1:, ..., 3]
    near_edges = edge_band(F.avg_pool2d(true_alpha, 9, stride=1, padding=4))
    assert edge_error(ours[1:, ..., 3], true_alpha, near_edges) == pytest.approx(alpha, rel=SLACK)
    assert color_error(ours, true.pixels, edge_band(true_alpha, 0.05)) == pytest.approx(color, rel=SLACK)
