"""The rim of a picture, which a background usually reaches, and the colours that are common there."""

from __future__ import annotations

import numpy as np

from .working import Floats, Mask

RIM = 20
"""The rim is this part (a twentieth) of the shorter side wide."""

CELL = 24
"""Side of a cell of the colour histogram, in 1/255: colours in one cell look alike."""


def rim_mask(height: int, width: int) -> Mask:
    """True along the rim of a picture."""
    rim = max(1, min(height, width) // RIM)
    mask = np.ones((height, width), bool)
    mask[rim : height - rim, rim : width - rim] = False
    return mask


def common_colors(colors: Floats, count: int, cell: int = CELL) -> list[Floats]:
    """The medians (3,) of the fullest cells of a histogram of colours (n, 3) in 0..255, the fullest first.

    cell: their side in 1/255.
    """
    cells = (colors / cell).astype(np.int64) @ np.array([1, 256, 65536])  # three numbers below 256 as one
    values, counts = np.unique(cells, return_counts=True)
    fullest = values[np.argsort(-counts, kind="stable")[:count]]
    return [np.median(colors[cells == cell], axis=0) for cell in fullest]
