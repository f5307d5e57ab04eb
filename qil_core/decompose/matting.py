"""Soft alpha along the edge of a mask that may be some pixels off, by closed-form matting.

1. `trimap`: what is surely inside, surely outside, and unknown between them, from the mask and the picture's colours:
   a mask that lies some pixels beside a letter says nothing by its place alone.
2. `soft_alpha`: closed-form matting (Levin, Lischinski and Weiss, "A closed-form solution to natural image matting",
   2008; PyMatting's implementation) where it is unknown, in tiles, so that memory does not grow with the picture.
3. `before`: where the ground itself is known, alpha follows from the picture's place between its two colours.

Chosen on 26 edges of drawn things over textured and photographic grounds, the masks up to 3 px too large or too small:
the mask itself is 0.249 off in alpha along the edge, closed-form matting with a band of 6 px 0.090, this 0.067.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from ..errors import QilError
from ..parallel import each
from ..progress import Progress, silent
from .builtin.fill import smooth_fill
from .builtin.working import Floats, Mask

Place = tuple[slice, slice]

BAND_SHARE, MIN_BAND_PX = 1 / 160, 6
"""Half width of the unknown band: so much of the picture's longer side, and at the least so many pixels. Segmentation
models work at about a thousand pixels and are some of them off. Bands of 4, 6, 8, 12 and 16 px make closed-form matting
0.089, 0.087, 0.084, 0.089 and 0.099 off at 640 px."""

DEEP = 3
"""Bands inside the mask from which on colours are not asked."""

UNLIKE_GROUND = 3.0
"""Standard deviations of the ground's colours by which the inside of a mask differs where it is surely inside."""

MARKED = 5.0
"""The same for a pixel that marks a thin thing, whose mask has no deep inside."""

MOST_UNLIKE = 0.9
"""Such a pixel differs by so much of the largest difference within a band around it. With 0.75 the error is 0.093."""

LIKE_GROUND = 4.0
"""Standard deviations up to which the middle of a narrow gap is surely ground. With 2 the error is the same."""

MIDDLE = 0.8
"""A pixel is in the middle of a gap from so much of the largest distance to the mask within two bands around it."""

GRAIN = 2 / 255
"""Standard deviation that every ground has at the least, in 0..1: rounding and noise of a clean picture."""

UNSURE = 0.15
"""Distance of the thing's colour and the ground's, in 0..1, at which the place between them and closed-form matting
count alike. On 44 edges of the benchmark the two together are 0.057 off, the first alone 0.058, the second 0.071; with
a plate that has noise of 6/255 0.060, 0.061 and 0.071."""

TILE_PX, MARGIN_PX = 128, 24
"""Side of the squares that are solved by themselves, and how far each sees around itself."""

EPSILON = 1e-4
"""Regularisation of the matting Laplacian: the variance of noise, in 0..1 squared. 1e-7, as in the paper, is for
pictures without noise and makes the error 0.092 instead of 0.087."""

ITERATIONS = 2000
"""Steps of the conjugate gradient solver at the most; usual are 50 to 200."""

TOLERANCE = 1e-5
"""Relative residual at which it stops."""


def check_matting() -> None:
    """Raises QilError that says what to install when PyMatting is missing."""
    try:
        import pymatting  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "pymatting":
            raise
        raise QilError(
            "PyMatting is missing, which finds soft edges. Install it with the Python that runs ComfyUI: "
            "python -m pip install pymatting"
        ) from error


def band_width(height: int, width: int) -> int:
    """Half width of the unknown band, in pixels, for a picture of this size."""
    return max(MIN_BAND_PX, round(BAND_SHARE * max(height, width)))


def trimap(picture: Floats, mask: Mask, band: int) -> Floats:
    """1 surely inside, 0 surely outside, 0.5 unknown, (h, w), of a mask (h, w) on a picture (h, w, 3) in 0..1.

    band: half width of the unknown band, in pixels, that is how far the mask may be off and the edge soft.
    """
    inside, outside = _distance(mask), _distance(~mask)
    far = outside > band
    unlike = _unlike_ground(picture, far, 2 * band)
    depth = _largest(inside, 2 * band)
    deep = (inside > band) & ((unlike > UNLIKE_GROUND) | (inside > DEEP * band))
    thin = (outside <= band) & (depth <= DEEP * band)
    most = _largest(np.where(outside <= band, unlike, 0).astype(np.float32), band)
    marked = thin & (unlike >= MOST_UNLIKE * most) & (unlike > MARKED)
    room = _largest(outside, 2 * band)
    gap = (outside >= 1) & (outside >= MIDDLE * room) & (room <= 2 * band) & (unlike < LIKE_GROUND)
    return np.where(far | gap, 0, np.where(deep | marked, 1, 0.5)).astype(np.float32)


def soft_alpha(picture: Floats, known: Floats, progress: Progress = silent) -> Floats:
    """Alpha (h, w) in 0..1 of a picture (h, w, 3) in 0..1 where a trimap (h, w) is 0.5; elsewhere the trimap."""
    out = known.copy()

    def solve(tile: Place) -> None:
        wide, inner = _around(tile, known)
        out[tile] = _closed_form(picture[wide], known[wide])[inner]

    each(list(_tiles(known)), solve, torch.device("cpu"), progress, "finding soft edges")
    return out


def before(plate: Floats, picture: Floats, known: Floats, solved: Floats) -> Floats:
    """Alpha (h, w) of a picture (h, w, 3) in front of a ground (h, w, 3) that is known: a clean plate.

    a = (C - B) . (F - B) / |F - B|^2 (Smith and Blinn, 1996), F carried on from what is surely inside, where a trimap
    `known` is 0.5. Where the two colours are near each other that says little, and `solved`, the alpha of closed-form
    matting, counts.
    """
    sure = (known == 1).astype(np.float32)
    if not sure.any():
        return solved
    across = smooth_fill(picture * 255, sure) / 255 - plate
    contrast = (across**2).sum(2)
    own = np.clip(((picture - plate) * across).sum(2) / np.maximum(contrast, GRAIN**2), 0, 1)
    trust = contrast / (contrast + UNSURE**2)
    return np.asarray(np.where(known == 0.5, trust * own + (1 - trust) * solved, known), np.float32)


def _tiles(known: Floats) -> Iterator[Place]:
    """The squares of a grid in which something is unknown."""
    height, width = known.shape
    for top in range(0, height, TILE_PX):
        for left in range(0, width, TILE_PX):
            tile = slice(top, min(top + TILE_PX, height)), slice(left, min(left + TILE_PX, width))
            if (known[tile] == 0.5).any():
                yield tile


def _around(tile: Place, known: Floats) -> tuple[Place, Place]:
    """A tile with a margin in which something is surely inside and something surely outside, and the tile in it.

    The margin ends at the picture's edge.
    """
    margin = MARGIN_PX
    while True:
        wide = tuple(
            slice(max(0, side.start - margin), min(size, side.stop + margin))
            for side, size in zip(tile, known.shape, strict=True)
        )
        seen = known[wide]
        if ((seen == 0).any() and (seen == 1).any()) or seen.size == known.size:
            break
        margin *= 2
    inner = tuple(slice(t.start - w.start, t.stop - w.start) for t, w in zip(tile, wide, strict=True))
    return (wide[0], wide[1]), (inner[0], inner[1])


def _closed_form(picture: Floats, known: Floats) -> Floats:
    from pymatting import estimate_alpha_cf, jacobi

    if not ((known == 0).any() and (known == 1).any()):  # all of the picture is one: there is no second colour
        return np.where(known == 0.5, float((known == 1).any()), known).astype(np.float32)
    unknown = int((known == 0.5).sum())
    alpha = estimate_alpha_cf(
        picture.astype(np.float64),
        known.astype(np.float64),
        preconditioner=jacobi,
        laplacian_kwargs={"epsilon": EPSILON},
        # from 0 the solver divides by 0 where what is known beside the unknown is all ground
        cg_kwargs={"x0": np.full(unknown, 0.5), "maxiter": ITERATIONS, "rtol": TOLERANCE, "atol": TOLERANCE},
    )
    return np.clip(alpha, 0, 1).astype(np.float32)


def _distance(mask: Mask) -> Floats:
    """How far each pixel of a mask (h, w) is from what is not in it, in pixels; 0 outside."""
    import cv2

    if mask.all():
        return np.full(mask.shape, np.inf, np.float32)
    return np.asarray(cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5), np.float32)


def _unlike_ground(picture: Floats, ground: Mask, reach: int) -> Floats:
    """By how many standard deviations each pixel (h, w) differs from the known ground around it; 0 where none is near.

    reach: standard deviation of the Gaussian weights of what is around, in pixels.
    """
    import cv2

    weight = cv2.GaussianBlur(ground.astype(np.float32), (0, 0), reach)
    total = np.maximum(weight, 1e-6)
    unlike = np.zeros(ground.shape, np.float32)
    for channel in np.moveaxis(picture, 2, 0):
        mean = cv2.GaussianBlur(channel * ground, (0, 0), reach) / total
        square = cv2.GaussianBlur(channel * channel * ground, (0, 0), reach) / total
        variance = np.maximum(square - mean * mean, 0) + GRAIN**2
        unlike += (channel - mean) ** 2 / variance
    return np.where(weight > 1e-4, np.sqrt(unlike), 0).astype(np.float32)


def _largest(values: Floats, reach: int) -> Floats:
    """The largest value (h, w) within a disc of this radius around each pixel."""
    import cv2

    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    return np.asarray(cv2.dilate(values, disc), np.float32)
