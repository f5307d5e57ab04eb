"""Small layers and the picture in, large layers out: measured against scenes whose true layers are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter

from qil_core.composite import composite, premultiplied
from qil_core.errors import QilError
from qil_core.exact import make_exact, recomposition
from qil_core.resample import resize
from qil_core.restore import check_aspect, restore, settled, spread_colors
from qil_core.stack import LayerStack, quantize

SIDE, FACTOR = 640, 4


def layer(color: tuple[float, float, float], mask: Image.Image) -> torch.Tensor:
    alpha = torch.from_numpy(np.array(mask.resize((SIDE, SIDE), Image.Resampling.BOX))).float() / 255
    return torch.cat([torch.tensor(color).expand(SIDE, SIDE, 3), alpha[..., None]], dim=-1)


def drawn(kind: str) -> Image.Image:
    """A mask at four times the size of the scene."""
    mask = Image.new("L", (4 * SIDE, 4 * SIDE))
    draw = ImageDraw.Draw(mask)
    if kind == "disc":
        draw.ellipse([500, 500, 1700, 1700], fill=255)
    if kind == "hairs":
        for i in range(6):
            draw.line([300 + 350 * i, 200, 500 + 350 * i, 2400], fill=255, width=4 + 3 * i)
    if kind == "shadow":
        draw.ellipse([700, 700, 1900, 1900], fill=160)
        mask = mask.filter(ImageFilter.GaussianBlur(60))
    return mask


def truth(*kinds: str) -> LayerStack:
    """Layers on a textured background."""
    noise = torch.rand(1, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    rough = F.interpolate(noise, size=(SIDE, SIDE), mode="bicubic")[0].permute(1, 2, 0).clamp(0, 1)
    ground = torch.cat([0.55 + 0.35 * rough, torch.ones(SIDE, SIDE, 1)], dim=-1)
    colors = [(0.1, 0.15, 0.5), (0.8, 0.1, 0.1), (0.05, 0.3, 0.1)]
    layers = [layer(color, drawn(kind)) for color, kind in zip(colors, kinds, strict=False)]
    return LayerStack.from_image(torch.stack([ground, *layers]))


def as_a_model_gives_it(stack: LayerStack) -> LayerStack:
    """A quarter of the size, blurred and noisy."""
    small = resize(stack.pixels, SIDE // FACTOR, SIDE // FACTOR).permute(0, 3, 1, 2)
    kernel = torch.tensor([0.2, 0.6, 0.2])
    planes = premultiplied(small.permute(0, 2, 3, 1)).permute(0, 3, 1, 2).reshape(-1, 1, *small.shape[2:])
    planes = F.pad(planes, (1, 1, 1, 1), mode="replicate")
    planes = F.conv2d(F.conv2d(planes, kernel.view(1, 1, 1, 3)), kernel.view(1, 1, 3, 1))
    blurred = planes.view(small.shape).permute(0, 2, 3, 1)
    straight = torch.cat([blurred[..., :3] / blurred[..., 3:].clamp(min=1e-4), blurred[..., 3:]], dim=-1)
    straight += 0.02 * torch.randn(straight.shape, generator=torch.Generator().manual_seed(1))
    return LayerStack(quantize(straight.clamp(0, 1)), stack.names)


def lanczos(stack: LayerStack) -> torch.Tensor:
    planes = [[plane.numpy() for plane in premultiplied(one).permute(2, 0, 1)] for one in stack.pixels]
    size = (SIDE, SIDE)
    large = [[Image.fromarray(plane).resize(size, Image.Resampling.LANCZOS) for plane in one] for one in planes]
    values = torch.from_numpy(np.stack([np.stack([np.array(plane) for plane in one], -1) for one in large]))
    return torch.cat([values[..., :3] / values[..., 3:].clamp(min=1e-4), values[..., 3:]], -1).clamp(0, 1)


def ratios(kinds: list[str]) -> tuple[float, float]:
    """Of the top layer, ours over Lanczos's: alpha error where Lanczos's is soft, colour error where truth is."""
    true = truth(*kinds)
    small = as_a_model_gives_it(true)
    picture = composite(true)
    ours, plain = make_exact(restore(small, picture), picture).pixels[-1], lanczos(small)[-1]
    want = true.pixels[-1]
    band = (plain[..., 3] > 0.02) & (plain[..., 3] < 0.98)
    soft = (want[..., 3] > 0.05) & (want[..., 3] < 0.95)
    errors = [
        ((x[..., 3] - want[..., 3]).abs()[band].mean(), (x - want)[soft][:, :3].abs().mean()) for x in (ours, plain)
    ]
    (alpha, color), (plain_alpha, plain_color) = errors
    return float(alpha / plain_alpha), float(color / plain_color)


@pytest.mark.parametrize(
    ("kinds", "alpha", "color"),
    [(["disc"], 0.15, 0.6), (["hairs"], 0.2, 0.6), (["shadow"], 0.5, 0.45), (["disc", "hairs"], 0.2, 0.6)],
)
def test_edges_are_many_times_nearer_to_the_truth_than_lanczos(kinds: list[str], alpha: float, color: float) -> None:
    got = ratios(kinds)
    assert got[0] < alpha
    assert got[1] < color


def test_where_a_layer_and_what_lies_under_it_look_alike_the_enlarged_edge_stays() -> None:
    alpha = torch.zeros(16, 16).index_fill(1, torch.arange(8), 1.0)
    same = torch.full((16, 16, 3), 0.5)
    small = LayerStack.from_image(
        torch.stack([torch.cat([same, torch.ones(16, 16, 1)], -1), torch.cat([same, alpha[..., None]], -1)])
    )
    out = restore(small, torch.full((64, 64, 4), 0.5).index_fill(2, torch.tensor([3]), 1.0)).pixels[1, ..., 3]
    want = F.interpolate(settled(small.pixels[1])[1][None, None, ..., 3], size=(64, 64), mode="bicubic")[0, 0].clamp(
        0, 1
    )
    assert torch.allclose(out, want, atol=1e-5)
    assert 0 < want[0, 31] < 1


def test_where_the_bottom_layer_alone_has_an_edge_there_is_nothing_to_solve(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("solved")

    layers = torch.full((2, 12, 12, 4), 0.5)
    layers[1, ..., 3] = 1
    picture = torch.full((48, 48, 4), 0.5)
    with monkeypatch.context() as patch:
        patch.setattr("qil_core.restore._fit", never)
        restore(LayerStack.from_image(layers), picture)
        layers[1, :, :6, 3] = 0
        with pytest.raises(AssertionError, match="solved"):
            restore(LayerStack.from_image(layers), picture)


def test_layers_as_large_as_the_picture_keep_their_bits() -> None:
    stack = LayerStack.from_image(torch.rand(3, 9, 7, 4))
    assert torch.equal(restore(stack, torch.rand(9, 7, 4)).pixels, stack.pixels)


def test_colours_reach_beyond_the_edge_and_nothing_behind_it_bleeds_in() -> None:
    red = torch.zeros(20, 20, 4)
    red[..., 2] = 1.0
    red[:, :10] = torch.tensor([1.0, 0.0, 0.0, 1.0])
    spread, _, differs = spread_colors(red)
    assert torch.allclose(spread[:, :16, :3], torch.tensor([1.0, 0.0, 0.0]).expand(20, 16, 3), atol=1e-4)
    assert torch.equal(spread[..., 3], red[..., 3])
    assert not differs.any()


def test_where_a_card_meets_its_shadow_the_shadows_colour_is_the_other_choice() -> None:
    layer = torch.zeros(40, 40, 4)
    layer[:, :20] = torch.tensor([1.0, 0.0, 0.0, 1.0])
    layer[:, 20:] = torch.tensor([0.0, 0.0, 1.0, 0.4])
    layer[:, 20] = torch.tensor([0.7, 0.0, 0.3, 0.7])
    spread, other, differs = spread_colors(layer)
    assert differs[:, 20].all()
    assert torch.allclose(spread[:, 20, :3], torch.tensor([1.0, 0.0, 0.0]).expand(40, 3), atol=0.05)
    assert torch.allclose(other[0, :, :, 20].T, torch.tensor([0.0, 0.0, 1.0]).expand(40, 3), atol=0.05)
    assert torch.allclose(spread[:, 30, :3], torch.tensor([0.0, 0.0, 1.0]).expand(40, 3), atol=0.01)


def test_alpha_that_wavers_where_nothing_is_becomes_0_and_where_all_is_1() -> None:
    noise = 0.02 * torch.randn(40, 40, generator=torch.Generator().manual_seed(2)).clamp(min=0)
    alpha = torch.where(torch.arange(40) < 20, noise, 1 - noise)
    edge, calm = settled(torch.cat([torch.zeros(40, 40, 3), alpha[..., None]], dim=-1))
    assert not edge[:, :15].any()
    assert edge[:, 19:21].all()
    assert (calm[:, :15, 3] == 0).all()
    assert (calm[:, 25:, 3] == 1).all()


def test_another_aspect_is_refused_with_both_sizes() -> None:
    small = LayerStack.from_image(torch.rand(2, 10, 20, 4))
    check_aspect(small, torch.rand(100, 210, 4))
    with pytest.raises(QilError, match="20 x 10 and the picture 100 x 100"):
        check_aspect(small, torch.rand(100, 100, 4))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    count=st.integers(1, 10),
    sizes=st.tuples(*[st.integers(1, 12)] * 2, *[st.integers(1, 40)] * 2),
    seed=st.integers(0, 1000),
    hard=st.booleans(),
    clear=st.booleans(),
)
def test_what_is_restored_and_made_exact_is_within_1_of_255(
    count: int, sizes: tuple[int, int, int, int], seed: int, hard: bool, clear: bool
) -> None:
    generator = torch.Generator().manual_seed(seed)
    height, width, tall, wide = sizes
    layers = torch.rand(count, height, width, 4, generator=generator)
    picture = torch.rand(tall, wide, 4, generator=generator)
    if hard:  # saturated colours, empty and opaque layers
        layers, picture = layers.round(), picture.round()
    if not clear:
        picture[..., 3] = 1
    exact = make_exact(restore(LayerStack.from_image(layers), picture), quantize(picture))
    assert recomposition(exact, quantize(picture)).max_error <= 1
