"""Step 8, units: regions become the units of which layers are made.

1. `_slivers`: thin regions whose colour is a mix of their two neighbours' are given to these: blurred edges.
2. `_seen_through`: small holes, such as the counters of letters, get the label of what shows through them.
3. `step07_texts`: the letters of a text become one unit.
4. `outlines.without_outlines`: lines between a shape and what it lies on are given to the shape.
5. `_crumbs`: regions too small to be units of their own are given to their most fitting neighbours.
6. `_with_open_counters`: what shows through letters that were read is none of theirs.
"""

from __future__ import annotations

import numpy as np

from ...progress import Progress, part, silent
from .areas import compact
from .fill import nearest
from .ink import surrounded
from .lines import between
from .outlines import without_outlines
from .step07_reading import Texts
from .step07_texts import ALONE, BESIDE_A_READER, LINEAR_LIGHT_OVERSHOOT, find_texts, relabel
from .table import Table, measure
from .units import SHAPE, TEXT, Units
from .working import Floats, Labels, Mask, Working, reported

MAX_UNITS = 150
"""How many units there may be, the largest: grouping takes time with their square."""

MIN_UNIT = 2.5e-4
"""Share of the picture below which a region is no unit of its own."""

FAINT_ALPHA = 13
"""Mean alpha, in 1/255, below which a region of a cut-out is the last of a soft edge: 0.05."""

HALF_CLEAR = 128
"""Mean alpha, in 1/255, below which a region of a cut-out is no solid thing."""

MAX_SLIVER_PX = 4.1
"""How thick a sliver may be, in working pixels."""

MAX_SLIVER_BORDER = 0.75
"""Share of its border that a sliver may have with one neighbour: it lies between two."""

MAX_OFF_MIX = 25
"""How far, in 1/255, a sliver's or hole's colour may be off the line between the two colours it mixes."""

MIN_HOLE_BORDER = 0.8
"""Share of its border that a hole has with the region it is in."""

MAX_HOLED_SIDE = 0.2
"""Longer side of a region whose holes are looked at, as a share of the picture's: letters, not frames."""

MIN_BEYOND_SHARE = 0.9
"""How near to the colour of what lies beyond a hole's colour must be, 0 being that of the region around it."""

MIN_BEYOND_SHARE_SMALL = 0.4
"""The same for a hole that is no wider than SMALL_HOLE_PX, whose colour is blurred."""

SMALL_HOLE_PX = 8
"""Width in working pixels up to which a hole's colour is blurred."""

TEXT_PULL = 10
"""How many times as strongly texts draw crumbs, for their alpha is solved at every pixel."""

READ_PULL = 0.5
"""The same for texts that were read, whose glyphs are known: below 1, only what touches them is drawn."""

MIN_FRINGE = 0.3
"""Share of its border that a fringe of a text has with it: the other side has the paper."""

LIKENESS = 20
"""Difference of colours, in 1/255, at which a neighbour fits a quarter as well as one of the same colour."""

COUNTER_PX = 3
"""Width, in working pixels, from which the inside of a letter is more than the blur of its edges."""

MAX_SPECK_PX = 6
"""Largest crumb, in working pixels, that becomes background; larger ones join the nearest unit: no i loses its dot."""

MIN_BARE = 0.9
"""Of all neighbours' fitting, the background's share above which a crumb lies on bare background."""


def find_units(work: Working, regions: Labels, texts: Texts, progress: Progress = silent) -> Units:
    """The units of a region map (h, w): texts read or gathered, slivers and crumbs given to their neighbours."""
    table = measure(regions, work.rgba, part(progress, 0, 0.2))
    regions = _absorbed(regions, table, _slivers(table), np.ones_like(table.area), part(progress, 0.2, 0.3))
    regions = _seen_through(regions, measure(regions, work.rgba, part(progress, 0.3, 0.4)))
    table = measure(regions, work.rgba, part(progress, 0.4, 0.6))
    demands = BESIDE_A_READER if texts.were_read else ALONE
    groups = find_texts(table, work.shape, texts.covering(regions), demands, part(progress, 0.6, 0.7))
    labels, first = relabel(regions, groups)
    count, marks = int(labels.max()), int(max(texts.marks.max(), 0))
    labels = np.where(texts.numbers > 0, count + texts.numbers, labels)
    labels = np.where(texts.marks > 0, count + len(texts.names) + texts.marks, labels).astype(np.int32)
    number = np.arange(int(labels.max()) + 1)
    is_text = (number >= first) & (number < len(number) - marks)
    read = number > count
    pull = np.where(read, READ_PULL, np.where(is_text, TEXT_PULL, 1)).astype(np.float32)
    table = measure(labels, work.rgba, part(progress, 0.7, 0.75))
    labels = without_outlines(labels, table, number >= first)
    kept = np.union1d(0, labels)
    labels = np.searchsorted(kept, labels).astype(np.int32)
    is_text, read, pull = is_text[kept], read[kept], pull[kept]
    table = measure(labels, work.rgba, part(progress, 0.75, 0.8))
    crumbs = _crumbs(table, is_text) | _fringes(table, read)
    labels = _absorbed(labels, table, crumbs, pull, part(progress, 0.8, 1))
    labels = _with_open_counters(labels, texts.numbers > 0)
    return Units(labels, np.where(is_text, TEXT, SHAPE).astype(np.int8)[~crumbs], regions)


def _seen_through(labels: Labels, table: Table) -> Labels:
    """Counters of letters and other small holes get the label of what shows through them."""
    beyond = table.ground[table.ground]
    in_one = table.border.max(1) > MIN_HOLE_BORDER * table.border.sum(1)
    small = table.size[table.ground] < MAX_HOLED_SIDE * max(labels.shape)
    around, behind = table.color[table.ground], table.color[beyond]
    share, misfit = between(table.color, around, behind, LINEAR_LIGHT_OVERSHOOT)
    least = np.where(table.stroke > SMALL_HOLE_PX, MIN_BEYOND_SHARE, MIN_BEYOND_SHARE_SMALL)
    same = (misfit < MAX_OFF_MIX) & (share > least)
    hole = in_one & small & same & (table.ground > 0) & (beyond != np.arange(len(table)))
    number = np.where(hole, beyond, np.arange(len(table)))
    number[0] = 0
    return compact(np.asarray(number[labels], np.int32))


def _slivers(table: Table) -> Mask:
    """Thin regions whose colour is a mix of the two regions they lie between: what remains of blurred edges."""
    two = np.argsort(-table.border, axis=1, kind="stable")[:, :2]
    by_one = table.border.max(1) / np.maximum(table.border.sum(1), 1)
    first, second = table.color[two[:, 0]], table.color[two[:, -1]]
    _, misfit = between(table.color, first, second, LINEAR_LIGHT_OVERSHOOT)
    thin = (table.stroke <= MAX_SLIVER_PX) & (by_one < MAX_SLIVER_BORDER) & (misfit < MAX_OFF_MIX)
    thin[0] = False
    return np.asarray(thin)


def _crumbs(table: Table, is_text: Mask) -> Mask:
    """Which regions (n,) are too small, too faint, or too many, to be units; texts and the background (0) never are."""
    size = np.where(is_text, np.inf, table.area)
    size[0] = np.inf
    gone = (size < table.area.sum() * MIN_UNIT) | ((table.color[:, 3] < FAINT_ALPHA) & np.isfinite(size))
    gone[np.argsort(-size, kind="stable")[MAX_UNITS:]] = True
    return np.asarray(gone & ~is_text)


def _with_open_counters(labels: Labels, ink: Mask) -> Labels:
    """Labels in which the counters of letters that were read have the label of what is around the text.

    Where a ground changes under a text, a counter is a region of its own, and only the letter touches it.
    """
    import cv2

    letters = np.isin(labels, np.unique(labels[ink]))
    inside = (letters & surrounded(ink)).astype(np.uint8)
    core = cv2.erode(inside, np.ones((COUNTER_PX, COUNTER_PX), np.uint8)) > 0
    count, pieces = cv2.connectedComponents(inside, connectivity=4)
    counters = (inside > 0) & (np.bincount(pieces[core], minlength=count) > 0)[pieces]
    if not counters.any() or letters.all():
        return labels
    return np.where(counters, labels.reshape(-1)[nearest(~letters)[0]], labels)


def _fringes(table: Table, read: Mask) -> Mask:
    """Which regions (n,) are the edges of texts that were read: thin or half clear, and along these for a good part."""
    along = table.border[:, read].sum(1) > MIN_FRINGE * table.border.sum(1)
    blurred = (table.stroke <= MAX_SLIVER_PX) | (table.color[:, 3] < HALF_CLEAR)
    fringe = along & blurred & ~read
    fringe[0] = False
    return np.asarray(fringe)


def _absorbed(labels: Labels, table: Table, gone: Mask, pull: Floats, progress: Progress) -> Labels:
    """Labels, without gaps, in which each region that goes has become its most fitting neighbour.

    pull: (n,), how strongly each region draws others.
    """
    border, target = table.border.copy(), np.arange(len(table))
    smallest_first = np.flatnonzero(gone)[np.argsort(table.area[gone], kind="stable")]
    for region in reported(smallest_first.tolist(), progress, "giving crumbs to their neighbours"):
        into = _most_fitting(region, border, pull, table)
        target[target == region] = into
        border[into] += border[region]
        border[:, into] += border[:, region]
        border[into, into] = 0
        border[region], border[:, region] = 0, 0
    number = np.cumsum(~gone) - 1
    return np.asarray(number[target][labels], np.int32)


def _most_fitting(region: int, border: Floats, pull: Floats, table: Table) -> int:
    """The neighbour with the longest and most similar border; for what lies on bare background, the nearest region."""
    unlike = np.abs(table.color - table.color[region]).max(1)
    fit = border[region] * pull / (LIKENESS + unlike) ** 2
    if fit.argmax() == 0 and table.area[region] > MAX_SPECK_PX and fit[0] > MIN_BARE * fit.sum():
        near = _distance(table, region) * (LIKENESS + unlike)
        near[[0, region]] = np.inf
        near[border.sum(1) == 0] = np.inf
        near[(pull < 1) & (border[region] == 0)] = np.inf
        return int(near.argmin()) if np.isfinite(near).any() else 0
    return int(fit.argmax())


def _distance(table: Table, region: int) -> Floats:
    """Clear distance in pixels from a region's box to all boxes (n,), plus one."""
    box = table.box.astype(np.float32)
    gap = np.maximum(np.maximum(box[:, :2] - box[region, 2:], box[region, :2] - box[:, 2:]), 0)
    return np.asarray(np.hypot(gap[:, 0], gap[:, 1]) + 1)
