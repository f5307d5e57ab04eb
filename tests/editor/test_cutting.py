"""Cutting things out of layers: nothing is seen of it until one of the two is moved, and then the place is filled."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import qil_core.editor.cutting as cutting
from qil_core.composite import composite
from qil_core.decompose.builtin.working import Floats
from qil_core.decompose.likeness import Point
from qil_core.decompose.picking import Picker
from qil_core.editor.apply import apply_edits
from qil_core.editor.cutting import Cutter, Sheet
from qil_core.editor.fingerprint import fingerprints
from qil_core.editor.picks import Cut, Pick
from qil_core.editor.state import Edit, Edits
from qil_core.errors import QilError
from qil_core.stack import Box, LayerStack, quantize

pytest.importorskip("pymatting", reason="PyMatting is missing, so nothing of cutting things out was tested")

WIDTH, HEIGHT = 260, 160
PAPER, RED, BLUE = (0.9, 0.9, 0.8), (0.8, 0.1, 0.1), (0.1, 0.2, 0.8)
RED_AT, BLUE_AT = (60, 80), (150, 80)


def disc(x: float, y: float, radius: float) -> Floats:
    row, column = np.mgrid[0.5:HEIGHT, 0.5:WIDTH]
    return np.clip(radius + 0.5 - np.hypot(column - x, row - y), 0, 1).astype(np.float32)


DISCS = {RED: disc(*RED_AT, 30), BLUE: disc(*BLUE_AT, 24)}


class Counted(Picker):
    """The picker, and how many were made."""

    made = 0

    def __init__(self, rgb: Floats) -> None:
        super().__init__(rgb)
        Counted.made += 1


@pytest.fixture(autouse=True)
def counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutting, "Picker", Counted)


def picture() -> LayerStack:
    """Paper with a red and a blue disc on it, as one layer, and a dot above it."""
    flat = np.ones((HEIGHT, WIDTH, 4), np.float32)
    flat[..., :3] = PAPER
    for color, alpha in DISCS.items():
        flat[..., :3] += alpha[..., None] * (np.array(color, np.float32) - flat[..., :3])
    dot = np.dstack([np.zeros((HEIGHT, WIDTH, 3)), disc(230, 130, 8)]).astype(np.float32)
    return LayerStack.from_image(quantize(torch.from_numpy(np.stack([flat, dot]))), ["scene", "dot"])


def clicks(*inside: tuple[float, float], **more: Any) -> Pick:
    return Pick(inside=tuple(Point(*one) for one in inside), **more)


def cut_red(stack: LayerStack, **by_id: Edit) -> Edits:
    return Edits(by_id, cut={"c1": Cut(fingerprints(stack)[0], clicks(RED_AT))})


def test_a_thing_that_was_cut_out_changes_nothing_that_one_sees() -> None:
    stack = picture()
    edited = apply_edits(stack, cut_red(stack)).layered()
    assert edited.stack.names == ("scene", "scene cutout 1", "dot")
    assert (edited.composite() - composite(stack)).abs().max() <= 1 / 255
    assert torch.equal(edited.stack.pixels[2], stack.pixels[1]), "other layers keep their bits"
    red = torch.from_numpy(DISCS[RED])
    assert (edited.stack.pixels[1, ..., 3] - red).abs().mean() < 0.002
    assert (edited.stack.pixels[1][red > 0.2][:, :3] - torch.tensor(RED)).abs().max() < 0.06, "pure colours in its edge"


def test_when_it_is_moved_the_place_below_is_filled() -> None:
    stack = picture()
    edited = apply_edits(stack, cut_red(stack, c1=Edit(dx=100, dy=-20))).layered()
    shown = edited.composite()
    assert (shown[int(RED_AT[1]), int(RED_AT[0]), :3] - torch.tensor(PAPER)).abs().max() < 0.03
    left = shown[:, : RED_AT[0] + 32, :3]
    assert (left - torch.tensor(PAPER)).abs().max() < 0.04, "no outline stays behind"
    assert (shown[RED_AT[1] - 20, RED_AT[0] + 100, :3] - torch.tensor(RED)).abs().max() < 0.01


def test_the_rest_keeps_the_edits_of_the_layer() -> None:
    stack = picture()
    key = fingerprints(stack)[0]
    edited = apply_edits(stack, cut_red(stack, **{key: Edit(dx=7, name="room")}))
    assert [(layer.item, layer.name, layer.content.left) for layer in edited.layers[:2]] == [
        (key, "room", 7),
        ("c1", "scene cutout 1", 30),
    ]


def test_what_is_left_and_what_was_cut_out_can_be_cut_again() -> None:
    stack = picture()
    key = fingerprints(stack)[0]
    both = Edits(cut={"c1": Cut(key, Pick(box=Box(20, 40, 180, 120))), "c2": Cut("c1", clicks(BLUE_AT))})
    edited = apply_edits(stack, both).layered()
    assert edited.stack.names == ("scene", "scene cutout 1", "scene cutout 2", "dot")
    assert (edited.composite() - composite(stack)).abs().max() <= 2 / 255
    for layer, alpha in zip(edited.stack.pixels[1:3], DISCS.values(), strict=True):
        assert (layer[..., 3] - torch.from_numpy(alpha)).abs().mean() < 0.003
    rest = Edits(cut={"c1": Cut(key, clicks(RED_AT)), "c2": Cut(key, clicks(BLUE_AT))})
    again = apply_edits(stack, rest)
    assert [layer.item for layer in again.layers[:3]] == [key, "c2", "c1"], "the last one cut lies nearest to the rest"
    assert (again.layered().stack.pixels[0, ..., :3] - torch.tensor(PAPER)).abs().max() < 0.04


def test_a_duplicate_shows_what_is_left_and_a_thing_can_be_duplicated_and_merged() -> None:
    stack = picture()
    key = fingerprints(stack)[0]
    edits = Edits(
        {"c1~2": Edit(dx=20)},
        (key, f"{key}~2", fingerprints(stack)[1], "c1", "c1~2"),
        {"m1": ("c1", "c1~2")},
        {"c1": Cut(key, clicks(RED_AT))},
    )
    edited = apply_edits(stack, edits)
    assert [layer.name for layer in edited.layers] == ["scene", "scene copy", "dot", "scene cutout 1 copy"]
    pixels = edited.layered().stack.pixels
    assert torch.equal(pixels[0], pixels[1])
    assert pixels[3, RED_AT[1], RED_AT[0] + 48, 3] == 1, "as wide as both"


def test_a_cut_is_made_once_and_the_picker_of_a_layer_too() -> None:
    stack, cutter = picture(), Cutter()
    Counted.made = 0
    first = apply_edits(stack, cut_red(stack), cutter=cutter)
    again = apply_edits(stack, cut_red(stack, c1=Edit(dx=5)), cutter=cutter)
    assert again.pieces["c1"] is first.pieces["c1"]
    cutter.mask(Sheet.of_layer(fingerprints(stack)[0], stack.pixels[0]), clicks(BLUE_AT))
    assert Counted.made == 1


def test_the_same_cut_is_the_same_bits() -> None:
    stack = picture()
    one, other = (apply_edits(stack, cut_red(stack)).layered().stack.pixels for _ in range(2))
    assert torch.equal(one, other)


def test_growing_shrinking_adding_and_taking_away() -> None:
    stack, cutter = picture(), Cutter()
    sheet = Sheet.of_layer("key", stack.pixels[0])
    plain = cutter.mask(sheet, clicks(RED_AT))
    larger, smaller = (cutter.mask(sheet, clicks(RED_AT, grow=grow)) for grow in (3, -3))
    assert not (plain & ~larger).any()
    assert not (smaller & ~plain).any()
    radius = np.sqrt([mask.sum() / np.pi for mask in (smaller, plain, larger)])
    assert np.diff(radius) == pytest.approx([3, 3], abs=0.4)
    both = cutter.mask(sheet, clicks(RED_AT, BLUE_AT))
    assert both[RED_AT[::-1]]
    assert both[BLUE_AT[::-1]]
    boxed = Pick(Box(20, 40, 180, 120), outside=(Point(*RED_AT),))
    assert not cutter.mask(sheet, boxed)[RED_AT[::-1]]
    assert cutter.mask(sheet, boxed)[BLUE_AT[::-1]]


def test_a_small_layer_is_picked_in_by_itself_and_clear_places_are_never_picked() -> None:
    pixels = torch.zeros(1, HEIGHT, WIDTH, 4)
    pixels[0, 40:60, 100:140] = torch.tensor([*RED, 1.0])
    pixels[0, 45:50, 100:140, 3] = 0
    sheet = Sheet.of_layer("small", pixels[0])
    mask = Cutter().mask(sheet, clicks((110, 42)))
    assert mask.shape == (20, 40)
    assert mask[:5].all()
    assert not mask[5:10].any()


@pytest.mark.parametrize(
    ("pick", "said"),
    [
        (clicks((300, 20)), "The click at 300, 20 lies beside what the layer shows"),
        (Pick(box=Box(300, 0, 310, 9)), "lies beside what the layer shows"),
        (Pick(box=Box(2, 2, 20, 20)), "Nothing is picked"),
    ],
)
def test_what_cannot_be_cut_is_refused_in_words(pick: Pick, said: str) -> None:
    stack = picture()
    with pytest.raises(QilError, match=said):
        apply_edits(stack, Edits(cut={"c1": Cut(fingerprints(stack)[0], pick)}))


def test_a_thing_that_is_all_of_its_layer_is_refused() -> None:
    with pytest.raises(QilError, match="All of the layer is picked"):
        Cutter().cut(Sheet.of_layer("plain", torch.full((20, 20, 4), 1.0)), clicks((10, 10)))


def test_an_empty_layer_is_refused() -> None:
    with pytest.raises(QilError, match="The layer is empty"):
        Cutter().mask(Sheet.of_layer("none", torch.zeros(8, 8, 4)), clicks((2, 2)))


def test_a_cut_of_a_layer_that_is_gone_is_stale_with_all_that_hangs_on_it() -> None:
    stack = picture()
    gone = {"c1": Cut("0" * 16, clicks(RED_AT)), "c2": Cut("c1", clicks(RED_AT)), "c4": Cut("c5", clicks(RED_AT))}
    edited = apply_edits(stack, Edits({"c1": Edit(dx=3)}, cut=gone))
    assert set(edited.stale) == {"c1", "c2", "c4", "c5", "0" * 16}
    assert torch.equal(edited.layered().stack.pixels, stack.pixels)
