"""Stacks as other programs hand them over: not contiguous, or on another device. Every public function takes them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from fake_gpu import FakeGpu
from torch import Tensor

from qil_core.composite import composite
from qil_core.decompose import Request
from qil_core.decompose.automatic import Limits, decompose_automatically
from qil_core.decompose.builtin import Builtin
from qil_core.decompose.recursive import split
from qil_core.decompose.run import decompose
from qil_core.exact import make_exact, recomposition
from qil_core.metrics import measure
from qil_core.order import arrange
from qil_core.recolor import Colorize, HueTurn, mean_lightness, recolor
from qil_core.restore import restore
from qil_core.sheet import contact_sheet
from qil_core.stack import LayerStack, check_image, quantized, to_bytes
from qil_core.transform import FILTERS, Placement, transform, transform_layer

SIDE = 40


def drawn(side: int = SIDE) -> Tensor:
    """Three layers: an opaque ground, a disc and a soft box, (3, side, side, 4)."""
    at = (torch.arange(side) + 0.5) / side
    y, x = at[:, None].expand(side, side), at[None].expand(side, side)
    ground = torch.stack([0.2 + 0.1 * x, 0.6 + 0 * x, 0.9 - 0.2 * y, torch.ones_like(x)], -1)
    disc = ((0.3 - ((x - 0.4) ** 2 + (y - 0.5) ** 2).sqrt()) * side + 0.5).clamp(0, 1)
    box = ((0.35 - (x - 0.6).abs()) * 4).clamp(0, 1) * ((y - 0.3).abs() < 0.2)
    colored = [
        torch.cat([torch.tensor(c).expand(side, side, 3), a[..., None]], -1) for c, a in ((RED, disc), (INK, box))
    ]
    return torch.stack([ground, *colored])


RED, INK = (0.9, 0.1, 0.1), (0.05, 0.05, 0.2)

VIEWS: dict[str, Callable[[Tensor], Tensor]] = {
    "rotated, as core's ImageRotate": lambda x: torch.rot90(x, 1, (2, 1)),
    "with its sides exchanged": lambda x: x.transpose(1, 2),
    "of planes": lambda x: x.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1),
    "of every second pixel": lambda x: x.repeat_interleave(2, 1).repeat_interleave(2, 2)[:, ::2, ::2],
    "cut out": lambda x: torch.nn.functional.pad(x, (0, 0, 3, 5, 2, 1))[:, 2:-1, 3:-5],
    "one layer shown many times": lambda x: x[:1].expand(3, -1, -1, -1),
}

FUNCTIONS: dict[str, Callable[[Tensor], object]] = {
    "composite": lambda x: composite(LayerStack.from_image(x)),
    "composite with modes": lambda x: composite(LayerStack.from_image(x), ["normal", "screen", "hue"]),
    "composite in linear light": lambda x: composite(LayerStack.from_image(x), linear=True),
    "make_exact": lambda x: make_exact(LayerStack.from_image(x), x[0]).pixels,
    "recomposition": lambda x: recomposition(LayerStack.from_image(x), x[0]).max_error,
    "restore": lambda x: restore(LayerStack.from_image(x[:, ::4, ::4]), x[0]).pixels,
    "restore of a large stack": lambda x: restore(LayerStack.from_image(x), x[0, ::2, ::2]).pixels,
    "transform moved": lambda x: transform(LayerStack.from_image(x), 1, Placement(dx=3, rotation=90)).pixels,
    "transform_layer": lambda x: transform_layer(x[1], Placement(rotation=17, opacity=0.5)),
    "recolor": lambda x: recolor(LayerStack.from_image(x), 1, HueTurn(60)).pixels,
    "colorize": lambda x: recolor(LayerStack.from_image(x), 1, Colorize(RED, mean_lightness(x[1]))).pixels,
    "quantized": quantized,
    "to_bytes": to_bytes,
    "measure": lambda x: measure(LayerStack.from_image(x), LayerStack.from_image(x.flip(1))).as_dict(),
    "arrange": lambda x: arrange(LayerStack.from_image(x), "2,0").pixels,
    "splice": lambda x: LayerStack.from_image(x).splice(1, LayerStack.from_image(x)).pixels,
    "bounds and coverage": lambda x: (LayerStack.from_image(x).bounds(1), LayerStack.from_image(x).coverage(1)),
    "decompose": lambda x: decompose(Builtin(), composite(LayerStack.from_image(x)), Request(3))[0].pixels,
    "split": lambda x: split(Builtin(), LayerStack.from_image(x), 1, Request(2))[0].pixels,
    "automatic": lambda x: (
        decompose_automatically(Builtin(), composite(LayerStack.from_image(x)), Request(3), Limits())[0].pixels
    ),
    "contact_sheet": lambda x: contact_sheet(LayerStack.from_image(x)).tobytes(),
}
FUNCTIONS |= {
    f"transform, {filter}": lambda x, filter=filter: (
        transform(LayerStack.from_image(x), 1, Placement(rotation=17, scale_x=0.7, filter=filter)).pixels
    )
    for filter in FILTERS
}


@pytest.mark.parametrize("view", VIEWS)
def test_a_stack_that_passed_the_door_is_contiguous_and_the_same(view: str) -> None:
    image = VIEWS[view](drawn())
    assert not image.is_contiguous()
    stack = LayerStack.from_image(image)
    assert stack.pixels.is_contiguous()
    assert torch.equal(stack.pixels, image)
    assert check_image(image).is_contiguous()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_views_that_are_not_contiguous_give_what_their_copies_give(name: str) -> None:
    for view, make in VIEWS.items():
        image = make(drawn())
        assert same(FUNCTIONS[name](image), FUNCTIONS[name](image.contiguous())), view


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_stack_on_a_gpu_is_worked_on_where_it_may_be_and_stays_there(name: str) -> None:
    want = FUNCTIONS[name](drawn())
    with FakeGpu():
        got = FUNCTIONS[name](drawn().to("cuda"))
        if isinstance(got, Tensor):
            assert got.device == torch.device("cuda:0")
            got = got.cpu()
    assert same(got, want, 0.02)  # OpenCV enlarges on a CPU, torch elsewhere


def test_the_fake_gpu_is_as_strict_as_a_real_one() -> None:
    with FakeGpu():
        there, here = torch.rand(3, device="cuda"), torch.rand(3)
        assert (there * 2).device.type == "cuda"
        assert there.cpu().device.type == there.to(here).device.type == "cpu"
        assert there.cpu().numpy().shape == (3,)
        with pytest.raises(TypeError, match="numpy"):
            there.numpy()
        with pytest.raises(RuntimeError, match="same device"):
            there + here


def same(one: object, other: object, tolerance: float = 0) -> bool:
    """Whether two results agree: tensors to within a tolerance, in the mean; all else altogether, if that is zero."""
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        if not tolerance:
            return torch.equal(one, other)
        return one.shape == other.shape and float((one.float() - other.float()).abs().mean()) < tolerance
    return bool(tolerance) or one == other
