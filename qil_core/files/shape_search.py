"""Finds the simple shapes in a layer from the bottom up: step 1 of shapes.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from ..stack import Box
from .shape_fills import EVEN, fit_fill
from .shape_masks import filled_of, grown, hull_of, parts
from .shape_outlines import Floats, Mask, drawn, moved, solidity
from .shape_painting import Shape, paint, premultiplied
from .shape_spots import MARGIN, MAX_STROKE, MIN_SHOWN, SEEN, TIP, Region, Spot, edges, missing

SLOW = 8 / 255
"""Range of three by three pixels within a region: gradients of up to three 8-bit steps a pixel, with rounding."""

MIN_PIXELS = 16
"""Smaller regions stay pixels."""

MIN_JOINED = 0.02
"""Share of a layer's area from which regions of one colour are looked at together: things on a shape may divide it."""

MAX_SHAPES = 200
"""A layer with more of them is a texture, and stays a picture; and regions that are looked at in one round."""

MIN_EXPLAINED = 0.4
"""Of a layer's visible pixels, the least share that its shapes show: a photograph has small regions that are even, too,
but these are at most 6 % of it on real pictures; layers that were drawn have 60 % and more."""

MIN_TRIES = 24
"""Regions, the largest of a layer, after which it is judged whether it has shapes: a photograph has thousands."""

LARGE_REGION, MIN_LARGE_SOLIDITY = 2000, 0.6
"""Pixels of a region and the share of its convex hull that it has at least with its holes, where it may not be traced:
a fit of less ends at MIN_SOLIDITY, after much work."""

MAX_ROUNDS = 6
"""Things on things on things that are looked at."""

FAINT_SHARE, MIN_CONTRAST = 0.001, 20 / 255
"""Regions on a shape that are smaller than this share of the layer's area must differ by this much from what is below:
specks that a picture model or JPEG leaves on an even ground differ by up to 19."""

MIN_SOFT_PART = 0.15
"""Least share of its part's box that a region with a shadow has: what is smaller is a thing on another."""

TRACED_SHARE = 0.25
"""Of a layer's area, the least that a traced outline has: what is smaller is a mark or a letter on something."""

MAX_TRACED_PARTS, PART_SHARE = 2, 0.05
"""Outlines are traced in layers of at most so many parts: more are letters. Smaller ones of this share do not count."""


class Search:
    """Finds shapes from the bottom up. now: what those found so far show. edges: pixels at
    an outline, whose coverage may differ a little."""

    def __init__(self, pixels: Floats) -> None:
        self.straight, self.target = pixels, premultiplied(pixels)
        self.now = np.zeros_like(self.target)
        self.edges: Floats = np.zeros(pixels.shape[:2], np.float32)
        self._parts = parts(pixels[..., 3] > 0)
        self.shapes: list[Shape] = []
        self.area = int((pixels[..., 3] > SEEN).sum())
        self.traceable = _count(parts(pixels[..., 3] > SEEN)[1]) <= MAX_TRACED_PARTS
        self._tried: set[tuple[int, ...]] = set()
        self._lost = np.zeros(pixels.shape[:2], bool)
        self._lost_pixels = self._failed = self._shown = self._tries = 0

    def run(self) -> None:
        """Look until nothing is found any more, or so much was in vain that the layer stays a picture in any case."""
        for _ in range(MAX_ROUNDS):
            before = len(self.shapes)
            self._lost[:], self._lost_pixels = False, 0
            for box, region in self._regions():
                if len(self.shapes) >= MAX_SHAPES or self._in_vain():
                    self.shapes.clear()
                    return
                left = self.unexplained(box)[region].mean()  # a larger region's shape may show it, too
                if left > MIN_SHOWN and not self._is_speck(box, region):
                    self._try(box, region)
            if len(self.shapes) == before:
                return

    def _is_speck(self, box: Box, region: Mask) -> bool:
        """Whether a region is small and faint."""
        place = slice(box.top, box.bottom), slice(box.left, box.right)
        contrast = np.abs(self.target[place][region] - self.now[place][region]).max(-1)
        return bool(region.sum() < FAINT_SHARE * self.area and np.median(contrast) < MIN_CONTRAST)

    def _in_vain(self) -> bool:
        """Whether too much is lost for the layer to become shapes, or of the largest regions too much was no shape."""
        most = 1 - MIN_EXPLAINED
        poor = self._failed > most * (self._failed + self._shown) and self._tries >= MIN_TRIES
        return poor or self._lost_pixels > most * self.area

    def _lose(self, box: Box, region: Mask) -> None:
        """Note pixels that are no shape."""
        self._lost[box.top : box.bottom, box.left : box.right] |= region
        self._lost_pixels += int(region.sum())

    def unexplained(self, box: Box | None = None) -> Mask:
        """Pixels that differ, of a box or all, but for the edges of shapes."""
        place = (slice(box.top, box.bottom), slice(box.left, box.right)) if box else ...
        differs = np.abs(self.target[place] - self.now[place]).max(-1)
        return missing(differs, self.edges[place])

    def _regions(self) -> Iterator[tuple[Box, Mask]]:
        """Connected even regions, the largest first, then thin ones; each as a box and a mask in it."""
        import cv2

        left = self.unexplained()
        ones = np.ones((3, 3))
        spread = (cv2.dilate(self.target, ones) - cv2.erode(self.target, ones)).max(-1)
        even = left & (spread <= SLOW)
        labels, stats = parts(even)
        bulky = even & (stats[:, 4] >= MIN_PIXELS)[labels]
        yield from self._connected(bulky)
        yield from self._connected(self.unexplained() & ~grown(bulky, 1))

    def _connected(self, mask: Mask) -> Iterator[tuple[Box, Mask]]:
        import cv2

        _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
        order = [i for i in np.argsort(-stats[1:, 4], kind="stable")[:MAX_SHAPES] + 1 if stats[i, 4] >= MIN_PIXELS]
        few = np.zeros(len(stats), bool)
        few[order] = True
        self._lose(Box(0, 0, mask.shape[1], mask.shape[0]), mask & ~few[labels])
        for i in order:
            x, y, width, height, _ = (int(value) for value in stats[i])
            key = tuple(map(int, stats[i]))
            box, region = Box(x, y, x + width, y + height), labels[y : y + height, x : x + width] == i
            if key in self._tried:
                self._lose(box, region)
            else:
                self._tried.add(key)
                yield box, region

    def _try(self, box: Box, region: Mask) -> None:
        """Take the shape of the region and all others of its colour, or else its own, if there is one."""
        height, width = self.straight.shape[:2]
        joined = self._joined(box, region) if region.sum() >= MIN_JOINED * self.area else None
        may_trace = self.traceable and bool(region.sum() >= TRACED_SHARE * self.area)
        shape = (self._shape_of(joined) if joined else None) or self._shape_of(Region(box, region, may_trace))
        self._tries += 1
        if shape is None:
            self._failed += int(region.sum())
            return self._lose(box, region)
        self.shapes.append(shape)
        paint(self.now, shape)
        around = _wider(shape.box(), 2).overlap(Box(0, 0, width, height)) or box
        place = slice(around.top, around.bottom), slice(around.left, around.right)
        at_outline = edges(shape.moved(-around.left, -around.top), around.height, around.width)
        self.edges[place] = np.maximum(self.edges[place], at_outline)
        self._shown += int(drawn(moved(shape.outline, -around.left, -around.top), around.height, around.width).sum())
        self._lost[place] &= self.unexplained(around)
        self._lost_pixels = int(self._lost.sum())

    def _joined(self, box: Box, region: Mask) -> Region | None:
        """The convex hull of what shows the region's fill in its part of the layer; None where the region is all of it.

        Rectangles and ellipses are convex, so where things on one divide it, it is the hull of what shows of it.
        """
        part = self._part_of(box, region)
        if box.overlap(part) != box:
            return None  # clear pixels that a shape covers wrongly belong to no part
        place = slice(part.top, part.bottom), slice(part.left, part.right)
        colors, alpha = self.straight[place][..., :3], self.straight[place][..., 3]
        within = np.zeros(alpha.shape, bool)
        within[box.within(part)] = region
        fill = fit_fill(colors, alpha, within)
        if fill is None or fill.opacity < 1:
            return None
        off = np.abs(colors - fill.colors(0, 0, part.height, part.width)).max(-1)
        labels, stats = parts((off <= EVEN) & (alpha >= 1) & self.unexplained(part))
        large = stats[:, 4] >= MIN_JOINED * region.sum()
        alike = (labels > 0) & large[labels]
        if int(large.sum()) <= 2:  # label 0 is what is not alike
            return None
        inner, hull = hull_of(alike)
        left, top = part.left + inner.left, part.top + inner.top
        around = Box(left, top, left + inner.width, top + inner.height)
        return Region(around, hull, False, fill.moved(part.left, part.top))

    def _shape_of(self, region: Region) -> Shape | None:
        """The region's shape: with a shadow where there is one."""
        large = not region.may_trace and region.mask.sum() >= LARGE_REGION
        if large and solidity(filled_of(region.mask)) < MIN_LARGE_SOLIDITY:
            return None
        part = self._part_of(region.box, region.mask)
        soft = region.mask.sum() >= MIN_SOFT_PART * part.width * part.height
        return (
            (self._spot(region, _wider(part, MARGIN), Spot.soft_shape) if soft else None)
            or self._spot(region, _wider(region.box, MAX_STROKE + MARGIN), Spot.stroked_shape)
            or self._spot(region, _wider(region.box, TIP if region.may_trace else MARGIN), Spot.shape)
        )

    def _spot(self, region: Region, window: Box, find: Callable[[Spot], Shape | None]) -> Shape | None:
        height, width = self.straight.shape[:2]
        seen = window.overlap(Box(0, 0, width, height)) or region.box
        shape = find(Spot(self.straight, self.target, self.now, seen, region))
        return shape.moved(seen.left, seen.top) if shape else None

    def _part_of(self, box: Box, region: Mask) -> Box:
        """A box around the region and the connected part of the layer that it lies in, of several that of the most."""
        labels, stats = self._parts
        counts = np.bincount(labels[box.top : box.bottom, box.left : box.right][region])
        counts[0] = 0  # clear pixels, over which the hull of parts reaches
        x, y, width, height, _ = (int(value) for value in stats[counts.argmax()])
        return Box(x, y, x + width, y + height).hull(box)


def _wider(box: Box, by: int) -> Box:
    return Box(box.left - by, box.top - by, box.right + by, box.bottom + by)


def _count(stats: np.ndarray) -> int:
    """How many parts there are, small ones left out."""
    areas = stats[1:, 4]
    return int((areas >= PART_SHARE * areas.max()).sum()) if len(areas) else 0
