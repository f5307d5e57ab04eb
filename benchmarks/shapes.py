"""Shapes as shapes: how many flat shapes of drawn scenes become true ones, and how near their rendering is.

Two lines a kind of layers: the true layers, and those that the built-in decomposer makes of the picture. Flat shapes
are the layers of scenes.py that are one outline with one fill (its shapes, panels and cards), and of slides and screens
the layers that are drawn as one box with what lies on it. A decomposed layer counts for the true one that it overlaps
most. error: mean difference over premultiplied RGBA in the box, in steps of 255, of what the shapes draw: with the
rest, and without the pixels that the rest covers.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import torch

from qil_core.composite import composite
from qil_core.decompose import MAX_LAYERS, Request
from qil_core.decompose.builtin import Builtin
from qil_core.decompose.run import decompose
from qil_core.files.shape_painting import painted, premultiplied
from qil_core.files.shapes import FoundShapes, find_shapes
from qil_core.stack import LayerStack

from . import scenes
from .drawn import drawn
from .tables import print_table

SIDE = 640

SEEDS = 3
"""Scenes of each content on each ground: with one there are only two cards with shadows."""

FLAT = ("shape", "panel", "card")
"""Things of scenes.py with one outline and one fill."""

BOXES = ("background", "banner", "sidebar", "toolbar", "button", "dialog")
"""Layers of slides and screens that are a box."""

CONTENTS = ("shapes", "panels", "shadows")


def run() -> None:
    """Print the tables."""
    torch.set_num_threads(1)
    cases = list(_cases())
    for title, of in (("true layers", lambda stack: stack), ("decomposed layers", _decomposed)):
        groups: dict[str, list[dict[str, float]]] = {}
        for family, stack, flat in cases:
            for row in _rows(of(stack), stack, flat):
                groups.setdefault(family, []).append(row)
        print_table(f"{title}: share of the flat shapes that become true ones, error in steps of 255", groups)


def _cases() -> Iterator[tuple[str, LayerStack, list[int]]]:
    """Families of scenes, their true layers, and which of these are flat shapes."""
    for scene in scenes.scenes(SIDE, SEEDS):
        if scene.content in CONTENTS and scene.background in ("flat", "gradient"):
            things = [i for i, name in enumerate(scene.layers.names) if name in FLAT]
            yield scene.content, scene.layers, things
    for one in drawn(SIDE, families=("slides", "screens")):
        yield one.family, one.layers, [i for i, name in enumerate(one.layers.names) if name in BOXES]


def _decomposed(stack: LayerStack) -> LayerStack:
    layers, _ = decompose(Builtin(), composite(stack)[..., :3], Request(min(len(stack), MAX_LAYERS)))
    return layers


def _rows(layers: LayerStack, true: LayerStack, flat: list[int]) -> Iterator[dict[str, float]]:
    known: dict[int, dict[str, float]] = {}
    for i in flat:
        index = i if layers is true else _nearest(layers, true.pixels[i, ..., 3])
        if index not in known:
            known[index] = _row(layers, index)
        yield known[index]


def _nearest(layers: LayerStack, alpha: torch.Tensor) -> int:
    """The layer that overlaps an alpha (H, W) most, as a share of both."""
    both = torch.minimum(layers.pixels[..., 3], alpha).sum((1, 2))
    either = torch.maximum(layers.pixels[..., 3], alpha).sum((1, 2))
    return int((both / either.clamp(min=1e-6)).argmax())


def _row(layers: LayerStack, index: int) -> dict[str, float]:
    box = layers.bounds(index)
    if box is None:
        return {"share": 0.0, "error": np.nan, "shapes alone": np.nan, "seconds": np.nan}
    crop = layers.pixels[index, box.top : box.bottom, box.left : box.right]
    began = time.perf_counter()
    found = find_shapes(crop)
    seconds = time.perf_counter() - began
    whole, alone = _errors(found, crop) if found else (np.nan, np.nan)
    return {"share": float(found is not None), "error": whole, "shapes alone": alone, "seconds": seconds}


def _errors(found: FoundShapes, crop: torch.Tensor) -> tuple[float, float]:
    """With the rest over the shapes; and of the pixels that the rest does not cover."""
    target, seen = premultiplied(crop.numpy()), painted(found.shapes, *crop.shape[:2])
    difference = np.abs(seen - target).mean(-1)
    if found.rest is None:
        return (255 * float(difference.mean()),) * 2
    top = premultiplied(found.rest.numpy())
    bare = top[..., 3] == 0
    whole = np.abs(top + (1 - top[..., 3:]) * seen - target).mean()
    return 255 * float(whole), 255 * float((difference * bare).mean())
