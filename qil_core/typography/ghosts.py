"""Remains of letters in other layers: beside letters of JPEG pictures a decomposer finds bits that look like things.

Under its text such a bit is not seen; once the text is written as text, and its layer is hidden, it shows as a second,
blurred copy of some letters. `without_ghosts` takes out of the other layers what lies on or close about the letters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..stack import Box
from .layer import MIN_REST, Recognized

MAX_COVERED = 0.5
"""Of the other layer's letters, the share that remains cover at the most: what lies on more is their shadow or glow."""

RIM = 0.1
"""How far about its letters noise of JPEG reaches that is taken for a thing, in heights of the line."""

MIN_RIM_PX = 2
"""The same at the least."""

SOLID = 0.5
"""Alpha above which a pixel is a letter's."""

MIN_ON_LETTERS = 0.8
"""Share of a piece that must lie on letters or in their rim to be a remain of them: a line below words, a highlight
behind them or a dot beside them has less."""


class Placed(NamedTuple):
    """A layer's content (h, w, 4), where it lies, and its text, None where it has none."""

    crop: Tensor
    box: Box
    text: Recognized | None


def without_ghosts(layers: Sequence[Placed]) -> list[Recognized | None]:
    """The texts of the layers of one picture; a layer of which remains of another's letters were taken is `cleaned`."""
    lettered = [layer for layer in layers if layer.text is not None and layer.text.blocks]
    return [_cleaned(layer, [other for other in lettered if other is not layer]) for layer in layers]


def _cleaned(layer: Placed, others: Sequence[Placed]) -> Recognized | None:
    rest = layer.crop if layer.text is None else layer.text.rest
    if rest is None:
        return layer.text
    alpha = rest[..., 3].cpu().numpy()
    gone = np.zeros(alpha.shape, bool)
    for other in others:
        if (shared := layer.box.overlap(other.box)) is not None:
            gone |= _remains(alpha, _letters_in(layer.box, shared, other))
    if not gone.any():
        return layer.text
    left = rest.clone()
    left[..., 3] *= torch.from_numpy(~gone).to(left)
    is_seen = float(left[..., 3].max()) >= MIN_REST
    return replace(layer.text or Recognized((), None, ()), rest=left if is_seen else None, cleaned=True)


class _Letters(NamedTuple):
    """Letters of another layer in a box (h, w), the same with their rim, and how many pixels they have in all."""

    ink: NDArray[np.bool_]
    grown: NDArray[np.bool_]
    area: int


def _letters_in(box: Box, shared: Box, other: Placed) -> _Letters:
    """The letters of a layer that has text. shared: what a box has in common with that layer's."""
    import cv2

    text = other.text or Recognized((), None, ())
    solid = other.crop[..., 3].cpu().numpy() > SOLID
    if text.rest is not None:
        solid &= text.rest[..., 3].cpu().numpy() <= SOLID
    height = float(np.median([line.bottom - line.top for block in text.blocks for line in block.lines]))
    side = 2 * max(MIN_RIM_PX, round(RIM * height)) + 1
    grown = cv2.dilate(solid.astype(np.uint8), np.ones((side, side), np.uint8)) > 0
    here, there = (
        np.s_[shared.top - each.top : shared.bottom - each.top, shared.left - each.left : shared.right - each.left]
        for each in (box, other.box)
    )
    masks = np.zeros((2, box.height, box.width), bool)
    masks[0][here], masks[1][here] = solid[there], grown[there]
    return _Letters(masks[0], masks[1], int(solid.sum()))


def _remains(alpha: NDArray[np.floating], letters: _Letters) -> NDArray[np.bool_]:
    """The connected pieces (h, w) of a layer that lie for the most part on letters; none where they cover them all."""
    import cv2

    count, labels = cv2.connectedComponents((alpha > 0).astype(np.uint8), connectivity=8)
    area = np.bincount(labels.ravel(), minlength=count)
    on_letters = np.bincount(labels[letters.grown], minlength=count)
    is_remains = on_letters >= MIN_ON_LETTERS * np.maximum(area, 1)
    is_remains[0] = False
    found = np.asarray(is_remains[labels])
    return found if int((found & letters.ink).sum()) <= MAX_COVERED * letters.area else np.zeros_like(found)
