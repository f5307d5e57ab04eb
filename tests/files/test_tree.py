"""From groups, masks and clipping to a flat stack: what one sees stays the same, or the error names the layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from qil_core.blend import BLEND_MODES
from qil_core.composite import composite
from qil_core.errors import QilError
from qil_core.files.layered import Layered
from qil_core.files.tree import Folder, Mask, Problem, Sheet, Style, flatten
from qil_core.stack import LayerStack

SIDE = 6
SOURCE = Path("drawing.psd")


def noise(seed: int) -> Tensor:
    """A soft picture (SIDE, SIDE, 4)."""
    return torch.rand(SIDE, SIDE, 4, generator=torch.Generator().manual_seed(seed))


def sheet(name: str, seed: int, **style: Any) -> Sheet:
    return Sheet(name, noise(seed), 0, 0, Style(**style))


def folder(name: str, *items: Sheet | Folder, isolated: bool = False, **style: Any) -> Folder:
    return Folder(name, items, Style(**style), isolated)


def flat(*items: Sheet | Folder, hidden: bool = True) -> Layered:
    return flatten(items, SIDE, SIDE, SOURCE, hidden)


def over(*layers: Tensor, modes: tuple[str, ...] = ()) -> Tensor:
    """A reference: plain layers put together."""
    return composite(LayerStack(torch.stack(layers), ("",) * len(layers)), modes)


def faded(layer: Tensor, alpha: Tensor | float) -> Tensor:
    return torch.cat([layer[..., :3], layer[..., 3:] * (alpha[..., None] if isinstance(alpha, Tensor) else alpha)], -1)


def close(a: Tensor, b: Tensor) -> bool:
    return bool(torch.allclose(a[..., :3] * a[..., 3:], b[..., :3] * b[..., 3:], atol=1e-5)) and bool(
        torch.allclose(a[..., 3], b[..., 3], atol=1e-5)
    )


def test_groups_become_names() -> None:
    tree = flat(sheet("bg", 0), folder("girl", sheet("hair", 1), folder("x/y", sheet("z", 2))), sheet("top", 3))
    assert tree.stack.names == ("bg", "girl/hair", r"girl/x\/y/z", "top")


def test_a_layer_off_the_canvas_is_cut_off() -> None:
    moved = Sheet("a", noise(0), -2, 3, Style())
    (layer,) = flat(moved).stack.pixels
    assert torch.equal(layer[3:, :4], noise(0)[:3, 2:])
    assert float(layer[:3].abs().max()) == 0
    assert float(flat(Sheet("a", noise(0), 99, 99, Style())).stack.pixels.abs().max()) == 0


def test_a_mask_and_an_opacity_fade_a_layer() -> None:
    mask = noise(9)[..., 0]
    document = flat(sheet("a", 0), sheet("b", 1, mask=Mask(mask), opacity=0.5))
    assert document.look.opacities == (1, 0.5)
    assert close(document.composite(), over(noise(0), faded(noise(1), mask * 0.5)))


def test_a_mask_has_a_place_and_a_value_outside() -> None:
    mask = Mask(torch.zeros(2, 9), -3, 4, outside=0.5)
    (layer,) = flat(Sheet("a", torch.ones(SIDE, SIDE, 4), 1, 2, Style(mask=mask))).stack.pixels
    assert layer[2:4, 1:, 3].unique().tolist() == [0.5]
    assert layer[4:6, 1:, 3].unique().tolist() == [0]


def test_merging_more_than_fits_is_refused_before_memory_is_taken() -> None:
    tiny = Sheet("a", torch.zeros(1, 1, 4), 0, 0, Style())
    groups = [Folder("g", (tiny,) * 4, Style(opacity=0.5), True)]
    with pytest.raises(QilError, match="400 megapixels"):
        flatten(groups, 10_000, 10_000, SOURCE)


def test_a_clipped_layer_colours_its_base_and_leaves_its_alpha() -> None:
    document = flat(sheet("bg", 0), sheet("base", 1, opacity=0.7), sheet("clip", 2, clipped=True, mode="multiply"))
    base = noise(1)
    colors = over(
        faded(torch.cat([base[..., :3], torch.ones(SIDE, SIDE, 1)], -1), 1.0), noise(2), modes=("normal", "multiply")
    )
    wanted = torch.cat([colors[..., :3], base[..., 3:] * 0.7], -1)
    assert document.stack.names == ("bg", "base")
    assert close(document.composite(), over(noise(0), wanted))


def test_layers_clipped_to_a_hidden_base_are_hidden_with_it() -> None:
    tree = sheet("bg", 0), sheet("base", 1, visible=False), sheet("clip", 2, clipped=True)
    assert flat(*tree, hidden=False).stack.names == ("bg",)
    kept = flat(*tree)
    assert kept.stack.names == ("bg", "base")
    assert kept.look.visible == (True, False)


def test_a_clipped_layer_with_nothing_below_is_a_layer() -> None:
    assert flat(sheet("a", 0, clipped=True), sheet("b", 1)).stack.names == ("a", "b")


@pytest.mark.parametrize("isolated", [False, True])
def test_a_plain_group_keeps_its_layers(isolated: bool) -> None:
    document = flat(sheet("bg", 0), folder("g", sheet("a", 1), sheet("b", 2), isolated=isolated))
    assert document.stack.names == ("bg", "g/a", "g/b")
    assert close(document.composite(), over(noise(0), noise(1), noise(2)))


def test_modes_pass_through_a_group_that_lets_them() -> None:
    document = flat(sheet("bg", 0), folder("g", sheet("a", 1), sheet("b", 2, mode="multiply")))
    assert document.stack.names == ("bg", "g/a", "g/b")
    assert close(document.composite(), over(noise(0), noise(1), noise(2), modes=("normal", "normal", "multiply")))


@pytest.mark.parametrize("mode", ["normal", "screen"])
def test_an_isolated_group_with_modes_inside_becomes_one_layer(mode: str) -> None:
    group = folder("g", sheet("a", 1), sheet("b", 2, mode="multiply"), isolated=True, mode=mode, opacity=0.6)
    document = flat(sheet("bg", 0), group)
    inside = over(noise(1), noise(2), modes=("normal", "multiply"))
    assert document.stack.names == ("bg", "g")
    assert close(document.composite(), over(noise(0), faded(inside, 0.6), modes=("normal", mode)))


@pytest.mark.parametrize("isolated", [False, True])
def test_a_faded_or_masked_group_of_normal_layers_is_exact(isolated: bool) -> None:
    mask = noise(9)[..., 0]
    group = folder("g", sheet("a", 1), sheet("b", 2), isolated=isolated, opacity=0.4, mask=Mask(mask))
    document = flat(sheet("bg", 0), group)
    assert close(document.composite(), over(noise(0), faded(over(noise(1), noise(2)), mask * 0.4)))


def test_a_faded_group_of_one_layer_keeps_it() -> None:
    document = flat(sheet("bg", 0), folder("g", sheet("a", 1, mode="multiply", opacity=0.5), opacity=0.5))
    assert document.stack.names == ("bg", "g/a")
    assert document.look.opacities == (1, 0.25)
    assert document.look.modes == ("normal", "multiply")


def test_a_faded_group_that_lets_modes_through_is_refused_by_name() -> None:
    group = folder("g", sheet("a", 1), sheet("b", 2, mode="multiply"), opacity=0.5)
    with pytest.raises(QilError, match=r'group "g" lets blend modes through at 50%'):
        flat(sheet("bg", 0), group)


def test_clipping_to_a_group_merges_it() -> None:
    document = flat(sheet("bg", 0), folder("g", sheet("a", 1), sheet("b", 2)), sheet("clip", 3, clipped=True))
    base = over(noise(1), noise(2))
    wanted = torch.cat(
        [over(torch.cat([base[..., :3], torch.ones_like(base[..., 3:])], -1), noise(3))[..., :3], base[..., 3:]], -1
    )
    assert document.stack.names == ("bg", "g")
    assert close(document.composite(), over(noise(0), wanted))


def test_hidden_layers_stay_hidden_or_are_left_out() -> None:
    tree = sheet("bg", 0), folder("g", sheet("a", 1), sheet("b", 2, visible=False), visible=False), sheet("top", 3)
    kept = flat(*tree)
    assert kept.stack.names == ("bg", "g/a", "g/b", "top")
    assert kept.look.visible == (True, False, False, True)
    assert flat(*tree, hidden=False).stack.names == ("bg", "top")
    assert close(kept.composite(), over(noise(0), noise(3)))


def test_a_hidden_layer_in_a_merged_group_is_left_out() -> None:
    group = folder("g", sheet("a", 1), sheet("b", 2, visible=False), isolated=True, opacity=0.5)
    assert close(flat(group).composite(), faded(noise(1), 0.5))


def test_what_cannot_be_drawn_is_an_error_with_its_name_unless_it_is_hidden() -> None:
    def tree(visible: bool) -> tuple[Sheet, Sheet]:
        return sheet("bg", 0), sheet("Levels 1", 1, problems=(Problem("is an adjustment layer"),), visible=visible)

    with pytest.raises(QilError, match=r'layer "Levels 1" is an adjustment layer\. Rasterize it'):
        flat(*tree(visible=True))
    assert flat(*tree(visible=False)).stack.names == ("bg",)


@pytest.mark.parametrize("tree", [(), (folder("g"),), (sheet("a", 0, visible=False),)])
def test_a_file_with_nothing_to_show_is_refused(tree: tuple[Sheet | Folder, ...]) -> None:
    with pytest.raises(QilError, match=r"drawing\.psd: it holds no visible layer"):
        flat(*tree, hidden=False)


def test_too_many_layers_are_refused_before_memory_is_taken() -> None:
    tiny = Sheet("a", torch.zeros(1, 1, 4), 0, 0, Style())
    with pytest.raises(QilError, match="101 layers, at most 100"):
        flat(*[tiny] * 101)
    with pytest.raises(QilError, match="400 megapixels"):
        flatten([tiny] * 4, 10_000, 10_000, SOURCE)


@pytest.mark.parametrize("mode", sorted(BLEND_MODES))
def test_every_mode_comes_through(mode: str) -> None:
    document = flat(sheet("a", 0), sheet("b", 1, mode=mode))
    assert close(document.composite(), over(noise(0), noise(1), modes=("normal", mode)))
