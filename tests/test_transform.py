"""Placing a layer: what is exact, what is close, and what no other layer may notice."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qil_core.errors import QilError
from qil_core.resample import KERNELS, tap_table
from qil_core.stack import LayerStack
from qil_core.transform import FILTERS, Placement, transform, transform_layer

PAD = 100
"""Clear pixels around the reference's picture: more than any sample is away."""


def noise(height: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(height, width, 4, generator=torch.Generator().manual_seed(seed))


def disc(size: int, radius: float, color: tuple[float, float, float]) -> torch.Tensor:
    """An anti-aliased disc in the middle, on garbage colour that must never show."""
    at = torch.arange(size) + 0.5 - size / 2
    alpha = (radius - (at[:, None] ** 2 + at[None] ** 2).sqrt() + 0.5).clamp(0, 1)
    layer = torch.ones(size, size, 4)
    layer[..., :3] = torch.where(alpha[..., None] > 0, torch.tensor(color), torch.ones(3))
    layer[..., 3] = alpha
    return layer


def test_every_other_layer_keeps_its_bits(random_stack: LayerStack) -> None:
    turned = transform(random_stack, 1, Placement(rotation=31, scale_x=0.7, scale_y=1.2, dx=3.5, opacity=0.4))
    assert torch.equal(turned.pixels[[0, 2, 3]], random_stack.pixels[[0, 2, 3]])
    assert not torch.equal(turned.pixels[1], random_stack.pixels[1])


@pytest.mark.parametrize("filter", FILTERS)
def test_identity_changes_no_bit(filter: str) -> None:
    layer = noise(31, 44)
    for placement in (Placement(filter=filter), Placement(rotation=360, filter=filter), Placement(rotation=-720)):
        assert torch.equal(transform_layer(layer, placement), layer)


@given(dx=st.integers(-50, 50), dy=st.integers(-40, 40), filter=st.sampled_from(FILTERS))
def test_whole_pixel_moves_are_exact_copies(dx: int, dy: int, filter: str) -> None:
    layer = noise(31, 44)
    moved = transform_layer(layer, Placement(dx=dx, dy=dy, filter=filter))
    want = torch.zeros_like(layer)
    to_y, to_x = slice(max(0, dy), max(0, min(31, 31 + dy))), slice(max(0, dx), max(0, min(44, 44 + dx)))
    from_y, from_x = slice(max(0, -dy), max(0, min(31, 31 - dy))), slice(max(0, -dx), max(0, min(44, 44 - dx)))
    want[to_y, to_x] = layer[from_y, from_x]
    assert torch.equal(moved, want)


@pytest.mark.parametrize("turns", [1, 2, 3, -1])
def test_quarter_turns_of_a_square_are_exact_and_clockwise(turns: int) -> None:
    layer = noise(32, 32)
    assert torch.equal(transform_layer(layer, Placement(rotation=90 * turns)), torch.rot90(layer, -turns, (0, 1)))


def test_a_quarter_turn_of_content_with_odd_and_even_sides_stays_sharp() -> None:
    layer = torch.zeros(40, 40, 4)
    layer[10:14, 10:17] = noise(4, 7) * 0.5 + 0.5
    turned = transform_layer(layer, Placement(rotation=90))
    inside = turned[turned[..., 3] > 0]
    assert len(inside) == 28
    assert torch.equal(inside.sort(0).values, layer[10:14, 10:17].reshape(-1, 4).sort(0).values)


def test_flips_mirror_about_the_content_and_about_the_canvas() -> None:
    layer = torch.zeros(20, 30, 4)
    layer[2:6, 3:10] = noise(4, 7) * 0.5 + 0.5
    about_content = transform_layer(layer, Placement(flip_x=True))
    assert torch.equal(about_content[2:6, 3:10], layer[2:6, 3:10].flip(1))
    about_canvas = transform_layer(layer, Placement(flip_y=True, pivot="canvas"))
    assert torch.equal(about_canvas, layer.flip(0))


def test_opacity_multiplies_alpha_and_leaves_colour() -> None:
    layer = noise(9, 9)
    faded = transform_layer(layer, Placement(opacity=0.25))
    assert torch.equal(faded[..., :3], layer[..., :3])
    assert torch.equal(faded[..., 3], layer[..., 3] * 0.25)


def test_a_point_pivot_stays_where_it_is() -> None:
    layer = torch.zeros(41, 41, 4)
    layer[18:23, 28:33] = 1  # centred on (30.5, 20.5)
    turned = transform_layer(layer, Placement(rotation=90, pivot=(20.5, 20.5)))
    assert torch.equal(turned[28:33, 18:23, 3], torch.ones(5, 5))
    assert turned[..., 3].sum() == 25


@pytest.mark.parametrize("filter", ["bilinear", "bicubic", "lanczos"])
def test_no_hidden_colour_bleeds_into_soft_edges(filter: str) -> None:
    red = disc(64, 20, (1.0, 0.0, 0.0))
    moved = transform_layer(red, Placement(dx=0.37, rotation=17, scale_x=0.8, scale_y=0.8, filter=filter))
    seen = moved[..., 3] > 1 / 255
    assert torch.allclose(moved[seen][:, :3], torch.tensor([1.0, 0.0, 0.0]).expand(int(seen.sum()), 3), atol=1e-4)


@pytest.mark.parametrize("filter", FILTERS)
@pytest.mark.parametrize("scale", [0.25, 0.8, 1.7])
def test_scaling_scales_the_area_about_the_centre(filter: str, scale: float) -> None:
    layer = disc(128, 30, (0.2, 0.5, 0.9))
    scaled = transform_layer(layer, Placement(scale_x=scale, scale_y=scale, filter=filter))
    area = scaled[..., 3].sum()
    assert area == pytest.approx(math.pi * (30 * scale) ** 2, rel=0.03)
    center = (scaled[..., 3] * (torch.arange(128) + 0.5)).sum() / area
    assert center.item() == pytest.approx(64, abs=0.5 if filter == "nearest" else 0.05)


@pytest.mark.parametrize("filter", FILTERS)
def test_a_huge_shrink_keeps_the_area_and_needs_little_memory(filter: str) -> None:
    layer = torch.zeros(1500, 1500, 4)
    layer[100:1400, 100:1400] = torch.tensor([0.2, 0.5, 0.9, 1.0])
    small = transform_layer(layer, Placement(scale_x=0.01, scale_y=0.02, filter=filter))
    assert small[..., 3].sum() == pytest.approx(13 * 26, rel=0.02)
    solid = small[small[..., 3] > 0.9][:, :3]
    assert torch.allclose(solid, torch.tensor([0.2, 0.5, 0.9]).expand_as(solid), atol=1e-4)


def test_shrinking_does_not_alias() -> None:
    stripes = torch.ones(256, 256, 4)
    stripes[:, ::2, :3] = 0
    small = transform_layer(stripes, Placement(scale_x=0.25, scale_y=0.25))
    middle = small[112:144, 112:144]
    assert (middle[..., :3] - 0.5).abs().max() < 0.02


def keys(x: np.ndarray) -> np.ndarray:
    x = np.abs(x)
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x < 1, 1.5 * x**3 - 2.5 * x**2 + 1, np.where(x < 2, far, 0))


def reference(layer: torch.Tensor, x: float, y: float, widen: float) -> np.ndarray:
    """One premultiplied bicubic sample in float64, straight from the definition."""
    pixels = layer.numpy().astype(np.float64)
    pixels[..., :3] *= pixels[..., 3:]
    wy = keys((np.arange(-PAD, pixels.shape[0] + PAD) + 0.5 - y) / widen)
    wx = keys((np.arange(-PAD, pixels.shape[1] + PAD) + 0.5 - x) / widen)
    padded = np.pad(pixels, ((PAD, PAD), (PAD, PAD), (0, 0)))
    return np.einsum("y,x,yxc->c", wy / wy.sum(), wx / wx.sum(), padded)


@given(x=st.integers(0, 59), y=st.integers(0, 49), scale=st.sampled_from([0.5, 0.8, 1.0, 1.9]))
def test_bicubic_agrees_with_a_float64_reference(x: int, y: int, scale: float) -> None:
    layer = noise(50, 60)
    angle = math.radians(17)
    placed = transform_layer(layer, Placement(rotation=17, scale_x=scale, scale_y=scale, pivot="canvas"))
    rx, ry = x + 0.5 - 30, y + 0.5 - 25
    sx = (math.cos(angle) * rx + math.sin(angle) * ry) / scale + 30
    sy = (-math.sin(angle) * rx + math.cos(angle) * ry) / scale + 25
    want = reference(layer, sx, sy, max(1.0, 1 / scale))
    got = placed[y, x].double().numpy()
    alpha = np.clip(want[3], 0, 1)
    assert got[3] == pytest.approx(alpha, abs=3e-4)
    color = np.clip(want[:3] / max(want[3], 1e-9), 0, 1)
    assert got[:3] * got[3] == pytest.approx(color * alpha, abs=5e-4)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("widen", [1.0, 1.25, 3.3])
def test_tap_weights_sum_to_one(kernel: str, widen: float) -> None:
    table, reach = tap_table(kernel, widen)
    assert torch.allclose(table.sum(1), torch.ones(len(table)), atol=1e-6)
    assert table.shape[1] == math.ceil(2 * reach)


def test_a_layer_moved_off_the_canvas_is_empty_and_an_empty_layer_stays_so() -> None:
    layer = noise(8, 8)
    assert transform_layer(layer, Placement(dx=100)).count_nonzero() == 0
    assert transform_layer(layer, Placement(dx=100.5, rotation=3)).count_nonzero() == 0
    empty = torch.zeros(8, 8, 4)
    assert transform_layer(empty, Placement(rotation=20)).count_nonzero() == 0


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1)])
def test_pictures_of_one_pixel_and_one_line_work(shape: tuple[int, int]) -> None:
    layer = torch.ones(*shape, 4)
    placed = transform_layer(layer, Placement(rotation=45, scale_x=2, scale_y=2))
    assert placed.shape == layer.shape
    assert placed[..., 3].max() > 0.9


@pytest.mark.parametrize(
    ("placement", "says"),
    [
        (Placement(filter="cubic"), 'Unknown filter "cubic"'),  # type: ignore[arg-type]
        (Placement(scale_x=0), "Scale must be"),
        (Placement(scale_y=1000), "Scale must be"),
        (Placement(opacity=1.5), "Opacity must be 0 to 1"),
        (Placement(dx=float("nan")), "finite"),
    ],
)
def test_a_bad_placement_is_refused(placement: Placement, says: str, random_stack: LayerStack) -> None:
    with pytest.raises(QilError, match=says):
        transform(random_stack, 0, placement)


def test_several_layers_are_placed_as_one_about_their_common_centre() -> None:
    pixels = torch.zeros(3, 40, 60, 4)
    pixels[1, 10:20, 10:20] = 1
    pixels[2, 10:20, 40:50] = 1
    stack = LayerStack.from_image(pixels)
    turned = transform(stack, [1, 2], Placement(flip_x=True, scale_x=0.5, filter="nearest"))
    assert [turned.bounds(i) for i in (1, 2)] == [(35, 10, 40, 20), (20, 10, 25, 20)]
    assert torch.equal(turned.pixels[0], pixels[0])
