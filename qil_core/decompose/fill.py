"""Colour carried smoothly from where it is known to where it is not."""

from __future__ import annotations

import numpy as np

from .working import Floats


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
    filled = smooth_fill(coarse, np.minimum(total * 4, 1).astype(np.float32))
    up = cv2.resize(filled, (width, height), interpolation=cv2.INTER_LINEAR).reshape(colors.shape)
    return np.asarray(colors * known + up * (1 - known), np.float32)
