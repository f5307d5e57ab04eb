"""Step 12, plan: what is to be drawn for each layer, on the working copy.

1. `grain`: how much the picture changes from pixel to pixel away from edges; what differs less is the same.
2. `_extents`: what shows of each unit, completed under what covers it, in the unit's box.
3. `_background_plan`, `_unit_plan`, `_panel_plan`: a layer's colours in its box, and the signed distances to the edges
   of what shows of it, of its full extent, of what lies above it, and of its soft rim.
4. `color_trust`: colours come from where a unit shows its own, away from edges and on the spine of thin pieces;
   `_without_cover` leaves out mixtures with what covers it. `completion` carries them on under that.
5. `_soft_rim`, `_soft_inside`: the pixels beside a unit, and those inside it along a soft edge, that are mixtures of
   its colour and of what lies below it.
6. `_beside_edges`: the edges of translucent panels count as hidden for the layers below.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch

from ...parallel import each
from ...progress import Progress, part, silent
from .completion import completed
from .fill import smooth_fill
from .lines import between
from .shapes import Box, box_around, continued, grown, signed_distance
from .step03_ground import Background, completed_colors
from .step06_panels import Panel
from .step09_soft import Soft, without_softs
from .step11_order import Layer
from .units import STROKES, TEXT, Units
from .working import OPAQUE_ALPHA, Floats, Labels, Mask, Tolerance, Working, strongest

THIN_PX = 4
"""Depth, in working pixels, below which a piece is thin, and shows its own colour only on its spine."""

PURE_DEPTH_PX = 2.5
"""Depth in a thick piece from which pixels show its own colour: nearer to the edge they are mixtures."""

MIN_CONTRAST_ON_SPINE = 0.93
"""Contrast to what lies below, as a share of the piece's strongest, from which a thin piece's pixel is pure."""

STROKE_PX = 8
"""How far along a stroke, in working pixels, its strongest contrast is looked for: slanted ones waver over less."""

MIXED_TRUST = 1e-4
"""What a mixture counts, pure pixels counting 1, times the fourth power of its depth in working pixels."""

MIXED_DEPTH_PX = 3
"""Largest depth that is counted in this way."""

COVER_PX = 4
"""How far from what covers a unit, in working pixels, the unit's pixels may be mixtures with that."""

COVER_OVERSHOOT = 0.1
"""Share of the way from a unit's to its cover's colour by which such a mixture may be off the straight line."""

SOLVED_PX = 1.9
"""Depth that texts are cut to: it is inside the band in which step 13 solves alpha, as thin letters need."""

SEAM_PX = 2
"""How far from the seam of two pieces of a text, in working pixels, colours are mixtures of these two."""

PANEL_EDGE_PX = 1
"""Half width of a panel's edge, in working pixels, where two alphas are unknown at once."""


BOX_SPARE_PX = 12
"""How far a layer's box reaches beyond what is drawn of it, in working pixels: colours are cleared at half of that."""

TUCK_PX = 3
"""How far each layer goes on under what covers it, in working pixels: mixtures along that edge show its colour."""

RINGING_PX = 1
"""How far from what covers it, in working pixels, the background shows artefacts of filters and compression."""

RIM_PX = 8
"""How far from a unit its soft rim may reach, in working pixels."""

MAX_SOFT_SLOPE = 0.25
"""Largest change of alpha in a working pixel at a soft edge: that of a Gaussian blur of 1.6 pixels."""

HALF_SLACK = 0.25
"""How far a soft edge's alpha may be from a half at the border of what shows of its unit."""

GRAIN_BLUR_PX = 2
"""Standard deviation of the blur, in working pixels, that the picture is compared with to measure its grain."""

GRAIN_EDGE_PX = 6
"""Distance from the edges of units, in working pixels, from which differences are grain: three standard deviations."""

GRAIN_SIDE_PX = 33
"""Side of the square in which grain is averaged, in working pixels."""

SEEN = Tolerance(3, 3)
"""Difference from what lies below, for the grain, from which something is seen."""


class Shade(NamedTuple):
    """A shadow or glow in a layer's box. alpha: (h, w). color: (3,) in 0..255."""

    alpha: Floats
    color: Floats


@dataclass(frozen=True)
class Plan:
    """One layer in its box of the working copy; everything float32.

    box: rows and columns of the working copy. color: (h, w, 3) in 0..255, completed. visible, extent, above, rim:
    signed distances (h, w) to the edge of what shows of the layer, of its full extent, of what lies above it, and of
    what shows with its soft rim; positive inside. shades: its shadows and glows. opacity: its alpha where it covers
    wholly, below 1 for a translucent panel.
    """

    box: Box
    color: Floats
    visible: Floats
    extent: Floats
    above: Floats
    rim: Floats
    shades: tuple[Shade, ...] = ()
    opacity: float = 1.0


@dataclass(frozen=True)
class Plans:
    """What is to be drawn on a working copy of this size (h, w), bottom first. grain: (h, w) in 1/255."""

    layers: list[Plan]
    size: tuple[int, int]
    grain: Floats


def plan_layers(
    work: Working,
    clean: Working,
    background: Background,
    units: Units,
    softs: Sequence[Soft],
    order: Sequence[Layer],
    progress: Progress = silent,
) -> Plans:
    """What is to be drawn, bottom first: the background where there is one, then units and panels in this order.

    clean: without strokes and panels.
    """
    owners = [units.labels[soft.pixel] for soft in softs]
    units = without_softs(units, softs)
    progress(0, "completing the background")
    rough = grain(work, units.labels)
    bottom = _background_plan(clean.rgba[..., :3], background, units.labels, softs)
    if background.kind == "transparent" and len(units) == 1:
        return Plans([bottom], work.shape, rough)
    plans = [bottom] if background.kind != "transparent" else []
    below = np.dstack([bottom.color, np.full(work.shape, 255 * len(plans), np.float32)])
    extents = _extents(units, part(progress, 0.1, 0.5))
    for i, layer in enumerate(order):
        progress(0.5 + 0.5 * i / len(order), "completing layers")
        if isinstance(layer, Panel):
            above = np.isin(units.labels, [unit for unit in order[i:] if isinstance(unit, int)])
            plan = _panel_plan(layer, above)
        else:
            own = [soft for soft, owner in zip(softs, owners, strict=True) if owner == layer]
            is_stroke = units.kinds[layer] == STROKES  # what lies behind it is known: the picture without strokes
            seen, behind = (work, clean.rgba) if is_stroke else (clean, below)
            plan = _unit_plan(seen, units, behind, rough, layer, extents[layer], own)
        change = np.float32(plan.opacity) * (plan.extent > 0)[..., None] * (_solid(plan.color) - below[plan.box])
        below[plan.box] += change
        plans.append(plan)
    return Plans([_beside_edges(plan, plans[i + 1 :]) for i, plan in enumerate(plans)], work.shape, rough)


def grain(work: Working, labels: Labels) -> Floats:
    """Standard deviation (h, w), in 1/255, of the picture around its own blur, away from the edges of units.

    Of the channels the one that varies most. Near edges it is what it is farther away.
    """
    import cv2

    rgb = np.ascontiguousarray(work.rgba[..., :3])
    difference = strongest(rgb - cv2.GaussianBlur(rgb, (0, 0), GRAIN_BLUR_PX)) ** 2
    calm = (~grown(edges(labels), GRAIN_EDGE_PX)).astype(np.float32)
    square = (GRAIN_SIDE_PX, GRAIN_SIDE_PX)
    weight = np.asarray(cv2.blur(calm, square), np.float32)
    mean = np.asarray(cv2.blur(difference * calm, square) / np.maximum(weight, 1e-6), np.float32)
    return np.sqrt(np.maximum(smooth_fill(mean[..., None], weight), 0))[..., 0]


def edges(labels: Labels, least: int = 0) -> Mask:
    """Pixels (h, w) whose label differs from the one above or on the left, where both are at least so large."""
    found = np.zeros(labels.shape, bool)
    found[1:] |= (labels[1:] != labels[:-1]) & (np.minimum(labels[1:], labels[:-1]) >= least)
    found[:, 1:] |= (labels[:, 1:] != labels[:, :-1]) & (np.minimum(labels[:, 1:], labels[:, :-1]) >= least)
    return found


def _extents(units: Units, progress: Progress) -> list[Mask]:
    """For each unit, 0 included, what shows of it and what continues that under what covers it (h, w)."""

    def extent(unit: int) -> Mask:
        visible, above = units.labels == unit, units.labels > unit
        if unit == 0 or not visible.any():
            return visible
        near = box_around(visible, TUCK_PX)
        whole = continued(visible, above)
        whole[near] |= _tucked(visible[near], above[near])
        return whole

    return each(range(len(units)), extent, torch.device("cpu"), progress, "completing shapes")


def _tucked(visible: Mask, above: Mask) -> Mask:
    """A strip (h, w) of what lies above, beside what is visible and nearer to it than to anything else below."""
    import cv2

    own, other = (cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5) for mask in (~visible, visible | above))
    return np.asarray(above & (own <= TUCK_PX) & (own <= other))


def _panel_plan(panel: Panel, above: Mask) -> Plan:
    covering = above & (panel.depth < 0)
    extent = signed_distance(continued(panel.depth > 0, covering))
    everything = slice(0, above.shape[0]), slice(0, above.shape[1])
    over = signed_distance(covering)
    return Plan(everything, panel.color, panel.depth, extent, over, panel.depth, opacity=panel.alpha)


def _beside_edges(plan: Plan, upper: Sequence[Plan]) -> Plan:
    """The plan with the edges of the panels above counted as hidden: there two alphas are unknown at once."""
    edges = [PANEL_EDGE_PX - np.abs(panel.visible[plan.box]) for panel in upper if panel.opacity < 1]
    return replace(plan, above=np.maximum.reduce([plan.above, *edges]))


def _background_plan(rgb: Floats, background: Background, labels: Labels, softs: Sequence[Soft]) -> Plan:
    everything = slice(0, labels.shape[0]), slice(0, labels.shape[1])
    inside = signed_distance(np.ones(labels.shape, bool))
    covered = (labels > 0) | np.any([soft.alpha > 0 for soft in softs] or [labels < 0], axis=0)
    if background.has_formula:
        covered = grown(covered, RINGING_PX)
    colors = completed_colors(rgb, background, covered)
    return Plan(everything, colors, inside, inside, signed_distance(covered), inside)


def _unit_plan(
    work: Working,
    units: Units,
    below: Floats,
    rough: Floats,
    unit: int,
    extent: Mask,
    softs: Sequence[Soft],
) -> Plan:
    """The plan of a unit over what is below it, premultiplied (H, W, 4) in 0..255, with its extent (H, W)."""
    shaded = np.any([soft.alpha > 0 for soft in softs], axis=0) if softs else np.zeros_like(extent)
    box = box_around(extent | shaded, BOX_SPARE_PX)
    labels = units.labels[box]
    visible, above, is_text = labels == unit, labels > unit, bool(units.kinds[unit] == TEXT)
    rgba = work.rgba[box]
    straight = np.asarray(rgba[..., :3] * (255 / np.maximum(rgba[..., 3:], 1)), np.float32)
    trust = color_trust(visible, units.pieces[box], int(units.kinds[unit]), strongest(rgba - below[box]))
    trust = _without_cover(straight, trust, above, rough[box]) * _solidity(rgba[..., 3])
    soft = np.zeros_like(visible) if is_text else _soft_inside(rgba, trust, below[box], rough[box], visible, above)
    trust = np.where(grown(soft, 1), np.minimum(trust, MIXED_TRUST), trust).astype(np.float32)
    color = np.clip(completed(straight, trust, extent[box] & ~visible, work.noise), 0, 255)
    depth = signed_distance(visible)
    if is_text:
        shared = grown(edges(np.where(visible, units.pieces[box], 0), 1), SEAM_PX)
        depth = np.where(shared, depth, _solved_depth(depth, rgba, _solid(color), below[box], rough[box]))
    depth[soft] = np.minimum(depth[soft], SOLVED_PX)
    rim = _soft_rim(rgba, _solid(color), below[box], rough[box], visible, above | shaded[box])
    reach = signed_distance(rim) if (rim & ~visible).any() else depth
    shades = tuple(Shade(soft.under(units.labels > unit)[box], soft.color) for soft in softs)
    return Plan(box, color, depth, signed_distance(extent[box]), signed_distance(above), reach, shades)


def _solidity(alpha: Floats) -> Floats:
    """What a colour counts by its alpha (h, w) in 0..255: nearly clear pixels have any."""
    return np.where(alpha > OPAQUE_ALPHA, np.float32(1), alpha / np.float32(255))


def _solid(color: Floats) -> Floats:
    """Colours (h, w, 3) in 0..255 that cover all, as premultiplied (h, w, 4)."""
    return np.dstack([color, np.full(color.shape[:2], 255, np.float32)])


def _without_cover(shown: Floats, trust: Floats, above: Mask, rough: Floats) -> Floats:
    """The trust (h, w) without what lies beside a cover and is a mixture of its colour and of the unit's nearby.

    Counters and gaps of small letters have no pixel that shows the card alone, however deep they are.
    """
    beside = (trust == 1) & grown(above, COVER_PX)
    sure = (trust == 1) & ~beside
    if not (beside.any() and sure.any()):
        return trust
    nearby = smooth_fill(shown, sure.astype(np.float32))[beside]
    covers = smooth_fill(shown, np.maximum(signed_distance(above), 0) ** 4)[beside]
    _, off = between(shown[beside], nearby, covers, COVER_OVERSHOOT)
    tolerance = SEEN.floor + SEEN.per_noise * rough[beside]
    mixed = (off < tolerance) & (strongest(shown[beside] - nearby) > tolerance)
    left = trust.copy()
    left[beside] = np.where(mixed, MIXED_TRUST, 1)
    return left


def _solved_depth(depth: Floats, shown: Floats, color: Floats, below: Floats, rough: Floats) -> Floats:
    """The depth (h, w) in a text, cut to SOLVED_PX where a pixel may be a mixture of its colour and what is below.

    What is neither of them nor between them, as an outline of another colour, is covered whole where it is deep.
    """
    deep = depth > SOLVED_PX
    _, off = between(shown[deep], below[deep], color[deep], 0)
    cut = depth.copy()
    cut[deep] = np.where(off < SEEN.floor + SEEN.per_noise * rough[deep], SOLVED_PX, depth[deep])
    return cut


def _soft_rim(shown: Floats, color: Floats, below: Floats, rough: Floats, visible: Mask, taken: Mask) -> Mask:
    """What is visible of a unit (h, w), and the mixtures of its colour with what is below that touch it."""
    import cv2

    rim = grown(visible, RIM_PX) & ~visible & ~taken
    tolerance = SEEN.floor + SEEN.per_noise * rough[rim]
    _, off = between(shown[rim], below[rim], color[rim], 0)
    mixed = visible.copy()
    mixed[rim] = (strongest(shown[rim] - below[rim]) > tolerance) & (off < tolerance)
    count, pieces = cv2.connectedComponents(mixed.astype(np.uint8), connectivity=8)
    touching = np.bincount(pieces[visible], minlength=count) > 0
    return mixed & touching[pieces]


def _soft_inside(shown: Floats, trust: Floats, below: Floats, rough: Floats, visible: Mask, above: Mask) -> Mask:
    """The mixtures inside a unit (h, w) that belong to a soft edge, which rises slowly from what is below.

    An outline or a shade along a crisp edge is the unit's own.
    """
    import cv2

    deep = (trust == 1) & (signed_distance(visible) > RIM_PX)
    near = visible & grown(~visible & ~above, RIM_PX)
    if not (deep.any() and near.any()):
        return np.zeros_like(visible)
    inside = smooth_fill(shown, deep.astype(np.float32))
    share, off = between(shown, below, inside, 0)
    slope = np.hypot(cv2.Sobel(share, cv2.CV_32F, 1, 0), cv2.Sobel(share, cv2.CV_32F, 0, 1)) / 8
    tolerance = SEEN.floor + SEEN.per_noise * rough
    mixed = (off < tolerance) & (strongest(shown - inside) > tolerance) & ~grown(slope > MAX_SOFT_SLOPE, 1)
    count, pieces = cv2.connectedComponents((mixed & near).astype(np.uint8), connectivity=8)
    border = grown(~visible & mixed, 1) & (np.abs(share - 0.5) < HALF_SLACK)
    touching = np.bincount(pieces[border], minlength=count) > 0
    touching[0] = False
    return np.asarray(touching[pieces])


def color_trust(visible: Mask, pieces_map: Labels, kind: int, contrast: Floats) -> Floats:
    """How purely a pixel shows its own unit's colour (h, w): 1 away from edges and on the spine of thin pieces.

    contrast: (h, w), to what lies below. In a thin piece, pixels of less contrast are mixtures with that; strokes may
    be one piece and of many colours, such as the axes and the grid of a chart, so theirs is compared nearby.
    """
    import cv2

    depth = signed_distance(visible) + 0.5
    inside, pieces = np.where(visible, pieces_map, 0), int(pieces_map.max()) + 1
    spine, peak = np.zeros(pieces, np.float32), np.zeros(pieces, np.float32)
    np.maximum.at(spine, inside[visible], depth[visible])
    np.maximum.at(peak, inside[visible], contrast[visible])
    thin = (spine < THIN_PX) | (kind in (STROKES, TEXT))
    strong = peak[inside]
    if kind == STROKES:
        nearby = np.ones((2 * STROKE_PX + 1, 2 * STROKE_PX + 1), np.uint8)
        strong = np.asarray(cv2.dilate(np.where(visible, contrast, 0).astype(np.float32), nearby))
    mixed = thin[inside] & (contrast < MIN_CONTRAST_ON_SPINE * strong)
    pure = visible & ~mixed & ((depth > PURE_DEPTH_PX) | thin[inside])
    little = MIXED_TRUST * np.clip(depth, 0, MIXED_DEPTH_PX) ** 4
    return np.where(pure, 1, np.where(visible, little, 0)).astype(np.float32)
