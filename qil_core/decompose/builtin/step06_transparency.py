"""Step 6, finding panels: where a picture looks through something.

A panel of colour P and alpha a turns what it lies on, B and S, into aP + (1 - a)B and aP + (1 - a)S: the difference of
the two is 1 - a times that of B and S, a shorter vector of the same direction (Metelli, "The perception of
transparency", 1974).

1. `read_sides`: the colours on both sides of all edges between regions.
2. `_proposals`: a crossing, where four regions meet, proposes a panel if its colours are related in that way.
3. `_fitted`: the proposal is refined along its outline, where the colours inside must be one linear function of those
   outside, and `_enlarged` by neighbouring regions for which the same function holds.
4. `_is_supported`: enough of the outline must agree in the end.
5. `_enclosed`: regions inside that look like the panel itself, such as the counters of letters on it, join it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...progress import Progress, silent
from .meetings import meetings
from .shapes import hulls
from .table import inner_depth, measure
from .working import Floats, Labels, Mask, Tolerance, Working, reported

Indices = NDArray[np.int64]

MIN_CONTRAST_BELOW = 25
"""How much, in 1/255, two things under a panel must differ: with less, the panel could as well be opaque."""

MIN_THROUGH = 0.08
"""Least share of what is below that shows through a panel (1 - alpha): with less it is opaque."""

MAX_THROUGH = 0.92
"""Largest share of what is below that shows through a panel: with more it is hardly there."""

MIN_AGREEMENT_ON_CANDIDATES = 0.65
"""Of the outline that borders the regions a panel may lie on, the least share whose colours fit its linear model."""

MIN_AGREEMENT = 0.4
"""The same share of the whole outline: things that lie on the panel's edge may cover the others."""

MIN_AREA = 0.01
"""Share of the picture that a panel must cover: marks in a shadow may look like a small one."""

MIN_AGREEING_SIDES = 12
"""Pixel sides along each of two things below at which a panel's outline must agree."""

RING_RADIUS_PX = 7
"""Radius, in working pixels, of the circle around a crossing on which its four regions are read."""

RING_SAMPLES = 48
"""At how many points of that circle."""

MIN_RING_ARC = 3
"""How many of these points each of the four regions must have."""

MAX_MEETINGS = 4000
"""How many points where regions meet are looked at."""

MAX_CROSSINGS = 60
"""How many different fours of regions are looked at: it bounds the time of a noisy picture."""

AT_CROSSING = Tolerance(10, 3)
"""How far the colours at a crossing may be off Metelli's relation."""

ON_OUTLINE = Tolerance(5, 2.5)
"""How far colours along an outline may be off the panel's linear model."""

FIRST_ROUND_SLACK = 2
"""In the first round of fitting, which only knows the crossing's colours, tolerances are this many times as wide."""

EDGE_OFFSET_PX = 5
"""How far from an edge, in working pixels, the colours on its two sides are read: there the edge's blur is over."""

ROUNDS = (1, 1, 3, 3, 3)
"""Terms of a panel's colour in each round of fitting: one colour first, then a linear gradient."""

MAX_OUT_OF_RANGE = 10
"""How far, in 1/255, a panel's fitted colour may leave 0..255."""

HELD = 0.8
"""A region that has this share of its border with a panel's members lies within it, and its edge is no outline."""

MIN_BORDER_ON_PANEL = 0.3
"""A region that has this share of its border with a panel, and does not agree with it, seems to lie on it."""

MAX_AGREEMENT_ON_PANEL = 0.1
"""Share of a region's border with a panel that may agree while the region still seems to lie on it."""

MIN_CROSSED = 0.5
"""Share of a region's border with a panel that must agree for the panel to lie on the region."""

MIN_ENCLOSED = 0.9
"""Share of a region that must be inside a panel's convex hull to be enclosed by it."""

ENCLOSED_SLACK = 2
"""How far an enclosed region's colour may be from a member's, in tolerances."""


@dataclass(frozen=True)
class Sides:
    """Places where two regions touch, each both ways round.

    inner, outer: (n,) regions. seen, beside: (n, 3) their colours. at: (n, 3), the place as (1, x, y). tolerance: how
    far colours may be off, in 1/255.
    """

    inner: Labels
    outer: Labels
    seen: Floats
    beside: Floats
    at: Floats
    tolerance: float


@dataclass(frozen=True)
class Fit:
    """A panel's regions, members (m,), and what it does to colours: through * below + (1, x, y) @ added (3, 3).

    under: (m,), regions that it lies on, as they are seen outside it. support: share of its outline that agrees.
    """

    members: Mask
    under: Mask
    through: float
    added: Floats
    support: float = 0.0

    def agree(self, sides: Sides, slack: float = 1) -> Mask:
        """Where (n,) the colours on the two sides are as this panel makes them."""
        misfit = sides.seen - self.through * sides.beside - sides.at @ self.added
        return np.asarray(np.abs(misfit).max(1) < slack * sides.tolerance)

    def color(self, shape: tuple[int, ...]) -> Floats:
        """The panel's colour (h, w, 3) in 0..255."""
        seen = places(shape, np.arange(shape[0] * shape[1])) @ self.added / (1 - self.through)
        return np.asarray(np.clip(seen, 0, 255).reshape(*shape, 3), np.float32)


def find_transparent(work: Working, regions: Labels, progress: Progress = silent) -> Fit | None:
    """The panel over regions (h, w) whose outline agrees best; None where nothing looks like one.

    `under` is then all that its outline was seen to cross.
    """
    progress(0, "looking for panels")
    sides = read_sides(work, regions)
    found = [_fitted(sides, start) for start in _proposals(work, regions, progress)]
    share = np.bincount(regions.ravel()) / regions.size
    large = (fit for fit in found if fit is not None and share[fit.members].sum() > MIN_AREA)
    supported = [fit for fit in large if _is_supported(sides, fit)]
    if not supported:
        return None
    best = max(supported, key=lambda fit: fit.support)
    total, agreeing = _counts_by_neighbour(sides, best)
    members = best.members | _enclosed(work, regions, best, ENCLOSED_SLACK * sides.tolerance, progress)
    return replace(best, members=members, under=agreeing > MIN_CROSSED * np.maximum(total, 1))


def places(shape: tuple[int, ...], flat: Indices) -> Floats:
    """Places (n, 3) of pixels, by flat index, as (1, x, y), x and y in 0..1 along the longer side."""
    y, x = flat // shape[1], flat % shape[1]
    return np.stack([np.ones(len(flat)), x / max(shape), y / max(shape)], 1).astype(np.float32)


def read_sides(work: Working, labels: Labels) -> Sides:
    """The colours on both sides of all edges between regions (h, w), read where the edges' blur is over."""
    index: Indices = np.arange(labels.size).reshape(labels.shape)
    flat, step = labels.ravel(), EDGE_OFFSET_PX
    calm = (inner_depth(labels) >= 2).ravel()
    pairs = []
    for grid in (index, index.T):
        size = max(grid.shape[1] - 2 * step + 1, 0)
        inner, left, right, outer = (grid[:, at : at + size].ravel() for at in (0, step - 1, step, 2 * step - 1))
        edge = (flat[left] != flat[right]) & (flat[inner] == flat[left]) & (flat[outer] == flat[right])
        edge &= calm[inner] & calm[outer]
        pairs.append(np.stack([inner[edge], outer[edge]]))
    first, second = np.concatenate(pairs, 1)
    inner, outer = np.append(first, second), np.append(second, first)
    rgb, at = work.rgba[..., :3].reshape(-1, 3), places(labels.shape, inner)
    return Sides(flat[inner], flat[outer], rgb[inner], rgb[outer], at, ON_OUTLINE.at(work.noise))


def _proposals(work: Working, labels: Labels, progress: Progress) -> Iterator[Fit]:
    """The panels that crossings propose, for each way to see two of the four regions as a panel over the others."""
    rgb, flat, count = work.rgba[..., :3].reshape(-1, 3), labels.ravel(), int(labels.max()) + 1
    tolerance = AT_CROSSING.at(work.noise)
    for spots in reported(_crossings(labels), progress, "looking for panels"):
        for turn in range(4):
            panel, below = np.roll(spots, turn)[:2], np.roll(spots, turn)[:1:-1]
            change, base = rgb[panel[0]] - rgb[panel[1]], rgb[below[0]] - rgb[below[1]]
            through = float(change @ base) / max(float(base @ base), 1)
            related = np.abs(change - through * base).max() < tolerance
            if np.abs(base).max() > MIN_CONTRAST_BELOW and MIN_THROUGH < through < MAX_THROUGH and related:
                added = np.zeros((3, 3), np.float32)
                added[0] = (rgb[panel] - through * rgb[below]).mean(0)
                yield Fit(_among(flat[panel], count), _among(flat[below], count), through, added)


def _among(numbers: Labels, count: int) -> Mask:
    return np.isin(np.arange(count), numbers)


def _crossings(labels: Labels) -> list[Indices]:
    """For each four regions that meet, a pixel (4,) of each near the meeting, in their order around it."""
    turns = np.arange(RING_SAMPLES) * 2 * np.pi / RING_SAMPLES
    down, along = (np.rint(RING_RADIUS_PX * part).astype(np.int64) for part in (np.sin(turns), np.cos(turns)))
    flat, width = labels.ravel(), labels.shape[1]
    found: dict[tuple[int, ...], Indices] = {}
    for y, x in meetings(labels, (3, 4), RING_RADIUS_PX)[:MAX_MEETINGS]:
        circle = (y + down) * width + x + along
        ring = flat[circle]
        starts = np.flatnonzero(ring != np.roll(ring, 1))
        lengths = (np.roll(starts, -1) - starts) % RING_SAMPLES
        key = tuple(sorted(ring[starts]))
        if len(key) == len(set(key)) == 4 and lengths.min() >= MIN_RING_ARC and len(found) < MAX_CROSSINGS:
            found.setdefault(key, circle[(starts + lengths // 2) % RING_SAMPLES])
    return list(found.values())


def _fitted(sides: Sides, fit: Fit) -> Fit | None:
    """A proposal refined along its outline and enlarged by further regions; None where the outline contradicts it."""
    for round_, terms in enumerate(ROUNDS):
        agree = _outline(sides, fit.members) & fit.agree(sides, 1 if round_ else FIRST_ROUND_SLACK)
        agreeing = [(agree & (sides.outer == region)).sum() for region in np.flatnonzero(fit.under)]
        if min(agreeing) < MIN_AGREEING_SIDES:
            return None
        through, added = _regressed(sides, agree, terms)
        if not MIN_THROUGH < through < MAX_THROUGH:
            return None
        colors = sides.at[agree] @ added / (1 - through)
        if colors.min() < -MAX_OUT_OF_RANGE or colors.max() > 255 + MAX_OUT_OF_RANGE:
            return None
        fit = _enlarged(sides, replace(fit, through=through, added=added))
    return fit


def _outline(sides: Sides, members: Mask) -> Mask:
    """Which places (n,) are on the outline of these regions; things that lie within them do not count."""
    count = len(members)
    total = np.bincount(sides.inner, minlength=count)
    held = np.bincount(sides.inner, weights=members[sides.outer], minlength=count) > HELD * total
    return np.asarray(members[sides.inner] & ~(members | held)[sides.outer])


def _counts_by_neighbour(sides: Sides, fit: Fit) -> tuple[Indices, Indices]:
    """How many places of a panel's outline are beside each region (m,), and how many of them agree."""
    outline, count = _outline(sides, fit.members), len(fit.members)
    agree = outline & fit.agree(sides)
    return np.bincount(sides.outer[outline], minlength=count), np.bincount(sides.outer[agree], minlength=count)


def _is_supported(sides: Sides, fit: Fit) -> bool:
    """Whether enough of the outline agrees, in all and where nothing that seems to lie on the panel covers it."""
    total, agreeing = _counts_by_neighbour(sides, fit)
    border = np.bincount(sides.inner, minlength=len(total))
    upon = (total > MIN_BORDER_ON_PANEL * border) & (agreeing < MAX_AGREEMENT_ON_PANEL * total)
    enough = agreeing.sum() > MIN_AGREEMENT_ON_CANDIDATES * total[~upon].sum()
    return bool(fit.support > MIN_AGREEMENT and enough)


def _regressed(sides: Sides, chosen: Mask, terms: int) -> tuple[float, Floats]:
    """How much shows through, and what is added (3, 3): least squares over the chosen places."""
    basis, seen, beside = sides.at[chosen][:, :terms], sides.seen[chosen], sides.beside[chosen]
    inverse = np.linalg.pinv(basis, rcond=1e-3)
    of_seen, of_beside = seen - basis @ (inverse @ seen), beside - basis @ (inverse @ beside)
    through = float((of_seen * of_beside).sum() / max(float((of_beside * of_beside).sum()), 1e-6))
    added = np.zeros((3, 3), np.float32)
    added[:terms] = inverse @ (seen - through * beside)
    return through, added


def _enlarged(sides: Sides, fit: Fit) -> Fit:
    """With further regions beside it, one by one, while a larger share of its whole border agrees."""
    agree, count = fit.agree(sides), len(fit.members)
    while True:
        inside = fit.members[sides.outer]
        touching = np.bincount(sides.inner, weights=inside, minlength=count) > 0
        agreeing = np.bincount(sides.inner, weights=~inside & agree, minlength=count)
        free = np.flatnonzero(touching & (agreeing >= MIN_AGREEING_SIDES) & ~fit.members & ~fit.under)
        tried = [fit.members, *(fit.members | (np.arange(count) == region) for region in free)]
        borders = [members[sides.inner] & ~members[sides.outer] for members in tried]
        best = int(np.argmax([agree[border].mean() if border.any() else 0 for border in borders]))
        if best == 0:
            outline = _outline(sides, fit.members)
            return replace(fit, support=float((agree & outline).sum() / max(outline.sum(), 1)))
        fit = replace(fit, members=tried[best])


def _enclosed(work: Working, labels: Labels, fit: Fit, tolerance: float, progress: Progress) -> Mask:
    """Regions (m,) within a panel's hull that look like one of its own: the counters of letters on it."""
    table = measure(labels, work.rgba, progress)
    hull = hulls(fit.members[labels])
    within = np.bincount(labels.ravel(), weights=hull.ravel(), minlength=len(table)) > MIN_ENCLOSED * table.area
    unlike = np.abs(table.color[:, None] - table.color[fit.members][None]).max(2).min(1)
    return np.asarray(within & (unlike < tolerance) & ~fit.under)
