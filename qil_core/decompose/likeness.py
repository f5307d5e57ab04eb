"""What is alike in a picture: superpixels in a graph, on which things are picked.

Three measures of it: `Likeness.parted` by edges on the way from one to another (geodesic distance), `density` by colour
and rough place, and `evened` by neighbourhood (random walks with priors: Grady, "Multilabel random walker image
segmentation using prior models", 2005: one sparse linear system for all things).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..opencv import check_opencv
from ..stack import Box
from .builtin.working import Floats, Mask, reduced
from .matting import check_matting
from .superpixels import superpixels

Values = NDArray[np.float64]

SIDE_PX = 664
"""Longest side on which things are picked: with 900 px no more of them are found, and it takes twice as long."""

FREE_STEP = 3.0
"""Difference of two neighbouring superpixels, in Lab, that is no edge (as in Zhu et al., 2014)."""

LEAST_STEP = 0.02
"""What a step costs without one, in Lab: of ways without edges the shortest counts."""

LIKE = 6.0
"""Difference, in Lab, over which the bond of neighbours falls to 1 / e."""

LEAST_BOND = 0.01
"""Bond of neighbours that nothing else holds together, as a share of the strongest."""

TRUST = 0.05
"""What claims and colours weigh for each pixel, against a pixel side between two neighbours that are alike."""

COLORS, COLOR_SPREAD, PLACE_SPREAD = 300, 7.0, 0.35
"""Groups into which superpixels are put by colour and place to learn colours; standard deviations of what counts as one
colour, in Lab, and as one place, in diagonals of the picture."""

LIGHT, ROUGH = 0.7, 6.0
"""Weights of lightness against the other two of Lab (light changes on a thing), and of the logarithm of roughness."""


class Point(NamedTuple):
    """A click, in pixels of the picture; (0.5, 0.5) is the middle of the first one."""

    x: float
    y: float


class Likeness:
    """What is alike in one picture, float32 (H, W, 3) in [0, 1]. Nothing is random.

    parts: its superpixels, n of them, of a copy whose longer side is at most SIDE_PX. shape: (H, W) of the picture.
    scale: of the copy, across and down.
    """

    def __init__(self, rgb: Floats) -> None:
        """Raises QilError without OpenCV or PyMatting (which brings SciPy)."""
        check_opencv()
        check_matting()
        self.shape = rgb.shape[0], rgb.shape[1]
        small = reduced(rgb, SIDE_PX)
        self.scale = small.shape[1] / rgb.shape[1], small.shape[0] / rgb.shape[0]
        self.parts = superpixels(small)
        self._group, self._alike = _color_groups(self._features())

    def scaled(self, box: Box) -> tuple[float, float, float, float]:
        """A box of the picture in pixels of the superpixels' copy, not rounded: left, top, right, bottom."""
        across, down = self.scale
        return box.left * across, box.top * down, box.right * across, box.bottom * down

    def part_at(self, point: Point) -> int:
        """The superpixel at a point."""
        height, width = self.parts.labels.shape
        column, row = (int(value * scale) for value, scale in zip(point, self.scale, strict=True))
        return int(self.parts.labels[min(max(row, 0), height - 1), min(max(column, 0), width - 1)])

    def parted(self, parts: NDArray[np.int64] | int, limit: float) -> Values:
        """The sum of edges on the best way from the nearest of some superpixels, in Lab, at the most limit: (n,)."""
        from scipy.sparse.csgraph import dijkstra

        return np.minimum(dijkstra(self._steps, indices=parts, min_only=True, limit=limit), limit)

    def density(self, shares: Values) -> Values:
        """How often colours like a superpixel's are, near it, in each of K distributions (n, K) of superpixels."""
        groups = [np.bincount(self._group, each * self.parts.area, self._alike.shape[1]) for each in shares.T]
        mass = np.stack(groups, 1)
        return np.asarray((self._alike @ mass) / np.maximum(mass.sum(0), 1e-6))

    def evened(self, goal: Values) -> Values:
        """Values (n, K) that are near the goal and much the same for neighbours that are alike."""
        return np.asarray(self._solve(self._trust[:, None] * goal))

    def full(self, values: Values) -> Floats:
        """A value for each superpixel as a picture (H, W), smooth between superpixels' pixels."""
        import cv2

        small = values.astype(np.float32)[self.parts.labels]
        return np.asarray(cv2.resize(small, self.shape[::-1], interpolation=cv2.INTER_LINEAR))

    def share(self, box: Box) -> Values:
        """The share of every superpixel that is in a box: (n,)."""
        height, width = self.parts.labels.shape
        inside = np.zeros((height, width))
        left, top, right, bottom = map(round, self.scaled(box))
        inside[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = 1
        return self.parts.means(inside)

    def of_mask(self, mask: Mask) -> Values:
        """The share of every superpixel that is in a mask (H, W): (n,)."""
        import cv2

        height, width = self.parts.labels.shape
        return self.parts.means(cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA))

    @cached_property
    def _difference(self) -> Values:
        """Difference in Lab of the superpixels of each touching pair."""
        first, second = self.parts.color[self.parts.pairs[:, 0]], self.parts.color[self.parts.pairs[:, 1]]
        return np.asarray(np.linalg.norm(first - second, axis=1))

    @cached_property
    def _steps(self) -> Any:
        return self._graph(np.maximum(self._difference - FREE_STEP, 0) + LEAST_STEP)

    @cached_property
    def _trust(self) -> Values:
        return TRUST * self.parts.area

    @cached_property
    def _solve(self) -> Callable[[Values], Values]:
        from scipy.sparse import diags
        from scipy.sparse.linalg import splu

        bonds = self._graph(self.parts.sides * (np.exp(-self._difference / LIKE) + LEAST_BOND))
        laplacian = diags(np.asarray(bonds.sum(1)).ravel() + self._trust) - bonds
        return splu(laplacian.tocsc(), permc_spec="MMD_AT_PLUS_A").solve

    def _graph(self, values: Values) -> Any:
        """A sparse symmetric matrix (n, n) of a value for each touching pair."""
        from scipy.sparse import csr_matrix

        count = len(self.parts)
        return csr_matrix((values, tuple(self.parts.pairs.T)), (count, count))

    def _features(self) -> Floats:
        """Colour, roughness and place of each superpixel, in standard deviations of what counts as the same: (n, 6)."""
        parts = self.parts
        look = np.column_stack([parts.color * [LIGHT, 1, 1], ROUGH * np.log1p(parts.rough)]) / COLOR_SPREAD
        diagonal = float(np.hypot(parts.labels.shape[0], parts.labels.shape[1]))
        return np.column_stack([look, parts.place / (PLACE_SPREAD * diagonal)]).astype(np.float32)


def on_ground(image: Floats) -> Floats:
    """A picture (h, w, 4) over a flat colour far from its own, (h, w, 3): the outline of its alpha becomes an edge."""
    rgb, alpha = image[..., :3], image[..., 3:]
    mean = (rgb * alpha).sum((0, 1)) / max(float(alpha.sum()), 1e-6)
    return np.asarray(rgb * alpha + (mean < 0.5) * (1 - alpha), np.float32)


def _color_groups(features: Floats) -> tuple[NDArray[np.int32], Floats]:
    """The group of each superpixel (n,) by its features (n, 6), and how alike each is to each group: (n, groups)."""
    import cv2

    if len(features) <= COLORS:
        group, middles = np.arange(len(features), dtype=np.int32), features
    else:
        cv2.setRNGSeed(0)  # kmeans draws its first centres by chance
        stop = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 12, 0.01)
        first = np.zeros((len(features), 1), np.int32)
        _, found, centers = cv2.kmeans(features, COLORS, first, stop, 1, cv2.KMEANS_PP_CENTERS)
        group, middles = np.asarray(found, np.int32).ravel(), np.asarray(centers, np.float32)
    squares = (features**2).sum(1)[:, None] + (middles**2).sum(1) - 2 * features @ middles.T
    return group, np.asarray(np.exp(-0.5 * np.maximum(squares, 0)), np.float32)
