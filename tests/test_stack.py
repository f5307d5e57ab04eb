"""The door: what is a layer stack, and what is refused."""

from __future__ import annotations

import pytest
import torch

from qil_core.errors import QilError
from qil_core.stack import Box, LayerStack, bands, check_image, quantize, to_bytes


def stack_of(count: int) -> LayerStack:
    pixels = torch.linspace(0, 1, count * 6 * 5 * 4).reshape(count, 6, 5, 4)
    return LayerStack.from_image(pixels, "\n".join(f"name {i}" for i in range(count)))


def test_a_stack_keeps_the_very_tensor_and_names_it_was_given() -> None:
    pixels = torch.rand(2, 3, 4, 4)
    stack = LayerStack.from_image(pixels, "sky\ngirl/hair\n")
    assert stack.pixels is pixels
    assert stack.names == ("sky", "girl/hair")
    assert (len(stack), stack.height, stack.width) == (2, 3, 4)


def test_half_precision_becomes_float32() -> None:
    half = torch.rand(1, 3, 4, 4).half()
    stack = LayerStack.from_image(half)
    assert stack.pixels.dtype == torch.float32
    assert torch.equal(stack.pixels, half.float())


def test_layers_without_names_are_numbered_from_one() -> None:
    assert LayerStack.from_image(torch.rand(3, 2, 2, 4)).names == ("layer 1", "layer 2", "layer 3")


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (torch.rand(4, 4, 4), r"got shape \(4, 4, 4\)"),
        (torch.rand(1, 4, 4, 3), "Join Image with Alpha"),
        (torch.rand(1, 4, 4, 2), "Expected 4 channels, got 2"),
        (torch.rand(0, 4, 4, 4), "empty"),
        (torch.rand(1, 0, 4, 4), "empty"),
        (torch.ones(1, 4, 4, 4, dtype=torch.uint8), "Divide by 255"),
        (torch.rand(1, 4, 4, 4) + 0.5, "Values must lie in"),
        (torch.rand(1, 4, 4, 4) - 0.5, "Values must lie in"),
        (torch.full((1, 4, 4, 4), float("nan")), "NaN"),
        (torch.full((1, 4, 4, 4), float("inf")), "Values must lie in"),
        ("picture", "got str"),
    ],
)
def test_what_is_no_stack_is_refused_with_what_was_given(image: torch.Tensor, says: str) -> None:
    with pytest.raises(QilError, match=says):
        LayerStack.from_image(image)


def test_a_single_nan_pixel_is_found() -> None:
    image = torch.rand(2, 64, 64, 4)
    image[1, 33, 7, 2] = float("nan")
    with pytest.raises(QilError, match="NaN"):
        check_image(image)


def test_a_wrong_count_of_names_is_refused_with_both_counts() -> None:
    with pytest.raises(QilError, match="2 names were given for 3 layers"):
        LayerStack.from_image(torch.rand(3, 2, 2, 4), "a\nb")


def test_negative_indices_count_from_the_top() -> None:
    assert [stack_of(3).index(i) for i in (0, 2, -1, -3)] == [0, 2, 2, 0]


@pytest.mark.parametrize("index", [3, -4, 100])
def test_an_index_out_of_range_is_refused_with_the_range(index: int) -> None:
    with pytest.raises(QilError, match=rf"index {index} is out of range.*3 layers"):
        stack_of(3).index(index)


def test_bounds_are_the_tight_box_of_alpha() -> None:
    pixels = torch.zeros(1, 20, 30, 4)
    pixels[0, 5:9, 11:17, 3] = 0.004
    stack = LayerStack.from_image(pixels)
    assert stack.bounds(0) == Box(11, 5, 17, 9)
    assert LayerStack.from_image(torch.zeros(1, 5, 5, 4)).bounds(0) is None


def test_replacing_a_layer_leaves_the_bits_of_the_others() -> None:
    stack = stack_of(3)
    new = torch.rand(6, 5, 4)
    changed = stack.with_layer(1, new)
    assert torch.equal(changed.pixels[1], new)
    assert torch.equal(changed.pixels[[0, 2]], stack.pixels[[0, 2]])
    assert changed.names == stack.names


def test_splicing_puts_layers_and_names_in_the_place_of_one() -> None:
    parts = LayerStack.from_image(torch.rand(2, 6, 5, 4), "a/x\na/y")
    spliced = stack_of(3).splice(-2, parts)
    assert spliced.names == ("name 0", "a/x", "a/y", "name 2")
    assert torch.equal(spliced.pixels[1:3], parts.pixels)


def test_the_8_bit_grid_rounds_to_nearest_and_survives_bytes() -> None:
    exact = torch.arange(256, dtype=torch.float32).reshape(1, 16, 16) / 255
    assert torch.equal(quantize(exact), exact)
    assert torch.equal(to_bytes(exact[..., None]).flatten(), torch.arange(256, dtype=torch.uint8))
    assert quantize(torch.tensor([0.5])).item() == pytest.approx(128 / 255)


@pytest.mark.parametrize("shape", [(1, 1, 4), (5000, 1, 4), (1, 5000, 4), (700, 900, 4)])
def test_bands_cover_every_row_once(shape: tuple[int, int, int]) -> None:
    rows = [row for part in bands(torch.empty(shape)) for row in range(part.start, part.stop)]
    assert rows == list(range(shape[0]))
