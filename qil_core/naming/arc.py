"""Letters on an arc, laid flat: `unrolled`.

1. `_circle`: the circle (Kåsa, "A circle fitting procedure and its error analysis", 1976) through the middles of the
   letters, which are the connected parts of the ink.
2. `_flat`: the ring around it in polar coordinates: its angle runs along the lines, its radius across them.

A line may run clockwise over the middle of its circle or counter-clockwise under it; both are given, the likelier one
first.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

MIN_LETTERS = 4
"""Letters through which a circle is laid at the least: three lie on one always."""

MIN_INK = 0.5
"""Ink from which a pixel belongs to a letter."""

MAX_OFF = 0.25
"""How far, in heights of the letters, their middles may lie from the circle on average: ascenders and descenders
lie that far off their line."""

MIN_BEND = 0.35
"""Angle in radians that the letters must span at the least: with less the line is read as it is."""

MAX_BEND = 1.9 * math.pi
"""The same at the most: all around there is no beginning."""

SPARE = 0.7
"""Clear space around the flat line in heights of the letters."""


class Arc(NamedTuple):
    """A circle through letters: its middle and radius in pixels, the angles from and to which they stand (clockwise
    from the right, in radians), and the height of the letters."""

    x: float
    y: float
    radius: float
    start: float
    end: float
    height: float


def unrolled(ink: Floats) -> Iterator[Floats]:
    """Ink (h, w) in 0..1 whose letters stand on an arc, laid flat; nothing where they do not."""
    arc = _circle(ink)
    if arc is None:
        return
    over = math.sin((arc.start + arc.end) / 2) < 0  # pictures have y downwards
    for outward in (over, not over):
        yield _flat(ink, arc, outward)


def _circle(ink: Floats) -> Arc | None:
    import cv2

    count, _, stats, _ = cv2.connectedComponentsWithStats((ink > MIN_INK).astype(np.uint8), connectivity=8)
    if count <= MIN_LETTERS:
        return None
    x, y, width, height = stats[1:, :4].astype(np.float64).T
    size = np.maximum(width, height)
    is_letter = size >= 0.5 * np.median(size)  # dots and commas lie off the line
    x, y, letter = (x + width / 2)[is_letter], (y + height / 2)[is_letter], float(np.median(size))
    if len(x) < MIN_LETTERS:
        return None
    (a, b, c), *_ = np.linalg.lstsq(np.stack([2 * x, 2 * y, np.ones_like(x)], 1), x**2 + y**2, rcond=None)
    radius = math.sqrt(max(0.0, c + a * a + b * b))
    off = np.abs(np.hypot(x - a, y - b) - radius)
    if not letter < radius < 10 * max(ink.shape) or float(off.mean()) > MAX_OFF * letter:
        return None
    start, end = _span(np.arctan2(y - b, x - a))
    return Arc(a, b, radius, start, end, letter) if MIN_BEND <= end - start <= MAX_BEND else None


def _span(angles: NDArray[np.float64]) -> tuple[float, float]:
    """From where to where angles reach, beginning behind their widest gap."""
    ordered = np.sort(angles)
    gaps = np.diff(np.append(ordered, ordered[0] + 2 * math.pi))
    first = (int(gaps.argmax()) + 1) % len(ordered)
    start = float(ordered[first])
    return start, start + 2 * math.pi - float(gaps.max())


def _flat(ink: Floats, arc: Arc, outward: bool) -> Floats:
    """The ring of an arc as a strip. outward: whether the letters' tops point away from the middle."""
    import cv2

    reach = (0.5 + SPARE) * arc.height
    turn = reach / arc.radius + arc.height / arc.radius
    angles = np.arange(arc.start - turn, arc.end + turn, 1 / arc.radius)
    radii = np.arange(arc.radius + reach, arc.radius - reach, -1.0)
    if not outward:
        angles, radii = angles[::-1], radii[::-1]
    x, y = arc.x + radii[:, None] * np.cos(angles), arc.y + radii[:, None] * np.sin(angles)
    flat = cv2.remap(ink, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR, borderValue=0)
    return np.asarray(flat, np.float32)
