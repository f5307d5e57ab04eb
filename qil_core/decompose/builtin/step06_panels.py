"""Step 6, panels: translucent ones are lifted off before shapes are looked for, so that what lies under them is seen.

What is seen through a panel of colour P and alpha a is I = aP + (1 - a)B, so what lies below is B = (I - aP)/(1 - a).

1. `step06_transparency` finds the uppermost panel. One that lies on nothing but a plain background looks the same as
   an opaque shape, and stays one.
2. `Panel.lifted` takes it off; then the ground and the regions (steps 3 and 5) are looked for again.
3. Both are repeated until no panel is found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...progress import Progress, part, silent
from .fill import nearest
from .shapes import signed_distance
from .step03_ground import Background, find_background
from .step05_regions import find_regions
from .step06_transparency import find_transparent
from .working import Floats, Labels, Mask, Working

EDGE_PX = 2.5
"""How far from a panel's edge, in working pixels, colours are mixtures across it."""


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
        """The working copy without this panel; along its edge, the colours seen nearest to it."""
        rgba = work.rgba.copy()
        inside = self.depth > 0
        below = (rgba[..., :3] - self.alpha * self.color) / (1 - self.alpha)
        rgba[..., :3] = np.where(inside[..., None], np.clip(below, 0, 255), rgba[..., :3])
        ours = inside | self.over
        edge = ours & (np.abs(self.depth) < EDGE_PX)
        rgba[edge] = rgba.reshape(-1, 4)[nearest(ours & ~edge)[0][edge]]
        return replace(work, rgba=rgba)


@dataclass(frozen=True)
class Lifted:
    """Panels, the upper ones first, and the working copy, its background and regions without them."""

    panels: tuple[Panel, ...]
    clean: Working
    background: Background
    regions: Labels


def lift_panels(
    work: Working, background: Background, regions: Labels, most: int, progress: Progress = silent
) -> Lifted:
    """Find at most so many panels and lift them off one by one; only before a background with a formula."""
    panels: list[Panel] = []
    while len(panels) < most and background.has_formula and work.is_opaque:
        share = part(progress, len(panels) / most, (len(panels) + 1) / most)
        panel = find_panel(work, regions, part(share, 0, 0.6))
        if panel is None:
            break
        panels.append(panel)
        work = panel.lifted(work)
        background = find_background(work, part(share, 0.6, 0.8))
        regions = find_regions(work, background, part(share, 0.8, 1))
    return Lifted(tuple(panels), work, background, regions)


def find_panel(work: Working, regions: Labels, progress: Progress = silent) -> Panel | None:
    """The uppermost panel over regions (h, w), None where nothing looks like one."""
    fit = find_transparent(work, regions, progress)
    if fit is None:
        return None
    depth = signed_distance(fit.members[regions])
    return Panel(depth, 1 - fit.through, fit.color(regions.shape), fit.under[regions])


def without_panels(work: Working, panels: Sequence[Panel]) -> Working:
    """Any working copy of the same picture without these panels, the upper ones given first."""
    for panel in panels:
        work = panel.lifted(work)
    return work
