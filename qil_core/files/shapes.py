"""Recognises the simple shapes in a layer: what one would have drawn as a rectangle, an ellipse, a line or a freeform.

Steps, for a layer cut to its content (1 is in shape_search.py, 2 to 4 in shape_spots.py):

1. `_regions`: connected pixels of one colour, or of a slow gradient, that no shape so far explains;
2. `_coverage`: its fill (shape_fills.py), and how much of every pixel around it the fill covers: the share by which
   the pixel lies between what is below and the fill, which is the matting equation solved for alpha;
3. `_outlines`: forms fitted or traced (shape_outlines.py), with a shadow where soft pixels lie around the region;
4. `_explains`: the shape is drawn, and taken if that differs from the layer by no more than MAX_ERROR in its box;
   opaque pixels within it that differ are things on it: they are looked at in turn (1), and else stay in the rest;
5. `without_letters`: a form beside things that are none of these is part of a word, and stays in the rest;
6. `_rest`: what is left as pixels over the shapes, and a last comparison of everything with the layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..opencv import check_opencv
from ..stack import Box
from .shape_masks import blots, parts
from .shape_outlines import Floats, Mask
from .shape_painting import Shape, painted, premultiplied
from .shape_search import MIN_EXPLAINED, Search
from .shape_spots import BLOT, MARGIN, MAX_ERROR, SEEN, edges, missing

LETTER_GAP, LETTER_HEIGHTS = 0.35, (0.15, 2.0)
"""A form is part of a word when something left over is nearer than this share of its own height, and the form's height
lies between these shares of it: from the dot of an i to a capital beside an x."""

LETTER_AREA = 0.05
"""Share of a form's box that what is left over beside it must have to be a letter: a full stop beside an l has 0.1."""

FAINT = 2 / 255
"""Pixels of the rest with less alpha are dropped: nobody sees them."""


@dataclass(frozen=True, eq=False)
class FoundShapes:
    """The shapes of a layer, bottom first, and what is left (h, w, 4), straight alpha, which lies over them."""

    shapes: tuple[Shape, ...]
    rest: Tensor | None


def find_shapes(layer: Tensor) -> FoundShapes | None:
    """The shapes in a layer's content, float32 (h, w, 4), straight alpha; None where it is better left a picture.

    Raises QilError where OpenCV is missing.
    """
    check_opencv()
    # Clear pixels all round, so that a shape that fills its layer has edges, too.
    pixels = np.pad(layer.detach().cpu().numpy().astype(np.float32), ((MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)))
    search = Search(pixels)
    search.run()
    shapes = without_letters(search.shapes, _Left.of(pixels, search.target, search.shapes).boxes())
    if not shapes:
        return None
    left = _Left.of(pixels, search.target, shapes)
    rest = left.rest()
    if left.explained() < MIN_EXPLAINED or not left.right(rest):
        return None
    inner = None if rest is None else torch.from_numpy(rest[MARGIN:-MARGIN, MARGIN:-MARGIN].copy())
    return FoundShapes(tuple(shape.moved(-MARGIN, -MARGIN) for shape in shapes), inner)


@dataclass(frozen=True, eq=False)
class _Left:
    """What shapes leave of a layer. straight, target: the layer, (h, w, 4); now: the shapes; these two premultiplied.

    mask: where they differ.
    """

    straight: Floats
    target: Floats
    now: Floats
    mask: Mask

    @classmethod
    def of(cls, straight: Floats, target: Floats, shapes: Sequence[Shape]) -> _Left:
        height, width = target.shape[:2]
        now = painted(shapes, height, width)
        differs = np.abs(target - now).max(-1)
        allowed = np.zeros((height, width), np.float32)
        for shape in shapes:
            allowed = np.maximum(allowed, edges(shape, height, width))
        bare = (now[..., 3] == 0) & (allowed == 0)
        return cls(straight, target, now, (missing(differs, allowed) | bare) & (target[..., 3] > FAINT))

    def explained(self) -> float:
        """The share of the layer's visible pixels that the shapes show."""
        visible = self.target[..., 3] > SEEN
        return 1 - float((self.mask & visible).sum()) / max(1, int(visible.sum()))

    def boxes(self) -> list[Box]:
        """The boxes of its connected parts."""
        return [Box(x, y, x + width, y + height) for x, y, width, height, _ in parts(self.mask)[1][1:].tolist()]

    def rest(self) -> Floats | None:
        """Straight pixels (h, w, 4) that give the layer over the shapes: "over" solved for its upper side.

        Clear ones have the layer's own colours: programs that scale a picture mix these into the pixels beside them.
        """
        if not self.mask.any():
            return None
        above = 1 - (1 - self.target[..., 3]) / np.maximum(1 - self.now[..., 3], 1e-6)
        alpha = (np.where(self.target[..., 3] >= 1, 1, np.clip(above, 0, 1)) * self.mask)[..., None]
        colors = (self.target[..., :3] - (1 - alpha) * self.now[..., :3]) / np.maximum(alpha, 1e-6)
        colors = np.where(alpha > 0, np.clip(colors, 0, 1), self.straight[..., :3])
        return np.concatenate([colors, alpha], -1).astype(np.float32)

    def right(self, rest: Floats | None) -> bool:
        """Whether the rest over the shapes is the layer: as near as each shape has to be, and nothing missing."""
        top = np.zeros_like(self.now) if rest is None else premultiplied(rest)
        error = np.abs(top + (1 - top[..., 3:]) * self.now - self.target)
        return float(error.mean()) <= MAX_ERROR and not blots(error.max(-1) > BLOT).any()


def names_of(shapes: Sequence[Shape]) -> list[str]:
    """A name for each shape of a layer: its form, counted where there are several."""
    forms = [shape.outline.form for shape in shapes]
    return [form if forms.count(form) == 1 else f"{form} {forms[: i + 1].count(form)}" for i, form in enumerate(forms)]


def without_letters(shapes: Sequence[Shape], left: Sequence[Box]) -> list[Shape]:
    """The shapes without those that stand beside things left over as letters do, which go with these, and without what
    was found on such a shape.
    """
    kept, others = [(shape, shape.box()) for shape in shapes], list(left)
    # Letters have no shadow of their own that can be told from the others': what has one is a card, with specks beside.
    while letters := [
        box for shape, box in kept if not shape.shadow and any(_in_a_word(box, other) for other in others)
    ]:
        others = letters
        kept = [(shape, box) for shape, box in kept if not any(box.overlap(other) == box for other in others)]
    return [shape for shape, _ in kept]


def _in_a_word(box: Box, other: Box) -> bool:
    inner = box.overlap(other)
    if inner is not None and inner in (box, other):
        return False  # on it or around it, not beside it
    low, high = LETTER_HEIGHTS
    gap = max(other.left - box.right, box.left - other.right, other.top - box.bottom, box.top - other.bottom)
    alike = other.width * other.height >= LETTER_AREA * box.width * box.height
    return alike and gap <= LETTER_GAP * other.height and low * other.height <= box.height <= high * other.height
