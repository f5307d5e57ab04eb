"""Step 8 for scenes (`is_scene`): the parts of the picture become the units, in place of its regions.

In a painted scene or a photograph colours run into each other, and regions (step 5) leak. So the picture is cut anew:
1. `_lifted`: texts, which are found on the regions or read, stay units of their own; the picture is cut without them,
   so that their edges are no parts.
2. `_basins`: the watershed of the Lab gradient (Meyer, 1992, as in OpenCV) on a small copy, where textures are calm.
3. `_split_at`: a part that both stands out (step 4) and does not is cut in two: birds, petals and twigs are found so.
4. `_backdrop`: what does not stand out and belongs to the picture's border (`merge_tree.with_scenery`) is background,
   and so is a calm area that is too large for a thing. What neither stands out nor reaches the border may be a thing.
5. `_refined`: the outlines are moved to the edges of the working copy by a second watershed.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...progress import Progress, silent
from .areas import compact, connected, linked_pixels
from .fill import nearest_label, smooth_fill
from .merge_tree import Parts, edge_strength, lab_of, measured, with_scenery
from .shapes import grown
from .step03_ground import Background
from .units import SHAPE, TEXT, Units
from .working import Floats, Labels, Mask, Working, reduced

MIN_REGIONS = 200
"""Regions of a picture without a background formula from which it is a scene. Painted ones have 400 to 900, drawn
shapes on photographs and textures at most 100."""

PARTS_SIDE_PX = 448
"""Longest side of the copy on which parts are cut. Chosen on three scenes; 640 gives as good parts, more slowly."""

CALM_EDGE = 1.5
"""Strength of an edge, in Lab per pixel, below which an area is one basin."""

MIN_BASIN_PX = 12
"""Smallest basin, in pixels of the small copy."""

MIN_PART_PX = 10
"""Smallest part after cutting at what stands out, in the same pixels."""

FILTER_PX, FILTER_COLOR, FILTER_SPACE_PX = 5, 8.0, 2.0
"""The bilateral filter before the watershed: window in pixels, standard deviations in Lab and in pixels."""

BASIN_STEPS = 4
"""Steps of the 8-bit gradient for each Lab per pixel."""

FAINT_EDGE = 4.0
"""Mean strength of an edge, in Lab per pixel, over which calm areas of background are linked."""

MAX_CALM_THING = 0.08
"""Largest calm area, as a share of the picture, that does not stand out and may still be a thing."""

AROUND_TEXT_PX = 4
"""How far around a text, in working pixels, its blur and glow reach: nothing is looked for there."""

REFINED_PX = 2
"""How far from an outline of the small copy, in its pixels, the true one is looked for."""


def is_scene(background: Background, regions: Labels) -> bool:
    """Whether colours run into each other: neither a formula nor a few regions explain the picture."""
    return background.kind == "inpainted" and int(regions.max()) >= MIN_REGIONS


def scene_units(work: Working, background: Background, units: Units, progress: Progress = silent) -> Units:
    """The units of a scene: its parts, and the texts among the units that its regions gave."""
    progress(0, "cutting the scene into parts")
    texts = grown(units.kinds[units.labels] == TEXT, AROUND_TEXT_PX)
    work, shown = _lifted(work, texts), background.front & ~texts
    small = replace(work, rgba=reduced(work.rgba, PARTS_SIDE_PX))
    front = reduced(shown.astype(np.float32)[..., None], PARTS_SIDE_PX).reshape(small.shape) > 0.5
    labels = _split_at(front, _basins(small))
    progress(0.5, "cutting the scene into parts")
    labels = compact(np.where(_backdrop(small, labels, front)[labels], 0, labels + 1))
    progress(0.7, "cutting the scene into parts")
    labels = _refined(work, labels)
    count = int(labels.max()) + 1
    kinds = np.full(count, SHAPE, np.int8)
    return _with_texts(Units(labels, kinds, labels), units)


def _lifted(work: Working, texts: Mask) -> Working:
    return replace(work, rgba=smooth_fill(work.rgba, (~texts).astype(np.float32))) if texts.any() else work


def _with_texts(parts: Units, units: Units) -> Units:
    numbers = np.cumsum(units.kinds == TEXT) * (units.kinds == TEXT)
    return parts.with_more(numbers[units.labels].astype(np.int32), TEXT)


def _basins(work: Working) -> Labels:
    """Basins 1.. of the gradient (h, w)."""
    import cv2

    lab = cv2.bilateralFilter(lab_of(work.rgba), FILTER_PX, FILTER_COLOR, FILTER_SPACE_PX)
    edge = edge_strength(np.asarray(lab), 0)
    low = (edge <= np.asarray(cv2.erode(edge, np.ones((3, 3), np.uint8)))) | (edge < CALM_EDGE)
    _, marks = cv2.connectedComponents(low.astype(np.uint8), connectivity=4)
    return _flooded(edge, _without_small(np.asarray(marks, np.int32), MIN_BASIN_PX))


def _flooded(edge: Floats, marks: Labels) -> Labels:
    """Marks (0 is none) grown to each other along the edges (h, w)."""
    import cv2

    if not marks.any():
        return np.ones_like(marks)
    relief = np.repeat((edge * BASIN_STEPS).clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
    flooded = np.asarray(cv2.watershed(relief, marks.copy()), np.int32)
    return nearest_label(np.maximum(flooded, 0))


def _without_small(labels: Labels, least: int) -> Labels:
    """Labels 1.. with the smaller ones set to 0, numbered without gaps."""
    kept = np.bincount(labels.ravel()) >= least
    return compact(np.where(kept[labels], labels, 0).astype(np.int32))


def _split_at(front: Mask, labels: Labels) -> Labels:
    """The connected pieces 0.. of each label on either side of a mask; the smallest go to the nearest."""
    both = 2 * labels + front
    pieces = linked_pixels(both[1:] == both[:-1], both[:, 1:] == both[:, :-1])
    kept = _without_small(pieces, MIN_PART_PX)
    return nearest_label(kept) - 1 if kept.any() else np.zeros_like(labels)


def _backdrop(work: Working, labels: Labels, front: Mask) -> Mask:
    """Which parts (n,) are background."""
    parts = with_scenery(measured(work, labels, np.zeros(int(labels.max()) + 1, np.int8)))
    area = np.bincount(labels.ravel())
    behind = np.bincount(labels.ravel(), weights=front.ravel()) < 0.5 * area
    return behind & (parts.scenery | (_calm_area(parts, behind) > MAX_CALM_THING))


def _calm_area(parts: Parts, among: Mask) -> Floats:
    """For each part (n,) the share of the picture of all those it is linked with by faint edges."""
    faint = parts.edge < FAINT_EDGE * parts.border
    linked = faint & np.logical_and.outer(among, among)
    number = connected(linked)
    return np.asarray(np.bincount(number, weights=parts.area, minlength=len(number))[number])


def _refined(work: Working, labels: Labels) -> Labels:
    """A map of a small copy at the working size; along its outlines pixels go where their edges are."""
    import cv2

    height, width = work.shape
    enlarged = cv2.resize(labels.astype(np.float32), (width, height), interpolation=cv2.INTER_NEAREST).astype(np.int32)
    if labels.shape == work.shape:
        return enlarged
    radius = max(1, round(REFINED_PX * width / labels.shape[1] / 2))
    square = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
    as_float = enlarged.astype(np.float32)
    inner = np.asarray(cv2.dilate(as_float, square) == cv2.erode(as_float, square))
    thin = ~np.isin(np.arange(int(labels.max()) + 1), enlarged[inner])
    marks = np.where(inner | thin[enlarged], enlarged + 1, 0).astype(np.int32)
    return _flooded(edge_strength(lab_of(work.rgba)), marks) - 1
