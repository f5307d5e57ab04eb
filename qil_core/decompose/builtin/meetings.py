"""Points where regions meet: T-junctions, where three do, and crossings, where four do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .working import Labels


def meetings(labels: Labels, counts: Sequence[int], margin_px: int = 0) -> NDArray[np.int64]:
    """Rows and columns (k, 2) of the pixels whose lower right corner touches so many labels of a map (h, w).

    counts: how many labels, of 1..4. margin_px: how far from the picture's border a point must be at least.
    """
    height, width = labels.shape
    spare = max(margin_px, 1)
    found = np.isin(labels_met(labels), counts)[margin_px : height - spare, margin_px : width - spare]
    return np.argwhere(found) + margin_px


def labels_met(labels: Labels) -> NDArray[np.int64]:
    """How many labels meet, 1..4, at each corner between four pixels: (h - 1, w - 1)."""
    four = np.sort(np.stack([labels[:-1, :-1], labels[:-1, 1:], labels[1:, :-1], labels[1:, 1:]], -1), -1)
    return np.asarray((np.diff(four, axis=-1) != 0).sum(-1) + 1)
