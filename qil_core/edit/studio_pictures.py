"""Pictures on their way to Model Studio and back: sizes, encoding, decoding."""

from __future__ import annotations

import base64
import io
import math
import re
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from ..errors import QilError
from ..files import png
from ..stack import same_aspect, to_bytes

INPUT_SIDES = (384, 3072)
"""Pixels of an input picture's sides that the API recommends."""

OUTPUT_SIDES = (512, 2048)
"""Pixels of an output picture's sides that `size` may ask for."""

GRID = 16
"""Sides that are chosen here are multiples of so many pixels, as the model's patches are."""

AUTO_SIDE = 1024
"""Side of the square with as many pixels as the API's pictures have where no size is asked for."""

WIDEST_INPUT = INPUT_SIDES[1] // INPUT_SIDES[0]
WIDEST_OUTPUT = OUTPUT_SIDES[1] // OUTPUT_SIDES[0]

LONGEST_URI = 10_000_000
"""Characters of a picture as a data URI. The API takes 10 MB; so the text fits, and the file in it all the more."""

MOST_PIXELS = 4096 * 4096
"""What is decoded; the API's own largest picture is 2048x2048."""


class Size(NamedTuple):
    """An output size in pixels: exact, or a square with as many pixels as the picture of another aspect gets."""

    width: int
    height: int
    exact: bool = False


AUTO = Size(AUTO_SIDE, AUTO_SIDE)


def parse_size(text: str) -> Size:
    """A size from "auto" (about 1024 x 1024 pixels in the picture's aspect), "1536" (as many pixels as a square of that
    side, in the picture's aspect) or "1536*1024" (just that). Raises QilError: another text, sides not 512..2048.
    """
    if text.strip() in ("", "auto"):
        return AUTO
    low, most = OUTPUT_SIDES
    found = re.fullmatch(r"([0-9]{3,4})(?:[*x]([0-9]{3,4}))?", text.lower().replace(" ", "")[:20])
    sides = [int(side) for side in found.groups() if side] if found else []
    if not sides or not all(low <= side <= most for side in sides):
        raise QilError(
            f"The size must be auto, one side such as 1536, or width*height such as 1536*1024, each {low} to {most}; "
            f"got {text[:40]!a}."
        )
    return Size(sides[0], sides[-1], exact=len(sides) == 2)


def native_size(width: int, height: int, size: Size = AUTO) -> tuple[int, int]:
    """Width and height of the API's picture of a picture of width x height: as many pixels as size, in its aspect.

    Sides are multiples of 16, 512 to 2048. Raises QilError when one side is more than 4 times the other, or when an
    exact size has another aspect than the picture, whose edit would not fit into its place.
    """
    low, most = OUTPUT_SIDES
    if size.exact:
        if not same_aspect((width, height), (size.width, size.height)):
            raise QilError(
                f"The picture is {width}x{height} and the size {size.width}*{size.height}: that is another aspect, so "
                f"the edit would not fit into its place. Use size auto, or one side such as {size.width}."
            )
        return size.width, size.height
    if max(width, height) > WIDEST_OUTPUT * min(width, height):
        raise QilError(
            f"The picture is {width}x{height}: Model Studio gives sides of {low} to {most} px, "
            f"so one side can be {WIDEST_OUTPUT} times the other at most. Crop or pad the picture first."
        )
    scale = min(math.sqrt(size.width * size.height / (width * height)), most / max(width, height))
    wide, high = (round(side * scale / GRID) * GRID for side in (width, height))
    return min(max(wide, low), most), min(max(high, low), most)


def input_size(width: int, height: int, name: str) -> tuple[int, int]:
    """The size nearest to width x height that the API takes. QilError: one side is more than 8 times the other."""
    low, most = INPUT_SIDES
    if max(width, height) > WIDEST_INPUT * min(width, height):
        raise QilError(
            f"{name} is {width}x{height}: Model Studio takes sides of {low} to {most} px, so one side can be "
            f"{WIDEST_INPUT} times the other at most. Crop or pad it first."
        )
    scale = min(most / max(width, height), max(1.0, low / min(width, height)))
    return max(low, round(width * scale)), max(low, round(height * scale))


def data_uri(picture: Tensor, name: str) -> tuple[str, tuple[str, ...]]:
    """A picture (H, W, 3) as the data URI of a PNG that the API takes, and notes on what had to be changed for that.

    Raises QilError: one side is more than 8 times the other.
    """
    image, notes = Image.fromarray(to_bytes(picture).cpu().numpy()), []
    size = input_size(*image.size, name)
    if size != image.size:
        low, most = INPUT_SIDES
        notes.append(f"{name} was sent {_scaled(image, size)}: Model Studio wants sides of {low} to {most} px.")
        image = image.resize(size, Image.Resampling.LANCZOS)
    uri = _uri(image, "png", compress_level=6)
    if len(uri) <= LONGEST_URI:
        return uri, tuple(notes)
    uri, sent = _smaller(image)
    scaled = "" if sent is image else f" and {_scaled(image, sent.size)}"
    notes.append(f"{name} was sent as JPEG (quality 95){scaled}: its PNG is larger than the 10 MB Model Studio takes.")
    return uri, tuple(notes)


def _smaller(image: Image.Image) -> tuple[str, Image.Image]:
    """As JPEG, and only where that is too large too, scaled down."""
    sent = image
    while len(uri := _uri(sent, "jpeg", quality=95, subsampling=0)) > LONGEST_URI:
        scale = 0.95 * math.sqrt(LONGEST_URI / len(uri)) * sent.width / image.width
        sent = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)
    return uri, sent


def _uri(image: Image.Image, kind: str, **options: int) -> str:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _scaled(image: Image.Image, size: tuple[int, int]) -> str:
    return f"scaled from {image.width}x{image.height} to {size[0]}x{size[1]}"


def letterbox(picture: Tensor, width: int, height: int) -> Tensor:
    """A picture (H, W, 3) in the middle of the smallest canvas of the aspect width : height that holds it.

    The bars have the mean colour of the picture's own border.
    """
    rows, columns, _ = picture.shape
    high, wide = max(rows, round(columns * height / width)), max(columns, round(rows * width / height))
    if (high, wide) == (rows, columns):
        return picture
    border = torch.cat([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    canvas = border.mean(0).expand(high, wide, 3).clone()
    top, left = (high - rows) // 2, (wide - columns) // 2
    canvas[top : top + rows, left : left + columns] = picture
    return canvas


def decode(data: bytes) -> Tensor:
    """A PNG of the API as float32 (H, W, 3), values k/255. Raises QilError: no PNG, a broken or far too large one."""
    width, height = png.png_size(data)
    if not 0 < width * height <= MOST_PIXELS:
        raise QilError(f"it is {width}x{height} pixels, far more or less than was asked for")
    try:
        return png.decode(data, (width, height))[..., :3].contiguous()
    except png.UNREADABLE as error:
        raise QilError(f"it is a broken PNG ({error})") from None
