"""The content of a layer without the empty canvas around it, placed by an edit. It may reach beyond the canvas."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..color import parse_color
from ..files.layered import Content
from ..recolor import Colorize, HueTurn, Recolor, mean_lightness, recolor
from ..stack import Box, LayerStack, content_box
from ..transform import Placement, transform_layer
from .state import Edit

BEYOND = 1.0
"""How far beyond each edge of the canvas resampled pixels are kept, in widths and heights of the canvas. A layer that
was scaled by 100 would fill the memory otherwise; its pixels come again from the stack when it is moved back."""

KERNEL_RADIUS = 2
"""Pixels that the bicubic kernel reaches (resample.KERNELS)."""


def content_of(layer: Tensor, left: int = 0, top: int = 0) -> Content:
    """The content of a sheet (h, w, 4) whose corner lies at a place of the canvas; of a clear one 0 x 0 pixels."""
    box = content_box(layer[..., 3]) or Box(0, 0, 0, 0)
    return Content(layer[box.top : box.bottom, box.left : box.right], left + box.left, top + box.top)


def kept_around(width: int, height: int) -> Box:
    """The canvas and what is kept around it."""
    x, y = round(width * BEYOND), round(height * BEYOND)
    return Box(-x, -y, width + x, height + y)


def edited(content: Content, edit: Edit, canvas: tuple[int, int]) -> Content:
    """The content recoloured, flipped, scaled, rotated and moved; canvas is (width, height)."""
    if not content.image.numel():
        return content
    change = _change(edit, content.image)
    if change:
        layer = LayerStack(content.image[None], ("",))
        content = Content(recolor(layer, 0, change).pixels[0], content.left, content.top)
    return _moved(content, edit, canvas)


def keeps_pixels(edit: Edit) -> bool:
    """Whether an edit leaves colours and places as they are; its look may differ."""
    return _only_moves(edit) and edit.dx == edit.dy == edit.hue == 0 and not edit.color


def _change(edit: Edit, image: Tensor) -> Recolor | None:
    if edit.color:
        return Colorize(parse_color(edit.color), mean_lightness(image))
    return HueTurn(edit.hue) if edit.hue else None


def _moved(content: Content, edit: Edit, canvas: tuple[int, int]) -> Content:
    dx, dy, box = round(edit.dx), round(edit.dy), content.box
    if _only_moves(edit) and (dx, dy) == (edit.dx, edit.dy):
        return Content(content.image, content.left + dx, content.top + dy)
    goal = _goal(box, edit).overlap(kept_around(*canvas))
    if goal is None:
        return Content(content.image[:0, :0], content.left, content.top)
    room = box.hull(goal)
    x, y = box.center
    pivot = x - room.left, y - room.top
    placement = Placement(
        edit.dx, edit.dy, edit.scale_x, edit.scale_y, edit.rotation, edit.flip_x, edit.flip_y, pivot=pivot
    )
    sheet = transform_layer(content.within(room), placement)
    return content_of(sheet[goal.within(room)], goal.left, goal.top)


def _only_moves(edit: Edit) -> bool:
    turned = edit.rotation % 360 or edit.flip_x or edit.flip_y
    return not turned and edit.scale_x == edit.scale_y == 1


def _goal(box: Box, edit: Edit) -> Box:
    """A box that holds all that a content can reach when it is placed, its soft edge included."""
    angle = math.radians(edit.rotation)
    cos, sin = abs(math.cos(angle)), abs(math.sin(angle))
    half_x = (box.width / 2 + KERNEL_RADIUS * max(1, 1 / edit.scale_x)) * edit.scale_x
    half_y = (box.height / 2 + KERNEL_RADIUS * max(1, 1 / edit.scale_y)) * edit.scale_y
    reach_x, reach_y = cos * half_x + sin * half_y + 1, sin * half_x + cos * half_y + 1
    x, y = box.center[0] + edit.dx, box.center[1] + edit.dy
    return Box(math.floor(x - reach_x), math.floor(y - reach_y), math.ceil(x + reach_x), math.ceil(y + reach_y))


def flattened(contents: list[Content], opacities: list[float]) -> tuple[Tensor, Box]:
    """Contents as the layers (n, h, w, 4) of one sheet that holds them all, opacity in alpha; and where it lies."""
    box = contents[0].box
    for content in contents[1:]:
        box = box.hull(content.box)
    pixels = torch.stack([content.within(box) for content in contents])
    pixels[..., 3] *= pixels.new_tensor(opacities)[:, None, None]
    return pixels, box
