"""The ink of a layer: what is opaque there, in connected pieces, and turned so that its lines run level.

1. `turn_of`, `is_sharper`, `turned`: by how much the lines are turned, and the layer turned back.
2. `ink_of`: the connected pieces of ink, and which of them are noise.
3. `picture_of`: the ink in black on white, as readers take it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..ocr import MARGIN_PX, Corners

Floats = NDArray[np.float32]
Labels = NDArray[np.int32]

MIN_INK = 0.2
"""Least alpha of ink, as a share of the layer's largest: less is a soft rim."""

MIN_PEAK = 0.5
"""Least peak of a piece of ink, in the same share: what stays below is noise of JPEG or a soft shadow."""

MIN_TURN_DEGREES = 1.5
"""Lines that are turned by less are taken as level: boxes around short level lines are off by as much."""

MIN_SHARPER_ROWS = 1.1
"""How much sharper the rows of a turned layer must be once they are level; else the box is turned, not the words."""

MAX_TURN_DEGREES = 45
"""Lines that are turned by more run downwards."""


@dataclass(frozen=True)
class Ink:
    """The upright alpha (h, w) in 0..1, and its connected pieces: labels (h, w), 0 for none, and a row a piece.

    stats: left, top, width, height and area of piece 1.. in pixels; row 0 is the ground. A piece that is faint all over
    has its label below 0.
    """

    labels: Labels
    stats: NDArray[np.int32]
    alpha: Floats

    def mask(self, pieces: tuple[int, ...]) -> NDArray[np.bool_]:
        """Where these pieces are (h, w)."""
        return np.isin(self.labels, pieces)

    def patch(self, pieces: tuple[int, ...]) -> tuple[tuple[slice, slice], Floats]:
        """The window of these pieces with two pixels around it, and its alpha there, without other ink."""
        rows = self.stats[list(pieces)]
        (left, top), (right, bottom) = rows[:, :2].min(0), (rows[:, :2] + rows[:, 2:4]).max(0)
        height, width = self.alpha.shape
        window = (slice(max(0, top - 2), min(height, bottom + 2)), slice(max(0, left - 2), min(width, right + 2)))
        labels = self.labels[window]
        other = (labels > 0) & ~np.isin(labels, pieces)
        return window, np.where(other, 0, self.alpha[window]).astype(np.float32)


def ink_of(alpha: Floats) -> Ink:
    """The ink of an alpha channel (h, w)."""
    import cv2

    solid = (alpha >= MIN_INK * max(float(alpha.max()), 1e-6)).astype(np.uint8)
    _, found, stats, _ = cv2.connectedComponentsWithStats(solid, connectivity=8)
    labels = np.asarray(found, np.int32)
    peaks = np.zeros(len(stats), np.float32)
    np.maximum.at(peaks, labels.ravel(), alpha.ravel())
    weak = peaks < MIN_PEAK * float(alpha.max())
    return Ink(np.where(weak, -1, 1)[labels].astype(np.int32) * labels, np.asarray(stats, np.int32), alpha)


def picture_of(alpha: Floats) -> NDArray[np.uint8]:
    """The ink in black on white (h, w, 3), with MARGIN_PX around it."""
    padded = np.pad(1 - alpha / max(float(alpha.max()), 1e-6), MARGIN_PX, constant_values=1)
    return np.repeat((255 * padded.clip(0, 1)).round().astype(np.uint8)[..., None], 3, -1)


def turn_of(boxes: list[Corners]) -> float:
    """Degrees clockwise by which the longest line is turned; 0 where it is level or runs downwards."""
    if not boxes:
        return 0.0
    longest = max(boxes, key=lambda box: float(np.linalg.norm(box[1] - box[0])))
    across, down = (longest[1] + longest[2] - longest[0] - longest[3]).tolist()
    turn = math.degrees(math.atan2(down, across))
    return turn if MIN_TURN_DEGREES <= abs(turn) <= MAX_TURN_DEGREES else 0.0


def is_sharper(alpha: Floats, degrees: float) -> bool:
    """Whether lines in an alpha (h, w) are level once it is turned counter-clockwise: their rows are sharper."""
    level, given = (float((np.diff(each.sum(1)) ** 2).sum()) for each in (turned(alpha, degrees), alpha))
    return level > MIN_SHARPER_ROWS * given


def turned(pixels: Floats, degrees: float) -> Floats:
    """Pixels (h, w, c) turned counter-clockwise about their middle, on a sheet that holds all of them."""
    import cv2

    height, width = pixels.shape[:2]
    cos, sin = abs(math.cos(math.radians(degrees))), abs(math.sin(math.radians(degrees)))
    size = math.ceil(width * cos + height * sin), math.ceil(width * sin + height * cos)
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    matrix[:, 2] += [(size[0] - width) / 2, (size[1] - height) / 2]
    return np.asarray(cv2.warpAffine(pixels, matrix, size, flags=cv2.INTER_CUBIC), np.float32)
