"""What is known, carried to where it is not: smoothly, or from the nearest place."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .working import Floats, Labels, Mask


def smooth_fill(colors: Floats, weights: Floats) -> Floats:
    """Colours everywhere, from colours (h, w, c) trusted with weights (h, w) >= 0; where trusted, they stay.

    Push-pull interpolation (Gortler et al., "The Lumigraph", 1996): averages at ever coarser scale fill what
    the finer scale does not know.
    """
    import cv2

    height, width = weights.shape
    if max(height, width) == 1:
        return colors
    known = np.minimum(weights, 1)[..., None]
    size = ((width + 1) // 2, (height + 1) // 2)
    total = cv2.resize(weights, size, interpolation=cv2.INTER_AREA)
    sums = cv2.resize(colors * weights[..., None], size, interpolation=cv2.INTER_AREA)
    coarse = np.asarray(sums.reshape(*total.shape, -1) / np.maximum(total, 1e-12)[..., None], np.float32)
    filled = smooth_fill(coarse, np.minimum(total * 4, 1).astype(np.float32))  # 4 pixels are one of the coarser scale
    up = cv2.resize(filled, (width, height), interpolation=cv2.INTER_LINEAR).reshape(colors.shape)
    return np.asarray(colors * known + up * (1 - known), np.float32)


def nearest(known: Mask) -> tuple[NDArray[np.int64], Floats]:
    """Flat index (h, w) of the nearest known pixel, and the distance (h, w) to it in pixels."""
    import cv2

    distance, marks = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    place = np.zeros(int(marks.max()) + 1, np.int64)
    place[marks[known]] = np.flatnonzero(known)
    return place[marks], np.asarray(distance, np.float32)


def nearest_label(labels: Labels) -> Labels:
    """The label (h, w) of the nearest pixel that has one (0 is none)."""
    return np.asarray(labels.reshape(-1)[nearest(labels > 0)[0]])
