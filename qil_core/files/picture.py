"""Reading one picture from a file."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from ..errors import QilError
from ..stack import GRID
from .limits import check_pixels
from .png import UNREADABLE
from .profile import LAB_ZERO, SPACES, Floats, conversion, space_of

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

LOG = logging.getLogger(__name__)

DEEP_GREY = ("I;16", "I;16B", "I;16L", "I;16N", "I")
"""Pillow's modes of grey with 16 bits, which its own conversion would cut off at 255."""

DEEP = 65535
"""The largest value of 16 bits."""

ORIENTATION = 0x0112
"""The EXIF tag that says how a picture is turned (EXIF 2.3, 4.6.4)."""

COLORS = {"L": "L", "LA": "L", "RGB": "RGB", "RGBA": "RGB", "RGBX": "RGB", "CMYK": "CMYK", "LAB": "LAB"}
"""Pillow's modes whose profile is applied to their own channels; others are RGB first."""


def load_picture(path: Path) -> Tensor:
    """A picture file as float32 (H, W, 4) sRGB on the 8-bit grid, upright as its EXIF says. Raises QilError.

    Colours are converted by the profile in the file, such as Display P3 of a telephone's photo; without one they are
    sRGB. CMYK without one is taken for ideal inks.
    """
    return picture_of(path, str(path))


def picture_of(file: Path | IO[bytes], name: str) -> Tensor:
    """The same of a path or an open file. name: what messages call it."""
    try:
        with Image.open(file) as opened:
            check_pixels(opened.width * opened.height, "it has", name)
            values = _deep(file, opened) if _is_deep(opened) else None  # first: what follows reads the file
            profile, turned = opened.info.get("icc_profile"), opened.getexif().get(ORIENTATION, 1)
            rgba = Image.fromarray(_srgb(opened, values, profile, name))
            rgba.getexif()[ORIENTATION] = turned
            pixels = np.array(ImageOps.exif_transpose(rgba))
    except FileNotFoundError:
        raise QilError(f"There is no file {name}.") from None
    except UNREADABLE as error:
        why = "it is no picture that is known here" if isinstance(error, UnidentifiedImageError) else error
        raise QilError(f"{name} cannot be read as a picture ({why}). Use PNG, JPEG, WebP, BMP, TIFF or GIF.") from None
    return torch.from_numpy(pixels).float().div_(GRID)


def _is_deep(picture: Picture) -> bool:
    """Whether a file holds colours of 16 bits, whose lower 8 Pillow throws away."""
    tiles = getattr(picture, "tile", [])
    raw = str(tiles[0][3][0] if isinstance(tiles[0][3], tuple) else tiles[0][3]) if tiles else ""
    return picture.mode in ("RGB", "RGBA", "LA") and ";16" in raw


def _deep(file: Path | IO[bytes], picture: Picture) -> Floats:
    """The colours of such a file by OpenCV, (H, W, 3|4) in [0, 1]. Raises ValueError: OpenCV does not read it."""
    import cv2

    if isinstance(file, Path):
        data = file.read_bytes()
    else:
        file.seek(0)
        data = file.read()
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if found is None or found.dtype != np.uint16 or found.shape[:2] != (picture.height, picture.width):
        raise ValueError("its 16 bits a channel cannot be read")
    order = [2, 1, 0, 3][: found.shape[2]]  # OpenCV has blue first
    return found[..., order].astype(np.float32) / np.float32(DEEP)


def _srgb(picture: Picture, deep: Floats | None, profile: bytes | None, name: str) -> NDArray[np.uint8]:
    """A picture as sRGB with alpha, (H, W, 4). A profile that is broken is left out, as browsers do, and logged."""
    if picture.mode in DEEP_GREY:
        deep = np.asarray(picture).clip(0, DEEP)[..., None].astype(np.float32) / np.float32(DEEP)
    mode = "RGB" if deep is not None and deep.shape[2] >= 3 else COLORS.get(picture.mode, "RGB")
    if mode == "L" and profile and space_of(profile) == SPACES["RGB"]:
        mode = "RGB"
    try:
        found = conversion(mode, profile)
    except ValueError as error:
        LOG.warning("%s: %s; it was left out.", name, error)
        found = conversion(mode, None)
    if deep is None and found is None:
        return np.array(picture.convert("RGBA"))
    values, alpha = _channels(picture, deep, mode)
    colors = found(values) if found else values
    rgba = np.concatenate([np.broadcast_to(colors, (*colors.shape[:2], 3)), alpha], axis=2)
    return np.rint(rgba * np.float32(GRID)).astype(np.uint8)


def _channels(picture: Picture, deep: Floats | None, mode: str) -> tuple[Floats, Floats]:
    """The colours of a mode (see profile.SPACES) and the alpha of a picture, each (H, W, C) in [0, 1]."""
    if deep is not None:
        colors = np.repeat(deep, 3, axis=2) if mode == "RGB" and deep.shape[2] == 1 else deep
        alpha = deep[..., 3:] if deep.shape[2] == 4 else np.ones((*deep.shape[:2], 1), np.float32)
        return colors[..., :3], alpha
    if mode in ("CMYK", "LAB"):
        values = np.asarray(picture).copy()
        if mode == "LAB":
            values[..., 1:] ^= LAB_ZERO  # Pillow gives a and b as signed bytes
        return values.astype(np.float32) / np.float32(GRID), np.ones((*values.shape[:2], 1), np.float32)
    rgba = np.asarray(picture.convert("RGBA")).astype(np.float32) / np.float32(GRID)
    return rgba[..., :1] if mode == "L" else rgba[..., :3], rgba[..., 3:]
