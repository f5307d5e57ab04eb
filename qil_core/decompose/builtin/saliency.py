"""What stands out in a photo or busy picture, for want of a background that a formula explains."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .working import Floats, Mask

CUT_SIDE = 320
"""Longest side on which GrabCut runs."""


def salient(rgb: Floats) -> Mask:
    """Where a picture (h, w, 3) in 0..255 shows its subjects: GrabCut started from what differs from the border."""
    import cv2

    height, width = rgb.shape[:2]
    scale = min(1.0, CUT_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)).clip(0, 255).astype(np.uint8)
    cut = _cut(small)
    return np.asarray(cv2.resize(cut.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR) > 0.5)


def _cut(small: NDArray[np.uint8]) -> Mask:
    import cv2

    if min(small.shape[:2]) < 16:
        return np.zeros(small.shape[:2], bool)
    guess = _guess(small)
    marks = np.where(guess > np.quantile(guess, 0.6), cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    marks[guess < np.quantile(guess, 0.25)] = cv2.GC_BGD
    if len(np.unique(marks)) < 2 or float(guess.max() - guess.min()) < 1e-3:
        return np.zeros(small.shape[:2], bool)
    cv2.setRNGSeed(0)
    cv2.grabCut(small, marks, (0, 0, 1, 1), np.zeros((1, 65)), np.zeros((1, 65)), 3, cv2.GC_INIT_WITH_MASK)
    return np.asarray((marks == cv2.GC_FGD) | (marks == cv2.GC_PR_FGD))


def _guess(small: NDArray[np.uint8]) -> Floats:
    """How unlike the border a pixel is, times how central it is: (h, w)."""
    import cv2

    from .background import border_mask, common_colors

    height, width = small.shape[:2]
    lab = cv2.cvtColor(cv2.GaussianBlur(small, (0, 0), 3), cv2.COLOR_RGB2LAB).astype(np.float32)
    palette = common_colors(lab[border_mask(height, width)], 8)
    unlike = np.min([np.linalg.norm(lab - color, axis=2) for color in palette], axis=0)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    return np.asarray(unlike * np.exp(-(x**2 + y**2) / 0.8), np.float32)
