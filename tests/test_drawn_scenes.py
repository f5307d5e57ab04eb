"""The ruler's newer scenes: slides, app screens, posters and illustrated figures, with named layers."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from benchmarks.drawn import FAMILIES, HELD_BACK, TUNING, draw, drawn, jpeg
from benchmarks.photographs import photograph
from qil_core.composite import composite, visible_weights

SIDE = 256
TEXTS = {"slides": ("title", "bullets", "footer"), "posters": ("title", "footer")}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("installed", [True, False])
def test_every_layer_has_a_name_and_is_mostly_seen(
    family: str, installed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not installed:
        monkeypatch.setattr("benchmarks.page.fonts", lambda names: ())
    for seed in (*TUNING, *HELD_BACK):
        layers = draw(family, seed, SIDE)
        assert 4 <= len(layers) <= 13
        assert layers.names[0] == "background"
        assert all(layers.names)
        assert len(set(layers.names)) == len(layers.names)
        alpha = layers.pixels[..., 3]
        assert bool((alpha[0] == 1).all())
        seen = visible_weights(alpha)[1:].sum((1, 2)) / alpha[1:].sum((1, 2))
        covered_on_purpose = {"sidebar", "table", "toolbar", "hills", "trees", "ground"}
        for name, share in zip(layers.names[1:], seen.tolist(), strict=True):
            assert share > (0.1 if name in covered_on_purpose else 0.35), (seed, name, share)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_seed_gives_one_scene_which_is_alike_at_every_size(family: str) -> None:
    small, large = draw(family, 4, SIDE), draw(family, 4, 3 * SIDE)
    assert torch.equal(small.pixels, draw(family, 4, SIDE).pixels)
    assert small.names == large.names
    alpha = F.avg_pool2d(large.pixels[..., 3][:, None], 3)[:, 0]
    height, width = (min(a, b) for a, b in zip(alpha.shape[1:], small.pixels.shape[1:3], strict=True))
    assert float((alpha[:, :height, :width] - small.pixels[:, :height, :width, 3]).abs().mean()) < 0.01
    assert composite(small).shape != composite(draw(family, 6, SIDE)).shape or not torch.equal(
        composite(small), composite(draw(family, 6, SIDE))
    )


def test_held_back_seeds_are_none_that_are_tuned_with() -> None:
    assert not set(TUNING) & set(HELD_BACK)
    assert [scene.seed for scene in drawn(128, families=("slides",))] == list(TUNING)


@pytest.mark.parametrize(("family", "texts"), TEXTS.items())
def test_texts_are_layers_of_their_own(family: str, texts: tuple[str, ...]) -> None:
    assert set(texts) <= set(draw(family, 0, SIDE).names)


def test_rules_of_a_screen_are_one_pixel_wide_at_every_size() -> None:
    for side in (256, 640):
        table = draw("screens", 0, side)
        bar = table.pixels[table.names.index("toolbar")]
        rows = bar[:, -1, :3][bar[:, -1, 3] > 0]
        unlike_its_neighbour = (rows - rows[0]).abs().amax(-1) > 1 / 255
        assert int(unlike_its_neighbour.sum()) == 1


def test_a_photograph_has_no_even_colour() -> None:
    for seed in range(3):
        colors = torch.from_numpy(photograph(seed, 160, 120)).permute(2, 0, 1)[None]
        spread = (F.avg_pool2d(colors**2, 8) - F.avg_pool2d(colors, 8) ** 2).clamp(min=0).sqrt()
        assert float(spread.amax(1).median()) > 2 / 255
        assert float(colors.amax() - colors.amin()) > 0.6


def test_jpeg_changes_a_picture_by_little() -> None:
    picture = composite(draw("slides", 0, SIDE))[..., :3]
    changed = (jpeg(picture) - picture).abs()
    assert 0.2 / 255 < float(changed.mean()) < 6 / 255
    assert torch.equal(jpeg(picture), jpeg(picture))
