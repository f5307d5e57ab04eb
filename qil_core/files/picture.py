"""Reading one picture from a file."""

from __future__ import annotations

from pathlib import Path
from typing import IO

import torch
from PIL import UnidentifiedImageError
from torch import Tensor

from ..errors import QilError
from ..stack import GRID
from .png import UNREADABLE


def load_picture(path: Path) -> Tensor:
    """A picture file as float32 (H, W, 4) on the 8-bit grid, upright as its EXIF says. Raises QilError."""
    return picture_of(path, str(path))


def picture_of(file: Path | IO[bytes], name: str) -> Tensor:
    """The same of a path or an open file. name: what messages call it."""
    import numpy as np
    from PIL import Image, ImageOps

    try:
        with Image.open(file) as opened:
            pixels = np.array(ImageOps.exif_transpose(opened).convert("RGBA"))
    except FileNotFoundError:
        raise QilError(f"There is no file {name}.") from None
    except UNREADABLE as error:
        why = "it is no picture that is known here" if isinstance(error, UnidentifiedImageError) else error
        raise QilError(f"{name} cannot be read as a picture ({why}). Use PNG, JPEG, WebP, BMP, TIFF or GIF.") from None
    return torch.from_numpy(pixels).float().div_(GRID)
