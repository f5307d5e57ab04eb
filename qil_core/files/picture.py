"""Reading one picture from a file."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from ..errors import QilError
from ..stack import GRID


def load_picture(path: Path) -> Tensor:
    """A picture file as float32 (H, W, 4) on the 8-bit grid, upright as its EXIF says. Raises QilError."""
    import numpy as np
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(path) as file:
            pixels = np.array(ImageOps.exif_transpose(file).convert("RGBA"))
    except FileNotFoundError:
        raise QilError(f"There is no file {path}.") from None
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        raise QilError(
            f"{path} cannot be read as a picture ({error}). Use PNG, JPEG, WebP, BMP, TIFF or GIF."
        ) from None
    return torch.from_numpy(pixels).float().div_(GRID)
