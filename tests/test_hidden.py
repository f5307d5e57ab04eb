"""Hidden parts of a decomposer's layers become as clean as what is seen beside them."""

from __future__ import annotations

import pytest
import torch

from benchmarks.scenes import draw
from benchmarks.scores import degraded, hidden_error
from qil_core.composite import composite
from qil_core.hidden import cleaned, look, noise_variance, smoothed, toned
from qil_core.restore import restore
from qil_core.stack import LayerStack

NOISE = 0.02


def covered(ground: torch.Tensor) -> LayerStack:
    """A ground (200, 200, 3) under a red box."""
    lid = torch.zeros(200, 200, 4)
    lid[60:140, 60:140] = torch.tensor([0.9, 0.2, 0.1, 1])
    return LayerStack.from_image(torch.stack([torch.cat([ground, torch.ones(200, 200, 1)], -1), lid]))


def noisy(layers: torch.Tensor) -> torch.Tensor:
    """Layers (N, h, w, 4) whose colours have a decomposer's noise."""
    noise = NOISE * torch.randn(layers.shape, generator=torch.Generator().manual_seed(3))
    noise[..., 3] = 0
    return (layers + noise).clamp(0, 1)


def test_hidden_parts_take_the_tone_that_is_seen_beside_them() -> None:
    true = covered(torch.full((200, 200, 3), 0.5))
    small = true.pixels[:, ::4, ::4].clone()
    small[0, ..., :3] += torch.tensor([0.06, -0.05, 0.04])
    done = toned(small, look(small, composite(true)))
    hidden = small[1, ..., 3] > 0
    assert (done[0, ..., :3] - 0.5).abs()[hidden].max() < 0.005
    assert torch.equal(done[0][~hidden], small[0][~hidden]), "what is seen is the picture's affair"
    assert torch.equal(done[1], small[1])


def test_noise_is_measured_where_a_layer_is_in_plain_sight() -> None:
    true = covered(torch.full((200, 200, 3), 0.5))
    assert noise_variance(look(noisy(true.pixels), composite(true))) ** 0.5 == pytest.approx(NOISE, rel=0.1)
    assert noise_variance(look(true.pixels, composite(true))) < 1e-8


def test_a_hidden_part_of_an_even_ground_becomes_even() -> None:
    true = covered(torch.full((200, 200, 3), 0.5))
    small, hidden = noisy(true.pixels), true.pixels[1, ..., 3] > 0
    done = cleaned(small, composite(true))
    before, after = ((x[0, ..., :3] - 0.5).abs()[hidden].mean() for x in (small, done))
    assert after < 0.2 * before
    assert torch.equal(done[0][~hidden], small[0][~hidden])


def test_a_hidden_edge_stays_an_edge() -> None:
    ground = torch.full((200, 200, 3), 0.3)
    ground[:, 100:] = 0.7
    true = covered(ground)
    done = cleaned(noisy(true.pixels), composite(true))[0, 70:130, :, :3]
    assert (done[:, 99] - 0.3).abs().mean() < NOISE
    assert (done[:, 100] - 0.7).abs().mean() < NOISE


def test_a_hidden_texture_keeps_its_strength() -> None:
    grain = 0.06 * torch.randn(200, 200, 3, generator=torch.Generator().manual_seed(5))
    true = covered((0.5 + grain).clamp(0, 1))
    done = cleaned(noisy(true.pixels), composite(true))[0, 70:130, 70:130, :3]
    assert done.std() == pytest.approx(0.06, rel=0.12)


def test_layers_without_noise_keep_their_bits() -> None:
    true = covered(torch.full((200, 200, 3), 0.5))
    sight = look(true.pixels, composite(true))
    assert torch.equal(smoothed(true.pixels, sight), true.pixels)


@pytest.mark.usefixtures("same_letters")
@pytest.mark.parametrize(("content", "background"), [("strokes", "flat"), ("poster", "flat"), ("text", "gradient")])
def test_restored_layers_are_clean_where_they_were_hidden(content: str, background: str) -> None:
    true = draw(content, background, 0, 640)
    assert 255 * hidden_error(restore(degraded(true, 0.4), composite(true)), true) < 2.5


def test_what_is_solid_nowhere_keeps_its_colours() -> None:
    true = covered(torch.full((200, 200, 3), 0.5))
    veil = torch.tensor([0.9, 0.8, 0.1, 0.3]).expand(200, 200, 4)
    layers = noisy(torch.stack([true.pixels[0], veil, true.pixels[1]]))
    done = cleaned(layers, composite(LayerStack(layers, ("", "", ""))))
    assert torch.allclose(done[1, 90:110, 90:110, :3].mean((0, 1)), veil[0, 0, :3], atol=0.02)
