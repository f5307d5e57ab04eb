"""Step 4, saliency: what stands out in a photo or busy picture, where no formula explains the background.

1. `_guess`: a pixel stands out by how unlike the colours of the rim it is, and by how central it is.
2. `_cut`: GrabCut (Rother et al., 2004) starts from that guess and finds a subject with a clean outline.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...progress import Progress, silent
from .rim import common_colors, rim_mask
from .working import Floats, Mask, reduced

CUT_SIDE_PX = 320
"""Longest side on which GrabCut runs: its time grows with the pixels."""

MIN_SIDE_PX = 16
"""Below this side GrabCut has too few pixels for its colour models, and nothing stands out."""

CUT_ROUNDS = 3
"""Rounds of GrabCut: colour models, then outline."""

LIKELY_SHARE = 0.4
"""Share of the pixels, the most salient, that start as likely subject."""

SURE_SHARE = 0.25
"""Share of the pixels, the least salient, that are surely background."""

MIN_CONTRAST = 1e-3
"""Least range of the guess: below it the picture is of one colour, and nothing stands out."""

RIM_COLORS = 8
"""To how many colours of the rim a pixel is compared."""

GUESS_BLUR_PX = 3
"""Standard deviation of the blur before colours are compared, in pixels of the small picture."""

CENTRAL = 0.8
"""Width of the bell that favours the middle: exp(-(x^2 + y^2) / CENTRAL), with x and y from -1 to 1."""


def salient(rgb: Floats, progress: Progress = silent) -> Mask:
    """Where a picture (h, w, 3) in 0..255 shows its subjects."""
    import cv2

    height, width = rgb.shape[:2]
    cut = _cut(reduced(rgb, CUT_SIDE_PX).clip(0, 255).astype(np.uint8), progress)
    return np.asarray(cv2.resize(cut.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR) > 0.5)


def _cut(small: NDArray[np.uint8], progress: Progress) -> Mask:
    import cv2

    if min(small.shape[:2]) < MIN_SIDE_PX:
        return np.zeros(small.shape[:2], bool)
    guess = _guess(small)
    marks = np.where(guess > np.quantile(guess, 1 - LIKELY_SHARE), cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    marks[guess < np.quantile(guess, SURE_SHARE)] = cv2.GC_BGD
    if len(np.unique(marks)) < 2 or float(guess.max() - guess.min()) < MIN_CONTRAST:
        return np.zeros(small.shape[:2], bool)
    cv2.setRNGSeed(0)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    for number in range(CUT_ROUNDS):
        progress(number / CUT_ROUNDS, "finding what stands out")
        mode = cv2.GC_EVAL if number else cv2.GC_INIT_WITH_MASK
        cv2.grabCut(small, marks, (0, 0, 1, 1), *models, 1, mode)
    return np.asarray((marks == cv2.GC_FGD) | (marks == cv2.GC_PR_FGD))


def _guess(small: NDArray[np.uint8]) -> Floats:
    """How unlike the rim a pixel is, times how central it is: (h, w)."""
    import cv2

    height, width = small.shape[:2]
    lab = cv2.cvtColor(cv2.GaussianBlur(small, (0, 0), GUESS_BLUR_PX), cv2.COLOR_RGB2LAB).astype(np.float32)
    palette = common_colors(lab[rim_mask(height, width)], RIM_COLORS)
    unlike = np.min([np.linalg.norm(lab - color, axis=2) for color in palette], axis=0)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    return np.asarray(unlike * np.exp(-(x**2 + y**2) / CENTRAL), np.float32)
