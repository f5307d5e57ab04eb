"""Recolouring one layer: perceptual, alpha untouched, nothing else touched."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qil_core.color import into_gamut, oklab_to_linear, oklab_to_srgb, parse_color, srgb_to_oklab
from qil_core.errors import QilError
from qil_core.recolor import Adjust, Colorize, HueTurn, Recolor, ReplaceColor, mean_lightness, recolor
from qil_core.stack import LayerStack

CHANGES = [
    HueTurn(75),
    Colorize((0.2, 0.4, 0.9), 0.5),
    ReplaceColor((1, 0, 0), (0, 0, 1), 0.3),
    Adjust(0.1, 1.5, 1.2, 0.8),
]


def one_color(*rgb: float) -> LayerStack:
    return LayerStack.from_image(torch.tensor([[[[*rgb, 1.0]]]]))


def color_of(stack: LayerStack) -> torch.Tensor:
    return stack.pixels[0, 0, 0, :3]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: type(change).__name__)
def test_alpha_and_every_other_layer_keep_their_bits(change: Recolor, random_stack: LayerStack) -> None:
    changed = recolor(random_stack, 2, change)
    assert torch.equal(changed.pixels[..., 3], random_stack.pixels[..., 3])
    assert torch.equal(changed.pixels[[0, 1, 3]], random_stack.pixels[[0, 1, 3]])
    assert not torch.equal(changed.pixels[2], random_stack.pixels[2])
    assert changed.pixels.min() >= 0
    assert changed.pixels.max() <= 1


@pytest.mark.parametrize("change", [HueTurn(0), Adjust(), ReplaceColor((1, 0, 0), (1, 0, 0), 1.0)])
def test_a_change_of_nothing_changes_no_bit(change: Recolor, random_stack: LayerStack) -> None:
    assert torch.equal(recolor(random_stack, 1, change).pixels, random_stack.pixels)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: type(change).__name__)
def test_strength_zero_changes_no_bit(change: Recolor, random_stack: LayerStack) -> None:
    assert torch.equal(recolor(random_stack, 1, change, 0.0).pixels, random_stack.pixels)


@given(st.tuples(*[st.floats(0.2, 0.7)] * 3), st.floats(-180, 180))
def test_a_hue_turn_keeps_lightness_and_turns_the_angle(rgb: tuple[float, float, float], degrees: float) -> None:
    before = srgb_to_oklab(torch.tensor(rgb))
    after = srgb_to_oklab(color_of(recolor(one_color(*rgb), 0, HueTurn(degrees))))
    assert after[0].item() == pytest.approx(before[0].item(), abs=2e-3)
    if min(before[1:].norm(), after[1:].norm()) > 0.03:
        turn = math.degrees(math.atan2(after[2], after[1]) - math.atan2(before[2], before[1]))
        assert (turn - degrees + 180) % 360 - 180 == pytest.approx(0, abs=1.5)


def test_colorizing_a_black_logo_gives_the_very_colour() -> None:
    logo = one_color(0.0, 0.0, 0.0)
    change = Colorize(parse_color("#e02020"), mean_lightness(logo.pixels[0]))
    assert torch.allclose(color_of(recolor(logo, 0, change)), torch.tensor([224, 32, 32]) / 255, atol=2e-3)


def test_colorizing_keeps_light_and_dark_apart() -> None:
    shirt = LayerStack.from_image(torch.tensor([[[[0.3, 0.3, 0.3, 1.0], [0.6, 0.6, 0.6, 1.0]]]]))
    change = Colorize((0.3, 0.5, 0.9), mean_lightness(shirt.pixels[0]))
    lab = srgb_to_oklab(recolor(shirt, 0, change).pixels[0, 0, :, :3])
    before = srgb_to_oklab(shirt.pixels[0, 0, :, :3])
    assert (lab[1, 0] - lab[0, 0]).item() == pytest.approx((before[1, 0] - before[0, 0]).item(), abs=2e-3)


def test_replacing_a_colour_moves_its_shades_and_leaves_the_rest() -> None:
    pixels = torch.tensor([[[[0.9, 0.1, 0.1, 1.0], [0.85, 0.12, 0.1, 1.0], [0.1, 0.8, 0.2, 1.0]]]])
    stack = LayerStack.from_image(pixels)
    changed = recolor(stack, 0, ReplaceColor((0.9, 0.1, 0.1), (0.1, 0.2, 0.9), tolerance=0.1)).pixels[0, 0]
    assert torch.allclose(changed[0, :3], torch.tensor([0.1, 0.2, 0.9]), atol=2e-3)
    assert changed[1, 2] > 0.7
    assert torch.equal(changed[2], pixels[0, 0, 2])


def test_adjusting_chroma_to_zero_makes_grey_of_the_same_lightness() -> None:
    grey = color_of(recolor(one_color(0.8, 0.3, 0.1), 0, Adjust(chroma=0)))
    assert (grey.max() - grey.min()).item() < 1e-3
    want = srgb_to_oklab(torch.tensor([0.8, 0.3, 0.1]))[0]
    assert srgb_to_oklab(grey)[0].item() == pytest.approx(want.item(), abs=1e-3)


def test_gamma_over_one_darkens_and_leaves_black_and_white() -> None:
    assert color_of(recolor(one_color(0.5, 0.5, 0.5), 0, Adjust(gamma=2)))[0] < 0.4
    assert torch.allclose(color_of(recolor(one_color(1, 1, 1), 0, Adjust(gamma=2))), torch.ones(3), atol=1e-3)
    assert torch.allclose(color_of(recolor(one_color(0, 0, 0), 0, Adjust(gamma=2))), torch.zeros(3), atol=1e-3)


def test_colours_outside_the_gamut_keep_hue_and_lightness() -> None:
    vivid = torch.tensor([[0.7, 0.3, 0.1], [0.4, -0.2, -0.3]])
    inside = into_gamut(vivid)
    light = oklab_to_linear(inside)
    assert light.min() >= -2e-4
    assert light.max() <= 1 + 2e-4
    assert torch.equal(inside[:, 0], vivid[:, 0])
    cosine = torch.nn.functional.cosine_similarity(inside[:, 1:], vivid[:, 1:], dim=1)
    assert torch.allclose(cosine, torch.ones(2), atol=1e-5)


def test_oklab_of_the_primaries_is_as_published() -> None:
    lab = srgb_to_oklab(torch.eye(3))
    published = torch.tensor([[0.62796, 0.22486, 0.12585], [0.86644, -0.23389, 0.17950], [0.45201, -0.03246, -0.31153]])
    assert torch.allclose(lab, published, atol=2e-4)
    assert torch.allclose(oklab_to_srgb(lab), torch.eye(3), atol=1e-3)


def test_colours_are_read_from_text_or_refused() -> None:
    assert parse_color("#ff8000") == pytest.approx((1, 128 / 255, 0))
    assert parse_color(" navy ") == pytest.approx((0, 0, 128 / 255))
    with pytest.raises(QilError, match="is not a colour"):
        parse_color("blurple")


@pytest.mark.parametrize(
    "text", ["rgb(300, 0, 0)", "rgb(101%, 0%, 0%)", "hsl(0, 200%, 50%)", "", "#" + "f" * 9999, "\ud83d"]
)
def test_a_colour_out_of_range_or_too_long_is_none(text: str) -> None:
    with pytest.raises(QilError, match="is not a colour"):
        parse_color(text)


def test_strength_out_of_range_is_refused(random_stack: LayerStack) -> None:
    with pytest.raises(QilError, match="Strength must be 0 to 1"):
        recolor(random_stack, 0, HueTurn(10), 1.5)


def test_several_layers_are_recoloured_and_the_others_keep_their_bits() -> None:
    stack = LayerStack(torch.rand(3, 4, 5, 4), ("a", "b", "c"))
    turned = recolor(stack, [0, 2], HueTurn(90))
    for i in (0, 2):
        assert torch.equal(turned.pixels[i], recolor(stack, i, HueTurn(90)).pixels[i])
    assert torch.equal(turned.pixels[1], stack.pixels[1])
