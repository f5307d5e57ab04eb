"""Illustrated figures of many colours with outlines, drawn from ellipses, polygons and curves.

A figure is drawn in a frame of its own: x to the right, y up, the ground at 0, the figure's height 1.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable, Sequence

import numpy as np

from .canvas import Points
from .page import Color, Page, Sheet, ellipse, smooth

SKINS: tuple[Color, ...] = ((0.98, 0.84, 0.72), (0.90, 0.69, 0.52), (0.62, 0.42, 0.29), (0.96, 0.76, 0.66))
DARK: Color = (0.12, 0.09, 0.14)
WHITE: Color = (0.98, 0.98, 0.97)

Point = tuple[float, float]


class Frame:
    """Draws a figure on a sheet: at x, its feet at y, so high; flip mirrors it. Lengths in shares of its height."""

    def __init__(self, sheet: Sheet, page: Page, x: float, y: float, height: float) -> None:
        self.sheet, self.page = sheet, page
        self._origin, self._scale = np.array([x, y]), np.array([height * (-1 if page.chance(0.5) else 1), -height])
        self._unit = height
        self.hue = page.between(0, 1)
        self.edge: Color | None = None if page.chance(0.15) else DARK if page.chance(0.6) else self.tone(0, 0.22, 0.5)
        self.line = page.between(0.008, 0.016)

    def tone(self, turn: float, light: float, strength: float = 0.65) -> Color:
        """A colour whose hue is so far from the figure's own."""
        return colorsys.hls_to_rgb((self.hue + turn) % 1, light, strength)

    def oval(self, x: float, y: float, rx: float, ry: float, fill: Color, turn: float = 0) -> None:
        self._outlined(ellipse(x, y, rx, ry, turn), fill)

    def spot(self, x: float, y: float, rx: float, ry: float, fill: Color) -> None:
        """An oval without an outline."""
        self.sheet.shape(self._placed(ellipse(x, y, rx, ry)), fill)

    def blob(self, points: Sequence[Point], fill: Color) -> None:
        self._outlined(smooth(points), fill)

    def polygon(self, points: Sequence[Point], fill: Color) -> None:
        self._outlined(np.asarray(points, float), fill)

    def limb(self, points: Sequence[Point], fill: Color, width: float) -> None:
        """A thick curve with an outline: an arm, a leg, a tail."""
        curve = self._placed(smooth(points, closed=False))
        if self.edge is not None:
            self.sheet.stroke(curve, self.edge, (width + 2 * self.line) * self._unit)
        self.sheet.stroke(curve, fill, width * self._unit)

    def mark(self, points: Sequence[Point], color: Color, width: float) -> None:
        """A thin curve: a mouth, a whisker."""
        self.sheet.stroke(self._placed(smooth(points, closed=False)), color, width * self._unit)

    def _outlined(self, outline: Points, fill: Color) -> None:
        self.sheet.shape(self._placed(outline), fill, self.edge, self.line * self._unit)

    def _placed(self, points: Points) -> Points:
        return np.asarray(points) * self._scale + self._origin


def girl(f: Frame) -> None:
    """Hair, face, dress, arms and legs; now and then a hat, or a book in her hands."""
    skin, hair = SKINS[f.page.count(0, 3)], f.tone(f.page.between(0.3, 0.7), f.page.between(0.15, 0.5))
    dress, second, shoes = f.tone(0, 0.5), f.tone(0.12, 0.72), f.tone(0.5, 0.25)
    f.blob(
        [(-0.2, 0.75), (-0.23, 0.55), (-0.2, 0.38), (0, 0.42), (0.2, 0.38), (0.23, 0.55), (0.2, 0.75), (0, 0.9)], hair
    )
    for side in (-1, 1):
        f.limb([(0.06 * side, 0.2), (0.065 * side, 0.03)], skin, 0.05)
        f.oval(0.08 * side, 0.02, 0.05, 0.025, shoes)
        f.limb([(0.09 * side, 0.45), (0.2 * side, 0.36), (0.23 * side, 0.3 + 0.16 * (side > 0))], skin, 0.045)
    f.blob([(-0.08, 0.5), (-0.11, 0.35), (-0.21, 0.17), (0, 0.14), (0.21, 0.17), (0.11, 0.35), (0.08, 0.5)], dress)
    f.mark([(-0.18, 0.2), (0, 0.175), (0.18, 0.2)], second, 0.018)
    f.polygon([(-0.06, 0.5), (0.06, 0.5), (0, 0.44)], WHITE)
    f.oval(0, 0.64, 0.15, 0.14, skin)
    f.blob([(-0.16, 0.66), (-0.12, 0.79), (0.02, 0.82), (0.15, 0.76), (0.16, 0.66), (0.08, 0.73), (-0.06, 0.74)], hair)
    _face(f, 0, 0.62, 0.13)
    if f.page.chance(0.6):
        hat = f.tone(0.33, 0.42)
        f.oval(0, 0.78, 0.24, 0.045, hat)
        f.blob([(-0.14, 0.79), (-0.11, 0.92), (0, 0.97), (0.11, 0.92), (0.14, 0.79), (0, 0.76)], hat)
        f.mark([(-0.13, 0.81), (0, 0.785), (0.13, 0.81)], second, 0.028)
    if f.page.chance(0.4):
        f.polygon([(-0.12, 0.25), (0.12, 0.25), (0.13, 0.4), (0, 0.37), (-0.13, 0.4)], f.tone(0.6, 0.45))


def cat(f: Frame) -> None:
    """A sitting cat with stripes and a collar."""
    fur = f.tone(0, f.page.between(0.25, 0.75), 0.5)
    stripe, belly = f.tone(0, 0.22, 0.5), f.tone(0.05, 0.9, 0.5)
    f.limb([(0.2, 0.08), (0.42, 0.1), (0.45, 0.3), (0.36, 0.42)], fur, 0.07)
    f.blob([(-0.24, 0.02), (-0.2, 0.35), (-0.1, 0.55), (0.1, 0.55), (0.2, 0.35), (0.26, 0.02), (0, -0.01)], fur)
    f.blob([(-0.09, 0.08), (-0.08, 0.38), (0, 0.48), (0.08, 0.38), (0.09, 0.08)], belly)
    for side in (-1, 1):
        f.oval(0.1 * side, 0.03, 0.075, 0.04, belly)
        f.polygon([(0.22 * side, 0.76), (0.2 * side, 1.0), (0.05 * side, 0.86)], fur)
        f.spot(0.165 * side, 0.86, 0.025, 0.05, f.tone(0.9, 0.75))
        for y in (0.2, 0.28, 0.36):
            f.mark([(0.2 * side * (1 - 0.4 * y), y), (0.13 * side, y - 0.02)], stripe, 0.022)
    f.oval(0, 0.7, 0.25, 0.19, fur)
    for x in (-0.07, 0, 0.07):
        f.mark([(x, 0.87), (x * 0.8, 0.8)], stripe, 0.022)
    _face(f, 0, 0.68, 0.2)
    for side in (-1, 1):
        for rise in (-0.02, 0.02):
            f.mark([(0.1 * side, 0.63), (0.27 * side, 0.63 + rise)], DARK, 0.007)
    f.mark([(-0.14, 0.54), (0, 0.51), (0.14, 0.54)], f.tone(0.5, 0.5), 0.035)
    f.oval(0, 0.5, 0.03, 0.03, (0.95, 0.8, 0.2))


def pumpkin(f: Frame) -> None:
    """A ribbed pumpkin with a carved face and a leaf."""
    body, stem = (0.93, f.page.between(0.45, 0.6), 0.12), (0.35, 0.48, 0.18)
    for x, rx in ((-0.36, 0.2), (0.36, 0.2), (-0.2, 0.24), (0.2, 0.24), (0, 0.22)):
        f.oval(x, 0.4, rx, 0.38, tuple(c * (1 - 0.25 * abs(x)) for c in body))
    f.limb([(0, 0.76), (0.02, 0.86), (0.1, 0.93)], stem, 0.08)
    f.blob([(0.05, 0.8), (0.2, 0.92), (0.36, 0.86), (0.22, 0.78)], (0.45, 0.62, 0.22))
    glow = (1.0, 0.87, 0.35) if f.page.chance(0.6) else DARK
    for side in (-1, 1):
        f.polygon([(0.1 * side, 0.45), (0.3 * side, 0.45), (0.2 * side, 0.62)], glow)
    f.polygon(
        [(-0.3, 0.34), (-0.2, 0.16), (-0.07, 0.22), (0.05, 0.14), (0.2, 0.17), (0.3, 0.34), (0.1, 0.27), (-0.1, 0.28)],
        glow,
    )


def ghost(f: Frame) -> None:
    """A pale ghost with arms and a witch's hat."""
    sheet = f.tone(0, 0.93, 0.6)
    hem = [(0.26, 0.05), (0.17, 0.12), (0.08, 0.02), (0, 0.11), (-0.09, 0.02), (-0.17, 0.12), (-0.27, 0.05)]
    f.blob([*hem, (-0.25, 0.45), (-0.17, 0.72), (0, 0.8), (0.17, 0.72), (0.25, 0.45)], sheet)
    for side in (-1, 1):
        f.blob([(0.2 * side, 0.5), (0.34 * side, 0.52), (0.36 * side, 0.44), (0.22 * side, 0.38)], sheet)
        f.spot(0.08 * side, 0.58, 0.035, 0.055, DARK)
        f.spot(0.075 * side, 0.6, 0.012, 0.016, WHITE)
        f.spot(0.15 * side, 0.49, 0.03, 0.018, (0.98, 0.66, 0.7))
    f.spot(0, 0.46, 0.03, 0.045, DARK)
    if f.page.chance(0.6):
        hat = f.tone(0.5, 0.3)
        f.oval(0, 0.74, 0.26, 0.04, hat)
        f.polygon([(-0.15, 0.75), (0.06, 1.0), (0.16, 0.75)], hat)
        f.mark([(-0.14, 0.775), (0.15, 0.775)], f.tone(0.1, 0.6), 0.035)


def tree(f: Frame) -> None:
    """A trunk with a branch, a crown of several greens, and fruit."""
    bark, leaf = (0.45, 0.29, 0.17), f.page.between(0.2, 0.45)
    f.blob([(-0.09, 0.0), (-0.05, 0.2), (-0.05, 0.5), (0.05, 0.5), (0.05, 0.2), (0.1, 0.0)], bark)
    f.limb([(0.03, 0.3), (0.14, 0.4), (0.16, 0.5)], bark, 0.04)
    f.mark([(-0.015, 0.1), (-0.02, 0.35)], (0.33, 0.2, 0.12), 0.014)
    for i, (x, y, r) in enumerate(
        ((-0.2, 0.55, 0.17), (0.2, 0.57, 0.18), (0, 0.5, 0.17), (-0.1, 0.73, 0.19), (0.12, 0.76, 0.2))
    ):
        f.oval(x, y, r, 0.9 * r, (leaf * 0.75, 0.38 + 0.07 * i, 0.16 + 0.03 * i))
    for x, y in f.page.random.uniform((-0.25, 0.5), (0.25, 0.85), (8, 2)):
        f.oval(float(x), float(y), 0.028, 0.028, f.tone(0, 0.5, 0.8))


def rabbit(f: Frame) -> None:
    """A rabbit standing with a carrot, in trousers and a scarf."""
    fur, trousers, scarf = f.tone(0, f.page.between(0.6, 0.88), 0.25), f.tone(0.55, 0.42), f.tone(0.3, 0.5)
    for side in (-1, 1):
        f.blob(
            [(0.04 * side, 0.72), (0.04 * side, 0.92), (0.1 * side, 1.0), (0.15 * side, 0.9), (0.12 * side, 0.72)], fur
        )
        f.spot(0.09 * side, 0.87, 0.02, 0.08, (0.97, 0.75, 0.76))
        f.oval(0.09 * side, 0.03, 0.1, 0.035, fur)
        f.limb([(0.13 * side, 0.42), (0.24 * side, 0.34), (0.16 * side, 0.28)], fur, 0.06)
    f.oval(0, 0.3, 0.17, 0.2, fur)
    f.blob(
        [(-0.165, 0.28), (-0.16, 0.07), (-0.02, 0.06), (0, 0.14), (0.02, 0.06), (0.16, 0.07), (0.165, 0.28), (0, 0.25)],
        trousers,
    )
    f.oval(0, 0.62, 0.17, 0.15, fur)
    _face(f, 0, 0.61, 0.14)
    f.limb([(-0.11, 0.49), (0, 0.465), (0.11, 0.49)], scarf, 0.045)
    f.limb([(0.07, 0.47), (0.09, 0.36)], scarf, 0.04)
    f.polygon([(0.13, 0.36), (0.2, 0.31), (0.06, 0.14)], (0.95, 0.5, 0.12))
    f.blob([(0.16, 0.35), (0.2, 0.44), (0.24, 0.4), (0.2, 0.34)], (0.35, 0.62, 0.2))


def house(f: Frame) -> None:
    """Walls, a roof with a chimney, a door, windows with crosses."""
    wall, roof, door = f.tone(0, 0.8, 0.5), f.tone(0.5, 0.4), f.tone(0.7, 0.35)
    f.polygon([(0.18, 0.7), (0.18, 0.95), (0.28, 0.95), (0.28, 0.6)], (0.62, 0.32, 0.26))
    f.polygon([(-0.35, 0), (-0.35, 0.52), (0.35, 0.52), (0.35, 0)], wall)
    f.polygon([(-0.45, 0.5), (0, 0.95), (0.45, 0.5)], roof)
    for y in (0.58, 0.66, 0.74):
        f.mark([(-0.85 * (0.95 - y), y), (0.85 * (0.95 - y), y)], f.tone(0.5, 0.3), 0.012)
    f.polygon([(-0.08, 0), (-0.08, 0.3), (0.08, 0.3), (0.08, 0)], door)
    f.spot(0.05, 0.14, 0.013, 0.013, (0.95, 0.8, 0.2))
    for x in (-0.23, 0.23):
        f.polygon([(x - 0.07, 0.2), (x - 0.07, 0.38), (x + 0.07, 0.38), (x + 0.07, 0.2)], (0.7, 0.88, 0.97))
        f.mark([(x, 0.2), (x, 0.38)], WHITE, 0.014)
        f.mark([(x - 0.07, 0.29), (x + 0.07, 0.29)], WHITE, 0.014)


def robot(f: Frame) -> None:
    """A robot with a screen for a face, buttons, and pincers."""
    steel, dark, light = f.tone(0, 0.6, 0.25), f.tone(0, 0.35, 0.3), f.tone(0.5, 0.55, 0.9)
    for side in (-1, 1):
        f.limb([(0.09 * side, 0.2), (0.09 * side, 0.05)], dark, 0.07)
        f.polygon([(0.02 * side, 0), (0.19 * side, 0), (0.16 * side, 0.06), (0.04 * side, 0.06)], steel)
        f.limb([(0.19 * side, 0.46), (0.3 * side, 0.38), (0.31 * side, 0.27)], dark, 0.05)
        f.oval(0.31 * side, 0.23, 0.045, 0.045, light)
    f.polygon([(-0.2, 0.17), (-0.2, 0.52), (0.2, 0.52), (0.2, 0.17)], steel)
    f.polygon([(-0.13, 0.33), (-0.13, 0.47), (0.13, 0.47), (0.13, 0.33)], WHITE)
    for i, x in enumerate((-0.09, 0, 0.09)):
        f.oval(x, 0.25, 0.025, 0.025, f.tone(0.33 * i, 0.55, 0.9))
        f.mark([(x - 0.03, 0.36), (x, 0.36 + 0.03 * i), (x + 0.03, 0.38)], dark, 0.01)
    f.mark([(0, 0.85), (0, 0.95)], dark, 0.02)
    f.oval(0, 0.965, 0.03, 0.03, light)
    f.blob([(-0.2, 0.58), (-0.21, 0.82), (0, 0.87), (0.21, 0.82), (0.2, 0.58), (0, 0.55)], steel)
    f.blob([(-0.15, 0.63), (-0.15, 0.78), (0, 0.81), (0.15, 0.78), (0.15, 0.63), (0, 0.61)], (0.1, 0.15, 0.2))
    _face(f, 0, 0.7, 0.12)


FIGURES: dict[str, tuple[Callable[[Frame], None], float]] = {
    "girl": (girl, 0.5),
    "cat": (cat, 0.65),
    "pumpkin": (pumpkin, 1.1),
    "ghost": (ghost, 0.65),
    "tree": (tree, 0.7),
    "rabbit": (rabbit, 0.5),
    "house": (house, 0.85),
    "robot": (robot, 0.65),
}
"""What draws a figure, and how wide it is, in shares of its height."""


def _face(f: Frame, x: float, y: float, size: float) -> None:
    """Eyes with a light in them, cheeks and a mouth; size is half the face's width."""
    for side in (-1, 1):
        at = x + 0.42 * size * side
        f.spot(at, y + 0.1 * size, 0.17 * size, 0.24 * size, WHITE)
        f.spot(at, y + 0.08 * size, 0.12 * size, 0.19 * size, DARK)
        f.spot(at + 0.04 * size, y + 0.16 * size, 0.045 * size, 0.06 * size, WHITE)
        f.spot(x + 0.72 * size * side, y - 0.25 * size, 0.17 * size, 0.1 * size, (0.97, 0.62, 0.6))
    f.mark([(x - 0.2 * size, y - 0.33 * size), (x, y - 0.45 * size), (x + 0.2 * size, y - 0.33 * size)], DARK, 0.012)


def draw_figure(page: Page, name: str, place: Point, height: float) -> Sheet:
    """A sheet with this figure, its feet at a place, and its height in shares of the page's longer side."""
    sheet = page.sheet()
    FIGURES[name][0](Frame(sheet, page, *place, height))
    return sheet
