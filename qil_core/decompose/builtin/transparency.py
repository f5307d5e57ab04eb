"""Where a picture looks through something: the test that finds translucent panels.

A panel of colour P and alpha a turns what it lies on, B and S, into aP + (1 - a)B and aP + (1 - a)S: the difference of
the two is 1 - a times that of B and S, a shorter vector of the same direction (Metelli, "The perception of
transparency", 1974). A point where four regions meet proposes a panel; its whole outline must then bear it out: along
it, what is seen inside is one linear function of what is seen outside.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .regions import inner_depth, labels_met, measure
from .shapes import hulls
from .working import Floats, Labels, Mask, Working

Indices = NDArray[np.int64]

CONTRAST = 25
"""How much, in 1/255, two things under a panel must differ for it to be told from an opaque one."""

THROUGH = (0.08, 0.92)
"""How much of what is below must show through a panel: 1 - alpha."""

BORNE_OUT, IN_ALL = 0.65, 0.4
"""Share of a panel's outline that must agree: beside what it may lie on, and in all. Things on it cover the rest."""

LEAST_SHARE = 0.01
"""Share of the picture that a panel must cover: marks in a shadow may look like a small one."""

LEAST = 12
"""Sides of pixels along each of two things under it at which a panel's outline must agree."""

RADIUS, SAMPLES = 7, 48
"""The circle around a meeting on which regions are read, in working pixels, and at how many points."""

MOST_MEETINGS, MOST_JUNCTIONS = 4000, 60
"""How many points where regions meet are looked at, and how many fours of regions."""

PROPOSED, SEEN = 10, 5
"""How far, in 1/255 and without noise, colours may be off where regions meet, and along an outline."""

STEP = 5
"""How far from an edge, in working pixels, the colours on its two sides are read."""

ROUNDS = (1, 1, 3, 3, 3)
"""Terms of a panel's colour in each round of fitting: one colour first, then a linear gradient."""


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


def find_transparent(work: Working, regions: Labels) -> Fit | None:
    """The panel over regions (h, w) that its outline bears out best; None where nothing looks like one.

    `under` is then all that its outline was seen to cross.
    """
    sides = read_sides(work, regions)
    found = [_fitted(sides, start) for start in _starts(work, regions)]
    share = np.bincount(regions.ravel()) / regions.size
    large = (fit for fit in found if fit is not None and share[fit.members].sum() > LEAST_SHARE)
    borne_out = [fit for fit in large if _is_borne_out(sides, fit)]
    if not borne_out:
        return None
    best = max(borne_out, key=lambda fit: fit.support)
    total, agreeing = _beside(sides, best)
    members = best.members | _enclosed(work, regions, best, 2 * sides.tolerance)
    return replace(best, members=members, under=agreeing > 0.5 * np.maximum(total, 1))


def places(shape: tuple[int, ...], flat: Indices) -> Floats:
    """Places (n, 3) of pixels, by flat index, as (1, x, y), x and y in 0..1 along the longer side."""
    y, x = flat // shape[1], flat % shape[1]
    return np.stack([np.ones(len(flat)), x / max(shape), y / max(shape)], 1).astype(np.float32)


def read_sides(work: Working, labels: Labels) -> Sides:
    """The colours on both sides of all edges between regions (h, w), read where the edges' blur is over."""
    index: Indices = np.arange(labels.size).reshape(labels.shape)
    flat = labels.ravel()
    calm = (inner_depth(labels) >= 2).ravel()
    pairs = []
    for grid in (index, index.T):
        size = max(grid.shape[1] - 2 * STEP + 1, 0)
        inner, left, right, outer = (grid[:, at : at + size].ravel() for at in (0, STEP - 1, STEP, 2 * STEP - 1))
        edge = (flat[left] != flat[right]) & (flat[inner] == flat[left]) & (flat[outer] == flat[right])
        edge &= calm[inner] & calm[outer]
        pairs.append(np.stack([inner[edge], outer[edge]]))
    first, second = np.concatenate(pairs, 1)
    inner, outer = np.append(first, second), np.append(second, first)
    rgb, at = work.rgba[..., :3].reshape(-1, 3), places(labels.shape, inner)
    return Sides(flat[inner], flat[outer], rgb[inner], rgb[outer], at, SEEN + 2.5 * work.noise)


def _starts(work: Working, labels: Labels) -> Iterator[Fit]:
    """What the points where four regions meet propose, for each way to see two of them as a panel."""
    rgb, flat, count = work.rgba[..., :3].reshape(-1, 3), labels.ravel(), int(labels.max()) + 1
    for spots in _junctions(labels):
        for turn in range(4):
            panel, below = np.roll(spots, turn)[:2], np.roll(spots, turn)[:1:-1]
            change, base = rgb[panel[0]] - rgb[panel[1]], rgb[below[0]] - rgb[below[1]]
            through = float(change @ base) / max(float(base @ base), 1)
            on_line = np.abs(change - through * base).max() < PROPOSED + 3 * work.noise
            if np.abs(base).max() > CONTRAST and THROUGH[0] < through < THROUGH[1] and on_line:
                added = np.zeros((3, 3), np.float32)
                added[0] = (rgb[panel] - through * rgb[below]).mean(0)
                yield Fit(_among(flat[panel], count), _among(flat[below], count), through, added)


def _among(numbers: Labels, count: int) -> Mask:
    return np.isin(np.arange(count), numbers)


def _junctions(labels: Labels) -> list[Indices]:
    """For each four regions that meet, a pixel (4,) of each near the meeting, in their order around it."""
    turns = np.arange(SAMPLES) * 2 * np.pi / SAMPLES
    down, along = (np.rint(RADIUS * part).astype(np.int64) for part in (np.sin(turns), np.cos(turns)))
    flat, width = labels.ravel(), labels.shape[1]
    found: dict[tuple[int, ...], Indices] = {}
    for y, x in _meetings(labels):
        circle = (y + down) * width + x + along
        ring = flat[circle]
        starts = np.flatnonzero(ring != np.roll(ring, 1))
        lengths = (np.roll(starts, -1) - starts) % SAMPLES
        key = tuple(sorted(ring[starts]))
        if len(key) == len(set(key)) == 4 and lengths.min() > 2 and len(found) < MOST_JUNCTIONS:
            found.setdefault(key, circle[(starts + lengths // 2) % SAMPLES])
    return list(found.values())


def _meetings(labels: Labels) -> Indices:
    """Rows and columns (k, 2) of pixels, a circle's radius from the border, at which three or four labels meet."""
    meeting = labels_met(labels) >= 3
    return np.argwhere(meeting[RADIUS : 1 - RADIUS, RADIUS : 1 - RADIUS])[:MOST_MEETINGS] + RADIUS


def _fitted(sides: Sides, fit: Fit) -> Fit | None:
    """A proposal refined along its outline and grown over further regions; None where the outline speaks against it."""
    for round_, terms in enumerate(ROUNDS):
        agree = _outline(sides, fit.members) & fit.agree(sides, 2 if round_ == 0 else 1)
        proof = [(agree & (sides.outer == region)).sum() for region in np.flatnonzero(fit.under)]
        if min(proof) < LEAST:
            return None
        through, added = _regressed(sides, agree, terms)
        if not THROUGH[0] < through < THROUGH[1]:
            return None
        colors = sides.at[agree] @ added / (1 - through)
        if colors.min() < -10 or colors.max() > 265:
            return None
        fit = _grown(sides, replace(fit, through=through, added=added))
    return fit


def _outline(sides: Sides, members: Mask) -> Mask:
    """Which places (n,) are on the outline of these regions; things that lie within them do not count."""
    count = len(members)
    total = np.bincount(sides.inner, minlength=count)
    held = np.bincount(sides.inner, weights=members[sides.outer], minlength=count) > 0.8 * total
    return np.asarray(members[sides.inner] & ~(members | held)[sides.outer])


def _beside(sides: Sides, fit: Fit) -> tuple[Indices, Indices]:
    """How many places of a panel's outline are beside each region (m,), and how many of them agree."""
    outline, count = _outline(sides, fit.members), len(fit.members)
    agree = outline & fit.agree(sides)
    return np.bincount(sides.outer[outline], minlength=count), np.bincount(sides.outer[agree], minlength=count)


def _is_borne_out(sides: Sides, fit: Fit) -> bool:
    """Whether enough of the outline agrees, also where nothing that seems to lie on the panel covers it."""
    total, agreeing = _beside(sides, fit)
    border = np.bincount(sides.inner, minlength=len(total))
    upon = (total > 0.3 * border) & (agreeing < 0.1 * total)
    return bool(fit.support > IN_ALL and agreeing.sum() > BORNE_OUT * total[~upon].sum())


def _regressed(sides: Sides, chosen: Mask, terms: int) -> tuple[float, Floats]:
    """How much shows through, and what is added (3, 3): least squares over the chosen places."""
    basis, seen, beside = sides.at[chosen][:, :terms], sides.seen[chosen], sides.beside[chosen]
    inverse = np.linalg.pinv(basis, rcond=1e-3)
    of_seen, of_beside = seen - basis @ (inverse @ seen), beside - basis @ (inverse @ beside)
    through = float((of_seen * of_beside).sum() / max(float((of_beside * of_beside).sum()), 1e-6))
    added = np.zeros((3, 3), np.float32)
    added[:terms] = inverse @ (seen - through * beside)
    return through, added


def _grown(sides: Sides, fit: Fit) -> Fit:
    """With further regions beside it, one by one, while a larger share of its whole border agrees."""
    agree, count = fit.agree(sides), len(fit.members)
    while True:
        inside = fit.members[sides.outer]
        touching = np.bincount(sides.inner, weights=inside, minlength=count) > 0
        agreeing = np.bincount(sides.inner, weights=~inside & agree, minlength=count)
        free = np.flatnonzero(touching & (agreeing >= LEAST) & ~fit.members & ~fit.under)
        tried = [fit.members, *(fit.members | (np.arange(count) == region) for region in free)]
        borders = [members[sides.inner] & ~members[sides.outer] for members in tried]
        best = int(np.argmax([agree[border].mean() if border.any() else 0 for border in borders]))
        if best == 0:
            outline = _outline(sides, fit.members)
            return replace(fit, support=float((agree & outline).sum() / max(outline.sum(), 1)))
        fit = replace(fit, members=tried[best])


def _enclosed(work: Working, labels: Labels, fit: Fit, tolerance: float) -> Mask:
    """Regions (m,) within a panel's hull that look like one of its own: the counters of letters on it."""
    table = measure(labels, work.rgba)
    hull = hulls(fit.members[labels])
    within = np.bincount(labels.ravel(), weights=hull.ravel(), minlength=len(table)) > 0.9 * table.area
    unlike = np.abs(table.color[:, None] - table.color[fit.members][None]).max(2).min(1)
    return np.asarray(within & (unlike < tolerance) & ~fit.under)
