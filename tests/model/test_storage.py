"""Weights in fewer bits: what comes back, and how many bytes it takes."""

from __future__ import annotations

import pytest
import torch

from qil_core.checkpoints.stored import Stored
from qil_core.model.storage import FORMATS, GROUP, NF4, Format, Packing, StoredLinear, pack_nf4, packed_size

CPU = torch.device("cpu")


@pytest.fixture
def linear() -> torch.nn.Linear:
    torch.manual_seed(0)
    layer = torch.nn.Linear(200, 96).requires_grad_(False)
    layer.weight.normal_(0, 0.02)
    return layer


@pytest.mark.parametrize(("name", "bound", "size"), [("fp8", 0.03, 1.03), ("int8", 0.01, 1.03), ("nf4", 0.11, 0.57)])
def test_a_packed_layer_computes_nearly_the_same_in_fewer_bytes(
    linear: torch.nn.Linear, name: str, bound: float, size: float
) -> None:
    form = FORMATS[name]
    stored = StoredLinear(form.pack(linear.weight), linear.bias, (96, 200))
    x = torch.randn(5, 200)
    without_bias = linear(x) - linear.bias
    error = (stored(x) - linear(x)).norm() / without_bias.norm()
    assert 0 < error < bound
    codes, scales = stored.stored0, stored.stored1
    assert codes.nbytes + scales.nbytes <= size * linear.weight.numel()


def test_values_on_the_levels_of_nf4_come_back_to_the_bit() -> None:
    weight = torch.tensor(NF4).repeat(GROUP // 16 * 3)[None] * 0.5
    assert torch.equal(pack_nf4(weight).value.flatten(), weight[0])


def test_every_value_takes_the_nearest_level_of_nf4() -> None:
    weight = torch.linspace(-1, 1, GROUP)
    back = pack_nf4(weight[None]).value.flatten()
    levels = torch.tensor(NF4)
    assert torch.equal((weight - back).abs(), (weight[:, None] - levels).abs().amin(1))


@pytest.mark.parametrize("name", FORMATS)
def test_zeros_stay_zeros(name: str) -> None:
    form = FORMATS[name]
    assert not form.pack(torch.zeros(4, GROUP)).value.any()


@pytest.mark.parametrize("name", FORMATS)
def test_all_linear_layers_of_a_module_are_packed_and_nothing_else_and_come_back(name: str) -> None:
    norm = torch.nn.LayerNorm(64)
    module = torch.nn.Sequential(torch.nn.Linear(64, 64), norm, torch.nn.Sequential(torch.nn.Linear(64, 8)))
    linear, before = module[0], module(torch.ones(2, 64))
    packing = Packing()
    packing.pack(module, FORMATS[name], CPU)
    assert isinstance(module[0], StoredLinear)
    assert isinstance(module[2][0], StoredLinear)
    assert module[1] is norm
    assert module(torch.randn(2, 64)).shape == (2, 8)
    assert packing.held > 0
    packing.undo()
    assert packing.held == 0
    assert module[0] is linear
    assert torch.equal(module(torch.ones(2, 64)), before)


def test_packing_that_fails_half_way_leaves_everything_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    module = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.Linear(64, 64))
    linears, packing = list(module), Packing()
    pack = FORMATS["int8"].pack
    turns = iter([pack])

    def failing(weight: torch.Tensor) -> Stored:
        return next(turns, None)(weight)  # type: ignore[misc]

    with pytest.raises(TypeError):
        packing.pack(module, Format(failing, 1.0), CPU)
    assert list(module) == linears
    assert packing.held == 0


@pytest.mark.parametrize(("before", "after", "is_packed"), [("fp8", "nf4", True), ("int8", "fp8", False)])
def test_layers_that_are_stored_in_few_bits_are_packed_anew_only_where_that_makes_them_smaller(
    linear: torch.nn.Linear, before: str, after: str, is_packed: bool
) -> None:
    stored = StoredLinear(FORMATS[before].pack(linear.weight), linear.bias, (96, 200))
    module = torch.nn.Sequential(stored)
    foreseen = packed_size(module, FORMATS[after])
    Packing().pack(module, FORMATS[after], CPU)
    assert (module[0] is not stored) == is_packed
    assert foreseen <= sum(t.nbytes for t in module.buffers()) < 1.3 * foreseen, "a small layer's scales and table add"
    x = torch.randn(5, 200)
    assert (module(x) - linear(x)).norm() / linear(x).norm() < 0.12


def test_the_size_of_a_packed_module_is_known_before_it_is_packed() -> None:
    module = torch.nn.Sequential(torch.nn.Linear(512, 512, dtype=torch.bfloat16), torch.nn.LayerNorm(512))
    foreseen = packed_size(module, FORMATS["nf4"])
    Packing().pack(module, FORMATS["nf4"], CPU)
    packed = sum(t.nbytes for t in [*module.parameters(), *module.buffers()])
    assert packed == pytest.approx(foreseen, rel=0.01)
