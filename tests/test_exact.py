"""The promise: the stack composites to the picture, within 1/255 in every channel of every pixel."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qil_core.composite import composite, visible_weights
from qil_core.errors import QilError
from qil_core.exact import make_exact, recomposition
from qil_core.stack import LayerStack, quantize


def random_case(seed: int, layers: int, opaque: bool, hard: bool) -> tuple[LayerStack, torch.Tensor]:
    """Layers and a picture that have nothing to do with each other: the worst that can be asked."""
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.rand(layers, 12, 13, 4, generator=generator)
    target = torch.rand(12, 13, 4, generator=generator)
    if hard:
        pixels, target = (pixels * 3 - 1).clamp(0, 1), (target * 3 - 1).clamp(0, 1)
    if opaque:
        target[..., 3] = 1
    return LayerStack.from_image(pixels), quantize(target)


@given(st.integers(0, 2**31), st.integers(1, 10), st.booleans(), st.booleans())
def test_any_stack_is_made_to_composite_to_any_picture(seed: int, layers: int, opaque: bool, hard: bool) -> None:
    stack, target = random_case(seed, layers, opaque, hard)
    exact = make_exact(stack, target)
    assert recomposition(exact, target).max_error <= 1
    straight = (composite(exact) - target).abs()[target[..., 3] > 0]
    assert float(straight.max() if len(straight) else 0) <= 1.001 / 255, "of a picture on the 8-bit grid, colours too"
    assert torch.equal(quantize(exact.pixels), exact.pixels)


@given(st.integers(0, 2**31), st.integers(1, 8))
def test_a_stack_that_is_exact_already_keeps_its_bits(seed: int, layers: int) -> None:
    stack, _ = random_case(seed, layers, opaque=True, hard=True)
    pixels = quantize(stack.pixels)
    pixels[0, ..., 3] = 1
    pixels[1:, ..., 3] = pixels[1:, ..., 3].round()
    stack = LayerStack.from_image(pixels)
    assert torch.equal(make_exact(stack, composite(stack)).pixels, pixels)


def test_the_change_is_the_least_and_goes_where_a_layer_shows() -> None:
    stack = LayerStack.from_image(torch.tensor([[[[0.4, 0.4, 0.4, 1.0]]], [[[0.6, 0.6, 0.6, 0.8]]]]))
    target = torch.tensor([[[0.58, 0.58, 0.58, 1.0]]])
    moved = make_exact(stack, target).pixels[..., 0].flatten() - torch.tensor([0.4, 0.6])
    residual = 0.58 - (0.2 * 0.4 + 0.8 * 0.6)
    assert moved.tolist() == pytest.approx([residual * 0.2 / 0.68, residual * 0.8 / 0.68], abs=0.5 / 255 + 1e-6)


def test_hidden_colours_stay_as_they_are() -> None:
    pixels = torch.rand(2, 5, 5, 4)
    pixels[..., 3] = 1
    stack = LayerStack.from_image(quantize(pixels))
    target = quantize(torch.rand(5, 5, 4))
    target[..., 3] = 1
    assert torch.equal(make_exact(stack, target).pixels[0], stack.pixels[0])


def test_weights_are_what_each_layer_adds_to_the_composite() -> None:
    weights = visible_weights(torch.tensor([1.0, 0.5, 0.25]))
    assert weights.tolist() == pytest.approx([0.375, 0.375, 0.25])


def test_the_measure_counts_colour_only_where_there_is_alpha() -> None:
    clear = LayerStack.from_image(torch.zeros(1, 2, 2, 4))
    target = torch.rand(2, 2, 4)
    target[..., 3] = 0
    assert recomposition(clear, target).max_error == 0
    target[0, 0, 3] = 10 / 255
    assert recomposition(clear, target).max_error == pytest.approx(10, abs=1e-3)


def test_a_difference_that_nobody_can_see_is_as_small_in_the_measure() -> None:
    """Alpha under half a step of 8 bits is rounded to 0, and its colour with it."""
    target = torch.full((3, 3, 4), 1.0)
    target[..., 3] = 0.4 / 255
    layers = LayerStack.from_image(target[None])
    measured = recomposition(make_exact(layers, target), target)
    assert measured.max_error == pytest.approx(0.4, abs=1e-3)
    assert "of colours times alpha, and of alpha" in str(measured)


def test_colours_count_as_much_as_they_are_seen() -> None:
    target = torch.full((2, 2, 4), 0.5)
    other = target.clone()
    other[..., 0] += 20 / 255
    assert recomposition(LayerStack.from_image(other[None]), target).max_error == pytest.approx(10, abs=1e-3)


def test_the_measure_sees_a_single_wrong_pixel() -> None:
    target = torch.full((300, 300, 4), 100 / 255)
    target[..., 3] = 1
    wrong = target.clone()
    wrong[299, 299, 1] = 103 / 255
    measured = recomposition(LayerStack.from_image(wrong[None]), target)
    assert measured.max_error == pytest.approx(3, abs=1e-3)
    assert measured.psnr == pytest.approx(10 * torch.log10(torch.tensor(360000 / (3 / 255) ** 2)).item(), abs=0.01)


def test_a_picture_of_another_size_is_refused(random_stack: LayerStack) -> None:
    with pytest.raises(QilError, match="must match"):
        make_exact(random_stack, torch.rand(5, 5, 4))
