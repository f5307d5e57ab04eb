"""Names that say what is there: one place that names the layers of every decomposer.

A decomposer leaves the name of a layer empty where nobody gave it one, and may say what kind of layer it is. Then, for
each of these layers:

1. `words`: a layer that is text is called by its words, where the optional extra `text` is installed;
2. `forms`, `colors`: a flat shape by its colour and form ("red circle"), a glow or strokes by their colour;
3. the bottom layer that fills the picture is the "background", an even-sided picture of many colours a "picture";
4. anything else has its kind for a name, or its number ("layer 3").

Names that a person, a file or a decomposer gave are never changed, and no name comes twice. A captioner's words are
not used: docs/names.md says why.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from .. import ocr
from ..composite import premultiplied
from ..filters import shrink
from ..order import unique
from ..progress import Progress, silent
from ..stack import Box, LayerStack
from .colors import color_of
from .forms import MAX_SIDE_PX, SOLID, cut_sides, form_of
from .words import words_of

BACKGROUND = "background"

TEXT, SHAPE, STROKES, GLOW, PANEL, THING, LAYER = "text", "shape", "strokes", "glow", "panel", "thing", "layer"
"""Kinds of layers. LAYER: nothing is known of it, so it may be any of the others."""

MIN_BACKGROUND = 0.95
"""Mean alpha of the bottom layer from which it is the background."""

MAX_READ_LAYERS = 24
"""Layers of a stack that are read: each takes 0.1 to 0.3 s of one core (layers of pictures of 1328 px)."""

READ_SIDE_PX = 640
"""Longest side of a layer as it is read: words that a person can read in a small picture of the whole."""

PICTURES = ("rectangle", "square", "rounded rectangle", "rounded square")
"""Forms of pictures: what has one and many colours is called a picture."""

MAX_SPREAD = 0.05
"""Standard deviation of the colours of a flat shape in 0..1: JPEG and soft shading leave less, a photograph more."""


def nameless(pixels: Tensor) -> LayerStack:
    """A stack (N, H, W, 4) whose layers are to be named."""
    return LayerStack(pixels, ("",) * len(pixels))


def named(stack: LayerStack, kinds: Sequence[str] = (), progress: Progress = silent) -> LayerStack:
    """The stack with a name for each layer that has none. kinds: as many as layers, or none: all are LAYER.

    The same stack always gets the same names. Layers that may be text are read where the extra `text` is installed;
    progress is called before each layer that is looked at, and may raise to stop.
    """
    if all(stack.names):
        return stack
    naming = _Naming(stack, kinds or [LAYER] * len(stack), progress)
    given = tuple(dict.fromkeys(filter(None, stack.names)))
    made = (naming.name(i) for i, name in enumerate(stack.names) if not name)
    fresh = iter(unique((*given, *made))[len(given) :])
    return LayerStack(stack.pixels, tuple(name or next(fresh) for name in stack.names))


def numbered(names: Sequence[str]) -> tuple[str, ...]:
    """The names, numbered where one comes again or is the background's; what has no name stays without."""
    fresh = iter(unique((BACKGROUND, *filter(None, names)))[1:])
    return tuple(next(fresh) if name else "" for name in names)


class _Naming:
    """Names one stack's layers, from the bottom up."""

    def __init__(self, stack: LayerStack, kinds: Sequence[str], progress: Progress) -> None:
        self._stack, self._kinds, self._progress = stack, kinds, progress
        self._left = MAX_READ_LAYERS

    def name(self, index: int) -> str:
        """What a layer is called, before names are made unique."""
        self._progress(index / len(self._stack), "naming the layers")
        kind, pixels = self._kinds[index], self._stack.pixels[index]
        box = self._stack.bounds(index)
        otherwise = {LAYER: f"{LAYER} {index + 1}", THING: f"{THING} {index}"}.get(kind, kind)
        if box is None:
            return otherwise
        if kind == LAYER and index == 0 and self._stack.coverage(0) >= MIN_BACKGROUND:
            return BACKGROUND
        crop = pixels[box.top : box.bottom, box.left : box.right]
        return self._words(kind, crop) or self._look(kind, crop, box) or otherwise

    def _words(self, kind: str, crop: Tensor) -> str:
        words = self._reader() if kind in (TEXT, THING, LAYER) else None
        if words is None:
            return ""
        self._left -= 1
        return words_of(_small(crop, READ_SIDE_PX).numpy(), words)

    def _reader(self) -> ocr.Reader | None:
        return ocr.reader() if self._left > 0 else None

    def _look(self, kind: str, crop: Tensor, box: Box) -> str:
        """Colour and form of a layer that is no text; "" where they say nothing."""
        if kind == TEXT:
            return ""
        small = _small(crop, MAX_SIDE_PX)
        solid = small[..., 3] >= SOLID * float(small[..., 3].max())
        colors = small[..., :3][solid]
        color, is_flat = color_of(colors), _is_flat(colors)
        form = form_of(np.asarray(solid), cut_sides(box, self._stack.width, self._stack.height))
        if kind in (GLOW, PANEL) or (kind == STROKES and form != "line"):
            return f"{color} {kind}".strip()
        if form and color:
            return f"{color} {form}"
        if form in PICTURES and not is_flat:
            return "picture"
        if kind == SHAPE or (color and is_flat):
            return f"{color} {SHAPE}".strip()
        return ""


def _small(crop: Tensor, side: int) -> Tensor:
    """A layer's content (h, w, 4), straight alpha, on the CPU and at most so many pixels wide or high."""
    scale = min(1.0, side / max(crop.shape[:2]))
    if scale == 1:
        return crop.cpu()
    height, width = (max(1, round(length * scale)) for length in crop.shape[:2])
    mean = shrink(premultiplied(crop), height, width).cpu()
    return torch.cat([mean[..., :3] / mean[..., 3:].clamp(min=1e-6), mean[..., 3:]], dim=-1).clamp(0, 1)


def _is_flat(colors: Tensor) -> bool:
    """Whether straight colours (n, 3) are about one."""
    return len(colors) > 0 and float(colors.std(0, unbiased=False).max()) <= MAX_SPREAD
