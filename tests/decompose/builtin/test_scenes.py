"""The ruler itself: scenes with known layers, and what is measured with them."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from benchmarks.scenes import BACKGROUNDS, CONTENTS, Scene, draw
from benchmarks.scores import degraded, restored_row, scored
from qil_core.composite import composite
from qil_core.decompose import Request
from qil_core.decompose.builtin import Builtin
from qil_core.decompose.run import decompose

KINDS = [(content, background) for content in CONTENTS for background in BACKGROUNDS]


@pytest.mark.parametrize(("content", "background"), KINDS)
def test_a_scene_is_two_to_eight_layers_on_an_opaque_ground(content: str, background: str) -> None:
    layers = draw(content, background, 1, 192)
    assert 2 <= len(layers) <= 8
    assert bool((layers.pixels[0, ..., 3] == 1).all())
    for layer in layers.pixels[1:]:
        assert 0 < float((layer[..., 3] > 0).float().mean()) < 1
    assert torch.equal(layers.pixels, draw(content, background, 1, 192).pixels), "a seed gives one scene"
    assert not torch.equal(layers.pixels[-1], draw(content, background, 2, 192).pixels[-1])


@pytest.mark.parametrize("content", CONTENTS)
def test_a_seed_gives_the_same_scene_at_every_size(content: str) -> None:
    small, large = (draw(content, "gradient", 3, side) for side in (128, 512))
    alpha = F.avg_pool2d(large.pixels[..., 3][:, None], 4)[:, 0]
    assert alpha.shape == small.pixels.shape[:3]
    assert float((alpha - small.pixels[..., 3]).abs().mean()) < 0.006


@pytest.mark.parametrize(("content", "background"), [kind for kind in KINDS if kind[1] in ("flat", "photo")])
def test_every_scene_is_composited_again_exactly(content: str, background: str) -> None:
    layers = draw(content, background, 0, 192)
    found, report = decompose(Builtin(), composite(layers)[..., :3], Request(len(layers)))
    assert report.after.max_error <= 1
    row = restored_row(Scene(content, background, 0, layers), 0.25)
    assert row["max error"] <= 1
    assert row["alpha/Lanczos"] < 0.6
    assert 0 <= scored(found, layers)["IoU at 0"] <= 1


def test_the_truth_scores_best_and_its_degraded_copy_worse() -> None:
    layers = draw("poster", "flat", 0, 256)
    assert scored(layers, layers) == {"L1 at 0": 0, "IoU at 0": 1, "L1 at 5": 0, "IoU at 5": 1}
    small = degraded(layers, 0.5)
    assert (small.height, small.width) == (layers.height // 2, layers.width // 2)
    assert (
        0.005 < float((small.pixels[1:, ..., 3] - degraded(layers, 0.5, seed=1).pixels[1:, ..., 3]).abs().mean()) < 0.05
    )
