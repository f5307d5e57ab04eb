"""Masks (h, w): their connected parts, and what is around them and inside them."""

from __future__ import annotations

import numpy as np

from ..stack import Box
from .shape_outlines import Mask


def parts(mask: Mask) -> tuple[np.ndarray, np.ndarray]:
    """The labels (h, w) of connected parts, and a line (x, y, width, height, pixels) for each label; 0 is none."""
    import cv2

    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    return labels, stats


def blots(mask: Mask) -> Mask:
    """The pixels of a mask that lie in two by two of it."""
    import cv2

    two = np.ones((2, 2), np.uint8)
    return cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, two).astype(bool)


def hull_of(mask: Mask) -> tuple[Box, Mask]:
    """The convex hull of a mask: its box, and a mask in that."""
    import cv2

    corners = cv2.convexHull(np.argwhere(mask)[:, ::-1].astype(np.int32))
    left, top, width, height = cv2.boundingRect(corners)
    sheet = np.zeros((height, width), np.uint8)
    cv2.fillConvexPoly(sheet, corners - np.array([left, top]), 1)
    return Box(left, top, left + width, top + height), sheet.astype(bool)


def filled_of(mask: Mask) -> Mask:
    """The mask with its holes."""
    import cv2

    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    sheet = np.zeros(mask.shape, np.uint8)
    return cv2.drawContours(sheet, contours, -1, 1, cv2.FILLED).astype(bool)


def grown(mask: Mask, by: int) -> Mask:
    """The mask with so many pixels more all round, or fewer; the window's border takes none away."""
    import cv2

    if by == 0:
        return mask
    kernel = np.ones((2 * abs(by) + 1, 2 * abs(by) + 1), np.uint8)
    change = cv2.dilate if by > 0 else cv2.erode
    return change(mask.astype(np.uint8), kernel).astype(bool)
