"""Masks as they come, made into areas of the picture with an order: which one lies above which.

1. `checked`: of the picture's size, without empty ones and repeats.
2. `bottom_first`: a mask inside another one lies above it. Of two that overlap, the one whose edge goes on in the
   picture lies above. For masks that only touch, it is read from junctions and from completed shapes, as the built-in
   decomposer does (`builtin/step11_order`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..errors import QilError
from ..progress import Progress, silent
from ..text import printable
from .builtin.step11_order import occlusion_order
from .builtin.units import SHAPE
from .builtin.working import Floats, Mask

MAX_MASKS = 100
"""As many layers of 1328 px take 2.8 GB."""

SAME = 0.98
"""Intersection over union from which a mask repeats another one."""

LEAST_SOFT = 0.02
"""How far from 0 and 1 a mask's value is soft: 5/255, more than rounding and compression."""

ASPECT_SLACK = 0.02
"""By how much the aspect of a mask may differ from the picture's: segmentation models round sides."""

INSIDE = 0.9
"""Share of a mask inside another one from which it is a part of it, and lies above."""

ORDER_SIDE = 640
"""Longer side, in pixels, at which the order is looked for."""

CERTAIN = 1e6
"""What lying inside counts, in pixels of hidden area (see step11_order): more than anything else."""

EDGE_WEIGHT = 2000.0
"""What the edge that goes on counts, when the other one is not there at all; as much as a T-junction."""

MIN_OVERLAP_PX = 20
"""Pixels that two masks share at the least, at that size, for their edges inside each other to say something."""


class Area(NamedTuple):
    """A mask at the picture's size, bool (H, W): where the thing is, and where the mask is neither 0 nor 1 itself."""

    inside: Mask
    soft: Mask


def checked(
    masks: Sequence[Floats], names: Sequence[str], shape: tuple[int, int]
) -> tuple[list[Area], list[str], list[str]]:
    """Masks (h, w), their names, and notes on those that were left out. shape: of the picture.

    Raises QilError: too many or none, other names than masks, masks of another aspect, none that shows anything.
    """
    if not 1 <= len(masks) <= MAX_MASKS:
        raise QilError(f"{len(masks)} masks were given, 1 to {MAX_MASKS} are possible.")
    if names and len(names) != len(masks):
        raise QilError(f"{len(names)} names were given for {len(masks)} masks: give one a line, or none at all.")
    kept: list[Area] = []
    kept_names: list[str] = []
    notes = []
    for i, mask in enumerate(masks):
        name = printable(names[i]).strip() if names else f"thing {i + 1}"
        area = sized(mask, shape, i)
        twin = next((j for j, other in enumerate(kept) if _overlap(area.inside, other.inside) > SAME), None)
        if not area.inside.any():
            notes.append(f"Mask {i + 1} ({name}) is empty and was left out.")
        elif twin is not None:
            notes.append(f"Mask {i + 1} ({name}) repeats {kept_names[twin]} and was left out.")
        else:
            kept.append(area)
            kept_names.append(name)
    if not kept:
        raise QilError("All masks are empty, expected one with something in it: use masks of this picture.")
    return kept, kept_names, notes


def sized(mask: Floats, shape: tuple[int, int], index: int) -> Area:
    """A mask (h, w) at the size of a picture (height, width). Raises QilError: another aspect. index: for its words.

    An empty mask may have any size: Load Image gives 64 x 64 pixels where nothing is painted.
    """
    import cv2

    if not (mask > LEAST_SOFT).any():
        return Area(np.zeros(shape, bool), np.zeros(shape, bool))
    soft = (mask > LEAST_SOFT) & (mask < 1 - LEAST_SOFT)
    if mask.shape == shape:
        return Area(mask > 0.5, soft)
    (height, width), (rows, columns) = shape, mask.shape
    if abs(columns * height - rows * width) > max(rows * width, columns * height) * ASPECT_SLACK:
        raise QilError(
            f"Mask {index + 1} is {columns} x {rows} and the picture {width} x {height} pixels: these are different "
            "aspects. Use masks of the same picture."
        )
    large, large_soft = (
        cv2.resize(values.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR) > 0.5
        for values in (mask, soft)
    )
    return Area(np.asarray(large), np.asarray(large_soft))


def _overlap(one: Mask, other: Mask) -> float:
    """Intersection over union."""
    return float((one & other).sum() / max(int((one | other).sum()), 1))


def bottom_first(picture: Floats, masks: Sequence[Mask], progress: Progress = silent) -> list[int]:
    """Indices of masks (h, w) over a picture (h, w, 3) in 0..1, the lowest first."""
    if len(masks) == 1:
        return [0]
    small, areas = _reduced(picture, masks)
    by_size = sorted(range(len(masks)), key=lambda i: -int(areas[i].sum()))
    labels = np.zeros(small.shape[:2], np.int32)
    for i in by_size:  # where masks overlap, the smaller one is seen
        labels[areas[i]] = i + 1
    evidence = np.zeros((len(masks) + 1, len(masks) + 1))
    edges = _edges(small)
    for i in range(len(masks)):
        for j in range(i + 1, len(masks)):
            evidence[i + 1, j + 1] = _lies_below(areas[i], areas[j], edges)
    kinds = np.full(len(masks) + 1, SHAPE, np.int8)
    order = occlusion_order(labels, kinds, progress, evidence)
    return [int(i) - 1 for i in order[1:]]


def _reduced(picture: Floats, masks: Sequence[Mask]) -> tuple[Floats, list[Mask]]:
    import cv2

    height, width = picture.shape[:2]
    scale = min(1.0, ORDER_SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.float32)
    shares = (cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA) for mask in masks)
    return small, [np.asarray(share > 0.5) for share in shares]


def _edges(picture: Floats) -> Floats:
    """How strongly the colours (h, w, 3) change at each pixel, (h, w)."""
    import cv2

    steps = [cv2.Sobel(picture, cv2.CV_32F, *direction) for direction in ((1, 0), (0, 1))]
    return np.asarray(np.sqrt(sum(step * step for step in steps)).max(2), np.float32)


def _lies_below(one: Mask, other: Mask, edges: Floats) -> float:
    """The evidence that one lies below the other, negative where it is the other way round."""
    shared = one & other
    if shared.sum() < MIN_OVERLAP_PX:
        return 0.0
    inside_other, inside_one = (float(shared.sum() / area.sum()) for area in (one, other))
    if max(inside_other, inside_one) > INSIDE:
        return CERTAIN * (1 if inside_one > inside_other else -1)
    own, others = (_strength(mask, inner, edges) for mask, inner in ((one, other), (other, one)))
    return EDGE_WEIGHT * (others - own) / max(others + own, 1e-6)


def _strength(mask: Mask, inside: Mask, edges: Floats) -> float:
    """How strong the picture's edges are along the outline of a mask, inside another one."""
    import cv2

    cross = np.ones((3, 3), np.uint8)
    whole = mask.astype(np.uint8)
    outline = (cv2.dilate(whole, cross) != cv2.erode(whole, cross)) & inside
    return float(edges[outline].mean()) if outline.any() else 0.0
