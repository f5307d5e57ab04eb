"""What is linked: areas of pixels of nearly one colour, and things under any relation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .working import Floats, Labels, Mask, Tolerance, strongest

LINK = Tolerance(5, 3)
"""Largest step between two neighbours inside one region."""

MAX_LINK = 16
"""The same, at the most, in 1/255: however noisy a picture, larger steps are edges."""


def link_step(noise: float) -> float:
    """Largest step between neighbours, in 1/255, inside one region."""
    return float(np.clip(LINK.at(noise), LINK.floor, MAX_LINK))


def linked_areas(rgba: Floats, step: float, front: Mask | Labels | None = None) -> Labels:
    """Connected areas (h, w), 1.., in which neighbours differ by less than step, after a median of 3 x 3.

    front: (h, w), a mask across whose edge nothing is linked, or numbers, of which only equal ones are.
    """
    import cv2

    calm = np.asarray(cv2.medianBlur(rgba.clip(0, 255).astype(np.uint8), 3), np.int16)
    down, across = strongest(calm[1:] - calm[:-1]) < step, strongest(calm[:, 1:] - calm[:, :-1]) < step
    if front is not None:
        down &= front[1:] == front[:-1]
        across &= front[:, 1:] == front[:, :-1]
    return linked_pixels(down, across)


def steep(rgba: Floats, step: float) -> Mask:
    """Where colours (h, w, 4) in 0..255 change by more than two steps within 3 x 3 pixels.

    Along a nearly level edge its blur changes slowly from pixel to pixel, and would link what it parts.
    """
    import cv2

    calm = cv2.medianBlur(rgba.clip(0, 255).astype(np.uint8), 3)
    return np.asarray(cv2.morphologyEx(calm, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)).max(2) > 2 * step)


def linked_pixels(down: Mask, across: Mask) -> Labels:
    """Areas (h, w), 1.., of pixels linked with the next one below, (h - 1, w), or on the right, (h, w - 1).

    Pixels and the links between them are drawn on a grid of twice the size, whose components are the areas.
    """
    import cv2

    height, width = across.shape[0], down.shape[1]
    grid = np.zeros((2 * height - 1, 2 * width - 1), np.uint8)
    grid[::2, ::2], grid[1::2, ::2], grid[::2, 1::2] = 1, down, across
    _, areas = cv2.connectedComponents(grid, connectivity=4)
    return np.ascontiguousarray(areas[::2, ::2])


def connected(linked: Mask) -> NDArray[np.int64]:
    """For each of n things the lowest number of those that it is linked with, also through others; linked: (n, n)."""
    number = np.arange(len(linked))
    while True:
        lowest = np.minimum(number, np.where(linked, number, len(number)).min(1, initial=len(number)))
        if (lowest == number).all():
            return number
        number = lowest


def compact(labels: Labels) -> Labels:
    """The same map with its labels numbered without gaps; 0 stays 0."""
    present = np.bincount(labels.ravel()) > 0
    present[0] = True
    return np.asarray((np.cumsum(present) - 1)[labels], np.int32)
