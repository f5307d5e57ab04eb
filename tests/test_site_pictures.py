"""The pictures of the documentation show what the package really does."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import apart, steps
from qil_core.decompose import builtin
from qil_core.example import draw_poster
from qil_core.stack import LayerStack


@pytest.fixture
def scene() -> apart.Scene:
    """Three layers of 60 x 80 px: a blue ground, a yellow square in its middle, and a red corner."""
    pixels = torch.zeros(3, 80, 60, 4)
    pixels[0] = torch.tensor([0.0, 0.0, 1.0, 1.0])
    pixels[1, 30:50, 20:40] = torch.tensor([1.0, 0.8, 0.2, 1.0])
    pixels[2, :10, :10] = torch.tensor([1.0, 0.0, 0.0, 1.0])
    return apart.Scene(LayerStack(pixels, ("ground", "square", "corner")), recolored="corner", moved="square")


def middle(frame: Image.Image) -> tuple[int, ...]:
    """The colour in the middle of the picture that a frame shows, which lies above the frame's own."""
    return tuple(np.array(frame)[34 + apart.FLAT_HEIGHT // 2, frame.width // 2])


def test_the_first_frame_shows_the_picture_and_the_last_one_the_change(scene: apart.Scene) -> None:
    assert middle(apart.frame(scene.stack, 0, "")) == (255, 204, 51)
    assert middle(apart.frame(scene.at(1), 0, "")) == (0, 0, 255), "the square has moved away"


def test_what_is_not_changed_keeps_its_bits(scene: apart.Scene) -> None:
    changed = scene.at(0.5)
    same = [torch.equal(*layers) for layers in zip(changed.pixels, scene.stack.pixels, strict=True)]
    assert same == [True, False, False]


def test_the_photograph_has_a_mask_of_its_own_size_for_every_layer() -> None:
    with Image.open(apart.PHOTOGRAPH) as photograph:
        size = photograph.size
    masks = {file.stem: Image.open(file) for file in apart.THINGS.glob("*.png")}
    assert masks.keys() == set(apart.LAYERS)
    assert {(mask.mode, mask.size) for mask in masks.values()} == {("L", size)}


def test_sheets_lie_on_each_other_and_then_side_by_side_within_the_frame() -> None:
    sheet, size = Image.new("RGBA", (720, 960)), (1920, 1200)
    together = {apart._place(number, 6, 0, size, sheet) for number in range(6)}
    spread = [apart._place(number, 6, 1, size, sheet) for number in range(6)]
    assert len(together) == 1
    assert all(one.left < other.left for one, other in pairwise(spread))
    assert spread[0].left >= 0
    assert spread[-1].left + spread[-1].width <= size[0]
    assert all(place.top - place.rise >= 0 and place.top + sheet.height <= size[1] for place in spread)


def test_a_movement_never_goes_back_and_ends_whole() -> None:
    shares = list(apart._eased(apart.MOVING))
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_the_steps_are_those_of_a_real_run_and_are_put_back() -> None:
    before = {name: getattr(builtin, name) for name in steps.WATCHED}
    poster = np.array(draw_poster(300, 400).convert("RGBA"))
    seen = steps.Seen().watch(torch.from_numpy(poster).float().div_(255))
    assert seen.results.keys() == set(steps.WATCHED)
    assert seen.results["find_background"].kind == "gradient"
    assert {name: getattr(builtin, name) for name in steps.WATCHED} == before


def test_steps_are_put_back_when_the_run_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ValueError("stopped")

    monkeypatch.setattr(builtin, "find_softs", fail)
    before = {name: getattr(builtin, name) for name in steps.WATCHED}
    with pytest.raises(ValueError, match="stopped"):
        steps.Seen().watch(torch.from_numpy(np.array(draw_poster(150, 200).convert("RGBA"))).float().div_(255))
    assert {name: getattr(builtin, name) for name in steps.WATCHED} == before
