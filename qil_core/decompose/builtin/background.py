"""What lies behind everything: a flat colour or gradient where that explains the picture, else a smooth fill."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .fill import smooth_fill
from .working import Floats, Mask, Working

FIT_SIDE = 128
"""Longest side on which gradients are fitted."""

KINDS = ("flat", "gradient", "gradient", "gradient")
"""What a polynomial of degree 0..3 is called in the report."""


SIMPLICITY = (1.0, 0.97, 0.9, 0.75)
"""What the share explained by a polynomial of degree 0..3 counts: a bendier one must explain more."""


@dataclass(frozen=True)
class Background:
    """model: float32 (h, w, 3) in 0..255. front: where something covers it. kind: for the report."""

    model: Floats
    front: Mask
    kind: str


def find_background(work: Working) -> Background:
    """The background of a working copy; a picture with clear parts has none ("transparent")."""
    if is_cut_out(work):
        return Background(work.rgba[..., :3] * 0, work.rgba[..., 3] > 2, "transparent")
    rgb = np.ascontiguousarray(work.rgba[..., :3])
    tolerance = 6 + 3.5 * work.noise
    model, degree, share = best_gradient(rgb, tolerance)
    if share < 0.15:
        return _inpainted(work)
    return Background(model, differing(rgb, model, tolerance), KINDS[degree])


def salient_background(work: Working, things: Mask | None = None) -> Background:
    """All that neither stands out nor is among the things (h, w): for a picture whose colours run into each other."""
    from .saliency import salient

    rgb = np.ascontiguousarray(work.rgba[..., :3])
    front = salient(rgb) if things is None else salient(rgb) | things
    return Background(np.zeros_like(rgb), front, "inpainted")


def is_cut_out(work: Working) -> bool:
    """Whether the picture is a cut-out on nothing: more than a hundredth of it is clear."""
    return float((work.rgba[..., 3] < 128).mean()) > 0.01


def best_gradient(rgb: Floats, tolerance: float) -> tuple[Floats, int, float]:
    """The simplest polynomial that explains the most: its colours (h, w, 3), its degree, the share explained.

    It is kept to the colours seen where it fits: polynomials run away where nothing holds them.
    """
    small = _small(rgb)
    fits = [fit_gradient(small, degree, tolerance) for degree in range(4)]
    degree = int(np.argmax([share * simplicity for (_, share), simplicity in zip(fits, SIMPLICITY, strict=True)]))
    coefficients, share = fits[degree]
    close = np.abs(evaluate(coefficients, degree, small.shape) - small).max(2) < tolerance
    seen = small[close] if close.any() else small.reshape(-1, 3)
    model = evaluate(coefficients, degree, rgb.shape)
    return np.clip(model, seen.min(0) - tolerance, seen.max(0) + tolerance), degree, share


def _small(rgb: Floats) -> Floats:
    import cv2

    height, width = rgb.shape[:2]
    scale = min(1.0, FIT_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.float32)


def terms(degree: int, height: int, width: int) -> Floats:
    """The monomials x^i y^j with i + j <= degree at pixel centres in [-1, 1]: (height * width, count)."""
    y = ((np.arange(height, dtype=np.float32) + 0.5) / height * 2 - 1)[:, None] * np.ones((1, width), np.float32)
    x = ((np.arange(width, dtype=np.float32) + 0.5) / width * 2 - 1)[None, :] * np.ones((height, 1), np.float32)
    powers = [(i, j) for i in range(degree + 1) for j in range(degree + 1 - i)]
    return np.stack([(x**i * y**j).ravel() for i, j in powers], axis=1).astype(np.float32)


def evaluate(coefficients: Floats, degree: int, shape: tuple[int, ...]) -> Floats:
    """Colours (h, w, 3) of a fitted polynomial, clipped to 0..255."""
    height, width = shape[:2]
    return np.asarray(np.clip(terms(degree, height, width) @ coefficients, 0, 255).reshape(height, width, 3))


def fit_gradient(small: Floats, degree: int, tolerance: float) -> tuple[Floats, float]:
    """Coefficients (terms, 3) by reweighted least squares from several starts, and the share they explain.

    The share counts the border double: a background usually reaches it.
    """
    height, width = small.shape[:2]
    matrix, values = terms(degree, height, width), small.reshape(-1, 3)
    emphasis = (1 + border_mask(height, width)).ravel().astype(np.float32)
    tries = [_reweighted(matrix, values, start * emphasis, tolerance) for start in _starts(small)]
    shares = [_share(matrix, values, c, emphasis, tolerance) for c in tries]
    best = int(np.argmax(shares))
    return tries[best], shares[best]


def border_mask(height: int, width: int) -> Mask:
    """True along the outermost twentieth of a picture."""
    rim = max(1, min(height, width) // 20)
    mask = np.ones((height, width), bool)
    mask[rim : height - rim, rim : width - rim] = False
    return mask


def _starts(small: Floats) -> list[Floats]:
    """First weights for the fit: the border, the largest smooth areas, the colours most common on the border."""
    from .segment import linked_areas

    border = border_mask(*small.shape[:2]).ravel()
    flat = small.reshape(-1, 3)
    areas = linked_areas(np.dstack([small, small[..., :1]]), 10).ravel()
    largest = np.argsort(-np.bincount(areas), kind="stable")[:3]
    colors = common_colors(flat[border], 2)
    near = [np.abs(flat - color).max(1) < 32 for color in colors]
    return [(chosen + 1e-6).astype(np.float32) for chosen in [border, *(areas == k for k in largest), *near]]


def common_colors(colors: Floats, count: int) -> list[Floats]:
    """The centres of the fullest cells (24 steps wide) of a colour histogram."""
    cells = (colors / 24).astype(np.int64) @ np.array([1, 32, 1024])
    values, counts = np.unique(cells, return_counts=True)
    fullest = values[np.argsort(-counts, kind="stable")[:count]]
    return [np.median(colors[cells == cell], axis=0) for cell in fullest]


def _reweighted(matrix: Floats, values: Floats, weights: Floats, tolerance: float) -> Floats:
    """Least squares whose weights fall as exp(-(r/s)^2) while s shrinks from 8 to 1 tolerances."""
    coefficients = _least_squares(matrix, values, weights)
    for width in (4, 3, 2, 1.5, 1, 1):
        residual = np.abs(matrix @ coefficients - values).max(1)
        coefficients = _least_squares(matrix, values, np.exp(-((residual / (width * tolerance)) ** 2)) + 1e-6)
    return coefficients


def _least_squares(matrix: Floats, values: Floats, weights: Floats) -> Floats:
    weighted = (matrix * weights[:, None]).astype(np.float64)
    normal = weighted.T @ matrix + 1e-6 * max(1e-6, float(weights.sum())) * np.eye(matrix.shape[1])
    return np.asarray(np.linalg.solve(normal, weighted.T @ values), np.float32)


def _share(matrix: Floats, values: Floats, coefficients: Floats, emphasis: Floats, tolerance: float) -> float:
    close = np.exp(-((np.abs(matrix @ coefficients - values).max(1) / tolerance) ** 2))
    return float((close * emphasis).sum() / emphasis.sum())


def differing(rgb: Floats, model: Floats, tolerance: float) -> Mask:
    """Where a picture differs from its background: faint differences count where they touch strong ones."""
    import cv2

    difference = np.abs(rgb - model).max(2)
    faint = (difference > tolerance).astype(np.uint8)
    count, labels = cv2.connectedComponents(faint, connectivity=8)
    strong = np.bincount(labels[difference > 2.5 * tolerance], minlength=count) >= 3
    strong[0] = False
    return np.asarray(strong[labels])


def completed_colors(rgb: Floats, background: Background, covered: Mask) -> Floats:
    """Colours (h, w, 3) of the whole background: its model plus the model's error, carried under what covers it."""
    import cv2

    far = np.asarray(cv2.erode((~covered).astype(np.uint8), np.ones((7, 7), np.uint8)), np.uint8)
    error = smooth_fill(rgb - background.model, _trust(far))
    return np.asarray(np.clip(background.model + cv2.GaussianBlur(error, (0, 0), 2), 0, 255))


def _trust(visible: NDArray[np.uint8]) -> Floats:
    """Weights (h, w): 1 where background shows, little in small openings, which may be part of what covers it."""
    import cv2

    _, pieces = cv2.connectedComponents(visible, connectivity=4)
    area = np.bincount(pieces.ravel())
    return np.asarray(visible * np.where(area[pieces] < 0.003 * visible.size, 1e-4, 1), np.float32)


def _inpainted(work: Working) -> Background:
    """Smooth areas that reach the border as background; without such areas, what GrabCut finds not salient."""
    from .segment import link_step, linked_areas

    areas = linked_areas(work.rgba, link_step(work.noise))
    size = np.bincount(areas.ravel())
    reaching = np.unique(areas[border_mask(*areas.shape)])
    wide = reaching[size[reaching] > 0.06 * areas.size]
    calm = np.isin(areas, wide)
    if calm.mean() > 0.15:
        return Background(np.zeros_like(work.rgba[..., :3]), ~calm, "inpainted")
    return salient_background(work)
