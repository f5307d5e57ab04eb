"""What the edits make of a stack: the same as the nodes of one step each, and nothing is lost."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from qil_core.color import parse_color
from qil_core.composite import composite, premultiplied
from qil_core.editor.apply import apply_edits
from qil_core.editor.fingerprint import fingerprints
from qil_core.editor.previews import preview, preview_size
from qil_core.editor.state import Edit, Edits
from qil_core.recolor import Colorize, HueTurn, mean_lightness, recolor
from qil_core.stack import Box, LayerStack, quantize
from qil_core.transform import Placement, transform


def blobs(count: int = 3, height: int = 40, width: int = 56) -> LayerStack:
    """A paper and, above it, boxes of noise with soft alpha, away from the edges of the canvas."""
    generator = torch.Generator().manual_seed(count)
    pixels = torch.zeros(count, height, width, 4)
    pixels[0] = 0.5
    pixels[0, ..., 3] = 1
    for i in range(1, count):
        pixels[i, 8 : 20 + i, 10 * i : 10 * i + 15] = torch.rand(12 + i, 15, 4, generator=generator)
    return LayerStack.from_image(quantize(pixels), [f"layer {i}" for i in range(count)])


def edited(stack: LayerStack, index: int, edit: Edit) -> LayerStack:
    return apply_edits(stack, Edits({fingerprints(stack)[index]: edit})).layered().stack


def test_no_edits_change_no_bit() -> None:
    stack = blobs()
    stack.pixels[1, 0, 0, :3] = 0.25  # a colour that no alpha shows
    layered = apply_edits(stack, Edits()).layered()
    assert torch.equal(layered.stack.pixels, stack.pixels)
    assert layered.stack.names == stack.names
    assert torch.equal(layered.composite(), composite(stack))


placements = st.builds(
    Edit,
    dx=st.sampled_from([0.0, 3.0, -2.5, 60.0]),
    dy=st.sampled_from([0.0, -7.0, 1.25]),
    scale_x=st.sampled_from([1.0, 0.4, 1.7]),
    scale_y=st.sampled_from([1.0, 2.5]),
    rotation=st.sampled_from([0.0, 90.0, 31.0, -180.0]),
    flip_x=st.booleans(),
    flip_y=st.booleans(),
)


@given(placements)
def test_a_placed_layer_is_what_transform_layer_makes_of_it(edit: Edit) -> None:
    stack = blobs()
    numbers = edit.dx, edit.dy, edit.scale_x, edit.scale_y, edit.rotation, edit.flip_x, edit.flip_y
    wanted = transform(stack, 1, Placement(*numbers))
    found = edited(stack, 1, edit)
    assert torch.allclose(premultiplied(found.pixels), premultiplied(wanted.pixels), atol=2e-5)
    assert torch.equal(found.pixels[[0, 2]], stack.pixels[[0, 2]])


def test_recolouring_is_what_recolor_layer_does() -> None:
    stack = blobs()
    assert torch.equal(edited(stack, 2, Edit(hue=90)).pixels, recolor(stack, 2, HueTurn(90)).pixels)
    mean = mean_lightness(stack.pixels[2])
    wanted = recolor(stack, 2, Colorize(parse_color("#20c040"), mean)).pixels
    assert torch.allclose(edited(stack, 2, Edit(color="#20c040")).pixels, wanted, atol=1e-5)


@given(st.integers(-500, 500), st.integers(-500, 500))
def test_what_is_moved_beyond_the_canvas_keeps_all_its_pixels(dx: int, dy: int) -> None:
    stack = blobs()
    layer = apply_edits(stack, Edits({fingerprints(stack)[1]: Edit(dx=dx, dy=dy)})).layers[1]
    box = stack.bounds(1)
    assert box is not None
    there = Box(box.left + dx, box.top + dy, box.right + dx, box.bottom + dy)
    assert torch.equal(layer.content.within(there), stack.pixels[1, box.top : box.bottom, box.left : box.right])


def test_a_rotated_layer_keeps_what_leaves_the_canvas_as_far_as_is_promised() -> None:
    stack = blobs()
    layer = apply_edits(stack, Edits({fingerprints(stack)[1]: Edit(dx=-20, rotation=45)})).layers[1]
    middle = apply_edits(stack, Edits({fingerprints(stack)[1]: Edit(rotation=45)})).layers[1]
    assert layer.content.left < 0
    assert torch.allclose(layer.content.image, middle.content.image, atol=1e-5)


def test_a_hundredfold_layer_takes_no_more_than_the_room_around_the_canvas() -> None:
    stack = blobs()
    layer = apply_edits(stack, Edits({fingerprints(stack)[1]: Edit(scale_x=100, scale_y=100, rotation=5)})).layers[1]
    assert layer.content.image.shape[0] <= 3 * stack.height
    assert layer.content.image.shape[1] <= 3 * stack.width


def test_hidden_opacity_and_mode_are_in_the_look_and_not_in_pixels() -> None:
    stack = blobs()
    keys = fingerprints(stack)
    edits = Edits({keys[1]: Edit(hidden=True, opacity=0.25), keys[2]: Edit(mode="multiply")})
    layered = apply_edits(stack, edits).layered()
    assert torch.equal(layered.stack.pixels, stack.pixels)
    assert layered.look.visible == (True, False, True)
    assert layered.look.opacities == (1, 0.25, 1)
    assert layered.look.modes == ("normal", "normal", "multiply")
    assert torch.equal(layered.composite(), composite(stack.select([0, 2]), ["normal", "multiply"]))


def test_layers_are_renamed_reordered_and_duplicated() -> None:
    stack = blobs()
    a, b, c = fingerprints(stack)
    edits = Edits({b: Edit(name="girl/hair"), f"{b}~2": Edit(dx=4)}, (c, b, f"{b}~2", a))
    layered = apply_edits(stack, edits).layered()
    assert layered.stack.names == ("layer 2", "girl/hair", "layer 1 copy", "layer 0")
    assert torch.equal(layered.stack.pixels[2, :, 4:], stack.pixels[1, :, :-4])


def test_a_merged_layer_is_the_composite_of_its_parts() -> None:
    stack = blobs()
    a, b, c = fingerprints(stack)
    edits = Edits({b: Edit(opacity=0.5), c: Edit(mode="screen"), "m1": Edit(name="both")}, (a, "m1"), {"m1": (b, c)})
    layered = apply_edits(stack, edits).layered()
    faded = stack.pixels[1:].clone()
    faded[0, ..., 3] *= 0.5
    wanted = composite(LayerStack(faded, ("", "")), ["normal", "screen"])
    assert layered.stack.names == ("layer 0", "both")
    assert torch.allclose(layered.stack.pixels[1], wanted, atol=1e-6)


def test_a_merge_of_hidden_and_empty_layers_is_empty() -> None:
    stack = blobs()
    _, b, c = fingerprints(stack)
    hidden = Edits({b: Edit(hidden=True), c: Edit(hidden=True)}, (), {"m1": (b, c)})
    assert not apply_edits(stack, hidden).layered().stack.pixels[1].any()


def test_a_layer_parked_far_away_does_not_stretch_a_merge() -> None:
    stack = blobs()
    _, b, c = fingerprints(stack)
    edited = apply_edits(stack, Edits({b: Edit(dx=16000, dy=16000)}, (), {"m1": (b, c)}))
    box = stack.bounds(2)
    assert box is not None
    assert edited.layers[1].content.box == box


def test_an_edit_stays_with_its_layer_when_the_stack_changes() -> None:
    stack = blobs()
    edits = Edits({fingerprints(stack)[2]: Edit(dx=5), fingerprints(stack)[1]: Edit(dx=9)})
    result = apply_edits(stack.select([2, 0]), edits)
    assert [layer.edit.dx for layer in result.layers] == [5, 0]
    assert result.stale == (fingerprints(stack)[1],)


def test_fingerprints_tell_content_and_place_and_not_hidden_noise() -> None:
    stack = blobs()
    pixels = stack.pixels.clone()
    pixels[1] = pixels[1].roll(1, dims=1)
    pixels[2] += 1e-4 * ((pixels[2] > 0) & (pixels[2] < 0.5))
    other = fingerprints(LayerStack(pixels, stack.names))
    keys = fingerprints(stack)
    assert other[1] != keys[1]
    assert other[2] == keys[2]
    assert fingerprints(stack.select([1, 1, 1])) == [keys[1], f"{keys[1]}.2", f"{keys[1]}.3"]


def test_an_empty_layer_can_be_edited() -> None:
    stack = LayerStack.from_image(torch.zeros(1, 8, 8, 4))
    assert not edited(stack, 0, Edit(dx=1, rotation=5, hue=3)).pixels.any()


def test_a_preview_holds_the_pixels_of_a_small_layer() -> None:
    stack = blobs()
    found = preview(stack, 1)
    assert found.content == stack.bounds(1)
    assert (found.left, found.top) == found.content[:2]
    height, width = found.pixels.shape[:2]
    assert torch.equal(found.pixels, stack.pixels[1, found.top : found.top + height, found.left : found.left + width])


def test_previews_of_a_large_canvas_are_1024_on_their_longest_side() -> None:
    assert preview_size(2048, 1000) == (1024, 500)
    pixels = torch.zeros(1, 1500, 2048, 4)
    pixels[0, 100:500, 200:1000] = torch.tensor([0.2, 0.4, 0.6, 1])
    found = preview(LayerStack.from_image(pixels), 0)
    assert found.content == (200, 100, 1000, 500)
    assert abs(found.pixels.shape[1] - 400) <= 2
    assert torch.allclose(found.pixels[100, 200], torch.tensor([0.2, 0.4, 0.6, 1]))


def test_what_leaves_the_canvas_is_in_the_look() -> None:
    stack = blobs()
    key = fingerprints(stack)[1]
    layered = apply_edits(stack, Edits({key: Edit(dx=-15)})).layered()
    box = stack.bounds(1)
    assert box is not None
    assert [whole is not None for whole in layered.look.whole] == [False, True, False]
    found = layered.content(1)
    assert found is not None
    assert found[0] == Box(box.left - 15, box.top, box.right - 15, box.bottom)
    assert torch.equal(found[1], stack.pixels[1, box.top : box.bottom, box.left : box.right])
