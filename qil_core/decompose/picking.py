"""Picking things of a picture without weights: boxes that share out its pixels, and clicks that correct a mask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..opencv import check_opencv
from ..stack import Box
from .builtin.working import Floats, Mask, reduced

SIDE_PX = 512
"""Longest side on which pixels are shared out."""


class Point(NamedTuple):
    """A click, in pixels of the picture; (0.5, 0.5) is the middle of the first one."""

    x: float
    y: float


class Picker:
    """What is known of one picture, float32 (H, W, 3) in [0, 1]: made once, used for every box and click.

    Nothing is random, and nothing of earlier calls is kept: the same boxes and clicks give the same masks.
    """

    def __init__(self, rgb: Floats) -> None:
        """Raises QilError without OpenCV."""
        check_opencv()
        self.shape = rgb.shape[:2]
        self.small = reduced(rgb * 255, SIDE_PX).clip(0, 255).astype(np.uint8)

    def boxes(self, boxes: Sequence[Box]) -> list[Mask]:
        """A mask (H, W) for each thing that a box (left, top, right, bottom, pixels) holds; none share a pixel."""
        taken = np.zeros(self.shape, bool)
        found: dict[int, Mask] = {}
        for i in sorted(range(len(boxes)), key=lambda i: boxes[i].width * boxes[i].height):
            marks = np.zeros(self.shape, np.uint8)
            marks[boxes[i].within(Box(0, 0, *self.shape[::-1]))] = 3
            found[i] = self._cut(marks) & ~taken
            taken |= found[i]
        return [found[i] for i in range(len(boxes))]

    def clicked(self, mask: Mask | None, inside: Sequence[Point], outside: Sequence[Point]) -> Mask:
        """A mask (H, W) with all points of `inside` in it, and none of `outside`: clicks one after another.

        mask: what the clicks correct; None: the thing is found from the first click inside alone.
        """
        marks = np.full(self.shape, 2, np.uint8)
        if mask is not None:
            marks[mask] = 3
        for points, mark in ((inside, 1), (outside, 0)):
            for x, y in points:
                marks[max(0, int(y) - 12) : int(y) + 13, max(0, int(x) - 12) : int(x) + 13] = mark
        return self._cut(marks)

    def _cut(self, marks: NDArray[np.uint8]) -> Mask:
        import cv2

        height, width = self.small.shape[:2]
        small = cv2.resize(marks, (width, height), interpolation=cv2.INTER_NEAREST)
        cv2.setRNGSeed(0)
        cv2.grabCut(self.small, small, None, np.zeros((1, 65)), np.zeros((1, 65)), 3, cv2.GC_INIT_WITH_MASK)
        cut = (small % 2).astype(np.float32)
        return np.asarray(cv2.resize(cut, self.shape[::-1], interpolation=cv2.INTER_LINEAR) > 0.5)
