"""Step 12, plan: what is to be drawn for each layer, on the working copy.

1. `_background_plan`, `_unit_plan`, `_panel_plan`: a layer's colours everywhere, completed under what covers it, and
   the signed distances to the edges of what shows of it, of its full extent, and of what lies above it.
2. `color_trust`: colours come from where a unit shows its own, away from edges and on the spine of thin pieces.
3. `_beside_edges`: the edges of translucent panels count as hidden for the layers below.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...progress import Progress, part, silent
from .fill import smooth_fill
from .shapes import completed, continued, signed_distance
from .step03_ground import Background, completed_colors
from .step06_panels import Panel
from .step09_soft import Soft, without_softs
from .step11_order import Layer
from .units import STROKES, TEXT, Units
from .working import Floats, Labels, Mask, Working

THIN_PX = 4
"""Depth, in working pixels, below which a piece is thin, and shows its own colour only on its spine."""

PURE_DEPTH_PX = 2.5
"""Depth in a thick piece from which pixels show its own colour: nearer to the edge they are mixtures."""

MIN_CONTRAST_ON_SPINE = 0.93
"""Contrast to what lies below, as a share of the piece's strongest, from which a thin piece's pixel is pure."""

MIXED_TRUST = 1e-4
"""What a mixture counts, pure pixels counting 1, times the fourth power of its depth in working pixels."""

MIXED_DEPTH_PX = 3
"""Largest depth that is counted in this way."""

SOLVED_PX = 1.9
"""Depth that texts are cut to: it is inside the band in which step 13 solves alpha, as thin letters need."""

PANEL_EDGE_PX = 1
"""Half width of a panel's edge, in working pixels, where two alphas are unknown at once."""


@dataclass(frozen=True)
class Plan:
    """One layer on the working copy; everything float32.

    color: (h, w, 3) in 0..255, completed. visible, extent, above: signed distances (h, w) to the edge of what
    shows of the layer, of its full extent, and of what lies above it; positive inside. softs: its shadows.
    opacity: its alpha where it covers wholly, below 1 for a translucent panel.
    """

    color: Floats
    visible: Floats
    extent: Floats
    above: Floats
    softs: tuple[Soft, ...] = ()
    opacity: float = 1.0


def plan_layers(
    work: Working,
    clean: Working,
    background: Background,
    units: Units,
    softs: Sequence[Soft],
    order: Sequence[Layer],
    progress: Progress = silent,
) -> list[Plan]:
    """What is to be drawn, bottom first: the background where there is one, then units and panels in this order.

    clean: without strokes and panels.
    """
    owners = [units.labels[soft.pixel] for soft in softs]
    units = without_softs(units, softs)
    progress(0, "completing the background")
    bottom = _background_plan(clean.rgba[..., :3], background, units.labels, softs)
    if background.kind == "transparent" and len(units) == 1:
        return [bottom]
    plans, below = [bottom] if background.kind != "transparent" else [], bottom.color
    for i, layer in enumerate(order):
        share = part(progress, (i + 1) / (len(order) + 1), (i + 2) / (len(order) + 1))
        if isinstance(layer, Panel):
            above = np.isin(units.labels, [unit for unit in order[i:] if isinstance(unit, int)])
            plan = _panel_plan(layer, above, share)
        else:
            own = [soft for soft, owner in zip(softs, owners, strict=True) if owner == layer]
            plan = _unit_plan(work if units.kinds[layer] == STROKES else clean, units, below, layer, own, share)
        below = np.where((plan.extent > 0)[..., None], below + plan.opacity * (plan.color - below), below)
        plans.append(plan)
    return [_beside_edges(plan, plans[i + 1 :]) for i, plan in enumerate(plans)]


def _panel_plan(panel: Panel, above: Mask, progress: Progress) -> Plan:
    covering = above & (panel.depth < 0)
    extent = signed_distance(completed(panel.depth > 0, covering, progress))
    return Plan(panel.color, panel.depth, extent, signed_distance(covering), opacity=panel.alpha)


def _beside_edges(plan: Plan, upper: Sequence[Plan]) -> Plan:
    """The plan with the edges of the panels above counted as hidden: there two alphas are unknown at once."""
    edges = [PANEL_EDGE_PX - np.abs(panel.visible) for panel in upper if panel.opacity < 1]
    return replace(plan, above=np.maximum.reduce([plan.above, *edges]))


def _background_plan(rgb: Floats, background: Background, labels: Labels, softs: Sequence[Soft]) -> Plan:
    everywhere = signed_distance(np.ones(labels.shape, bool))
    covered = (labels > 0) | np.any([soft.alpha > 0 for soft in softs] or [labels < 0], axis=0)
    return Plan(completed_colors(rgb, background, covered), everywhere, everywhere, signed_distance(covered))


def _unit_plan(work: Working, units: Units, below: Floats, unit: int, softs: list[Soft], progress: Progress) -> Plan:
    """The plan of a unit over the colours below it (h, w, 3)."""
    progress(0, "completing layers")
    visible, above = units.labels == unit, units.labels > unit
    straight = np.asarray(work.rgba[..., :3] * (255 / np.maximum(work.rgba[..., 3:], 1)), np.float32)
    trust = color_trust(units, unit, np.abs(straight - below).max(2))
    progress(0.3, "completing layers")
    color = np.clip(smooth_fill(straight, trust), 0, 255)
    progress(0.6, "completing layers")
    depth = signed_distance(visible)
    depth = np.minimum(depth, SOLVED_PX) if units.kinds[unit] == TEXT else depth
    extent = continued(visible, above, part(progress, 0.7, 1))
    shadows = tuple(replace(soft, alpha=soft.under(above)) for soft in softs)
    return Plan(color, depth, signed_distance(extent), signed_distance(above), shadows)


def color_trust(units: Units, unit: int, contrast: Floats) -> Floats:
    """How purely a pixel shows its own unit's colour (h, w): 1 away from edges and on the spine of thin pieces.

    contrast: (h, w), to what lies below. In a thin piece, pixels of less contrast are mixtures with that.
    """
    visible = units.labels == unit
    depth = signed_distance(visible) + 0.5
    inside, pieces = np.where(visible, units.pieces, 0), int(units.pieces.max()) + 1
    spine, peak = np.zeros(pieces, np.float32), np.zeros(pieces, np.float32)
    np.maximum.at(spine, inside[visible], depth[visible])
    np.maximum.at(peak, inside[visible], contrast[visible])
    thin = (spine < THIN_PX) | (units.kinds[unit] == TEXT)
    mixed = thin[inside] & (contrast < MIN_CONTRAST_ON_SPINE * peak[inside])
    pure = visible & ~mixed & ((depth > PURE_DEPTH_PX) | thin[inside])
    little = MIXED_TRUST * np.clip(depth, 0, MIXED_DEPTH_PX) ** 4
    return np.where(pure, 1, np.where(visible, little, 0)).astype(np.float32)
