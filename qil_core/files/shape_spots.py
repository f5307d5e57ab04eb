"""The shape of one region of a layer: its fill, its outline, and whether they explain it; steps 2 to 4 of shapes.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ..stack import Box
from .shape_fills import EVEN, Color, Fill, fit_fill, fit_shadow
from .shape_masks import blots, filled_of, grown, parts
from .shape_outlines import WHOLE_PX, Fitted, Floats, Freeform, Mask, Outline, drawn, fitted, traced
from .shape_painting import Shape, Stroke, paint

MAX_ERROR = 2 / 255
"""Mean difference of a drawn shape to its layer, over the channels of premultiplied RGBA and the pixels of its box."""

SEEN = 8 / 255
"""Difference of a pixel that people may see on an even ground."""

BLOT = 0.4
"""Two by two pixels that all differ by more than this are a thing that is missing, not an edge drawn otherwise."""

EDGE = 0.25
"""Difference that is overlooked in a pixel beside an outline that runs along pixels: a fit's error in place."""

MIN_SHOWN = 0.4
"""Share of a shape that must show: of what lies hidden below other things little is known."""

MAX_HIDDEN = 0.02
"""Share of a shape that may hide what the shapes below it show rightly: more is a gap between shapes of one colour."""

MIN_SOFT = 0.02
"""Soft pixels around a region, as a share of it, that are looked at as a shadow: the edges of a large one are fewer."""

MIN_SOFT_AROUND = 0.25
"""Of the pixels right outside an outline, the least share that is soft where it has a shadow: half on one side."""

CLEAREST = 0.97
"""Share of a thin region's largest contrast that pixels have which it covers whole."""

MARGIN = 4
"""Pixels around a region that belong to its outline."""

MAX_STROKE = 24
"""Widest line around a shape, in pixels: a wider one is a shape of its own."""

STROKE_FROM = (3, 2)
"""Pixels from an even region at which a line around it is looked for: its edge takes one or two."""

MIN_STROKE_SHOWN = 0.7
"""Of the pixels of a line around a shape, the least share that have its colour: things may lie on it."""

TIP = 12
"""Pixels around a region that belong to a traced outline: a star's tips of 35 degrees are even 8 px from their end."""

MAX_POINTS = 240
"""A traced outline with more points is not simple."""


class Region(NamedTuple):
    """Pixels that show one fill: a box of the layer, a mask in it, and whether their outline may be traced.

    fill: in pixels of the layer, where it is known already.
    """

    box: Box
    mask: Mask
    may_trace: bool
    fill: Fill | None = None

    @classmethod
    def of(cls, mask: Mask, fill: Fill) -> Region:
        """A region in a whole window, of known fill, with its holes."""
        return cls(Box(0, 0, mask.shape[1], mask.shape[0]), filled_of(mask), False, fill)


def edges(shape: Shape, height: int, width: int) -> Floats:
    """How much pixels may differ because they lie at the outline, 0..1: all, a little where beside it, or nothing."""
    alpha = drawn(shape.outline, height, width)
    beside = grown(alpha > 0, 1) & (alpha == 0)
    result = np.where(grown((alpha > 0) & (alpha < 1), 1), np.float32(1), np.float32(EDGE) * beside)
    if shape.stroke is None:
        return result
    return np.maximum(result, edges(Shape(shape.within_stroke(), shape.fill), height, width))


def missing(differs: Floats, allowed: Floats) -> Mask:
    """The pixels (h, w) that differ by more than anybody overlooks, or by what an outline may make them differ."""
    return (differs > np.maximum(allowed, SEEN)) | ((differs > SEEN) & blots(differs > BLOT))


class Spot:
    """A region in a window of its layer, and the shape that it is."""

    def __init__(self, straight: Floats, target: Floats, now: Floats, window: Box, region: Region) -> None:
        """straight, target: the layer, (h, w, 4); now: the shapes so far; these two premultiplied."""
        place = (slice(window.top, window.bottom), slice(window.left, window.right))
        self.may_trace = region.may_trace
        self.fill = region.fill.moved(-window.left, -window.top) if region.fill else None
        self.straight, self.target, self.below = straight[place], target[place], now[place]
        self.region = np.zeros((window.height, window.width), bool)
        self.region[region.box.within(window)] = region.mask

    def shape(self) -> Shape | None:
        """The shape in pixels of the window, or None."""
        fill = self._fill()
        if fill is None:
            return None
        coverage, known = self._coverage(fill)
        for outline in self._outlines(coverage, known):
            shape = Shape(outline, fill)
            if self._explains(shape):
                return shape
        return None

    def soft_shape(self) -> Shape | None:
        """The shape with its shadow or glow, which are the soft pixels of one colour around it; None without them."""
        fill = self._fill()
        if fill is None or fill.opacity < 1 or self.below.any():
            return None
        outside = ~grown(filled_of(self.region), MARGIN - 1)
        alpha = self.straight[..., 3]
        translucent = (alpha > SEEN) & (alpha < 1 - SEEN)
        soft = outside & translucent
        if soft.sum() < MIN_SOFT * self.region.sum():
            return None
        color = np.median(self.straight[soft & (alpha >= np.median(alpha[soft]))][:, :3], axis=0)
        coverage, known = self._coverage_over(fill, color)
        for outline in self._outlines(coverage, known):
            inner = drawn(outline, *self.region.shape)
            around = grown(inner > 0, MARGIN) & ~grown(inner > 0, 1)
            if not self._shows(fill, inner) or float(translucent[around].mean()) < MIN_SOFT_AROUND:
                continue  # fitting a shadow takes long
            shadow = fit_shadow(alpha, ~grown(inner > 0, 1), inner, (float(color[0]), float(color[1]), float(color[2])))
            shape = Shape(outline, fill, shadow)
            if shadow and self._explains(shape):
                return shape
        return None

    def stroked_shape(self) -> Shape | None:
        """The shape with an even line of another colour around it; None without one."""
        fill = self._fill()
        if fill is None or fill.opacity < 1:
            return None
        filled = filled_of(self.region)
        for distance in STROKE_FROM:
            color = self._even_color(grown(filled, distance) & ~grown(filled, distance - 1))
            if color is not None and (shape := self._stroked(fill, color, grown(filled, distance))):
                return shape
        return None

    def _even_color(self, ring: Mask) -> Color | None:
        """The one colour that most pixels of a ring have, if they are opaque and not what is below."""
        colors, below = self.straight[ring], self.below[ring]
        color = np.median(colors, axis=0)
        alike = np.abs(colors - color).max(-1) <= EVEN
        new = np.abs(below - color).max(-1) > SEEN
        if color[3] < 1 or float((alike & new).mean()) < MIN_STROKE_SHOWN:
            return None
        return float(color[0]), float(color[1]), float(color[2])

    def _stroked(self, fill: Fill, color: Color, inner: Mask) -> Shape | None:
        """The shape with a line of this colour. inner: its region and some of the line."""
        height, width = self.region.shape
        of_line = (np.abs(self.straight[..., :3] - color).max(-1) <= EVEN) & (self.straight[..., 3] >= 1)
        labels, _ = parts(of_line | inner)
        whole = labels == np.bincount(labels[inner]).argmax()
        outer = Spot(
            self.straight, self.target, self.below, Box(0, 0, width, height), Region.of(whole, Fill(color, 1.0))
        )
        for outline in outer._outlines(*outer._coverage(Fill(color, 1.0))):
            if isinstance(outline, Freeform):
                continue
            shape = Shape(outline, fill, stroke=Stroke(color, self._line_width(outline, fill, color)))
            line = (drawn(outline, height, width) >= 1) & (drawn(shape.within_stroke(), height, width) <= 0)
            if line.any() and float(of_line[line].mean()) >= MIN_STROKE_SHOWN and self._explains(shape):
                return shape
        return None

    def _line_width(self, outline: Fitted, fill: Fill, color: Color) -> float:
        """The width in pixels with which the inner edge of a line is nearest to what is seen: least absolute error."""
        way = fill.colors(0, 0, *self.region.shape) - np.array(color, np.float32)
        share = ((self.straight[..., :3] - color) * way).sum(-1) / np.maximum(np.square(way).sum(-1), 1e-6)
        y, x = np.mgrid[: self.region.shape[0], : self.region.shape[1]].astype(np.float32) + np.float32(0.5)
        distance = outline.distance(x, y)
        band = (distance < -1) & (distance > -MAX_STROKE - 2)
        seen, deep = np.clip(share[band], 0, 1), -distance[band]

        def error(by: float) -> float:
            return float(np.abs(np.clip(deep - by + np.float32(0.5), 0, 1) - seen).sum())

        most = min(MAX_STROKE, min(outline.width, outline.height) / 2 - 1)
        rough = min(np.arange(1, max(2, most), 1.0), key=error)
        best = float(min(rough + np.arange(-1, 1.01, 0.05), key=error))
        return float(round(best)) if abs(best - round(best)) < WHOLE_PX else best

    def _outlines(self, coverage: Floats, known: Mask) -> Iterator[Outline]:
        """Outlines of the region, the simplest first. known: where the coverage can be told."""
        filled = filled_of(self.region)
        core, near = grown(filled, -1), grown(filled, MARGIN - 1)
        # Things on the shape show where the fill does not: only opaque ones can lie there as pixels of their own.
        solid = np.where(core & ((self.straight[..., 3] >= 1) | ~known), np.float32(1), coverage)
        solid = np.where(near, np.where(known | core, solid, filled), np.float32(0)).astype(np.float32)
        band = near & ~grown(filled, -MARGIN)
        if not (solid > 0.5).any():
            return
        yield from (form for form in fitted(solid, band & (known | core)) if form.valid())
        if self.may_trace:
            shown = np.where(grown(filled, TIP - 1), np.where(known, coverage, filled), 0)
            labels, _ = parts(shown > SEEN)
            own = np.isin(labels, np.unique(labels[self.region]))  # not what else has the fill's colours nearby
            outline = traced(np.asarray(shown * own, np.float32))
            if outline and sum(map(len, outline.outlines)) <= MAX_POINTS:
                yield outline

    def _fill(self) -> Fill | None:
        bare = float(self.below[self.region][:, 3].max()) == 0
        if not bare and float(self.straight[self.region][:, 3].min()) < 1:
            return None  # what shines through what cannot be told apart
        if self.fill:
            return self.fill
        colors, alpha = self.straight[..., :3], self.straight[..., 3]
        return fit_fill(colors, alpha, self.region) or fit_fill(colors, alpha, self._clearest())

    def _clearest(self) -> Mask:
        """The pixels of a thin region that stand out most: the others lie half beside it."""
        contrast = np.abs(self.target - self.below).max(-1) * self.region
        return contrast >= CLEAREST * contrast.max()

    def _coverage(self, fill: Fill) -> tuple[Floats, Mask]:
        """How much the fill covers of every pixel, and where a share of it over what is below gives the pixel."""
        height, width = self.region.shape
        colors = fill.colors(0, 0, height, width) * np.float32(fill.opacity)
        alone = np.concatenate([colors, np.full((height, width, 1), fill.opacity, np.float32)], -1)
        way = alone - np.float32(fill.opacity) * self.below
        length = np.square(way).sum(-1)
        share = ((self.target - self.below) * way).sum(-1) / np.maximum(length, 1e-6)
        coverage = np.clip(share, 0, 1).astype(np.float32)
        off = np.abs(self.target - self.below - coverage[..., None] * way).max(-1)
        return coverage, (off <= SEEN) & (length > 1e-3)

    def _coverage_over(self, fill: Fill, soft: Floats) -> tuple[Floats, Mask]:
        """As _coverage(), over a shadow of one colour and any strength: least squares of two shares a pixel."""
        height, width = self.region.shape
        one = np.concatenate([fill.colors(0, 0, height, width), np.ones((height, width, 1), np.float32)], -1)
        two = np.broadcast_to(np.array([*soft, 1], np.float32), one.shape)
        a, b, c = (np.square(one).sum(-1), (one * two).sum(-1), np.square(two).sum(-1))
        p, q = (self.target * one).sum(-1), (self.target * two).sum(-1)
        room = np.maximum(a * c - b * b, 1e-6)
        share, other = (p * c - q * b) / room, (q * a - p * b) / room
        off = np.abs(self.target - share[..., None] * one - other[..., None] * two).max(-1)
        return np.clip(share, 0, 1).astype(np.float32), (off <= SEEN) & (room > 1e-3)

    def _shows(self, fill: Fill, alpha: Floats) -> bool:
        """Whether enough of what lies whole within an outline of this coverage has the fill's colours."""
        whole = alpha >= 1
        colors = fill.colors(0, 0, *self.region.shape)
        off = np.abs(self.straight[..., :3] - colors).max(-1)[whole]
        return bool(off.size) and float((off <= SEEN).mean()) >= MIN_SHOWN

    def _can_stay(self, below: Floats) -> Mask:
        """Where the layer can be had by pixels over a premultiplied picture: everywhere where it is opaque, and where
        "over" solved for its upper side gives an alpha and colours that there are.
        """
        above = 1 - (1 - self.target[..., 3]) / np.maximum(1 - below[..., 3], 1e-6)
        colors = self.target[..., :3] - (1 - above)[..., None] * below[..., :3]
        there = (colors.min(-1) >= -MAX_ERROR) & (colors.max(-1) <= above + MAX_ERROR)
        return (self.straight[..., 3] >= 1) | ((below[..., 3] < 1) & (above > 0) & there)

    def _explains(self, shape: Shape) -> bool:
        """Whether the drawn shape is the layer, but for opaque things on it that can stay pixels."""
        height, width = self.region.shape
        if shape.box().overlap(Box(0, 0, width, height)) != shape.box():
            return False  # a form that fits what is seen of it here, and goes on where it was not looked at
        result = self.below.copy()
        paint(result, shape)
        alpha = drawn(shape.outline, height, width)
        touched = np.ones_like(self.region) if shape.shadow else grown(alpha > 0, 1)
        difference = np.abs(result - self.target) * touched[..., None]
        error = difference.max(-1)
        things = missing(error, edges(shape, height, width)) & self._can_stay(result)
        soft = (alpha == 0) & (self.straight[..., 3] > SEEN)
        if shape.shadow and float(things[soft].mean()) > 1 - MIN_SHOWN:
            return False
        hidden = things & (alpha > 0) & (self.below[..., 3] > 0) & (np.abs(self.below - self.target).max(-1) <= SEEN)
        if float(alpha[hidden].sum()) > MAX_HIDDEN * float(alpha.sum()):
            return False
        if float(alpha[~things].sum()) < MIN_SHOWN * float(alpha.sum()) or blots((error > BLOT) & ~things).any():
            return False
        box = Box(0, 0, width, height) if shape.shadow else shape.box()
        return float(difference[~things].sum()) / 4 / max(1, box.width * box.height) <= MAX_ERROR
