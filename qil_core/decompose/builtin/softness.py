"""Softness: whether a change of the background is a shadow or glow, and not noise, an edge or scenery.

A shadow or glow passes four tests (`is_soft`); its alpha is measured on the background that is seen:
1. `_roughness`: it is smooth. Artefacts of compression and texture are not.
2. `_steep_share`: it has no edge of its own against the background.
3. `_correlation`: it falls off with the distance from what casts it, or from its own middle (Spearman, 1904).
4. `_rim`: it has faded where it ends. The gradient of a sky or wall goes on.
The limits lie between what the scenes of `benchmarks.scenes` have (up to 0.07, 0.01, -0.4 and 0.46) and what was found
around letters and figures on pictures without any shadow (from 0.1, 0.027, -0.3 and 0.5 on).
"""

from __future__ import annotations

import numpy as np

from .shapes import grown
from .working import Floats, Mask

SECOND_DIFFERENCES = ((1, -2, 1), (-2, 4, -2), (1, -2, 1))
"""Immerkaer's filter (see `step01_look`), which does not see what is smooth; it multiplies noise by 6."""

MAX_ROUGHNESS = 0.09
"""Largest deviation of alpha from a smooth one, as a share of its mean."""

STRONG_SHARE = 0.7
"""A pixel is strong from this share of the alpha that 98 % of the pixels stay below."""

WEAK_SHARE = 0.2
"""A pixel is weak up to this share of the same alpha."""

STEEP_PX = 2
"""Strong and weak pixels so near to each other, in working pixels, are an edge: blurred ones are further apart."""

MAX_STEEP_SHARE = 0.02
"""Largest share of the strong pixels that may lie at such an edge."""

MAX_CORRELATION = -0.35
"""Largest rank correlation of alpha with the distance from what casts it: a shadow may lie on one side of it."""

MAX_CORRELATION_ALONE = -0.8
"""Largest one with the distance from its own middle: lights that stand alone are round (-0.86), clouds are not (-0.75).
"""

RANKED_PIXELS = 4000
"""How many pixels are ranked at the most: a correlation needs no more."""

MAX_RIM = 0.5
"""Largest mean alpha at the rim towards open background, as a share of the alpha that 98 % stay below."""

RIM_SPARE_PX = 3
"""How far from the things in the picture, in working pixels, the rim is read."""


def is_soft(alpha: Floats, area: Mask, covered: Mask, source: Mask, inner: Mask, most: float) -> bool:
    """Whether alpha (h, w) in an area is that of a shadow or glow of a source (a mask with at least one pixel).

    covered: where things lie on the background. inner: the area without the blurred edges of these, not empty.
    most: the largest correlation with the distance from the source.
    """
    peak = float(np.quantile(alpha[inner], 0.98))
    return (
        peak > 0
        and _roughness(alpha, inner) < MAX_ROUGHNESS
        and _steep_share(alpha, inner, covered, peak) < MAX_STEEP_SHARE
        and falls_off(alpha, inner, source, most)
        and _rim(alpha, area, covered) < MAX_RIM * peak
    )


def falls_off(alpha: Floats, where: Mask, source: Mask, most: float) -> bool:
    """Whether alpha gets smaller away from a source: whether their correlation is below the largest one allowed."""
    import cv2

    distance = cv2.distanceTransform((~source).astype(np.uint8), cv2.DIST_L2, 5)
    step = max(1, int(where.sum()) // RANKED_PIXELS)
    return _correlation(alpha[where][::step], np.asarray(distance[where][::step], np.float32)) < most


def _roughness(alpha: Floats, inner: Mask) -> float:
    import cv2

    kernel = np.array(SECOND_DIFFERENCES, np.float32) / 6
    rough = cv2.filter2D(alpha, -1, kernel, borderType=cv2.BORDER_REFLECT_101)[inner]
    return float(np.sqrt((rough * rough).mean()) / max(float(alpha[inner].mean()), 1e-6))


def _steep_share(alpha: Floats, inner: Mask, covered: Mask, peak: float) -> float:
    """Share of the strong pixels that have open, weak ones beside them."""
    strong = inner & (alpha > STRONG_SHARE * peak)
    weak = (alpha < WEAK_SHARE * peak) & ~grown(covered, STEEP_PX)
    return float(grown(weak, STEEP_PX)[strong].mean()) if strong.any() else 0.0


def _rim(alpha: Floats, area: Mask, covered: Mask) -> float:
    """Mean alpha where the area ends before open background; 0 where it ends nowhere."""
    rim = area & grown(~area & ~covered, 1) & ~grown(covered, RIM_SPARE_PX)
    return float(alpha[rim].mean()) if rim.any() else 0.0


def _correlation(first: Floats, second: Floats) -> float:
    """Spearman's rank correlation of two series (k,); 0 where one of them is constant or too short."""
    if len(first) < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    ranks = [np.argsort(np.argsort(series, kind="stable"), kind="stable") for series in (first, second)]
    (a, b), middle = ranks, (len(first) - 1) / 2
    return float(((a - middle) * (b - middle)).sum() / ((a - middle) ** 2).sum())
