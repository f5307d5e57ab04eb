"""Alpha along edges: the built-in decomposer's against closed-form and KNN matting (PyMatting) on the same edges.

The trimap is made of the layers found: what is within BAND_PX of an edge is unknown. Errors are mean differences from
the true alpha there, in per cent, where no layer above covers; `off` is the share of pixels, in per cent, whose alpha
is off by more than a tenth.
CF is closed-form matting: Levin, Lischinski and Weiss, 2008. KNN: Chen, Li and Tang, 2013.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from qil_core.decompose import MAX_LAYERS, Request
from qil_core.decompose.builtin import Builtin
from qil_core.decompose.run import with_alpha
from qil_core.progress import silent
from qil_core.stack import LayerStack, quantized

from .canvas import Floats
from .drawn import draw as draw_scene
from .judging import Mask, best_match, grown, shown
from .scenes import draw
from .tables import Row, print_table

BAND_PX = 4
"""Half width of the band along an edge: the trimap's unknown part is 8 px wide."""

OFF = 0.1
"""Difference of alpha that is seen as a fringe."""

MIN_OVERLAP = 0.8
"""Intersection over union with its true layer from which a found layer's edges are compared."""

CROP_PX = 192
"""Side of the squares in which matting runs: the whole picture would take minutes."""

CROPS = 2
"""Squares a layer, those with most of its edge."""

PLAIN_SIDE, DRAWN_SIDE = 640, 1280
SEEDS = (0,)
CONTENTS = ("shapes", "text", "poster")
GROUNDS = ("flat", "gradient", "textured", "photo")
FAMILIES = ("posters", "figures")

WHERE = ("over ground", "over layers")

Matting = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Edge(NamedTuple):
    """A square of a picture (h, w, 3) with an edge: found and true alpha, trimap, and what is judged (h, w)."""

    picture: Floats
    found: Floats
    true: Floats
    trimap: Floats
    judged: Mask
    over_others: bool


def run() -> None:
    try:
        from pymatting import estimate_alpha_cf, estimate_alpha_knn
    except ImportError:
        print("  PyMatting is not installed: there is nothing to compare with")
        return
    ways: dict[str, Matting] = {"CF": estimate_alpha_cf, "KNN": estimate_alpha_knn}
    for name, scenes in _groups().items():
        found = [(edge.over_others, row(edge, ways)) for edge in edges(scenes)]
        split = {over: [figures for where, figures in found if where == over] for over in (False, True)}
        if found:
            print_table(name, {WHERE[over]: rows for over, rows in split.items() if rows})
        else:
            print(f"  {name}: no layer was found so well that its edges could be compared")


def _groups() -> dict[str, list[LayerStack]]:
    plain = {g: [draw(c, g, seed, PLAIN_SIDE) for c in CONTENTS for seed in SEEDS] for g in GROUNDS}
    return plain | {f: [draw_scene(f, seed, DRAWN_SIDE) for seed in SEEDS] for f in FAMILIES}


def row(edge: Edge, ways: dict[str, Matting]) -> Row:
    """Errors of today's alpha and of each way's on one edge, in per cent, and the seconds of each way."""
    out = _errors("today", edge.found, edge)
    for name, way in ways.items():
        started = time.process_time()
        alpha = np.clip(way(edge.picture.astype(np.float64), edge.trimap.astype(np.float64)), 0, 1)
        out |= _errors(name, np.asarray(alpha, np.float32), edge) | {f"{name} s": time.process_time() - started}
    return out


def _errors(name: str, alpha: Floats, edge: Edge) -> dict[str, float]:
    error = np.abs(alpha - edge.true)[edge.judged]
    return {f"{name} %": 100 * float(error.mean()), f"{name} off": 100 * float((error > OFF).mean())}


def edges(scenes: list[LayerStack]) -> Iterator[Edge]:
    """The edges of the layers found in scenes, over the bottom layer and over other layers."""
    for true in scenes:
        picture = shown(true)
        request = Request(min(len(true), MAX_LAYERS))
        found = Builtin().decompose(quantized(with_alpha(picture)), request, silent).stack
        for i in range(1, len(true)):
            match = best_match(found, true.pixels[i, ..., 3])
            if match is not None:
                alphas = found.pixels[..., 3].numpy(), true.pixels[..., 3].numpy()
                yield from _edges_of(picture.numpy(), *alphas, match, i)


def _edges_of(picture: Floats, found: Floats, true: Floats, match: int, index: int) -> Iterator[Edge]:
    """Squares around the edges of found layer `match`, true layer `index`; found, true: alpha (N, H, W)."""
    alpha, truth = found[match], true[index]
    if np.minimum(alpha, truth).sum() < MIN_OVERLAP * np.maximum(alpha, truth).sum():
        return
    above = [*found[match + 1 :], *true[index + 1 :]]
    free = ~grown(np.any([a > 0 for a in above] or [alpha < 0], axis=0), BAND_PX)
    below = np.any([a > 0 for a in true[1:index]] or [alpha < 0], axis=0)
    band = grown(alpha > 0.5, BAND_PX) & grown(alpha <= 0.5, BAND_PX)
    trimap = np.where(band, 0.5, alpha > 0.5).astype(np.float32)
    for over_others in (False, True):
        judged = band & free & (below == over_others)
        for square in _squares(judged):
            if (trimap[square] == 1).any() and (trimap[square] == 0).any():
                found_and_true = alpha[square], truth[square]
                yield Edge(picture[square], *found_and_true, trimap[square], judged[square], over_others)


def _squares(judged: Mask) -> Iterator[tuple[slice, slice]]:
    """The squares of a grid with most of what is judged."""
    height, width = judged.shape
    grid = [
        (slice(top, min(top + CROP_PX, height)), slice(left, min(left + CROP_PX, width)))
        for top in range(0, height, CROP_PX)
        for left in range(0, width, CROP_PX)
    ]
    counts = [int(judged[square].sum()) for square in grid]
    for k in np.argsort(counts)[::-1][:CROPS]:
        if counts[k] > CROP_PX:
            yield grid[k]
