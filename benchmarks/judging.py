"""A found stack judged by use: what is torn, what stays behind and what hangs on when its layers are moved.

`found` and `true` are stacks of one size, bottom first. A thing is a true layer above the bottom one.

1. `moved_error`: every thing moved by itself, in both stacks.
2. `traces`: errors of the bottom layer along the edges of what lies on it.
3. `film`: faint alpha of layers far from anything solid in them.
4. `things`: how well single layers cover what is seen of every thing.
5. `off_beneath`: errors of the bottom layer under one thing.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qil_core.composite import composite
from qil_core.stack import LayerStack

from .canvas import Floats

Mask = NDArray[np.bool_]

MOVED_SHARE = 0.1
"""Of the picture's width: how far a layer is moved."""

CHANGED = 1.5 / 255
"""Difference of a channel above which a move has changed a pixel: more than a step of the 8-bit grid."""

VISIBLY_OFF = 10 / 255
"""Difference of a channel that people see on an even ground."""

BAND_PX = 3
"""Half width of the band along a layer's edge in which traces are looked for."""

OTHERS_ALPHA, OTHERS_PX = 0.02, 4
"""Where another layer has more alpha than this, so many pixels around included, a trace may be that one's."""

MIN_BAND_PX = 200
"""Bands of fewer pixels say nothing."""

FILM_PX = 4
"""How far from solid alpha faint alpha counts as film."""

BORDER_PX = 2
"""How far from borders between things nothing is judged: anti-aliased pixels belong to neither."""

MIN_INSIDE = 0.5
"""Share of a thing that must be further from borders, for its borders to be left out."""


def moved_error(found: LayerStack, true: LayerStack) -> float:
    """Mean error, in 1/255, over the pixels that a move changes, mean of all things.

    Each thing moves by a tenth of the width towards the middle; in the found stack its best match moves as far.
    Where no layer matches, nothing moves there, and the whole move counts as error.
    """
    pictures, errors = (shown(found), shown(true)), []
    for i in range(1, len(true)):
        step = _step(true.pixels[i, ..., 3])
        match = best_match(found, true.pixels[i, ..., 3])
        after = shown(found if match is None else with_moved(found, match, step)), shown(with_moved(true, i, step))
        changes = [(new - old).abs().amax(-1) > CHANGED for new, old in zip(after, pictures, strict=True)]
        changed = changes[0] | changes[1]
        if changed.any():
            errors.append(float((after[0] - after[1]).abs()[changed].mean()) * 255)
    return float(np.mean(errors)) if errors else 0.0


def best_match(found: LayerStack, alpha: Tensor) -> int | None:
    """The index of the layer above the bottom whose alpha has the best IoU with alpha (H, W); None where none meets."""
    others = found.pixels[1:, ..., 3]
    ious = [float(torch.minimum(o, alpha).sum() / torch.maximum(o, alpha).sum().clamp(min=1e-6)) for o in others]
    return 1 + int(np.argmax(ious)) if ious and max(ious) > 0 else None


def shown(stack: LayerStack) -> Tensor:
    """The colours (H, W, 3) of a stack's composite."""
    return composite(stack)[..., :3]


def _step(alpha: Tensor) -> int:
    """Pixels to the right that move a layer with alpha (H, W) towards the middle by its share of the width."""
    width = alpha.shape[1]
    center = float((alpha.sum(0) * torch.arange(width)).sum() / alpha.sum().clamp(min=1e-6))
    return round(MOVED_SHARE * width) * (1 if center < width / 2 else -1)


def with_moved(stack: LayerStack, index: int, step: int) -> LayerStack:
    """The stack with one layer so many pixels further right; what leaves the page is gone."""
    pixels = stack.pixels.clone()
    pixels[index] = 0
    if step >= 0:
        pixels[index, :, step:] = stack.pixels[index, :, : stack.width - step]
    else:
        pixels[index, :, :step] = stack.pixels[index, :, -step:]
    return LayerStack(pixels, stack.names)


def traces(found: LayerStack, true: LayerStack) -> float:
    """Share of the pixels in bands along the layers' edges at which the bottom layer is visibly off the true one.

    A band counts where no other layer above the bottom is near. 0 where there is no such band.
    """
    off = _bottom_error(found, true) > VISIBLY_OFF
    alphas = found.pixels[1:, ..., 3].numpy()
    near_others = [grown(alpha > OTHERS_ALPHA, OTHERS_PX) for alpha in alphas]
    covers = np.sum(near_others, axis=0) if len(alphas) else np.zeros(off.shape)
    pixels = wrong = 0
    for alpha, own in zip(alphas, near_others, strict=True):
        solid = alpha > 0.5
        band = grown(solid, BAND_PX) & grown(~solid, BAND_PX) & (covers - own == 0)
        if band.sum() >= MIN_BAND_PX:
            pixels, wrong = pixels + int(band.sum()), wrong + int(off[band].sum())
    return wrong / max(pixels, 1)


def _bottom_error(found: LayerStack, true: LayerStack) -> Floats:
    """Largest difference of a channel (H, W) between the bottom layers."""
    return np.asarray((found.pixels[0, ..., :3] - true.pixels[0, ..., :3]).abs().amax(-1), np.float32)


def grown(mask: Mask, pixels: int) -> Mask:
    """A mask (H, W) with its surroundings: a square of so many pixels on every side."""
    size = 2 * pixels + 1
    return np.asarray(cv2.dilate(mask.astype(np.uint8), np.ones((size, size), np.uint8)), bool)


def film(stack: LayerStack) -> float:
    """Share of all layers' alpha that is faint and far from anything solid in its layer; true glows count too."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * FILM_PX + 1, 2 * FILM_PX + 1))
    haze = whole = 0.0
    for alpha in stack.pixels[1:, ..., 3].numpy():
        near = cv2.dilate((alpha > 0.5).astype(np.uint8), disc) > 0
        haze, whole = haze + float(alpha[(alpha <= 0.5) & ~near].sum()), whole + float(alpha.sum())
    return haze / max(whole, 1.0)


def things(found: LayerStack, true: LayerStack) -> dict[str, float]:
    """For every thing's name, the best IoU of what is seen of it with what is seen of a single found layer, 0..1.

    Pixels near a border between things are not judged, unless they are most of a thing, as of small print.
    """
    true_owner, owner = seen(true), seen(found)
    size = 2 * BORDER_PX + 1
    square = np.ones((size, size), np.uint8)
    inside = cv2.dilate(true_owner, square) == cv2.erode(true_owner, square)
    everywhere, apart = _ious(true_owner, owner), _ious(true_owner[inside], owner[inside])
    count, within = (np.bincount(owners.ravel(), minlength=256) for owners in (true_owner, true_owner[inside]))
    ious = np.where(within >= MIN_INSIDE * count, apart, everywhere)
    return {name or f"thing {i}": float(ious[i]) for i, name in enumerate(true.names) if i and count[i]}


def _ious(true_owner: NDArray[np.uint8], owner: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The best IoU (256,) of every true owner with an owner of the same pixels."""
    together = np.zeros((256, 256))
    np.add.at(together, (true_owner.ravel(), owner.ravel()), 1)
    union = together.sum(1, keepdims=True) + together.sum(0) - together
    return np.asarray((together / np.maximum(union, 1)).max(1))


def seen(stack: LayerStack) -> NDArray[np.uint8]:
    """The number of the topmost layer with alpha above a half, at each pixel (H, W)."""
    owner = np.zeros((stack.height, stack.width), np.uint8)
    for i, alpha in enumerate(stack.pixels[..., 3].numpy()):
        owner[alpha > 0.5] = i
    return owner


def off_beneath(found: LayerStack, true: LayerStack, name: str) -> float:
    """Share of the pixels under the thing of this name at which the bottom layer is visibly off the true one."""
    under = true.pixels[true.names.index(name), ..., 3].numpy() > 0
    return float((_bottom_error(found, true)[under] > VISIBLY_OFF).mean())
