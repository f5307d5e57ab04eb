"""The small copy of a picture on which the built-in decomposer looks for things."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Labels = NDArray[np.int32]
Mask = NDArray[np.bool_]

WORKING_SIDE = 1024
"""Longest side of the working copy in pixels; full resolution is only for edges (see `render`)."""


@dataclass(frozen=True)
class Working:
    """A small premultiplied copy. rgba: float32 (h, w, 4) in 0..255. noise: standard deviation in 1/255."""

    rgba: Floats
    noise: float

    @property
    def shape(self) -> tuple[int, int]:
        return self.rgba.shape[0], self.rgba.shape[1]

    @property
    def is_opaque(self) -> bool:
        """Whether nothing of the picture is clear."""
        return float(self.rgba[..., 3].min()) > 250


def working_copy(picture: Floats) -> Working:
    """Reduce straight-alpha (H, W, 4) in [0, 1] to at most WORKING_SIDE, averaging premultiplied values."""
    rgba = np.ascontiguousarray(_reduced(premultiplied(picture))) * np.float32(255)
    return Working(rgba, noise_level(rgba))


def premultiplied(picture: Floats) -> Floats:
    """Colours times alpha; an opaque picture is returned as it is, without a copy."""
    if float(picture[..., 3].min()) >= 1:
        return picture
    return np.concatenate([picture[..., :3] * picture[..., 3:], picture[..., 3:]], axis=-1)


def _reduced(picture: Floats) -> Floats:
    import cv2

    height, width = picture.shape[:2]
    scale = WORKING_SIDE / max(height, width)
    if scale >= 1:
        return picture
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.float32)


def noise_level(rgba: Floats) -> float:
    """Noise of the calm parts in 1/255: median absolute second difference, scaled to a standard deviation.

    The filter is that of Immerkaer, "Fast noise variance estimation" (1996); the median ignores edges.
    """
    import cv2

    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    response = np.abs(cv2.filter2D(rgba[..., 1], -1, kernel, borderType=cv2.BORDER_REFLECT_101))
    return float(np.median(response)) / 0.6745 / 6
