"""Polynomials fitted to the colours of a picture, so that a flat colour or a gradient is found behind things.

1. `_starts`: guesses which pixels are background: the rim, the largest smooth areas, common colours.
2. `reweighted`: from each guess, least squares in which pixels that do not fit count less and less (iteratively
   reweighted least squares with Welsch's weights: Holland & Welsch, 1977).
3. `fit_gradient`: of the fits, the one that explains most of the picture and encloses most of the rest of it.
4. `best_gradient`: of the polynomials of degree 0 to 3, the one that does so best for its simplicity.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...progress import Progress, silent
from .areas import linked_areas
from .rim import common_colors, rim_mask
from .working import Floats, Mask, reduced, reported, strongest

FIT_SIDE_PX = 128
"""Longest side on which polynomials are fitted: gradients are smooth, so that more pixels say no more."""

SIMPLICITY = (1.0, 0.97, 0.9, 0.75)
"""Factor on the share that a polynomial of degree 0..3 explains: one with more terms must explain more."""

RIM_WEIGHT = 2
"""What a pixel of the rim counts in a fit, another one counting 1."""

START_STEP = 10
"""Largest step between neighbours, in 1/255, in the smooth areas from which fits start."""

START_AREAS = 3
"""How many smooth areas, the largest, a fit is started from."""

START_COLORS = 2
"""How many colours common on the rim a fit is started from."""

NEAR_START_COLOR = 32
"""How far, in 1/255, pixels may be from such a colour to be in the start."""

ENCLOSED_WEIGHT = 2
"""What a pixel in an island counts in the choice of a ground, one of the ground itself counting 1.

What is enclosed lies upon what encloses it: cards of one colour on a screen are no ground, however much they cover.
"""

MIN_ENCLOSING = 0.1
"""Share of the picture that a ground must explain for its islands to count: frames and outlines are no grounds."""

STEEP = 2
"""By how many tolerances an island differs from the ground a pixel inside its shore: at an edge, that is."""

MIN_STEEP_SHORE = 0.5
"""On what share of its shore an island does so: a shadow may hide the edge of the others."""

MIN_INSIDE = 0.99
"""Share of a pixel of the small copy that must lie in an area to be used for its fit: others have its edge."""

MIN_OF_AREA = 0.95
"""Share of an area that a polynomial must explain to be its colours."""

COMMON_COLORS = 5
"""How many colours common in the whole picture a fit is started from. The ground of a screen may cover less than its
cards, their bars and their buttons do."""

FINE_CELL = 8
"""Side, in 1/255, of the histogram's cells for these, and how far pixels may be from such a colour."""

WIDTHS = (4, 3, 2, 1.5, 1, 1)
"""Width of Welsch's weights in each round, in tolerances: from generous to strict."""

FINE_WIDTHS = (1, 1)
"""The same for a fit from one of the common colours: cards differ from what they lie on by a few tolerances only, and
generous rounds would go over to theirs."""

RIDGE = 1e-6
"""Regularisation, relative to the sum of weights: keeps the normal equations solvable where few pixels count."""


def best_gradient(rgb: Floats, tolerance: float, progress: Progress = silent) -> tuple[Floats, int, float]:
    """The simplest polynomial that explains the most: its colours (h, w, 3), its degree, the share explained.

    Its colours are clipped to those seen where it fits: polynomials run away where nothing holds them.
    """
    small = reduced(rgb, FIT_SIDE_PX)
    degrees = range(len(SIMPLICITY))
    fits = [fit_gradient(small, degree, tolerance, progress) for degree in degrees]
    degree = int(np.argmax([share * simplicity for (_, share), simplicity in zip(fits, SIMPLICITY, strict=True)]))
    coefficients, share = fits[degree]
    progress(1, "drawing the background")
    close = strongest(evaluate(coefficients, degree, small.shape) - small) < tolerance
    seen = small[close] if close.any() else small.reshape(-1, 3)
    model = evaluate(coefficients, degree, rgb.shape)
    progress(1, "drawing the background")
    return np.clip(model, seen.min(0) - tolerance, seen.max(0) + tolerance), degree, share


def gradient_of(rgb: Floats, area: Mask, tolerance: float) -> tuple[Floats, int] | None:
    """The simplest polynomial that explains an area (h, w) of a picture: its colours (h, w, 3), its degree.

    None where not one does.
    """
    small = reduced(rgb, FIT_SIDE_PX)
    inside = reduced(area.astype(np.float32)[..., None], FIT_SIDE_PX).reshape(-1) > MIN_INSIDE
    for degree in range(len(SIMPLICITY) if inside.any() else 0):
        matrix, values = terms(degree, *small.shape[:2]), small.reshape(-1, 3)
        coefficients = reweighted(matrix, values, inside + np.float32(RIDGE), tolerance, ())
        if (strongest(matrix @ coefficients - values)[inside] < tolerance).mean() > MIN_OF_AREA:
            seen = small.reshape(-1, 3)[inside]
            return np.clip(evaluate(coefficients, degree, rgb.shape), seen.min(0), seen.max(0)), degree
    return None


def terms(degree: int, height: int, width: int) -> Floats:
    """The monomials x^i y^j with i + j <= degree at pixel centres in [-1, 1]: (height * width, count)."""
    x, y = _powers(width, degree), _powers(height, degree)
    return np.stack([np.outer(y[j], x[i]).ravel() for i, j in _exponents(degree)], axis=1)


def _powers(size: int, degree: int) -> Floats:
    """Powers 0..degree of the pixel centres in [-1, 1] along a side: (degree + 1, size)."""
    place = (np.arange(size, dtype=np.float32) + np.float32(0.5)) / size * 2 - 1
    return np.asarray(np.vander(place, degree + 1, increasing=True).T, np.float32)


def _exponents(degree: int) -> list[tuple[int, int]]:
    """The powers i of x and j of y, in the order of the coefficients."""
    return [(i, j) for i in range(degree + 1) for j in range(degree + 1 - i)]


def evaluate(coefficients: Floats, degree: int, shape: tuple[int, ...]) -> Floats:
    """Colours (h, w, 3) of a fitted polynomial, clipped to 0..255."""
    height, width = shape[:2]
    square = np.zeros((degree + 1, degree + 1, 3), np.float32)  # of y, of x: the sum is taken one side after the other
    for (i, j), color in zip(_exponents(degree), coefficients, strict=True):
        square[j, i] = color
    along = np.einsum("jic,iw->jwc", square, _powers(width, degree)).reshape(degree + 1, width * 3)
    return np.asarray(np.clip(_powers(height, degree).T @ along, 0, 255).reshape(height, width, 3))


def fit_gradient(small: Floats, degree: int, tolerance: float, progress: Progress = silent) -> tuple[Floats, float]:
    """Coefficients (terms, 3) of the best fit to a small picture (h, w, 3), and its merit.

    merit: the share of the picture that they explain, and what that share encloses.
    """
    height, width = small.shape[:2]
    matrix, values = terms(degree, height, width), small.reshape(-1, 3)
    emphasis = np.where(rim_mask(height, width), RIM_WEIGHT, 1).ravel().astype(np.float32)
    starts = [(start, WIDTHS) for start in _starts(small)] + [(start, FINE_WIDTHS) for start in _fine_starts(small)]
    rounds = reported(starts, progress, f"fitting a background of degree {degree}")
    tries = [reweighted(matrix, values, start * emphasis, tolerance, widths) for start, widths in rounds]
    residuals = [strongest(matrix @ c - values).reshape(height, width) for c in tries]
    merits = [_merit(r, emphasis, tolerance) for r in residuals]
    best = int(np.argmax(merits))
    return tries[best], merits[best]


def _starts(small: Floats) -> list[Floats]:
    """First weights (h * w,) for the fit: the rim, the largest smooth areas, the rim's most common colours."""
    rim = rim_mask(*small.shape[:2]).ravel()
    flat = small.reshape(-1, 3)
    areas = linked_areas(np.dstack([small, small[..., :1]]), START_STEP).ravel()
    largest = np.argsort(-np.bincount(areas), kind="stable")[:START_AREAS]
    colors = common_colors(flat[rim], START_COLORS)
    near = [strongest(flat - color) < NEAR_START_COLOR for color in colors]
    return [(chosen + RIDGE).astype(np.float32) for chosen in [rim, *(areas == k for k in largest), *near]]


def _fine_starts(small: Floats) -> list[Floats]:
    """First weights (h * w,) for the fit: the colours that are most common in the whole picture."""
    flat = small.reshape(-1, 3)
    colors = common_colors(flat, COMMON_COLORS, FINE_CELL)
    return [((strongest(flat - color) < FINE_CELL / 2) + RIDGE).astype(np.float32) for color in colors]


def reweighted(
    matrix: Floats, values: Floats, weights: Floats, tolerance: float, widths: Sequence[float] = WIDTHS
) -> Floats:
    """Least squares, again and again, with the weights exp(-(residual / width)^2)."""
    coefficients = _least_squares(matrix, values, weights)
    for width in widths:
        residual = strongest(matrix @ coefficients - values)
        coefficients = _least_squares(matrix, values, np.exp(-((residual / (width * tolerance)) ** 2)) + RIDGE)
    return coefficients


def _merit(residual: Floats, emphasis: Floats, tolerance: float) -> float:
    """The share of a picture (h, w) that residuals up to about the tolerance explain, and the islands in it."""
    close = np.exp(-((residual.ravel() / tolerance) ** 2))
    share = float((close * emphasis).sum() / emphasis.sum())
    return share + ENCLOSED_WEIGHT * _enclosed(residual, tolerance) if share > MIN_ENCLOSING else share


def _enclosed(residual: Floats, tolerance: float) -> float:
    """The share of the picture (h, w) that lies in the ground like islands, reaching the picture's border nowhere.

    An island rises from the ground at an edge. Where residuals grow slowly, a polynomial has left a gradient.
    """
    import cv2

    ground = (residual < tolerance).astype(np.uint8)
    count, islands = cv2.connectedComponents(1 - ground, connectivity=8)
    border = np.concatenate([islands[[0, -1]].ravel(), islands[:, [0, -1]].ravel()])
    square = np.ones((3, 3), np.uint8)
    shore = cv2.dilate(ground, square) > ground
    steep = shore & (cv2.dilate(residual, square) > STEEP * tolerance)
    at_border, around, rising = (np.bincount(k, minlength=count) for k in (border, islands[shore], islands[steep]))
    is_island = (at_border == 0) & (rising > MIN_STEEP_SHORE * around)
    is_island[0] = False
    return float(is_island[islands].mean())


def _least_squares(matrix: Floats, values: Floats, weights: Floats) -> Floats:
    weighted = (matrix * weights[:, None]).astype(np.float64)
    normal = weighted.T @ matrix + RIDGE * max(RIDGE, float(weights.sum())) * np.eye(matrix.shape[1])
    return np.asarray(np.linalg.solve(normal, weighted.T @ values), np.float32)
