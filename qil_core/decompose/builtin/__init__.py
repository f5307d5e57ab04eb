"""The built-in decomposer: layers by classical means, without model weights, in seconds on a CPU.

A picture passes these steps, each in the file of its number, where its own steps and their sources stand:

 1. look           a working copy of at most 1024 px, and its noise (Immerkaer, 1996)
 2. strokes        hair-thin lines are found by their colours and lifted off
 3. ground         a flat colour or gradient behind everything (reweighted least squares: Holland & Welsch, 1977)
 4. saliency       where no formula explains the background: what stands out (GrabCut: Rother et al., 2004)
 5. regions        areas of one colour or gradient; anti-aliased edges go to the side they look like
 6. panels         translucent panels are found by their crossings and lifted off (Metelli, 1974)
 7. reading, texts glyphs of the lines that OCR reads; small pieces of one colour and size, close together
 8. units          regions and texts become units; slivers, outlines, holes and crumbs go to their neighbours;
                   on screens, panels with all that lies on them; charts with their axes, grids and marks;
                   in a painted scene, parts by watershed take the place of regions (Meyer, 1992)
 9. soft           shadows and glows, by colour and by what casts them
10. group          units that touch make a tree, of which the best nodes are things (Salembier & Garrido, 2000)
11. order          what covers what: T-junctions, completed shapes, hulls, kinds
12. plan           colours and shapes completed under what covers them (push-pull: Gortler et al., 1996)
13. render         full-resolution layers; alpha along edges against known colours (Smith & Blinn, 1996)
14. names          what is known of the layers for their names, and notes for the report

Files without a number help several steps: `working` (types, tolerances), `areas` (linked pixels), `fill`
(interpolation), `gradient` (polynomials), `bullets` and `ink` (lists and glyphs of what was read), `jpeg` (blocks and
ringing), `completion` (hidden colours), `lettering` (outlined titles), `lines` (mixtures of two colours), `meetings`
(points where regions meet), `merge_tree` (which parts are one thing), `outlines` (lines around shapes), `patches`
(textures carried on), `rim` (the picture's border), `shapes` (outlines, completion), `softness` (what a shadow or glow
is), `table` (measures of regions), `texture` (grain and paper), `tones` (rays, stripes and checks), `units` (their
type).
Every step takes a `progress` function, calls it at least once a second, and lets through what it raises.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ...progress import Progress, part
from ...stack import LayerStack
from .. import Decomposed, Request
from .step01_look import MIN_EVEN, evenness, working_copy
from .step02_strokes import Strokes, find_strokes
from .step03_ground import Background, behind_land, find_background, is_cut_out, salient_background
from .step05_regions import find_parted_regions, find_regions
from .step06_panels import lift_panels, without_panels
from .step07_reading import Texts, read_texts
from .step08_charts import with_charts, with_rules
from .step08_scene import is_scene, scene_units
from .step08_screen import find_screen, screen_panels
from .step08_units import find_units
from .step09_soft import calmed, find_softs, with_softs
from .step10_group import MIN_MEANS, group_scene, group_units
from .step11_order import occlusion_order, placed
from .step12_plan import plan_layers
from .step13_render import render
from .step14_names import layer_kinds, layer_names, notes
from .units import STROKES
from .working import Labels, Working, rising

MAX_REGION = 0.7
"""A region larger than this share of the picture is no thing on a background: colours ran into each other."""

MIN_MARGIN_PX, MARGIN_SHARE = 32, 32
"""Width of the margin around a cut-out whose content reaches its border: in pixels, and the part of its longer side.
It is two heights of the smallest letters."""


class Builtin:
    """Background model, regions, texts, occlusion, matting; honest about photos."""

    label = "Built-in (no weights)"
    uses_seed = False
    counts_layers = True

    def decompose(self, picture: Tensor, request: Request, progress: Progress) -> Decomposed:
        """Layers of picture (H, W, 4) float32 on the 8-bit grid, bottom first, on the picture's device.

        The work is done on the CPU. Of the request only `layers` and `at_most` are used.
        """
        pixels, progress = picture.cpu().numpy(), rising(progress)
        progress(0.0, "looking at the picture")
        work = working_copy(pixels)
        if is_cut_out(work) and _touches_border(work):
            return self._with_margin(picture, request, progress)
        texts = read_texts(work, part(progress, 0.01, 0.04))
        strokes = find_strokes(work, part(progress, 0.04, 0.06))
        texts = with_rules(work, texts, strokes.numbers) if work.is_even else texts
        strokes = strokes.without(texts.numbers > 0, work)
        plain, background, regions = _behind(strokes, texts, part(progress, 0.06, 0.15))
        lifted = lift_panels(plain, background, regions, request.layers - 2, part(progress, 0.15, 0.2))
        panels, clean, background, regions = lifted.panels, lifted.clean, lifted.background, lifted.regions
        units = find_units(clean, regions, texts.on_things(regions), part(progress, 0.2, 0.24))
        scene, lines = is_scene(background, regions), strokes.numbers
        screen = find_screen(clean, background, units, regions, texts, lines)
        if screen:
            units, lines, clean = screen.units, np.where(screen.clear, lines, 0), without_panels(work, panels)
        elif scene:
            units = scene_units(clean, background, units, part(progress, 0.24, 0.25))
        else:
            units, lines = with_charts(work, background, units, texts, lines)
        calm = background.roughened(calmed(clean, units.labels))
        softs = find_softs(calm, background, units.labels, part(progress, 0.25, 0.35))
        units = with_softs(units, softs).with_more(lines, STROKES)
        seen = without_panels(work, panels)
        budget = request.layers - (background.kind != "transparent") - len(panels)
        grouped = group_scene if scene or screen else group_units
        units = grouped(seen, units, budget, MIN_MEANS if request.at_most else 0.0, part(progress, 0.35, 0.4))
        units = units.in_order(occlusion_order(units.labels, units.kinds, part(progress, 0.4, 0.45)))
        order = placed(units, panels)
        plans = plan_layers(work, clean, background, units, softs, order, part(progress, 0.45, 0.6))
        out = torch.zeros((len(plans.layers), *picture.shape))
        render(pixels, plans, out.numpy(), part(progress, 0.6, 1.0))
        names, kinds = layer_names(background, units, order, texts), layer_kinds(background, units, order)
        asked = 0 if request.at_most else request.layers
        said = (*notes(work, background, regions, units.labels > 0, len(order), asked), texts.note)
        return Decomposed(LayerStack(out.to(picture.device), names), said, kinds=kinds)

    def _with_margin(self, picture: Tensor, request: Request, progress: Progress) -> Decomposed:
        """A cut-out with clear pixels around it: what is cut close is found neither as text nor as a shape."""
        margin = max(MIN_MARGIN_PX, max(picture.shape) // MARGIN_SHARE)
        found = self.decompose(torch.nn.functional.pad(picture, (0, 0, *4 * (margin,))), request, progress)
        inner = slice(margin, -margin)
        return found._replace(stack=LayerStack(found.stack.pixels[:, inner, inner].contiguous(), found.stack.names))


def _touches_border(work: Working) -> bool:
    """Whether something is seen on the border of the picture."""
    alpha = work.rgba[..., 3]
    return bool(max(alpha[[0, -1]].max(), alpha[:, [0, -1]].max()) > 0)


def _behind(strokes: Strokes, texts: Texts, progress: Progress) -> tuple[Working, Background, Labels]:
    """The picture without strokes, its background, and the regions before that.

    Only a screen's are looked for with the small tolerances of an even picture.
    """
    if strokes.clean.is_even:
        background, regions = _ground_and_regions(strokes.clean, progress)
        if screen_panels(strokes.clean, background, regions, texts, strokes.numbers):
            return strokes.clean, background, regions
    plain = Working(strokes.clean.rgba, strokes.clean.noise)
    return (plain, *_ground_and_regions(plain, progress))


def _ground_and_regions(work: Working, progress: Progress) -> tuple[Background, Labels]:
    """The background and the regions before it; where one region is nearly all, what stands out is looked for."""
    background = find_background(work, part(progress, 0, 0.5))
    regions = find_regions(work, background, part(progress, 0.5, 0.7))
    is_drawn = background.has_formula and evenness(work.rgba) > MIN_EVEN
    if is_drawn and _largest_region(regions)[1] > MAX_REGION:
        regions = find_parted_regions(work, background, part(progress, 0.6, 0.7))
    largest, share = _largest_region(regions)
    if share > MAX_REGION:
        things = (regions != 0) & (regions != largest)
        background = salient_background(work, part(progress, 0.7, 0.8), things)
        regions = find_regions(work, background, part(progress, 0.8, 1))
    return (background, regions) if work.is_even else behind_land(background, regions)


def _largest_region(regions: Labels) -> tuple[int, float]:
    """The largest region, the background aside, and the share of the picture that it covers."""
    sizes = np.bincount(regions.ravel(), minlength=2)
    sizes[0] = 0
    return int(sizes.argmax()), float(sizes.max()) / regions.size
