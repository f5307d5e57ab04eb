"""Simple outlines: rectangles, round-cornered ones, ellipses, lines and freeforms; how they are drawn and fitted.

Lengths are pixels, x to the right and y down, and a pixel's centre lies at half numbers. Steps of a fit:

1. first guesses: the box and the area (`upright`), the least box around it (`turned`), second moments (`elliptic`);
2. `refined`: Gauss and Newton's method on coverage, in the band of pixels along the outline;
3. `traced`: where no fitted form will do, the contour at half coverage, four times enlarged, simplified by Douglas and
   Peucker's method (OpenCV's approxPolyDP).

Tracing is OpenCV's because it was measured against vtracer 0.6 on the drawn scenes: the same error or less (0.35 to
1.1/255 in the box against 0.5 to 1.1) with 7 to 97 points for 57 to 544, in milliseconds instead of seconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Points = NDArray[np.float64]
Mask = NDArray[np.bool_]

FINE = 8
"""Outlines are drawn this many times larger and averaged: edges are then right to 1/16 pixel."""

BAND_ROWS = 128
"""Rows that are drawn at a time, so that a large outline needs no large sheet."""

TRACED = 4
"""Coverage is enlarged this many times before its contour is taken, which places it to about 1/8 pixel."""

SIMPLIFIED_PX = 0.45
"""How far a traced outline may leave the contour, in pixels: at 0.3 there are three times as many points as at 0.5."""

FIT_ROUNDS = 8
STEP_PX = 0.05
"""Rounds of a fit, and the step of its differences. Fits stop changing after 3 to 6 rounds."""

LEAST_RADIUS = 2.0
"""Pixels of a corner's radius that a fit begins with at least: from a sharp corner there is no slope to a round one."""

MIN_SOLIDITY = 0.72
"""Of a form on the pixel grid; thin turned lines have the least."""

ROUND_GAIN = 0.05
"""Square error, in pixels, by which round corners must fit better than sharp ones: a radius of 2 changes 0.4 of it."""

STRAIGHT = 0.35
"""Pixels that the ends of a form may stray from upright before it counts as turned."""

SHARP_PX = 1.0
"""A corner of a smaller radius covers its pixel whole, and is sharp."""

WHOLE_PX = 0.12
"""An edge this near to a whole pixel lies on it."""

LINE_ASPECT, LINE_PX = 8, 16
"""A rectangle at least so many times as long as it is thick, and at most so many pixels thick, is a line."""


@dataclass(frozen=True)
class Rounded:
    """A rectangle: centre, sides, radius of its corners (0: sharp), and its turn in radians, clockwise on screen."""

    x: float
    y: float
    width: float
    height: float
    radius: float = 0.0
    turn: float = 0.0

    @property
    def form(self) -> str:
        """What people call it."""
        if self.is_line:
            return "line"
        return "rounded rectangle" if self.radius else "rectangle"

    @property
    def is_line(self) -> bool:
        short, long = sorted((self.width, self.height))
        return short <= LINE_PX and long >= LINE_ASPECT * short

    def valid(self) -> bool:
        """Whether it can be drawn."""
        return min(self.width, self.height) > 0 and self.radius >= 0

    def distance(self, x: Floats, y: Floats) -> Floats:
        """Signed distance to the outline, negative inside (Quilez, "2D distance functions")."""
        u, v = _along(x - self.x, y - self.y, self.turn)
        radius = min(self.radius, min(self.width, self.height) / 2)
        p, q = np.abs(u) - self.width / 2 + radius, np.abs(v) - self.height / 2 + radius
        return np.hypot(np.maximum(p, 0), np.maximum(q, 0)) + np.minimum(np.maximum(p, q), 0) - radius

    def paths(self) -> list[Points]:
        """The outline as one polygon (n, 2)."""
        radius = min(self.radius, min(self.width, self.height) / 2)
        angles = np.linspace(0, math.pi / 2, max(5, math.ceil(radius * 2)) if radius else 1)
        arc = radius * np.stack([np.cos(angles), np.sin(angles)], -1)
        corner = np.array([self.width / 2 - radius, self.height / 2 - radius])
        flips = ((1, 1), (-1, 1), (-1, -1), (1, -1))
        outline = [(corner + arc)[:: i * j] * [i, j] for i, j in flips]
        return [_turned(np.concatenate(outline), self.turn) + np.array([self.x, self.y])]


@dataclass(frozen=True)
class Ellipse:
    """An ellipse: centre, its two diameters, its turn in radians, clockwise on screen."""

    x: float
    y: float
    width: float
    height: float
    turn: float = 0.0

    form = "ellipse"
    is_line = False

    def valid(self) -> bool:
        """Whether it can be drawn."""
        return min(self.width, self.height) > 0

    def distance(self, x: Floats, y: Floats) -> Floats:
        """Signed distance to the outline, to first order: the implicit function by its gradient (Taubin 1991)."""
        u, v = _along(x - self.x, y - self.y, self.turn)
        a, b = self.width / 2, self.height / 2
        level = np.hypot(u / a, v / b)
        slope = np.hypot(u / a**2, v / b**2) / np.maximum(level, 1e-6)
        return (level - 1) / np.maximum(slope, 1e-6)

    def paths(self) -> list[Points]:
        """The outline as one polygon (n, 2)."""
        angles = np.linspace(0, 2 * math.pi, max(24, math.ceil(self.width + self.height)), endpoint=False)
        flat = np.stack([np.cos(angles) * self.width / 2, np.sin(angles) * self.height / 2], -1)
        return [_turned(flat, self.turn) + np.array([self.x, self.y])]


@dataclass(frozen=True, eq=False)
class Freeform:
    """Closed polygons (n, 2); where an even number of them overlap there is a hole."""

    outlines: tuple[Points, ...]

    form = "freeform"
    is_line = False

    def paths(self) -> list[Points]:
        """The polygons."""
        return list(self.outlines)


Fitted = Rounded | Ellipse
Outline = Rounded | Ellipse | Freeform


def moved(outline: Outline, x: float, y: float) -> Outline:
    """The same outline elsewhere."""
    if isinstance(outline, Freeform):
        return Freeform(tuple(path + np.array([x, y]) for path in outline.outlines))
    return replace(outline, x=outline.x + x, y=outline.y + y)


def inset(form: Fitted, by: float) -> Fitted:
    """The form whose outline lies so many pixels further in."""
    form = replace(form, width=form.width - 2 * by, height=form.height - 2 * by)
    return replace(form, radius=max(0.0, form.radius - by)) if isinstance(form, Rounded) else form


def drawn(outline: Outline, height: int, width: int) -> Floats:
    """Coverage (height, width) in 0..1 of an outline."""
    import cv2

    result = np.zeros((height, width), np.float32)
    for top in range(0, height, BAND_ROWS):
        rows = min(BAND_ROWS, height - top)
        sheet = np.zeros((rows * FINE, width * FINE), np.uint8)
        cv2.fillPoly(sheet, [_fixed(path, top) for path in outline.paths()], 255, shift=4)
        result[top : top + rows] = cv2.resize(sheet, (width, rows), interpolation=cv2.INTER_AREA)
    return result / np.float32(255)


def _fixed(path: Points, top: int) -> NDArray[np.int32]:
    """A polygon in sixteenths of fine pixels. OpenCV also fills the pixels that the outline touches, half a fine pixel
    all round, which drawing() takes back by moving every point inwards along both of its edges."""
    fine = np.round((_shrunk(path, 0.5 / FINE) - [0, top]) * FINE * 16 - 8)
    return np.clip(fine, -(2**26), 2**26).astype(np.int32)


def _shrunk(path: Points, by: float) -> Points:
    """A polygon whose edges lie `by` further in."""
    ahead, back = np.roll(path, -1, 0) - path, path - np.roll(path, 1, 0)
    area = np.sum(path[:, 0] * np.roll(path[:, 1], -1) - np.roll(path[:, 0], -1) * path[:, 1])
    normals = [_unit(np.stack([-edge[:, 1], edge[:, 0]], -1)) * np.sign(area) for edge in (ahead, back)]
    middle = _unit(normals[0] + normals[1])
    sharpness = np.maximum(np.sum(middle * normals[0], 1, keepdims=True), 0.3)
    return path + by * middle / sharpness


def _unit(vectors: Points) -> Points:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def _along(x: Floats, y: Floats, turn: float) -> tuple[Floats, Floats]:
    cos, sin = np.float32(math.cos(turn)), np.float32(math.sin(turn))
    return x * cos + y * sin, y * cos - x * sin


def _turned(points: Points, turn: float) -> Points:
    cos, sin = math.cos(turn), math.sin(turn)
    return points @ np.array([[cos, sin], [-sin, cos]])


def fitted(coverage: Floats, known: Mask) -> Iterator[Fitted]:
    """Forms fitted to coverage (h, w), where it is known, the simplest first. No promise that one of them is near."""
    if solidity(coverage) < MIN_SOLIDITY:
        return
    box, round_one = ("x", "y", "width", "height"), elliptic(coverage)
    yield from _nearest(
        coverage,
        known,
        _sharper(refined(upright(coverage), coverage, known, (*box, "radius")), coverage, known),
        refined(replace(round_one, turn=0.0), coverage, known, box),
    )
    yield from _nearest(
        coverage,
        known,
        _sharper(refined(turned(coverage), coverage, known, (*box, "radius", "turn")), coverage, known),
        refined(round_one, coverage, known, (*box, "turn")),
    )


def _nearest(coverage: Floats, known: Mask, *forms: Fitted) -> list[Fitted]:
    """The forms without what the pixel grid made, the nearest to the coverage first."""
    ys, xs = np.nonzero(known)
    x, y, wanted = xs.astype(np.float32) + np.float32(0.5), ys.astype(np.float32) + np.float32(0.5), coverage[known]

    def order(form: Fitted) -> float:
        """An ellipse is as good as corners that round all of a form off: it goes first where they are about equal."""
        error = _square_error(form, x, y, wanted)
        return 0.7 * error - ROUND_GAIN if isinstance(form, Ellipse) else error

    return [tidy(form) for form in sorted(forms, key=order)]


def _sharper(form: Fitted, coverage: Floats, known: Mask) -> Fitted:
    """The form with sharp corners, unless the round ones fit better where the coverage is known."""
    assert isinstance(form, Rounded)
    ys, xs = np.nonzero(known)
    x, y, wanted = xs.astype(np.float32) + np.float32(0.5), ys.astype(np.float32) + np.float32(0.5), coverage[known]
    sharp = replace(form, radius=0.0)
    round_error = _square_error(form, x, y, wanted)
    return sharp if _square_error(sharp, x, y, wanted) <= round_error + ROUND_GAIN else form


def solidity(coverage: Floats | Mask) -> float:
    """The area as a share of its convex hull's: 1 of every form here, less of stars, rings and most letters."""
    import cv2

    covered = coverage > 0.5
    rows = np.flatnonzero(covered.any(1))
    first, last = covered[rows].argmax(1), covered.shape[1] - covered[rows, ::-1].argmax(1)
    ends = [(x, y) for x in (first, last) for y in (rows, rows + 1)]  # all corners of a hull are ends of rows
    corners = np.concatenate([np.stack(end, -1) for end in ends]).astype(np.float32)
    return float(covered.sum()) / max(1.0, cv2.contourArea(cv2.convexHull(corners)))


def upright(coverage: Floats) -> Rounded:
    """A first guess: the box, and the radius of which its corners lack as much area as they do."""
    ys, xs = np.nonzero(coverage > 0.5)
    left, right, top, bottom = xs.min(), xs.max() + 1, ys.min(), ys.max() + 1
    width, height = float(right - left), float(bottom - top)
    return Rounded(float(left + right) / 2, float(top + bottom) / 2, width, height, _radius(width, height, coverage))


def turned(coverage: Floats) -> Rounded:
    """A first guess: the least box at any angle."""
    import cv2

    points = np.argwhere(coverage > 0.5)[:, ::-1].astype(np.float32) + np.float32(0.5)
    (x, y), (width, height), angle = cv2.minAreaRect(points)
    return Rounded(x, y, width + 1, height + 1, _radius(width + 1, height + 1, coverage), math.radians(angle))


def _radius(width: float, height: float, coverage: Floats) -> float:
    lacking = max(0.0, width * height - float(coverage.sum()))
    return min(max(LEAST_RADIUS, math.sqrt(lacking / (4 - math.pi))), min(width, height) / 2)


def elliptic(coverage: Floats) -> Ellipse:
    """A first guess from the second moments, of which an ellipse's are a sixteenth of its diameters squared."""
    ys, xs = np.nonzero(coverage > 0)
    weights = coverage[ys, xs]
    points = np.stack([xs, ys], -1) + 0.5
    center = np.average(points, axis=0, weights=weights)
    spread = np.cov((points - center).T, aweights=weights, ddof=0)
    values, axes = np.linalg.eigh(np.atleast_2d(spread))
    sides = 4 * np.sqrt(np.maximum(values, 0.02))
    turn = math.atan2(axes[1, 1], axes[0, 1])
    upright = abs(math.cos(turn)) > abs(math.sin(turn))  # an ellipse may be named by either axis: take the nearer one
    width, height = (sides[1], sides[0]) if upright else (sides[0], sides[1])
    turn = turn if upright else turn - math.pi / 2
    return Ellipse(float(center[0]), float(center[1]), float(width), float(height), _quarter(turn))


def _quarter(turn: float) -> float:
    """The same axes by the angle nearest to none, -pi/2..pi/2."""
    return (turn + math.pi / 2) % math.pi - math.pi / 2


def refined(form: Fitted, coverage: Floats, known: Mask, names: Sequence[str]) -> Fitted:
    """The form moved to the least square error of its coverage, its named numbers alone."""
    ys, xs = np.nonzero(known)
    x, y, wanted = xs.astype(np.float32) + np.float32(0.5), ys.astype(np.float32) + np.float32(0.5), coverage[known]
    best, error = form, _square_error(form, x, y, wanted)
    for _ in range(FIT_ROUNDS):
        now = _soft(best, x, y)
        steps = [STEP_PX / max(best.width, best.height) if name == "turn" else STEP_PX for name in names]
        moved = [_soft(_moved(best, {name: step}), x, y) for name, step in zip(names, steps, strict=True)]
        slopes = np.stack([(one - now) / np.float32(step) for one, step in zip(moved, steps, strict=True)], -1)
        change, *_ = np.linalg.lstsq(slopes.astype(np.float64), (wanted - now).astype(np.float64), rcond=1e-4)
        for share in (1.0, 0.4, 0.1):
            candidate = _moved(best, {name: share * float(by) for name, by in zip(names, change, strict=True)})
            new = _square_error(candidate, x, y, wanted) if candidate.valid() else math.inf
            if new < error * 0.999:
                break
        else:
            break
        best, error = candidate, new
    return best


def _moved(form: Fitted, changes: dict[str, float]) -> Fitted:
    values = {name: float(getattr(form, name) + change) for name, change in changes.items()}
    if "radius" in values:
        assert isinstance(form, Rounded)
        values["radius"] = min(max(form.radius / 3, values["radius"]), max(form.width, form.height) / 2)
    return replace(form, **values)  # type: ignore[arg-type]


def _soft(form: Fitted, x: Floats, y: Floats) -> Floats:
    """Coverage of pixels by their distance to the outline; a form thinner than a pixel never covers one whole."""
    most = min(1.0, form.width, form.height)
    return np.clip(np.float32(0.5) - form.distance(x, y), 0, np.float32(most))


def _square_error(form: Fitted, x: Floats, y: Floats, wanted: Floats) -> float:
    return float(np.square(_soft(form, x, y) - wanted).sum())


def tidy(form: Fitted) -> Fitted:
    """The form without what only the pixel grid made: a turn of nearly none, edges nearly on pixels, tiny corners."""
    if isinstance(form, Rounded):
        form = replace(form, radius=min(form.radius, min(form.width, form.height) / 2))
        if form.radius < SHARP_PX:
            form = replace(form, radius=0.0)
    quarters = round(form.turn / (math.pi / 2))
    if abs(form.turn - quarters * math.pi / 2) * max(form.width, form.height) / 2 > STRAIGHT:
        return form
    sides = (form.height, form.width) if quarters % 2 else (form.width, form.height)
    edges = [_whole(middle + half) for middle, side in ((form.x, sides[0]), (form.y, sides[1])) for half in _ends(side)]
    left, right, top, bottom = edges
    if right <= left or bottom <= top:
        return form
    return replace(form, x=(left + right) / 2, y=(top + bottom) / 2, width=right - left, height=bottom - top, turn=0.0)


def _ends(side: float) -> tuple[float, float]:
    return -side / 2, side / 2


def _whole(place: float) -> float:
    return float(round(place)) if abs(place - round(place)) < WHOLE_PX else float(place)


def traced(coverage: Floats) -> Freeform | None:
    """The contour of coverage (h, w) at one half; None where nothing is covered that much."""
    import cv2

    edged = np.pad(coverage, 1)
    large = cv2.resize(edged, None, fx=TRACED, fy=TRACED, interpolation=cv2.INTER_LINEAR)
    contours, tree = cv2.findContours((large > 0.5).astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    simple = [cv2.approxPolyDP(contour, SIMPLIFIED_PX * TRACED, True)[:, 0] for contour in contours]
    parents = tree[0, :, 3] if tree is not None else []
    # Contours run through the middles of the outermost covered pixels, also around a hole: the edge is half of one out.
    outlines = tuple(
        _shrunk((points + 0.5) / TRACED - 1, (0.5 if parent >= 0 else -0.5) / TRACED)
        for points, parent in zip(simple, parents, strict=True)
        if len(points) > 2
    )
    return Freeform(outlines) if outlines else None
