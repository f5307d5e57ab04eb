"""Texture that is the same everywhere, such as paper or grain: how strong it is, where one lies behind a whole picture.

A stationary texture has the same spread in every part of the picture that it fills. Things and their edges have more,
or none, and no two of them have the same.

1. `_spreads`: the spread of colours around a plane, in square cells of a small copy.
2. `stationary_texture`: the spread that many cells on the rim share, which a background reaches.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .working import Floats, reduced

TEXTURE_SIDE_PX = 128
"""Longest side of the small copy, as that on which polynomials are fitted."""

CELL_PX = 16
"""Side of a cell in pixels of the small copy: large enough for soft blotches, small enough to lie between things."""

LOW = 0.25
"""The quantile of the rim's cells in which no thing is seen: a background shows on a quarter of the rim at least."""

ALIKE = 1.35
"""Largest ratio of two spreads that are the same texture: cells of 16 x 16 of one texture differ by a fifth."""

MIN_ALIKE = 0.3
"""Share of the rim's cells that must have that spread for the texture to be stationary."""

MAX_TEXTURE = 16
"""Standard deviation, in 1/255, above which a texture is not faint, but scenery."""


def stationary_texture(rgb: Floats) -> float:
    """Standard deviation, in 1/255, of the texture behind a picture (h, w, 3) in 0..255; 0 where there is none."""
    spreads = _spreads(reduced(rgb, TEXTURE_SIDE_PX))
    if min(spreads.shape) < 3:
        return 0.0
    rim = np.concatenate([spreads[[0, -1]].ravel(), spreads[1:-1, [0, -1]].ravel()])
    level = float(np.quantile(rim, LOW))
    alike = (rim < level * ALIKE) & (rim > level / ALIKE)
    return level if level < MAX_TEXTURE and alike.mean() > MIN_ALIKE else 0.0


def _spreads(small: Floats) -> Floats:
    """The largest channel's standard deviation around a plane, in each whole cell: (rows, columns)."""
    rows, columns = (side // CELL_PX for side in small.shape[:2])
    cells = small[: rows * CELL_PX, : columns * CELL_PX].reshape(rows, CELL_PX, columns, CELL_PX, 3)
    flat = cells.transpose(0, 2, 1, 3, 4).reshape(rows, columns, CELL_PX**2, 3)
    return np.asarray(np.sqrt(np.square(_without_planes() @ flat).mean(2)).max(2), np.float32)


def _without_planes() -> NDArray[np.float32]:
    """The matrix that takes the plane of best fit off a cell's values (CELL_PX ** 2,)."""
    y, x = np.mgrid[:CELL_PX, :CELL_PX].reshape(2, -1)
    plane = np.stack([np.ones_like(x), x, y], 1).astype(np.float64)
    return np.asarray(np.eye(CELL_PX**2) - plane @ np.linalg.pinv(plane), np.float32)
