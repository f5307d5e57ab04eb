"""Where a picture lies on its slide: pixels as EMU, English Metric Units."""

from __future__ import annotations

from dataclasses import dataclass

from ..stack import Box

EMU = 914400
"""English Metric Units an inch (ECMA-376 part 1, ST_Coordinate)."""


@dataclass(frozen=True)
class Frame:
    """Where a picture lies on its slide: left and top in EMU, and EMU a pixel."""

    left: float
    top: float
    pixel: float

    def at(self, x: float, y: float) -> tuple[float, float]:
        """A point in pixels as EMU, not rounded."""
        return self.left + x * self.pixel, self.top + y * self.pixel

    def emu(self, x: float, y: float) -> tuple[int, int]:
        """A point in pixels as whole EMU."""
        across, down = self.at(x, y)
        return round(across), round(down)

    def place(self, box: Box) -> Box:
        """A pixel box as an EMU box. Edges are rounded, not sizes, so boxes that touch keep touching."""
        return Box(*self.emu(box.left, box.top), *self.emu(box.right, box.bottom))
