"""The promise: the stack composites to the picture, within 1/255 in every channel of every pixel."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qil_core.composite import composite, visible_weights
from qil_core.errors import QilError
from qil_core.exact import EdgeChanges, edge_changes, make_exact, recomposition
from qil_core.residual import ground_variance
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


def edge_over_ground(
    ground: torch.Tensor, picture_edge: float = 0.58, alpha: float = 0.8
) -> tuple[LayerStack, torch.Tensor]:
    """A soft edge down the middle of a layer over a ground (40, 40); and a picture that shows it otherwise.

    The picture's ground is an even 0.4.
    """
    pixels = torch.ones(2, 40, 40, 4)
    pixels[0, ..., :3], pixels[1, ..., :3] = ground[..., None], 0.6
    pixels[1, :, :20, 3], pixels[1, :, 20, 3] = 0, alpha
    picture = torch.full((40, 40, 4), 0.4)
    picture[:, 20:, :3], picture[:, 20, :3], picture[..., 3] = 0.6, picture_edge, 1
    return LayerStack.from_image(pixels), picture


def test_the_residual_of_an_edge_goes_to_the_upper_layer_and_leaves_no_trace_below() -> None:
    stack, picture = edge_over_ground(torch.full((40, 40), 0.4))
    exact = make_exact(stack, picture)
    assert float((exact.pixels[0] - quantize(stack.pixels[0])).abs().max()) == 0
    assert float((composite(exact) - picture).abs().max()) <= 1 / 255
    assert exact.pixels[1, 5, 20, 0].item() == pytest.approx(0.625, abs=1 / 255), "0.58 is 0.2 x 0.4 and 0.8 x 0.625"


def test_what_noise_of_the_ground_explains_is_shared_by_both_layers() -> None:
    noise = 0.02 * torch.randn(40, 40, generator=torch.Generator().manual_seed(3))
    stack, picture = edge_over_ground(0.4 + noise, picture_edge=0.5, alpha=0.5)
    before = stack.pixels[0, :, 20, 0]
    after = make_exact(stack, picture).pixels[0, :, 20, 0]
    change = (after - before) / noise[:, 20]
    assert float(change[noise[:, 20].abs() > 0.01].mean()) == pytest.approx(-0.5, abs=0.05), "least squares"


def test_alpha_rises_where_no_colour_in_range_is_enough() -> None:
    stack, picture = edge_over_ground(torch.full((40, 40), 0.4), picture_edge=0.98)
    exact = make_exact(stack, picture)
    assert float((exact.pixels[0] - quantize(stack.pixels[0])).abs().max()) == 0
    assert float(exact.pixels[1, :, 20, 3].min()) >= 0.58 / 0.6 - 1 / 255, "white over 0.4 makes 0.98 with alpha 0.967"


def test_a_soft_edge_over_the_brightest_ground_stays_where_the_picture_is_a_little_brighter() -> None:
    """What lies below cannot become brighter than white: the edge's own colour does, and its alpha stays."""
    alpha = 64 / 255
    shown = alpha * 0.6 + (1 - alpha)
    stack, picture = edge_over_ground(torch.ones(40, 40), alpha=alpha)
    picture[:, :20, :3], picture[:, 20, :3] = 1, shown + torch.tensor([0.75, 0, -0.75]) / 255
    exact = make_exact(stack, picture)
    assert float((exact.pixels[0] - quantize(stack.pixels[0])).abs().max()) < 1.1 / 255
    assert exact.pixels[1, :, 20, 3].tolist() == pytest.approx([alpha] * 40, abs=0.02)


def test_beside_a_layer_its_colour_is_taken_but_far_from_it_the_ground_changes() -> None:
    stack, picture = edge_over_ground(torch.full((40, 40), 0.4))
    picture[5, 18, :3], picture[5, 5, :3] = 0.5, 128 / 255
    exact = make_exact(stack, picture)
    assert exact.pixels[0, 5, 18, 0].item() == pytest.approx(0.4, abs=0.5 / 255), "the layer reaches so far"
    assert exact.pixels[1, 5, 18].tolist() == pytest.approx([0.6, 0.6, 0.6, 0.5], abs=0.03), "half its colour"
    assert exact.pixels[0, 5, 5, 0].item() == pytest.approx(128 / 255, abs=1e-6)
    assert exact.pixels[1, 5, 5, 3].item() == 0


def test_ringing_beside_a_layer_leaves_nothing_that_is_seen_on_a_bright_ground() -> None:
    noise = torch.randn(40, 40, generator=torch.Generator().manual_seed(0)) * 2 / 255
    stack, picture = edge_over_ground(0.93 + noise, 0.6, 1)
    picture[:, :20, :3] = 0.93
    picture[:, 17, :3] += 13 / 255
    exact = make_exact(stack, picture)
    assert recomposition(exact, picture).max_error <= 1
    assert float((exact.pixels[0, :, 17, :3] - stack.pixels[0, :, 17, :3]).abs().max()) < 10 / 255


def test_what_no_layer_shows_is_no_noise_of_the_ground() -> None:
    stack, picture = edge_over_ground(torch.full((40, 40), 0.4))
    picture[::6, :15, :3] = 0.55
    assert float(ground_variance(stack, quantize(picture)).sqrt().max()) < 4 / 255


def test_noise_of_the_ground_is_measured() -> None:
    noise = torch.randn(40, 40, generator=torch.Generator().manual_seed(0)) * 6 / 255
    stack, picture = edge_over_ground(0.4 + noise)
    assert float(ground_variance(stack, picture).sqrt()[20, 5]) == pytest.approx(6 / 255, rel=0.2)


def test_changes_are_counted_in_soft_edges_and_below_them() -> None:
    stack, picture = edge_over_ground(torch.full((40, 40), 0.4), picture_edge=0.64)
    assert edge_changes(stack, make_exact(stack, picture)) == EdgeChanges(soft=1 / 40, below=0)
    other = stack.pixels.clone()
    other[0, :, 20:22, :3] = 0.5
    assert edge_changes(stack, LayerStack(other, stack.names)) == EdgeChanges(soft=0, below=2 / 40)
    assert str(EdgeChanges(0.025, 0)).startswith("2.50% of the pixels changed by over 10/255 in soft edges, 0.00%")


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
