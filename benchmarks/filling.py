"""Holes in grounds, filled: what patches cost and give beside a smooth fill and OpenCV's and scikit-image's inpainting.

A hole's true colours are known here and to nobody else, so the mean error says little: an even blot has the least.
Texture is the mean difference from the surroundings in the hole, as a share of the true ground's: 1 is right. Seam is
the same for second derivatives along the hole's edge.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import cv2
import numpy as np

from qil_core.decompose.builtin.fill import smooth_fill
from qil_core.decompose.builtin.patches import patch_fill
from qil_core.decompose.builtin.working import Floats, Mask

from .photographs import photograph
from .scenes import draw
from .tables import Row, print_table

SIDE = 512
SEEDS = (0, 2, 4)
FINE, COARSE = 1.5, 6.0
"""Standard deviations, in pixels, of the blurs that textures are differences from."""

RADIUS = 5
"""OpenCV's inpainting looks so many pixels around."""

Fill = Callable[[Floats, Mask], Floats]


def run() -> None:
    for name, fill in _fills().items():
        print_table(name, {ground: [row(fill, *case) for case in cases(ground)] for ground in GROUNDS})


def cases(ground: str) -> Iterator[tuple[Floats, Mask]]:
    """Colours (h, w, 3) in 0..255 and what is known of them, (h, w)."""
    for seed in SEEDS:
        scene = draw("shapes", "flat" if ground == "photograph" else ground, seed, SIDE).pixels.numpy()
        colors, hidden = scene[0, ..., :3] * 255, scene[1:, ..., 3].max(0) > 0
        if ground == "photograph":
            colors = photograph(seed // 2, hidden.shape[1], hidden.shape[0]) * 255
        yield np.ascontiguousarray(colors, np.float32), ~hidden


GROUNDS = ("gradient", "textured", "photo", "photograph")


def row(fill: Fill, colors: Floats, known: Mask) -> Row:
    """The figures of one hole."""
    started = time.process_time()
    filled = fill(np.where(known[..., None], colors, 0).astype(np.float32), known)
    seconds = time.process_time() - started
    grown = [cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0 for mask in (known, ~known)]
    second = [np.abs(cv2.Laplacian(image, cv2.CV_32F))[grown[0] & grown[1]].mean() for image in (filled, colors)]
    return {
        "error /255": float(np.abs(filled - colors)[~known].mean()),
        "fine texture": _texture(filled, known, FINE) / _texture(colors, known, FINE),
        "coarse texture": _texture(filled, known, COARSE) / _texture(colors, known, COARSE),
        "seam": float(second[0] / second[1]),
        "seconds": seconds,
    }


def _texture(colors: Floats, known: Mask, sigma: float) -> float:
    return float(np.abs(colors - cv2.GaussianBlur(colors, (0, 0), sigma))[~known].mean())


def _fills() -> dict[str, Fill]:
    """The ways to fill; scikit-image's where it is installed."""
    fills: dict[str, Fill] = {
        "smooth fill": lambda colors, known: smooth_fill(colors, known.astype(np.float32)),
        "patches": patch_fill,
        "OpenCV, Telea": _opencv(cv2.INPAINT_TELEA),
        "OpenCV, Navier-Stokes": _opencv(cv2.INPAINT_NS),
    }
    try:
        from skimage.restoration import inpaint_biharmonic
    except ImportError:
        return fills
    fills["biharmonic"] = lambda colors, known: 255 * inpaint_biharmonic(colors / 255, ~known, channel_axis=2)
    return fills


def _opencv(kind: int) -> Fill:
    def fill(colors: Floats, known: Mask) -> Floats:
        holes = (~known).astype(np.uint8)
        return cv2.inpaint(colors.round().astype(np.uint8), holes, RADIUS, kind).astype(np.float32)

    return fill
