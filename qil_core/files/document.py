"""ComfyUI's own LAYERS document: a dictionary of placed pictures, as its nodes Add Layer and Create Layered Image
(comfy_extras/nodes_compositor.py, since 0.30) make and read it. Nothing here needs ComfyUI.

An item is flipped, scaled to w x h, rotated clockwise about its centre and placed with its unrotated corner at x, y.
Items lie on each other by z_index; a batch of pictures is a layer each. mask: 1 = transparent. Places and sizes are
whole pixels, cut off as ComfyUI does. Its own drawing moves a turned picture by up to a pixel, where its box is rounded
outwards; here it stays where it is placed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import QilError
from ..stack import Box, LayerStack, check_image
from ..transform import MAX_SCALE, MIN_SCALE, Placement, transform_layer
from .layered import Layered, Look
from .limits import check_pixels

VERSION = 1
MAX_ITEMS = 50
"""Layers that Create Layered Image takes."""

Document = dict[str, Any]


def to_document(stack: LayerStack, look: Look) -> Document:
    """A LAYERS document of a stack: every layer cropped to its content, named and in its place, bottom first.

    The bottom layer meets nothing and is normal: over a clear canvas ComfyUI would make any other mode vanish.
    Raises QilError: more than 50 layers, wrong counts, unknown modes.
    """
    if len(stack) > MAX_ITEMS:
        raise QilError(f"The stack has {len(stack)} layers, and ComfyUI's layered image takes {MAX_ITEMS}: merge some.")
    look = look.of(len(stack))
    items = [_item(stack, look, index) for index in range(len(stack))]
    return {"version": VERSION, "canvas": (stack.width, stack.height), "layers": items}


def _item(stack: LayerStack, look: Look, index: int) -> dict[str, Any]:
    box = stack.bounds(index) or Box(0, 0, 1, 1)  # an empty layer is one clear pixel
    return {
        "type": "raster",
        "image": stack.pixels[index : index + 1, box.top : box.bottom, box.left : box.right],
        "x": box.left,
        "y": box.top,
        "z_index": index,
        "name": stack.names[index],
        "opacity": float(look.opacities[index]),
        "blend_mode": look.modes[index] if index else "normal",
        "visible": bool(look.visible[index]),
    }


def from_document(document: object) -> Layered:
    """The flat stack of a LAYERS document, bottom first; opacities stay in the look.

    Raises QilError: no document, another version, no layers or too many, an unknown mode, a value of a wrong kind.
    """
    items = _items(document)
    frames = [frame for item in items for frame in _frames(item)]
    if not 1 <= len(frames) <= MAX_ITEMS:
        raise QilError(f"The document holds {len(frames)} layers, expected 1 to {MAX_ITEMS}.")
    width, height = _canvas(document, frames)
    check_pixels(width * height * len(frames), f"{len(frames)} layers of {width}x{height} are", "the document")
    pixels = torch.stack([_placed(frame, image, width, height) for frame, image in frames])
    names = [_name(frame, i) for i, (frame, _) in enumerate(frames)]
    look = Look(
        tuple(str(frame.get("blend_mode") or "normal") for frame, _ in frames),
        tuple(_number(frame, "opacity", 1.0) for frame, _ in frames),
        tuple(bool(frame.get("visible", True)) for frame, _ in frames),
    )
    return Layered(LayerStack.from_image(pixels, names), look.of(len(frames)))


Frame = tuple[Mapping[str, Any], Tensor]
"""An item and one of its pictures (H, W, 4), mask and alpha in one."""


def _items(document: object) -> list[Mapping[str, Any]]:
    if not isinstance(document, Mapping) or not isinstance(document.get("layers"), (list, tuple)):
        raise QilError("This is not a LAYERS document: link the output of ComfyUI's Add Layer, or of this package.")
    if document.get("version", VERSION) != VERSION:
        raise QilError(
            f"The LAYERS document has version {document['version']!r}, this package reads {VERSION}: update."
        )
    items = [item for item in document["layers"] if isinstance(item, Mapping)]
    for item in items:
        if item.get("type", "raster") != "raster":
            raise QilError(f'The layer "{item.get("name")}" is a {item["type"]!r}, not a raster: rasterize it first.')
    return sorted(items, key=lambda item: _whole(item, "z_index"))


def _frames(item: Mapping[str, Any]) -> Iterator[Frame]:
    """The pictures of one item, as RGBA with the mask in alpha."""
    images = check_image(item.get("image"), channels=(3, 4))  # type: ignore[arg-type]  # checks that it is a tensor
    if images.shape[3] == 3:
        images = F.pad(images, (0, 1), value=1.0)
    mask = item.get("mask")
    for index, image in enumerate(images):
        yield item, image if mask is None else _masked(image, _mask_of(mask, index, images))


def _mask_of(mask: Any, index: int, images: Tensor) -> Tensor | None:
    """The mask (H, W) of one picture, resized to it; one alone serves all, and pictures beyond the last have none."""
    if not isinstance(mask, Tensor) or mask.ndim != 3:
        raise QilError("A layer's mask must be a tensor of shape (N, H, W).")
    if len(mask) > 1 and index >= len(mask):
        return None
    one = mask[0 if len(mask) == 1 else index].to(images)[None, None]
    size = images.shape[1:3]
    return one[0, 0] if one.shape[2:] == size else F.interpolate(one, size=size, mode="bilinear")[0, 0]


def _masked(image: Tensor, mask: Tensor | None) -> Tensor:
    if mask is None:
        return image
    return torch.cat([image[..., :3], image[..., 3:] * (1 - mask.clamp(0, 1))[..., None]], dim=-1)


def _number(item: Mapping[str, Any], key: str, default: float) -> float:
    value = item.get(key, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise QilError(f'The layer "{item.get("name")}" has the {key} {value!r}, expected a number.')
    return float(value)


def _whole(item: Mapping[str, Any], key: str) -> int:
    return int(_number(item, key, 0))


def _size(item: Mapping[str, Any], image: Tensor) -> tuple[int, int]:
    """Width and height on the canvas; 0 is the picture's own."""
    width, height = _whole(item, "w"), _whole(item, "h")
    return width if width > 0 else image.shape[1], height if height > 0 else image.shape[0]


def _canvas(document: Any, frames: list[Frame]) -> tuple[int, int]:
    """The document's canvas, or what holds all layers."""
    canvas = document.get("canvas")
    if isinstance(canvas, (list, tuple)) and len(canvas) == 2:
        sides = [_whole({"name": "canvas", "side": side}, "side") for side in canvas]
        if min(sides) > 0:
            return sides[0], sides[1]
    corners = [_corner(item, image) for item, image in frames]
    return max(1, *(x for x, _ in corners)), max(1, *(y for _, y in corners))


def _corner(item: Mapping[str, Any], image: Tensor) -> tuple[int, int]:
    """The right and bottom edge of a placed picture."""
    width, height = _size(item, image)
    angle = _number(item, "rotation", 0.0)
    cos, sin = abs(math.cos(angle)), abs(math.sin(angle))
    across, down = width * cos + height * sin, width * sin + height * cos
    x, y = _whole(item, "x") + width / 2, _whole(item, "y") + height / 2
    return math.ceil(round(x + across / 2, 6)), math.ceil(round(y + down / 2, 6))


def _placed(item: Mapping[str, Any], image: Tensor, width: int, height: int) -> Tensor:
    """A picture on the canvas (height, width, 4): flipped, scaled, rotated, moved."""
    own_height, own_width = image.shape[:2]
    goal = _size(item, image)
    scale = goal[0] / own_width, goal[1] / own_height
    if not all(MIN_SCALE <= s <= MAX_SCALE for s in scale):
        raise QilError(
            f'The layer "{item.get("name")}" is scaled by {scale[0]:g} x {scale[1]:g}, '
            f"expected {MIN_SCALE:g} to {MAX_SCALE:g}."
        )
    placement = Placement(
        dx=_whole(item, "x") + (goal[0] - own_width) / 2,
        dy=_whole(item, "y") + (goal[1] - own_height) / 2,
        scale_x=scale[0],
        scale_y=scale[1],
        rotation=_degrees(_number(item, "rotation", 0.0)),
        flip_x=bool(item.get("flip_h", False)),
        flip_y=bool(item.get("flip_v", False)),
        pivot=(own_width / 2, own_height / 2),
    )
    # The picture and the canvas both fit on the work surface, and the picture lies in its corner.
    surface = image.new_zeros(max(height, own_height), max(width, own_width), 4)
    surface[:own_height, :own_width] = image
    return transform_layer(surface, placement)[:height, :width]


def _degrees(radians: float) -> float:
    """An angle in degrees; quarter turns come out exactly, so that they copy pixels."""
    degrees = math.degrees(radians)
    quarter = round(degrees / 90) * 90
    return float(quarter) if abs(degrees - quarter) < 1e-6 else degrees


def _name(item: Mapping[str, Any], index: int) -> str:
    """The item's name on one line; the document has no groups, so that its "/" may be ours."""
    name = item.get("name")
    return " ".join(name.split()) if isinstance(name, str) and name.strip() else f"layer {index + 1}"
