"""Translucent panels in pictures whose layers are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from drawings import SIDE, Floats, mask, paint, words
from torch import Tensor

from benchmarks.scenes import draw
from qil_core.composite import composite
from qil_core.decompose import Request
from qil_core.decompose.builtin import Builtin
from qil_core.decompose.run import decompose
from qil_core.stack import LayerStack

PAPER, BLUE, RED, INK = (240, 230, 210), (40, 80, 190), (220, 60, 40), (20, 20, 30)
SQUARE, PANEL = (60, 60, 180, 180), (110, 100, 270, 240)


def box(left: int, top: int, right: int, bottom: int) -> Floats:
    """A mask (SIDE, SIDE) with rounded corners."""
    return mask("rounded_rectangle", left, top, right, bottom, radius=12)


def gradient() -> Floats:
    x = np.linspace(0, 1, SIDE, dtype=np.float32)[None, :, None]
    return np.broadcast_to(np.float32([90, 140, 220]) + x * np.float32([90, 40, -60]), (SIDE, SIDE, 3)).copy()


def painted(*shapes: tuple[Floats, tuple[int, int, int]], ground: Floats | None = None) -> Tensor:
    """Shapes painted on paper, or on a ground (SIDE, SIDE, 3) in 0..255: (SIDE, SIDE, 3), rounded to 8 bits."""
    return paint(np.full((SIDE, SIDE, 3), PAPER, np.float32) if ground is None else ground, *shapes)


def layers_of(picture: Tensor, layers: int) -> LayerStack:
    return decompose(Builtin(), picture, Request(layers=layers))[0]


def layer(stack: LayerStack, kind: str) -> Tensor:
    """The one layer (SIDE, SIDE, 4) of a kind, by its name."""
    found = [i for i, each in enumerate(kinds(stack)) if each == kind]
    assert len(found) == 1, stack.names
    return stack.pixels[found[0]]


def kinds(stack: LayerStack) -> list[str]:
    """What the layers are, by the last words of their names: a form is a shape's."""
    words = [name.rstrip(" 0123456789").split()[-1] for name in stack.names]
    return [word if word in ("background", "panel", "glow", "strokes", "text") else "shape" for word in words]


@pytest.mark.parametrize("strength", [0.4, 0.6, 0.8])
def test_a_half_clear_box_over_a_square_is_one_layer_with_its_alpha_and_color(strength: float) -> None:
    stack = layers_of(painted((box(*SQUARE), BLUE), (box(*PANEL) * np.float32(strength), RED)), 3)
    assert kinds(stack) == ["background", "shape", "panel"]
    panel, truth = layer(stack, "panel"), torch.from_numpy(box(*PANEL) * np.float32(strength))
    assert float((panel[..., 3] - truth).abs().mean()) < 0.002
    inside = panel[120:220, 130:250, :3] * 255
    assert float((inside - torch.tensor(RED)).abs().max()) < 6


def test_the_square_goes_on_under_the_panel_to_its_own_edge() -> None:
    stack = layers_of(painted((box(*SQUARE), BLUE), (box(*PANEL) * np.float32(0.6), RED)), 3)
    square = layer(stack, "shape")
    assert float((square[..., 3] - torch.from_numpy(box(*SQUARE))).abs().mean()) < 0.002
    assert float((square[110:170, 120:170, :3] * 255 - torch.tensor(BLUE)).abs().max()) < 6


def test_there_is_no_seam_in_the_panel_where_the_square_ends_under_it() -> None:
    stack = layers_of(painted((box(*SQUARE), BLUE), (box(*PANEL) * np.float32(0.6), RED)), 3)
    across = layer(stack, "panel")[140, 130:250, 3]
    assert float(across.max() - across.min()) < 0.01


def test_the_layers_make_the_picture_again() -> None:
    picture = painted((box(*SQUARE), BLUE), (box(*PANEL) * np.float32(0.6), RED))
    stack = layers_of(picture, 3)
    assert float((composite(stack)[..., :3] - picture).abs().max()) * 255 <= 1.01


def test_a_panel_is_found_before_a_gradient() -> None:
    picture = painted((box(*SQUARE), BLUE), (box(*PANEL) * np.float32(0.5), RED), ground=gradient())
    panel = layer(layers_of(picture, 3), "panel")
    assert float((panel[..., 3] - torch.from_numpy(box(*PANEL)) * 0.5).abs().mean()) < 0.004


def test_of_two_panels_the_upper_one_is_above() -> None:
    first, second = (60, 60, 200, 200), (130, 130, 280, 280)
    stack = layers_of(
        painted((box(*first) * np.float32(0.6), BLUE), (box(*second) * np.float32(0.5), (20, 160, 60))), 3
    )
    assert kinds(stack)[2] == "panel"
    assert float((stack.pixels[2, ..., 3] - torch.from_numpy(box(*second)) * 0.5).abs().mean()) < 0.004


@pytest.mark.usefixtures("nobody_reads")
def test_words_on_a_panel_stay_on_top_and_leave_no_hole_in_it() -> None:
    letters = words("Panels", 125, 190, 36)
    stack = layers_of(painted((box(*SQUARE), BLUE), (box(*PANEL) * np.float32(0.5), RED), (letters, INK)), 4)
    assert kinds(stack) == ["background", "shape", "panel", "text"]
    assert float((layer(stack, "panel")[..., 3] - torch.from_numpy(box(*PANEL)) * 0.5).abs().mean()) < 0.004
    assert float((layer(stack, "text")[..., 3] - torch.from_numpy(letters)).abs().mean()) < 0.004


def test_an_opaque_disc_on_a_panel_hides_it_and_is_no_part_of_it() -> None:
    disc = mask("ellipse", 200, 170, 300, 270)
    stack = layers_of(painted((box(*SQUARE), BLUE), (box(*PANEL) * np.float32(0.5), RED), (disc, (30, 140, 80))), 4)
    assert kinds(stack) == ["background", "shape", "panel", "shape"]
    assert float((stack.pixels[3, ..., 3] - torch.from_numpy(disc)).abs().mean()) < 0.002


def test_opaque_boxes_that_meet_in_a_cross_are_no_panel() -> None:
    a, b = box(60, 60, 180, 180), box(110, 100, 270, 240)
    both = np.minimum(a, b)
    stack = layers_of(painted((a, BLUE), (b, RED), (both, (30, 200, 90))), 4)
    assert "panel" not in kinds(stack)


def test_a_panel_on_a_plain_background_is_taken_for_opaque() -> None:
    stack = layers_of(painted((box(*PANEL) * np.float32(0.5), RED)), 2)
    assert kinds(stack) == ["background", "shape"]
    assert float((stack.pixels[1, ..., 3] - torch.from_numpy(box(*PANEL))).abs().mean()) < 0.002


def test_with_room_for_one_layer_above_the_background_no_panel_is_taken_out() -> None:
    stack = layers_of(painted((box(*SQUARE), BLUE), (box(*PANEL) * np.float32(0.6), RED)), 2)
    assert kinds(stack) == ["background", "shape"]


@pytest.mark.parametrize("content", ["shapes", "text", "shadows", "poster"])
@pytest.mark.parametrize("background", ["flat", "gradient", "photo"])
def test_no_panel_is_seen_where_none_is(content: str, background: str) -> None:
    assert "panel" not in kinds(layers_of(composite(draw(content, background, 1, 320))[..., :3], 6))


def test_in_a_picture_larger_than_the_working_copy_panels_have_sharp_edges() -> None:
    true = draw("panels", "flat", 4, 1280)
    found = layers_of(composite(true)[..., :3], len(true))
    panels = [alpha for alpha in true.pixels[..., 3] if 0 < float(alpha.max()) < 0.95]
    assert len(panels) == 2
    for alpha in panels:
        assert min(float((other - alpha).abs().mean()) for other in found.pixels[..., 3]) < 0.001
