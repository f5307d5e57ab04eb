"""Shapes in layers: what is recognised, what is left a picture, and that shapes and rest are the layer."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from qil_core.files.shape_fills import Fill, Shadow
from qil_core.files.shape_outlines import Ellipse, Freeform, Rounded, drawn
from qil_core.files.shape_painting import Shape, Stroke, painted, premultiplied
from qil_core.files.shape_spots import MAX_ERROR
from qil_core.files.shapes import FoundShapes, find_shapes
from qil_core.stack import Box, quantize

SIDE = 120
RED, BLUE = (0.8, 0.2, 0.2), (0.2, 0.2, 0.8)


def layer(*shapes: Shape) -> Tensor:
    """Shapes as straight pixels (SIDE, SIDE, 4) on the 8-bit grid."""
    picture = painted(shapes, SIDE, SIDE)
    colors = picture[..., :3] / np.maximum(picture[..., 3:], 1e-6)
    return quantize(torch.from_numpy(np.concatenate([colors, picture[..., 3:]], -1)).clamp(0, 1))


def found(pixels: Tensor) -> FoundShapes:
    result = find_shapes(pixels)
    assert result is not None
    return result


def error(result: FoundShapes, pixels: Tensor) -> float:
    """Mean difference of the drawn shapes under the rest to the layer, over premultiplied RGBA."""
    seen = painted(result.shapes, *pixels.shape[:2])
    if result.rest is not None:
        top = premultiplied(result.rest.numpy())
        seen = top + (1 - top[..., 3:]) * seen
    return float(np.abs(seen - premultiplied(pixels.numpy())).mean())


@pytest.mark.parametrize(
    ("outline", "form"),
    [
        (Rounded(60, 55, 70, 40), "rectangle"),
        (Rounded(60.3, 55.4, 70.2, 40.4), "rectangle"),
        (Rounded(60, 55, 70, 40, 9), "rounded rectangle"),
        (Rounded(60, 60, 70, 40, 9, 0.4), "rounded rectangle"),
        (Rounded(60, 60, 80, 3), "line"),
        (Rounded(60, 60, 90, 4, 2, 0.7), "line"),
        (Ellipse(60, 60, 70, 70), "ellipse"),
        (Ellipse(60, 60, 80, 40, 0.5), "ellipse"),
    ],
)
def test_a_form_is_found_with_its_numbers(outline: Rounded | Ellipse, form: str) -> None:
    pixels = layer(Shape(outline, Fill(RED, 1.0)))
    result = found(pixels)
    (shape,) = result.shapes
    assert shape.outline.form == form
    assert result.rest is None
    assert error(result, pixels) < MAX_ERROR
    assert isinstance(shape.outline, Rounded | Ellipse)
    assert (shape.outline.x, shape.outline.y) == pytest.approx((outline.x, outline.y), abs=0.15)
    sides = sorted((shape.outline.width, shape.outline.height))
    assert sides == pytest.approx(sorted((outline.width, outline.height)), abs=0.4)
    if isinstance(outline, Rounded) and isinstance(shape.outline, Rounded) and form != "line":
        assert shape.outline.radius == pytest.approx(outline.radius, abs=0.5)
    assert shape.fill.color == pytest.approx(RED, abs=1 / 255)


def star(x: float, y: float, radius: float) -> Freeform:
    angles = np.arange(10) * np.pi / 5
    reach = radius * np.where(np.arange(10) % 2, 0.7, 1)
    return Freeform((np.stack([x + reach * np.cos(angles), y + reach * np.sin(angles)], -1),))


def test_another_outline_is_traced_with_few_points() -> None:
    pixels = layer(Shape(star(60, 60, 50), Fill(RED, 1.0)))
    (shape,) = found(pixels).shapes
    assert isinstance(shape.outline, Freeform)
    assert sum(map(len, shape.outline.outlines)) < 40
    assert error(found(pixels), pixels) < MAX_ERROR


def test_a_ring_keeps_its_hole() -> None:
    angles = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    round_one = np.stack([np.cos(angles), np.sin(angles)], -1)
    pixels = layer(Shape(Freeform((60 + 50 * round_one, 60 + 25 * round_one)), Fill(RED, 1.0)))
    (shape,) = found(pixels).shapes
    assert isinstance(shape.outline, Freeform)
    assert len(shape.outline.outlines) == 2
    assert drawn(shape.outline, SIDE, SIDE)[60, 60] == 0


def test_what_one_can_see_through_keeps_its_opacity() -> None:
    (shape,) = found(layer(Shape(Rounded(60, 60, 80, 50), Fill(RED, 0.5)))).shapes
    assert shape.fill.opacity == pytest.approx(0.5, abs=1 / 255)


def test_a_linear_gradient_is_one_with_its_direction_and_colours() -> None:
    fill = Fill(RED, 1.0, BLUE, (30, 40), (90, 80))
    pixels = layer(Shape(Rounded(60, 60, 90, 70), fill))
    (shape,) = found(pixels).shapes
    assert shape.fill.other is not None
    way = np.subtract(shape.fill.end, shape.fill.start)
    assert abs(np.arctan2(way[1], way[0]) - np.arctan2(40, 60)) % np.pi == pytest.approx(0, abs=0.05)
    assert error(found(pixels), pixels) < MAX_ERROR


def test_a_soft_shadow_is_one_with_its_blur_and_offset() -> None:
    shadow = Shadow((0, 0, 0), 0.5, 4, 2, 5)
    pixels = layer(Shape(Rounded(60, 55, 60, 40, 6), Fill(RED, 1.0), shadow))
    (shape,) = found(pixels).shapes
    assert shape.shadow is not None
    assert (shape.shadow.x, shape.shadow.y) == pytest.approx((2, 5), abs=1)
    assert shape.shadow.sigma == pytest.approx(4, rel=0.25)
    assert error(found(pixels), pixels) < MAX_ERROR


def test_shapes_on_shapes_are_found_bottom_first() -> None:
    below, above = Shape(Rounded(60, 60, 100, 80), Fill(RED, 1.0)), Shape(Ellipse(50, 60, 40, 40), Fill(BLUE, 1.0))
    pixels = layer(below, above)
    result = found(pixels)
    assert [shape.outline.form for shape in result.shapes] == ["rectangle", "ellipse"]
    assert result.rest is None
    assert error(result, pixels) < MAX_ERROR


def test_what_is_no_shape_stays_pixels_over_the_shapes() -> None:
    pixels = layer(Shape(Rounded(60, 60, 100, 80), Fill(RED, 1.0)))
    noise = torch.rand(20, 30, 3, generator=torch.Generator().manual_seed(0))
    pixels[50:70, 40:70, :3] = quantize(noise)
    result = found(pixels)
    assert [shape.outline.form for shape in result.shapes] == ["rectangle"]
    assert result.rest is not None
    here = result.rest[..., 3] > 0
    assert float(here[50:70, 40:70].float().mean()) > 0.95
    assert torch.allclose(result.rest[here], pixels[here], atol=1e-4)
    assert error(result, pixels) < MAX_ERROR


@pytest.mark.parametrize("kind", ["noise", "words", "blurred", "empty"])
def test_everything_else_stays_a_picture(kind: str) -> None:
    pixels = torch.zeros(SIDE, SIDE, 4)
    if kind == "noise":
        pixels = quantize(torch.rand(SIDE, SIDE, 4, generator=torch.Generator().manual_seed(0)))
    elif kind == "words":
        sheet = np.zeros((SIDE, SIDE), np.uint8)
        for row in (30, 60, 90):
            cv2.putText(sheet, "Big sale", (5, row), cv2.FONT_HERSHEY_SIMPLEX, 0.8, 255, 2, cv2.LINE_AA)
        pixels[..., 3] = torch.from_numpy(sheet) / 255
    elif kind == "blurred":
        soft = cv2.GaussianBlur(drawn(Ellipse(60, 60, 50, 50), SIDE, SIDE), (0, 0), 12)
        pixels[..., 3] = quantize(torch.from_numpy(soft))
    assert find_shapes(pixels) is None


def test_a_small_mark_on_an_edge_is_not_lost() -> None:
    pixels = layer(Shape(Rounded(60, 60, 100, 80), Fill(RED, 1.0)))
    pixels[18:24, 50:56] = torch.tensor([0.0, 1.0, 0.0, 1.0])
    result = find_shapes(pixels)
    assert result is None or error(result, pixels) * SIDE * SIDE * 4 < 1
    assert result is None or result.rest is not None or len(result.shapes) > 1


def test_one_colour_is_found_under_a_soft_glow_that_stays_a_picture() -> None:
    pixels = layer(Shape(Rounded(60, 60, 100, 80, 8), Fill(BLUE, 1.0)))
    glow = cv2.GaussianBlur(drawn(Ellipse(60, 60, 24, 24), SIDE, SIDE), (0, 0), 6)
    share = torch.from_numpy(glow)[..., None] * 0.8
    pixels[..., :3] = quantize((pixels[..., :3] * (1 - share) + torch.tensor(RED) * share).clamp(0, 1))
    pixels[..., :3] *= (pixels[..., 3:] > 0).float()
    result = found(pixels)
    assert result.shapes[0].outline.form == "rounded rectangle"
    assert result.shapes[0].fill.color == pytest.approx(BLUE, abs=1 / 255)
    assert result.rest is not None
    assert error(result, pixels) < MAX_ERROR


def test_a_panel_is_one_rectangle_however_lines_divide_it() -> None:
    lines = [Shape(Rounded(60, y, 100, 2), Fill(BLUE, 1.0)) for y in (40, 60, 80)]
    pixels = layer(Shape(Rounded(60, 60, 100, 80), Fill(RED, 1.0)), *lines)
    result = found(pixels)
    assert [shape.outline.form for shape in result.shapes] == ["rectangle", "line", "line", "line"]
    panel = result.shapes[0].outline
    assert isinstance(panel, Rounded)
    assert (panel.width, panel.height) == pytest.approx((100, 80), abs=0.2)
    assert error(result, pixels) < MAX_ERROR


def test_two_shapes_of_one_colour_stay_two_where_something_shows_between_them() -> None:
    cards = [Shape(Rounded(x, 60, 40, 60), Fill(BLUE, 1.0)) for x in (37, 83)]
    result = found(layer(Shape(Rounded(60, 60, 110, 90), Fill(RED, 1.0)), *cards))
    assert [shape.outline.form for shape in result.shapes] == ["rectangle"] * 3
    assert result.rest is None


def test_the_tips_of_a_star_belong_to_its_outline() -> None:
    angles = np.arange(16) * np.pi / 8
    reach = 52 * np.where(np.arange(16) % 2, 0.5, 1)
    sharp = Freeform((np.stack([60 + reach * np.cos(angles), 60 + reach * np.sin(angles)], -1),))
    pixels = layer(Shape(sharp, Fill(RED, 1.0)))
    assert [shape.outline.form for shape in found(pixels).shapes] == ["freeform"]
    assert error(found(pixels), pixels) < MAX_ERROR


def test_a_card_with_a_shadow_is_no_letter_of_the_specks_beside_it() -> None:
    shadow = Shadow((0, 0, 0), 0.5, 4, 1, 3)
    pixels = layer(Shape(Rounded(55, 55, 70, 60, 8), Fill(RED, 1.0), shadow))
    noise = torch.rand(30, 4, 4, generator=torch.Generator().manual_seed(0))
    pixels[40:70, 108:112] = quantize(noise * 0.5 + 0.5)
    result = found(pixels)
    assert [shape.outline.form for shape in result.shapes] == ["rounded rectangle"]
    assert result.shapes[0].shadow is not None
    assert result.rest is not None


def test_every_shape_ends_where_its_layer_does() -> None:
    """A sliver also fits a long ellipse that goes on where nothing was looked at."""
    lines = [Shape(Rounded(20 + 12 * i, 60, 3, 70, 1.5), Fill(BLUE, 1.0)) for i in range(6)]
    result = found(layer(Shape(Rounded(60, 60, 110, 100), Fill(RED, 1.0)), *lines))
    assert all(shape.box().overlap(Box(0, 0, SIDE, SIDE)) == shape.box() for shape in result.shapes)


def test_parts_of_one_colour_that_lie_in_several_parts_of_a_layer_are_no_error() -> None:
    """Their hull begins over clear pixels, or over a smaller part, which does not hold it."""
    pole = Shape(Rounded(105, 35, 10, 55), Fill(BLUE, 1.0))
    boxes = ((60, 85, 100, 50), (50, 30, 20, 20))
    pixels = layer(pole, *(Shape(Rounded(*box), Fill(RED, 1.0)) for box in boxes))
    result = found(pixels)
    assert [shape.outline.form for shape in result.shapes] == ["rectangle"] * 3
    assert error(result, pixels) < MAX_ERROR


def photograph(side: int) -> Tensor:
    """Opaque pixels (side, side, 4) with even spots of all sizes, slow changes and grain, as photographs have."""
    chance = np.random.default_rng(0)
    scales = [(3, 0.06), (12, 0.3), (40, 0.9)]
    fields = [weight * cv2.GaussianBlur(chance.normal(size=(side, side, 3)), (0, 0), s) * s for s, weight in scales]
    colors = np.clip(0.5 + 0.3 * np.sum(fields, 0), 0, 1)
    return quantize(torch.from_numpy(np.concatenate([colors, np.ones((side, side, 1))], -1).astype(np.float32)))


def test_a_small_shape_on_a_photograph_leaves_it_a_picture() -> None:
    pixels = photograph(240)
    pixels[80:140, 60:160, :3] = torch.tensor(RED)
    assert find_shapes(pixels) is None


def test_faint_specks_on_an_even_ground_are_no_shapes_but_small_marks_are() -> None:
    pixels = torch.ones(320, 320, 4) * torch.tensor([*RED, 1.0])
    yy, xx = np.mgrid[:320, :320] + 0.5
    for i, contrast in enumerate((14, 14, 14, 120)):
        disc = torch.from_numpy(np.hypot(xx - 60 - 60 * i, yy - 160) < 4.5)
        pixels[disc] += torch.tensor([-contrast / 255, 0, 0, 0])
    result = found(quantize(pixels))
    ground, mark = result.shapes
    assert ground.outline.form == "rectangle"
    assert mark.box() == Box(236, 156, 244, 164)
    assert result.rest is not None
    assert bool(result.rest[160, 60, 3] == 1)


def test_clear_pixels_of_the_rest_have_the_colours_of_the_layer() -> None:
    """A program that scales the picture mixes them into those beside them, where black would be a dark rim."""
    pixels = layer(Shape(Rounded(60, 60, 100, 80), Fill(RED, 1.0)))
    noise = torch.rand(20, 30, 3, generator=torch.Generator().manual_seed(0))
    pixels[50:70, 40:70, :3] = quantize(noise)
    rest = found(pixels).rest
    assert rest is not None
    assert rest[48, 38].tolist() == pytest.approx([*RED, 0], abs=1 / 255)


STROKED = [
    Rounded(60, 60, 90, 70),
    Rounded(60, 60, 90, 70, 14),
    Rounded(60, 60, 80, 50, 9, 0.4),
    Ellipse(60, 60, 90, 80),
]


@pytest.mark.parametrize(
    ("outline", "width"),
    [*((outline, width) for outline in STROKED for width in (3.4, 8)), (STROKED[0], 2), (STROKED[1], 2)],
)
def test_an_outline_with_an_even_line_around_it_is_one_shape(outline: Rounded | Ellipse, width: float) -> None:
    pixels = layer(Shape(outline, Fill(RED, 1.0), stroke=Stroke(BLUE, width)))
    result = found(pixels)
    (shape,) = result.shapes
    assert shape.outline.form == outline.form
    assert shape.stroke is not None
    assert shape.stroke.width == pytest.approx(width, abs=0.25)
    assert shape.stroke.color == pytest.approx(BLUE, abs=1 / 255)
    assert shape.fill.color == pytest.approx(RED, abs=1 / 255)
    assert result.rest is None
    assert error(result, pixels) < MAX_ERROR


def test_a_card_with_a_line_around_it_on_a_panel_keeps_what_lies_on_it() -> None:
    panel = Shape(Rounded(60, 60, 116, 110), Fill((0.9, 0.9, 0.8), 1.0))
    dot = Shape(Ellipse(60, 60, 20, 20), Fill(BLUE, 1.0))
    pixels = layer(panel, Shape(Rounded(60, 60, 70, 50, 8), Fill(RED, 1.0), stroke=Stroke(BLUE, 3)), dot)
    result = found(pixels)
    assert [(shape.outline.form, shape.stroke is None) for shape in result.shapes] == [
        ("rectangle", True),
        ("rounded rectangle", False),
        ("ellipse", True),
    ]
    assert error(result, pixels) < MAX_ERROR
