"""Step 9, lights: glows that lie across the edge of something, half on it and half on the background.

Such a glow has one colour F, and shows B + a (F - B) on every B that it lies on (see `lines`). So both sides say the
same F, and two different B say it exactly: all lines from B through what is seen meet in F.

1. `_behind`: what lies behind a glow: the background's model, and on units of one colour or linear gradient theirs.
2. `_starts`: pieces of such units that are not explained by this; each starts a glow.
3. `_region`: what one F explains, also beyond the unit's edge, and is connected across it.
4. `_meeting`: F, by least squares; what the lines leave open is decided by the alpha assumed at the peak.
5. `softness.is_soft` says whether it is a glow. It must be seen on the background, too: a light on a thing is its part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ...progress import Progress, silent
from .fill import smooth_fill
from .gradient import COMMON_COLORS, FINE_CELL, reweighted, terms
from .lines import along
from .rim import common_colors
from .shapes import box_around, grown, hulls
from .softness import MAX_CORRELATION, MAX_CORRELATION_ALONE, is_soft
from .step03_ground import FIT, Background
from .step09_soft import (
    ALONE_ALPHA,
    BESIDE,
    MAX_COVERED,
    MIN_BESIDE_PX,
    MIN_SHARE,
    MIN_STRONGEST_BESIDE,
    ON_LINE,
    STRONG,
    STRONGEST,
    UNIT_ALPHA,
    Soft,
    glow_color,
)
from .units import Units
from .working import Floats, Labels, Mask, Working, strongest

EDGE_PX = 2
"""How far from the edge of a unit, in working pixels, colours are mixtures across it."""

MIN_UNIT = 0.004
"""Share of the picture from which a unit is large enough to show a glow upon it."""

REACH_PX = 3 * EDGE_PX
"""How far beyond a unit's edge, in working pixels, the glow upon it is looked for; as many pixels must show it."""

MIN_EXPLAINED = 0.2
"""Share of a unit that one colour or linear gradient must explain: a glow and its tails may lie on most of it."""

FITTED_PIXELS = 4000
"""On how many of a unit's pixels, evenly spread, its colours are fitted."""

LINEAR = 0.75
"""Factor on what a linear gradient explains: it bends towards the glow, and must explain more than one colour does."""

MAX_STARTS = 8
"""How many pieces, the largest, are looked at."""

SLACKS = (3, 2, 1, 1)
"""A glow's region and its colour are found in turn; in each round its pixels may be so many tolerances off the line.

With more than one, only pixels as near as the start is large."""

MIN_CHANGE = 2
"""How far, in 1/255, the faintest tail of a glow differs from what lies behind: less is rounding."""

MAX_LIFTED = 0.9
"""Alpha up to which colours at an edge under a glow are solved for: with more, rounding decides."""

MIN_LIT = 0.5
"""Share of a unit, of what is within a glow's hull, that the glow must explain to lie upon the unit."""

PRIOR = 0.002
"""Weight of the assumed alpha against the lines. They spread by this share when B varies by a twentieth of F - B."""


def find_lights(work: Working, background: Background, labels: Labels, progress: Progress = silent) -> list[Soft]:
    """Glows across the edges of the units of a map (h, w), the largest first; only before one with a formula."""
    if not background.has_formula or background.front.mean() > MAX_COVERED:
        return []
    progress(0, "looking for glows upon things")
    behind, known = _behind(work, background, labels)
    rgb = np.ascontiguousarray(work.rgba[..., :3])
    lights: list[Soft] = []
    for start in _starts(rgb - behind, known & (labels > 0), work):
        progress(0.5, "looking for glows upon things")
        lit = np.any([light.alpha > UNIT_ALPHA for light in lights] or [labels < 0], axis=0)
        light = _light(rgb, behind, known, labels, start & ~lit, work)
        lights += [light] if light is not None else []
    return lights


def without_lights(work: Working, background: Background, labels: Labels, lights: Sequence[Soft]) -> Working:
    """The working copy without these glows across the units of a map (h, w): what they lie on, as it is behind them."""
    if not lights:
        return work
    behind, known = _behind(work, background, labels)
    rgb = work.rgba[..., :3]
    for light in lights:
        alpha = np.minimum(light.alpha, MAX_LIFTED)[..., None]
        seen_through = np.clip((rgb - alpha * light.color) / (1 - alpha), 0, 255)
        rgb = np.where((known & (labels > 0) & (light.alpha > 0))[..., None], behind, seen_through)
    return replace(work, rgba=np.dstack([rgb, work.rgba[..., 3:]]))


def cast_upon(units: Units, lights: Sequence[Soft]) -> NDArray[np.int64]:
    """How many pixels of each unit (n, n) lie in the shadows and glows of each other one."""
    cast = np.zeros((len(units), len(units)), np.int64)
    for light in lights:
        owner = units.labels[light.pixel]
        cast[:, owner] += np.bincount(units.labels[light.upon], minlength=len(units))
    np.fill_diagonal(cast, 0)
    return cast


def _behind(work: Working, background: Background, labels: Labels) -> tuple[Floats, Mask]:
    """What lies behind glows (h, w, 3), and where that is known (h, w): not at edges, nor on units of many colours."""
    behind, known = background.model.copy(), labels == 0
    size = np.bincount(labels.ravel())
    for unit in np.flatnonzero(size >= MIN_UNIT * labels.size):
        if unit:
            box = box_around(labels == unit, 0)
            own = labels[box] == unit
            model = _even_colors(work.rgba[box][..., :3], own & ~grown(~own, EDGE_PX), FIT.at(work.noise))
            if model is not None:
                behind[box][own], known[box][own] = model[own], True
    edges = np.zeros_like(known)
    edges[1:] |= labels[1:] != labels[:-1]
    edges[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    return behind, known & ~grown(edges, EDGE_PX)


def _even_colors(rgb: Floats, inner: Mask, tolerance: float) -> Floats | None:
    """The colour or linear gradient (h, w, 3) that explains most of a unit's inner part; None where none does."""
    places = np.flatnonzero(inner)
    if len(places) < 3:
        return None
    some = places[:: len(places) // FITTED_PIXELS + 1]
    matrix, values = terms(1, *inner.shape), rgb.reshape(-1, 3)
    seen = np.ascontiguousarray(values[some])
    flat = [(color[None], matrix[:, :1]) for color in common_colors(seen, COMMON_COLORS, FINE_CELL)]
    fits = [*flat, (reweighted(matrix[some], seen, np.ones(len(some), np.float32), tolerance), matrix)]
    shares = [float((strongest(used[some] @ fit - seen) < tolerance).mean()) for fit, used in fits]
    best = int(np.argmax([*shares[:-1], LINEAR * shares[-1]]))
    fit, used = fits[best]
    return np.clip(used @ fit, 0, 255).reshape(rgb.shape) if shares[best] > MIN_EXPLAINED else None


def _starts(change: Floats, upon: Mask, work: Working) -> Iterator[Mask]:
    """Connected pieces of units that differ strongly from what lies behind, the largest first."""
    import cv2

    strong = (upon & (strongest(change) > STRONG.at(work.noise))).astype(np.uint8)
    count, pieces = cv2.connectedComponents(strong, connectivity=8)
    sizes = np.bincount(pieces.ravel(), minlength=count)
    sizes[0] = 0
    for k in np.argsort(-sizes, kind="stable")[:MAX_STARTS]:
        if sizes[k] > MIN_SHARE * pieces.size:
            yield pieces == k


def _light(rgb: Floats, behind: Floats, known: Mask, labels: Labels, start: Mask, work: Working) -> Soft | None:
    """The glow of which a part (h, w) on a unit is seen; None where it is none, or not seen on the background."""
    if not start.any():
        return None
    change = rgb - behind
    beside = grown(start, REACH_PX) & known & (labels == 0) & (strongest(change) > STRONG.at(work.noise))
    if beside.sum() < REACH_PX:
        return None
    color = _meeting(change[start | beside], behind[start | beside])
    tight = box_around(start, 0)
    near = np.zeros_like(known)
    near[box_around(start, max(side.stop - side.start for side in tight))] = True
    for slack in SLACKS:
        where = known & near if slack > 1 else known
        region = _region(change, behind, where, color, start, slack * ON_LINE.at(work.noise))
        if min((region & (labels == 0)).mean(), (region & (labels > 0)).mean()) < MIN_SHARE:
            return None
        color = _meeting(change[region], behind[region])
    alpha = np.clip(along(change, color - behind)[0], 0, 1)
    inner = region & known
    at_peak = inner & (alpha >= STRONGEST * np.quantile(alpha[inner], 0.98))
    owner = _caster(at_peak, labels, region)
    caster = labels == owner if owner else at_peak
    if not is_soft(alpha, region, ~known, caster, inner, MAX_CORRELATION if owner else MAX_CORRELATION_ALONE):
        return None
    everywhere = smooth_fill(alpha[..., None], inner.astype(np.float32))[..., 0]
    everywhere[everywhere < 1 / 255] = 0
    hull = hulls(grown(region, EDGE_PX))
    upon = np.isin(labels, _lit_units(labels, region, hull & known))
    seen = (hull & (upon | (labels == 0))) | (caster & (owner > 0))
    soft, under = (np.where(where, everywhere, 0).astype(np.float32) for where in (seen, hull))
    y, x = np.unravel_index(int(np.argmax(caster if owner else soft * (labels == 0))), soft.shape)
    return Soft(soft, color, not owner, (int(y), int(x)), under, upon & region)


def _lit_units(labels: Labels, region: Mask, hull: Mask) -> NDArray[np.int64]:
    """The units on which a glow lies: most of them, within its hull, is in its region."""
    count = int(labels.max()) + 1
    lit = np.bincount(labels[region], minlength=count) > MIN_LIT * np.bincount(labels[hull], minlength=count)
    lit[0] = False
    return np.flatnonzero(lit)


def _caster(at_peak: Mask, labels: Labels, region: Mask) -> int:
    """The unit beside which a glow is strongest, and on which it does not lie; 0 where there is none."""
    near = grown(at_peak, max(MIN_BESIDE_PX, max(labels.shape) // BESIDE))
    touched = np.bincount(labels[near], minlength=int(labels.max()) + 1)
    touched[np.unique(labels[region])] = 0
    owner = int(touched.argmax())
    beside = grown(labels == owner, max(MIN_BESIDE_PX, max(labels.shape) // BESIDE))
    return owner if touched[owner] and beside[at_peak].mean() > MIN_STRONGEST_BESIDE else 0


def _region(change: Floats, behind: Floats, known: Mask, color: Floats, start: Mask, tolerance: float) -> Mask:
    """What a glow of this colour explains (h, w), and is connected with where it starts, across edges."""
    import cv2

    share, misfit = along(change, color - behind)
    lit = known & (misfit < tolerance) & (strongest(change) > MIN_CHANGE) & (share > 0)
    lit = cv2.morphologyEx(lit.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0
    _, pieces = cv2.connectedComponents(grown(lit, EDGE_PX + 1).astype(np.uint8), connectivity=8)
    reached = np.unique(pieces[start & lit])
    return lit & np.isin(pieces, reached[reached > 0])


def _meeting(change: Floats, behind: Floats) -> Floats:
    """The colour (3,) where all lines from what lies behind (k, 3) along the changes (k, 3) meet.

    The point F with the least sum of |P (F - B)|^2, where P takes off what is along the change (least squares). Where
    all B are alike, the lines are one, and a little weight decides that has the assumed alpha at the peak.
    """
    guess = glow_color(change, behind, ALONE_ALPHA).astype(np.float64)
    length = np.maximum((change * change).sum(1), 1)
    way = change / np.sqrt(length)[:, None]
    across = np.eye(3) - way[:, :, None] * way[:, None, :]
    weighted = across * (length / length.sum())[:, None, None]
    normal = weighted.sum(0) + PRIOR * np.eye(3)
    return np.clip(np.linalg.solve(normal, (weighted @ behind[..., None]).sum(0)[:, 0] + PRIOR * guess), 0, 255).astype(
        np.float32
    )
