"""ComfyUI's LAYERS document: the same layers on both sides, wherever its items are moved, turned or masked."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qil_core.errors import QilError
from qil_core.files.document import from_document, to_document
from qil_core.files.layered import Layered, Look
from qil_core.stack import LayerStack


def document(*items: dict[str, Any], canvas: tuple[int, int] | None = (8, 6)) -> dict[str, Any]:
    return {"version": 1, "layers": list(items)} | ({"canvas": canvas} if canvas else {})


def ramp(width: int = 3, height: int = 2) -> torch.Tensor:
    """A picture (1, h, w, 4) whose pixels all differ."""
    values = torch.arange(width * height * 4).float().reshape(1, height, width, 4) / 100
    values[..., 3] = 1
    return values


def test_a_stack_becomes_a_document_and_comes_back_exactly(random_stack: LayerStack) -> None:
    look = Look(("normal", "multiply", "screen", "hue"), (1, 0.5, 0.25, 0), (True, False, True, True))
    back = from_document(to_document(random_stack, look))
    seen = random_stack.pixels[..., 3:] > 0
    assert torch.equal(back.stack.pixels * seen, random_stack.pixels * seen)
    assert back.stack.names == random_stack.names
    assert back.look == look


def test_items_are_cropped_to_their_content_and_numbered() -> None:
    pixels = torch.zeros(2, 6, 8, 4)
    pixels[0, 1:3, 2:5] = 1
    made = to_document(LayerStack.from_image(pixels, "girl/hair\nnothing"), Look())
    first, second = made["layers"]
    assert made["canvas"] == (8, 6)
    assert (first["x"], first["y"], first["image"].shape) == (2, 1, (1, 2, 3, 4))
    assert (first["name"], first["z_index"], second["z_index"]) == ("girl/hair", 0, 1)
    assert second["image"].shape == (1, 1, 1, 4)
    assert torch.equal(from_document(made).stack.pixels, pixels)


def test_the_bottom_layer_is_normal_because_it_meets_nothing(random_stack: LayerStack) -> None:
    made = to_document(random_stack, Look(("multiply",) * 4))
    assert [item["blend_mode"] for item in made["layers"]] == ["normal", "multiply", "multiply", "multiply"]


def only(item: dict[str, Any], canvas: tuple[int, int] | None = (8, 6)) -> torch.Tensor:
    (layer,) = from_document(document(item, canvas=canvas)).stack.pixels
    return layer


def test_an_item_lies_where_it_is_placed_and_is_cut_at_the_canvas() -> None:
    picture = ramp()
    assert torch.equal(only({"image": picture, "x": 4, "y": 1})[1:3, 4:7], picture[0])
    assert torch.equal(only({"image": picture, "x": -1, "y": 5})[5, :2], picture[0, 0, 1:])
    assert float(only({"image": picture, "x": 4, "y": 1})[..., 3].sum()) == 6


def test_places_and_sizes_are_cut_to_whole_pixels_as_comfyui_does() -> None:
    whole = {"image": ramp(), "x": 2, "y": -1, "w": 3, "h": 2}
    broken = {"image": ramp(), "x": 2.9, "y": -1.9, "w": 3.9, "h": 2.9}
    assert torch.equal(only(broken, (8.9, 6.9)), only(whole))  # type: ignore[arg-type]  # what a file may hold
    back = from_document(document({"image": ramp(), "z_index": 0.9, "name": "a"}, {"image": ramp(), "name": "b"}))
    assert back.stack.names == ("a", "b"), "both lie at 0"


def test_flips_and_quarter_turns_copy_pixels() -> None:
    picture = ramp()
    assert torch.equal(only({"image": picture, "flip_h": True})[:2, :3], picture[0].flip(1))
    assert torch.equal(only({"image": picture, "flip_v": True})[:2, :3], picture[0].flip(0))
    square = ramp(2, 2)
    turned = only({"image": square, "x": 3, "y": 2, "rotation": math.pi / 2})
    assert torch.equal(turned[2:4, 3:5], torch.rot90(square[0], -1, (0, 1))), "clockwise"


def test_an_item_is_scaled_to_its_size_about_its_corner() -> None:
    picture = torch.tensor([0.2, 0.4, 0.6, 1.0]).expand(1, 2, 2, 4)
    layer = only({"image": picture, "x": 1, "y": 1, "w": 4, "h": 2})
    assert torch.allclose(layer[1:3, 2:4], picture[0, :1, :1].expand(2, 2, 4), atol=1e-3)
    assert float(layer[..., 3].sum()) == pytest.approx(8, abs=0.5)


def test_masks_are_1_minus_alpha_and_multiply_it() -> None:
    picture = torch.full((1, 2, 2, 4), 0.5)
    mask = torch.tensor([[[0.0, 1.0], [0.5, 0.0]]])
    layer = only({"image": picture, "mask": mask})
    assert layer[:2, :2, 3].tolist() == [[0.5, 0.0], [0.25, 0.5]]
    assert float(only({"image": picture[..., :3], "mask": torch.ones(1, 5, 5)})[..., 3].max()) == 0
    assert float(only({"image": picture[..., :3]})[:2, :2, 3].min()) == 1


def test_items_lie_by_z_index_and_a_batch_is_a_layer_each() -> None:
    one, two = torch.full((1, 1, 1, 3), 0.25), torch.full((2, 1, 1, 3), 0.5)
    back = from_document(document({"image": two, "name": "two", "z_index": 5}, {"image": one, "name": "one"}))
    assert back.stack.names == ("one", "two", "two")
    assert [float(layer[0, 0, 0]) for layer in back.stack.pixels] == [0.25, 0.5, 0.5]


def test_without_a_canvas_it_holds_all_layers() -> None:
    back = from_document(document({"image": ramp(), "x": 4, "y": 7}, {"image": ramp(10, 1)}, canvas=None))
    assert (back.stack.width, back.stack.height) == (10, 9)
    turned = from_document(document({"image": ramp(4, 2), "x": 3, "y": 3, "rotation": math.pi / 2}, canvas=None))
    assert (turned.stack.width, turned.stack.height) == (6, 6)


@pytest.mark.parametrize(
    ("given_document", "message"),
    [
        (None, "not a LAYERS document"),
        ({"version": 1}, "not a LAYERS document"),
        ({"version": 2, "layers": []}, "version 2"),
        (document(), "holds 0 layers"),
        (document({"image": torch.zeros(51, 1, 1, 3)}), "holds 51 layers"),
        (document({"image": "x"}), "Expected an image tensor"),
        (document({"image": torch.zeros(1, 1, 1, 3), "type": "text", "name": "title"}), '"title" is a .text.'),
        (document({"image": torch.zeros(1, 1, 1, 3), "blend_mode": "glow"}), "glow"),
        (document({"image": torch.zeros(1, 1, 1, 3), "opacity": 2}), "Opacities"),
        (document({"image": torch.zeros(1, 1, 1, 3), "x": "left", "name": "a"}), '"a" has the x .left.'),
        (document({"image": torch.zeros(1, 1, 1, 3), "rotation": math.nan}), "rotation nan"),
        (document({"image": torch.zeros(1, 1, 1, 3), "w": 500}), "scaled by 500"),
        (document({"image": torch.zeros(1, 1, 1, 3), "mask": torch.zeros(2, 2)}), "shape .N, H, W."),
        (
            document({"image": torch.zeros(1, 1, 1, 3)}, canvas=(30_000, 30_000)),
            "900 megapixels, which take 36",
        ),
    ],
)
def test_a_document_that_cannot_be_read_is_refused_with_the_reason(given_document: Any, message: str) -> None:
    with pytest.raises(QilError, match=message):
        from_document(given_document)


def test_more_layers_than_comfyui_takes_are_not_converted() -> None:
    with pytest.raises(QilError, match="51 layers"):
        to_document(LayerStack.from_image(torch.zeros(51, 1, 1, 4)), Look())


@given(
    x=st.integers(-9, 9), y=st.integers(-9, 9), flips=st.tuples(st.booleans(), st.booleans()), turns=st.integers(0, 3)
)
def test_whole_moves_flips_and_turns_of_a_square_lose_nothing_but_what_leaves(
    x: int, y: int, flips: tuple[bool, bool], turns: int
) -> None:
    picture = ramp(4, 4)
    item = {"image": picture, "x": x, "y": y, "flip_h": flips[0], "flip_v": flips[1], "rotation": turns * math.pi / 2}
    wanted = torch.zeros(40, 40, 4)
    content = picture[0].flip(1) if flips[0] else picture[0]
    content = torch.rot90(content.flip(0) if flips[1] else content, -turns, (0, 1))
    wanted[10 + y : 14 + y, 10 + x : 14 + x] = content
    assert torch.equal(only(item, (20, 20)), wanted[10:30, 10:30])


def test_layered_is_what_one_sees(random_stack: LayerStack) -> None:
    seen = from_document(to_document(random_stack, Look(opacities=(1, 0.5, 1, 1)))).composite()
    assert torch.allclose(seen, Layered(random_stack, Look(opacities=(1, 0.5, 1, 1)).of(4)).composite(), atol=1e-6)
