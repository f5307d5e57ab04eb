"""The built-in decomposer on pictures whose layers are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from drawings import SIDE, Floats, mask, paint, words
from PIL import Image, ImageFilter
from torch import Tensor

from qil_core.composite import composite
from qil_core.decompose import Request
from qil_core.decompose.builtin import Builtin
from qil_core.decompose.run import decompose
from qil_core.exact import make_exact, recomposition
from qil_core.example import draw_poster
from qil_core.naming import named
from qil_core.progress import silent
from qil_core.stack import LayerStack

RED, BLUE, GREEN, INK, PAPER = (210, 50, 40), (40, 80, 190), (30, 140, 80), (25, 25, 35), (240, 230, 210)


def flat(color: tuple[int, int, int] = PAPER) -> Floats:
    return np.full((SIDE, SIDE, 3), color, np.float32)


def gradient() -> Floats:
    y, x = np.mgrid[0 : 1 : SIDE * 1j, 0 : 1 : SIDE * 1j].astype(np.float32)[..., None]
    return (np.array([90, 140, 220]) + x * np.array([110, 40, -60]) + y * np.array([20, 50, 20])).astype(np.float32)


def painted(canvas: Floats, *shapes: tuple[Floats, tuple[int, int, int]]) -> Tensor:
    """An opaque picture (SIDE, SIDE, 4): shapes painted over a canvas in 0..255, rounded to 8 bits."""
    return torch.cat([paint(canvas, *shapes), torch.ones(SIDE, SIDE, 1)], dim=-1)


def layers_of(picture: Tensor, layers: int = 4) -> LayerStack:
    done = Builtin().decompose(picture, Request(layers=layers), silent)
    return named(done.stack, done.kinds)


def notes_of(picture: Tensor) -> str:
    return " ".join(Builtin().decompose(picture, Request(), silent)[1])


def overlap(alpha: Tensor, truth: Floats) -> float:
    """Soft intersection over union."""
    other = torch.from_numpy(truth)
    return float(torch.minimum(alpha, other).sum() / torch.maximum(alpha, other).sum())


def best(stack: LayerStack, truth: Floats) -> tuple[int, float]:
    """The layer that matches a mask best, and how well."""
    scores = [overlap(layer[..., 3], truth) for layer in stack.pixels]
    return int(np.argmax(scores)), max(scores)


DISC, SQUARE = mask("ellipse", 130, 60, 260, 190), mask("rectangle", 50, 100, 180, 230)


def test_a_disc_over_a_square_become_two_layers_and_the_square_is_whole_again() -> None:
    stack = layers_of(painted(flat(), (SQUARE, BLUE), (DISC, RED)), 3)
    square, disc = best(stack, SQUARE), best(stack, DISC)
    assert min(square[1], disc[1]) > 0.99
    assert 0 < square[0] < disc[0]


def test_the_hidden_corner_of_the_square_is_blue() -> None:
    stack = layers_of(painted(flat(), (SQUARE, BLUE), (DISC, RED)), 3)
    corner = stack.pixels[best(stack, SQUARE)[0], 120:150, 150:175, :3] * 255
    assert float((corner - torch.tensor(BLUE)).abs().max()) < 3


@pytest.mark.parametrize("ground", [flat(), gradient()], ids=["flat", "gradient"])
def test_the_background_under_a_removed_disc_is_what_was_there(ground: Floats) -> None:
    stack = layers_of(painted(ground, (DISC, RED)), 2)
    assert float((stack.pixels[0, ..., :3] * 255 - torch.from_numpy(ground)).abs().max()) < 2
    assert float(stack.pixels[0, ..., 3].min()) == 1


def test_a_cut_out_disc_shows_no_fringe_on_magenta() -> None:
    picture = painted(flat(), (DISC, RED))
    disc = make_exact(layers_of(picture, 2), picture).pixels[1].numpy()
    magenta = np.array([255, 0, 255], np.float32)
    shown = disc[..., :3] * 255 * disc[..., 3:] + magenta * (1 - disc[..., 3:])
    ideal = np.array(RED, np.float32) * DISC[..., None] + magenta * (1 - DISC[..., None])
    assert np.abs(shown - ideal).max() < 12


@pytest.mark.usefixtures("nobody_reads")
def test_text_is_one_layer_on_top_of_its_panel() -> None:
    panel, text = mask("rectangle", 30, 60, 290, 240), words("Region tree", 50, 90, 40) + words("and more", 50, 160, 30)
    stack = layers_of(painted(gradient(), (panel, INK), (text, (240, 240, 245))), 3)
    assert stack.names[2] == "text"
    assert best(stack, text) == (2, pytest.approx(1, abs=0.06))
    assert best(stack, panel)[1] > 0.98


def test_text_is_found_first_when_there_is_room_for_two_layers_more() -> None:
    text = words("Hello designers", 20, 250, 32)
    stack = layers_of(painted(flat(), (SQUARE, BLUE), (DISC, GREEN), (text, INK)), 3)
    assert best(stack, text)[1] > 0.95


def test_a_soft_shadow_becomes_dark_soft_alpha_of_the_thing_that_casts_it() -> None:
    card = mask("rectangle", 80, 80, 240, 220)
    cast = Image.fromarray((mask("rectangle", 88, 92, 248, 232) * 255).astype(np.uint8))
    shadow = np.asarray(cast.filter(ImageFilter.GaussianBlur(9)), np.float32) / 255 * 0.4
    stack = layers_of(painted(flat((90, 170, 220)), (shadow, (0, 0, 0)), (card, (255, 255, 255))), 2)
    assert overlap(stack.pixels[1, ..., 3], card + shadow * (1 - card)) > 0.97
    assert float(stack.pixels[1, 238, 160, :3].max()) < 0.1
    assert float((stack.pixels[0, ..., :3] * 255 - torch.tensor([90, 170, 220])).abs().max()) < 8


def test_covered_things_lie_below_what_covers_them() -> None:
    boxes = [mask("rectangle", 40 + k, 40 + k, 150 + k, 150 + k) for k in (0, 60, 120)]
    stack = layers_of(painted(flat((255, 255, 255)), *zip(boxes, (RED, GREEN, BLUE), strict=True)), 4)
    assert [best(stack, box)[0] for box in boxes] == [1, 2, 3]
    assert min(best(stack, box)[1] for box in boxes) > 0.98


def test_a_transparent_icon_has_no_background_layer_and_keeps_its_alpha() -> None:
    star = mask("polygon", 160, 90, 210, 220, 110, 220)
    badge = mask("ellipse", 40, 40, 280, 280)
    opaque = painted(flat(BLUE), (star, (255, 220, 60)))
    picture = torch.cat([opaque[..., :3], torch.from_numpy((badge * 255).round() / 255)[..., None]], dim=-1)
    stack = make_exact(layers_of(picture, 4), picture)
    assert "background" not in stack.names
    assert (best(stack, badge)[0], best(stack, star)[0]) == (0, 1)
    assert min(best(stack, badge)[1], best(stack, star)[1]) > 0.98
    assert recomposition(stack, picture).max_error <= 1


def test_the_same_seed_gives_the_same_bits() -> None:
    picture = painted(gradient(), (SQUARE, BLUE), (DISC, RED), (words("again", 60, 250, 40), INK))
    assert torch.equal(layers_of(picture).pixels, layers_of(picture).pixels)


@pytest.mark.parametrize("layers", [2, 3, 6, 10])
def test_there_are_never_more_layers_than_asked_for_and_none_is_empty(layers: int) -> None:
    dots = [(mask("ellipse", x, y, x + 50, y + 40), c) for x, c in ((20, RED), (200, GREEN)) for y in (20, 110, 200)]
    stack = layers_of(painted(flat(), *dots, (words("six dots", 90, 260, 40), INK)), layers)
    assert len(stack) <= layers
    assert min(stack.coverage(i) for i in range(len(stack))) > 0
    assert len(set(stack.names)) == len(stack)


def test_a_flat_picture_is_one_layer_and_the_notes_say_so() -> None:
    picture = painted(flat())
    assert layers_of(picture).names == ("background",)
    assert "one layer" in notes_of(picture)


@pytest.mark.parametrize("size", [(1, 1), (1, 700), (700, 1), (2, 3), (40, 40)])
@pytest.mark.parametrize("opacity", [0.0, 0.4, 1.0])
def test_tiny_thin_and_clear_pictures_come_back_whole(size: tuple[int, int], opacity: float) -> None:
    noise = torch.rand(*size, 4, generator=torch.Generator().manual_seed(1))
    noise[..., 3] = opacity
    picture = (noise * 255).round() / 255
    assert recomposition(make_exact(layers_of(picture), picture), picture).max_error <= 1


def test_noise_is_called_what_it_is() -> None:
    noise = torch.rand(200, 200, 4, generator=torch.Generator().manual_seed(2))
    noise[..., 3] = 1
    picture = (noise * 255).round() / 255
    assert "only roughly" in notes_of(picture)
    assert recomposition(make_exact(layers_of(picture), picture), picture).max_error <= 1


def test_a_clean_picture_is_not_called_a_photo() -> None:
    assert "photo" not in notes_of(painted(gradient(), (SQUARE, BLUE), (DISC, RED)))


def test_layers_composite_to_the_picture_even_before_they_are_made_exact() -> None:
    picture = painted(gradient(), (SQUARE, BLUE), (DISC, RED), (words("almost", 40, 250, 40), INK))
    stack = layers_of(picture)
    assert float((composite(stack) - picture).abs().mean()) < 0.3 / 255
    assert recomposition(make_exact(stack, picture), picture).max_error <= 1


@pytest.mark.slow
def test_a_picture_larger_than_the_working_copy_keeps_sharp_edges() -> None:
    small = painted(flat(), (DISC, RED))
    picture = small.repeat_interleave(4, 0).repeat_interleave(4, 1)
    truth = DISC.repeat(4, 0).repeat(4, 1)
    assert overlap(layers_of(picture, 2).pixels[1, ..., 3], truth) > 0.98


@pytest.mark.usefixtures("nobody_reads")
def test_the_example_poster_comes_apart_into_its_six_parts() -> None:
    poster = torch.from_numpy(np.asarray(draw_poster(600, 800).convert("RGBA"), np.float32) / 255)
    stack = layers_of(poster, 6)
    assert len(stack) == 6
    assert stack.names[0] == "background"
    assert stack.names[-1].startswith("text")
    sun = stack.pixels[1]
    assert float(sun[390, 380, 3]) == 1, "the sun is whole under the disc"
    assert recomposition(make_exact(stack, poster), poster).max_error <= 1


def test_progress_is_reported_and_may_stop_the_work() -> None:
    said: list[float] = []

    def stop(fraction: float, what: str) -> None:
        said.append(fraction)
        if fraction > 0.2:
            raise KeyboardInterrupt(what)

    with pytest.raises(KeyboardInterrupt):
        Builtin().decompose(painted(flat(), (DISC, RED)), Request(), stop)
    assert said == sorted(said)
    assert len(said) > 2


@pytest.mark.parametrize("seed", [0, 32, 54])
def test_things_that_are_covered_whole_are_no_trouble(seed: int) -> None:
    """Alpha of noise: strokes cover whole regions, and thin ones have no pixel at half the size."""
    alpha = 1 - torch.rand(12, 12, 1, generator=torch.Generator().manual_seed(seed)).bfloat16().float()
    picture = torch.cat([torch.tensor([0.2, 0.4, 0.6]).expand(12, 12, 3), alpha], -1)
    assert decompose(Builtin(), picture, Request(4))[1].after.max_error <= 1
