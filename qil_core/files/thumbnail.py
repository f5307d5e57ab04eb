"""The small picture of the whole that programs show in folders and lists of recent files."""

from __future__ import annotations

import io

from PIL import Image
from torch import Tensor

from ..composite import onto_color
from ..stack import to_bytes

WHITE = 1.0
"""The paper that a picture with clear places is laid on, as Photoshop does."""

JPEG_QUALITY = 85
"""1..95 in Pillow's scale: no blocks are seen at this size."""


def on_paper(merged: Tensor) -> Tensor:
    """The colours (H, W, 3) of a picture (H, W, 4) laid over white."""
    return onto_color(merged, merged.new_full((3,), WHITE))[..., :3]


def jpeg_thumbnail(merged: Tensor, side: int) -> tuple[bytes, tuple[int, int]]:
    """A picture (H, W, 4) over white as a JPEG of at most `side` pixels, and its width and height."""
    picture = Image.fromarray(to_bytes(on_paper(merged)).cpu().numpy())
    picture.thumbnail((side, side))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue(), picture.size
