"""Translucent panels: lifted off before shapes are looked for, so that what lies under them is seen again.

What is seen through a panel of colour P and alpha a is I = aP + (1 - a)B, so what lies below is B = (I - aP)/(1 - a).
How panels are found is in `transparency`. One that lies on nothing but a plain background cannot be told from an
opaque shape, and stays one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .background import Background, find_background
from .fill import nearest_place
from .grouping import STROKES, Units
from .segment import find_regions
from .shapes import signed_distance
from .transparency import find_transparent
from .working import Floats, Labels, Mask, Working

TOUCH = 12
"""Pixels of a unit at a panel's edge that are more than a chance meeting."""


@dataclass(frozen=True, eq=False)
class Panel:
    """depth: (h, w), signed distance to its edge, positive inside. alpha: in 0..1. color: (h, w, 3) in 0..255.

    over: (h, w), whatever of the regions that its edge was seen to cross lies outside it.
    """

    depth: Floats
    alpha: float
    color: Floats
    over: Mask

    @property
    def mean_color(self) -> Floats:
        """(3,) in 0..255."""
        return np.asarray(self.color[self.depth > 0].mean(0))

    def lifted(self, work: Working) -> Working:
        """The working copy without this panel; along its edge, what is seen nearest to that."""
        rgba = work.rgba.copy()
        inside = self.depth > 0
        below = (rgba[..., :3] - self.alpha * self.color) / (1 - self.alpha)
        rgba[..., :3] = np.where(inside[..., None], np.clip(below, 0, 255), rgba[..., :3])
        ours = inside | self.over
        edge = ours & (np.abs(self.depth) < 2.5)
        rgba[edge] = rgba.reshape(-1, 4)[nearest_place(ours & ~edge)[edge]]
        return replace(work, rgba=rgba)


Layer = int | Panel
"""What a layer is made of: a unit, by its number, or a panel."""


@dataclass(frozen=True)
class Lifted:
    """Panels, the upper ones first, and the working copy, its background and regions without them."""

    panels: tuple[Panel, ...]
    clean: Working
    background: Background
    regions: Labels


def lift_panels(work: Working, background: Background, regions: Labels, most: int) -> Lifted:
    """Find at most so many panels and lift them off one by one; only before a background with a formula."""
    panels: list[Panel] = []
    while len(panels) < most and background.kind in ("flat", "gradient") and work.is_opaque:
        panel = find_panel(work, regions)
        if panel is None:
            break
        panels.append(panel)
        work = panel.lifted(work)
        background = find_background(work)
        regions = find_regions(work, background)
    return Lifted(tuple(panels), work, background, regions)


def find_panel(work: Working, regions: Labels) -> Panel | None:
    """The uppermost panel over regions (h, w), None where nothing looks like one."""
    fit = find_transparent(work, regions)
    if fit is None:
        return None
    depth = signed_distance(fit.members[regions])
    return Panel(depth, 1 - fit.through, fit.color(regions.shape), fit.under[regions])


def without_panels(work: Working, panels: Sequence[Panel]) -> Working:
    """Any working copy of the same picture without these panels, the upper ones given first."""
    for panel in panels:
        work = panel.lifted(work)
    return work


def placed(units: Units, panels: Sequence[Panel]) -> list[Layer]:
    """The units but the background and the panels, bottom first: each panel right above what it lies on.

    What touches a panel and neither shows through it nor is seen to go on under it lies on it.
    """
    order: list[Layer] = list(range(1, len(units)))
    for panel in reversed(panels):
        under = [_lies_under(layer, units, panel) for layer in order]
        height = max((i + 1 for i, lies in enumerate(under) if lies), default=0)
        lower = list(zip(order[:height], under[:height], strict=True))
        upon = [layer for layer, lies in lower if not lies and _touch(layer, units, panel) > TOUCH]
        order = [*(layer for layer, _ in lower if layer not in upon), panel, *upon, *order[height:]]
    return order


def _lies_under(layer: Layer, units: Units, panel: Panel) -> bool:
    """Whether a panel lies on a layer: for the most part it is seen through it, or to end at it. Strokes lie on it."""
    inside = panel.depth > 2
    if isinstance(layer, Panel):
        return bool(((layer.depth > 0) & inside).any())
    own = units.labels == layer
    through = int((own & inside).sum())
    ends = (own & (inside | panel.over)).sum() > 0.5 * own.sum()
    return bool(units.kinds[layer] != STROKES and (ends or through > max(30, 0.5 * _touch(layer, units, panel))))


def _touch(layer: Layer, units: Units, panel: Panel) -> int:
    """How many pixels of a unit are within a panel or at its edge; none of another panel."""
    return 0 if isinstance(layer, Panel) else int(((units.labels == layer) & (panel.depth > -2)).sum())
