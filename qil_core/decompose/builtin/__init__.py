"""The built-in decomposer: layers by classical means, without model weights, in seconds on a CPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ...progress import Progress, part
from ...stack import LayerStack
from .. import Decomposed, Request
from .background import Background, completed_colors, find_background, salient_background
from .fill import smooth_fill
from .grouping import KINDS, STROKES, TEXT, Units, find_units, group_units
from .naming import color_name, numbered
from .panels import Layer, Panel, lift_panels, placed, without_panels
from .regions import measure
from .render import SOLVED, Plan, render
from .segment import find_regions
from .shapes import completed, occlusion_order, signed_distance
from .soft import Soft, find_softs, with_softs, without_softs
from .strokes import find_strokes
from .working import Floats, Labels, Mask, Working, working_copy

BACKGROUNDS = {
    "flat": "Background: one flat colour.",
    "gradient": "Background: a gradient, continued under what covers it.",
    "inpainted": "Background: neither flat nor a gradient, so it was filled in smoothly under what covers it.",
    "transparent": "Background: none, the picture is clear around its content.",
}

BUSY = (
    "This looks like a photo or a busy illustration: the built-in decomposer cuts those only roughly, "
    "the Qwen model does better."
)


SWALLOWED = 0.7
"""A region larger than this share of the picture is no thing on a background: colours ran into each other."""


class Builtin:
    """Background model, regions, texts, occlusion, matting; honest about photos."""

    label = "Built-in (no weights)"
    uses_seed = False

    def decompose(self, picture: Tensor, request: Request, progress: Progress) -> Decomposed:
        """Layers of picture (H, W, 4) float32 on the 8-bit grid, bottom first; the prompt is not read."""
        pixels = picture.numpy()
        progress(0.0, "looking at the picture")
        work = working_copy(pixels)
        progress(0.05, "finding the background")
        strokes = find_strokes(work)
        clean = strokes.clean
        background = find_background(clean)
        progress(0.15, "finding shapes and texts")
        regions = find_regions(clean, background)
        largest, share = largest_region(regions)
        if share > SWALLOWED:
            background = salient_background(clean, (regions != 0) & (regions != largest))
            regions = find_regions(clean, background)
        lifted = lift_panels(clean, background, regions, request.layers - 2)
        panels, clean, background, regions = lifted.panels, lifted.clean, lifted.background, lifted.regions
        units = find_units(clean, regions)
        softs = find_softs(clean, background, units.labels)
        units = with_softs(units, softs).with_more(strokes.numbers, STROKES)
        progress(0.3, "sorting them into layers")
        seen = without_panels(work, panels)
        budget = request.layers - (background.kind != "transparent") - len(panels)
        units = _ordered(group_units(seen, units, budget))
        order = placed(units, panels)
        plans = plan_layers(work, clean, background, units, softs, order)
        out = torch.empty((len(plans), *picture.shape))
        render(pixels, plans, work.noise, out.numpy(), part(progress, 0.4, 1.0))
        busy = is_busy(work, background, regions)
        names, notes = _names(seen, background, units, order), _notes(background, len(order), busy, request.layers)
        return Decomposed(LayerStack(out, names), notes)


def largest_region(regions: Labels) -> tuple[int, float]:
    """The largest region, the background aside, and the share of the picture that it covers."""
    sizes = np.bincount(regions.ravel(), minlength=2)
    sizes[0] = 0
    return int(sizes.argmax()), float(sizes.max()) / regions.size


def _ordered(units: Units) -> Units:
    """Units renumbered bottom first."""
    order = occlusion_order(units.labels, units.kinds)
    rank = np.empty(len(units), np.int32)
    rank[order] = np.arange(len(order))
    return Units(rank[units.labels], units.kinds[order], units.pieces)


def is_busy(work: Working, background: Background, regions: Labels) -> bool:
    """Whether a picture looks like a photo: noise, no simple background, or hundreds of regions."""
    return background.kind == "inpainted" or work.noise > 6 or int(regions.max()) > 300


def plan_layers(
    work: Working, clean: Working, background: Background, units: Units, softs: Sequence[Soft], order: Sequence[Layer]
) -> list[Plan]:
    """What is to be drawn, bottom first: the background where there is one, then units and panels in this order.

    clean: without strokes and panels.
    """
    owners = [units.labels[soft.pixel] for soft in softs]
    units = without_softs(units, softs)
    bottom = _background_plan(clean.rgba[..., :3], background, units.labels, softs)
    if background.kind == "transparent" and len(units) == 1:
        return [bottom]
    plans, below = [bottom] if background.kind != "transparent" else [], bottom.color
    for i, layer in enumerate(order):
        if isinstance(layer, Panel):
            plan = _panel_plan(layer, np.isin(units.labels, [unit for unit in order[i:] if isinstance(unit, int)]))
        else:
            own = [soft for soft, owner in zip(softs, owners, strict=True) if owner == layer]
            plan = _unit_plan(work if units.kinds[layer] == STROKES else clean, units, below, layer, own)
        below = np.where((plan.extent > 0)[..., None], below + plan.opacity * (plan.color - below), below)
        plans.append(plan)
    return [_beside_edges(plan, plans[i + 1 :]) for i, plan in enumerate(plans)]


def _panel_plan(panel: Panel, above: Mask) -> Plan:
    covering = above & (panel.depth < 0)
    extent = signed_distance(completed(panel.depth > 0, covering))
    return Plan(panel.color, panel.depth, extent, signed_distance(covering), opacity=panel.alpha)


def _beside_edges(plan: Plan, upper: Sequence[Plan]) -> Plan:
    """The plan with the edges of the panels above counted as hidden: there two alphas are unknown at once."""
    edges = [1 - np.abs(panel.visible) for panel in upper if panel.opacity < 1]
    return replace(plan, above=np.maximum.reduce([plan.above, *edges]))


def _background_plan(rgb: Floats, background: Background, labels: Labels, softs: Sequence[Soft]) -> Plan:
    everywhere = signed_distance(np.ones(labels.shape, bool))
    covered = (labels > 0) | np.any([soft.alpha > 0 for soft in softs] or [labels < 0], axis=0)
    return Plan(completed_colors(rgb, background, covered), everywhere, everywhere, signed_distance(covered))


def _unit_plan(work: Working, units: Units, below: Floats, unit: int, softs: list[Soft]) -> Plan:
    visible, above = units.labels == unit, units.labels > unit
    straight = np.asarray(work.rgba[..., :3] * (255 / np.maximum(work.rgba[..., 3:], 1)), np.float32)
    contrast = np.abs(straight - below).max(2)
    color = np.clip(smooth_fill(straight, color_trust(units, unit, contrast)), 0, 255)
    depth = signed_distance(visible)
    depth = np.minimum(depth, SOLVED) if (units.kinds[unit] == TEXT) else depth
    return Plan(color, depth, signed_distance(completed(visible, above)), signed_distance(above), tuple(softs))


def color_trust(units: Units, unit: int, contrast: Floats) -> Floats:
    """How purely a pixel shows its own unit's colour (h, w): 1 away from edges and on the spine of thin pieces.

    In a thin piece, pixels of less contrast to what lies below are mixtures with it.
    """
    visible = units.labels == unit
    depth = signed_distance(visible) + 0.5
    inside, pieces = np.where(visible, units.pieces, 0), int(units.pieces.max()) + 1
    spine, peak = np.zeros(pieces, np.float32), np.zeros(pieces, np.float32)
    np.maximum.at(spine, inside[visible], depth[visible])
    np.maximum.at(peak, inside[visible], contrast[visible])
    thin = (spine < 4) | (units.kinds[unit] == TEXT)
    mixed = thin[inside] & (contrast < 0.93 * peak[inside])
    pure = visible & ~mixed & ((depth > 2.5) | thin[inside])
    return np.where(pure, 1, np.where(visible, 1e-4 * np.clip(depth, 0, 3) ** 4, 0)).astype(np.float32)


def _names(work: Working, background: Background, units: Units, order: Sequence[Layer]) -> tuple[str, ...]:
    colors = measure(units.labels, work.rgba).color
    kinds = ["panel" if isinstance(layer, Panel) else KINDS[units.kinds[layer]] for layer in order]
    shown = [layer.mean_color if isinstance(layer, Panel) else colors[layer] for layer in order]
    described = zip(kinds, shown, strict=True)
    details = [color_name(*map(float, color[:3])) if kind != "text" else "" for kind, color in described]
    names = numbered(kinds, details)
    return names if background.kind == "transparent" else ("background", *names)


def _notes(background: Background, above: int, busy: bool, asked: int) -> tuple[str, ...]:
    count = above + (background.kind != "transparent")
    notes = [BACKGROUNDS[background.kind]]
    if above == 0:
        notes.append("Nothing was found in front of it, so there is one layer.")
    elif count < asked:
        notes.append(f"The picture holds fewer separate things than layers were asked for: {count} of {asked}.")
    return (*notes, BUSY) if busy else tuple(notes)
