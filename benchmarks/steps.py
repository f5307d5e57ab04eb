"""The figure of the built-in decomposer's steps: what each of them has found in the example poster.

1. `Seen` wraps the steps' functions where the decomposer calls them, so that the figure shows what a real run made.
2. `tiles`: a picture and a title for each step.
3. `sheet`: the tiles in rows.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from qil_core.decompose import Request
from qil_core.decompose import builtin as steps
from qil_core.decompose.builtin import Builtin
from qil_core.example import draw_poster
from qil_core.progress import silent

Bytes = NDArray[np.uint8]

WATCHED = (
    "working_copy",
    "read_texts",
    "find_background",
    "find_regions",
    "find_units",
    "find_softs",
    "group_units",
    "plan_layers",
    "render",
)
"""Functions whose first argument or result a tile shows, by their names in the decomposer's module."""

LAYERS = 6
TILE = (300, 400)
"""Pixels of a tile's picture, width and height."""

GAP, TITLE_PX, COLUMNS = 18, 32, 5
PAPER, INK = (255, 255, 255), (28, 30, 46)

NO_EDGE_PX = 0.5
"""A signed distance below which a pixel of the working copy lies on an edge."""


class Seen:
    """What the steps gave in one run: the last result of each watched function, by its name."""

    def __init__(self) -> None:
        self.results: dict[str, Any] = {}
        self.layers: torch.Tensor | None = None

    def watch(self, picture: torch.Tensor) -> Seen:
        """Run the decomposer on a picture (H, W, 4) with its steps wrapped, and put them back."""
        kept = {name: getattr(steps, name) for name in WATCHED}
        try:
            for name, function in kept.items():
                setattr(steps, name, self._noting(name, function))
            self.layers = Builtin().decompose(picture, Request(layers=LAYERS), silent).stack.pixels
        finally:
            for name, function in kept.items():
                setattr(steps, name, function)
        return self

    def _noting(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*given: Any, **named: Any) -> Any:
            self.results[name] = function(*given, **named)
            return self.results[name]

        return noted


def rgb(values: NDArray[Any]) -> Bytes:
    """Colours (h, w, 3 or 4) in 0..255 as bytes without alpha."""
    return np.clip(np.rint(values[..., :3]), 0, 255).astype(np.uint8)


def colored(labels: NDArray[Any]) -> Bytes:
    """A label map (h, w) in colours that differ from neighbour to neighbour; 0, the background, is pale grey."""
    count = int(labels.max()) + 1
    table = np.array([colorsys.hls_to_rgb(0.618 * i % 1, 0.45 + 0.2 * (i % 3) / 2, 0.65) for i in range(count)])
    table[0] = 0.92
    return np.rint(table[labels] * 255).astype(np.uint8)


def checkered(layer: NDArray[Any]) -> Bytes:
    """A layer (h, w, 4) in 0..1, straight alpha, on a checkerboard."""
    squares = np.indices(layer.shape[:2]) // 16
    board = 0.80 + 0.14 * (squares.sum(0) % 2)[..., None]
    return np.rint((layer[..., :3] * layer[..., 3:] + board * (1 - layer[..., 3:])) * 255).astype(np.uint8)


def tiles(seen: Seen) -> list[tuple[Bytes, str]]:
    """A picture and a title for each step."""
    work, texts = seen.results["working_copy"], seen.results["read_texts"]
    background, units = seen.results["find_background"], seen.results["find_units"]
    plans, layers = seen.results["plan_layers"], seen.layers
    assert layers is not None
    last = layers.numpy()
    return [
        (rgb(work.rgba), "1 look"),
        (_lit(work, texts.numbers > 0), "7 reading"),
        (rgb(background.model), "3 ground"),
        (colored(seen.results["find_regions"]), "5 regions"),
        (colored(units.labels), "8 units"),
        (_shadows(seen.results["find_softs"], work.shape), "9 soft"),
        (colored(seen.results["group_units"].labels), "10 group"),
        (_extent(plans, work.shape), "12 plan"),
        (_edge(last), "13 render"),
        (checkered(cv2.resize(last[3], TILE, interpolation=cv2.INTER_AREA)), "a layer"),
    ]


def _lit(work: Any, there: NDArray[np.bool_]) -> Bytes:
    """The picture, pale but where something was found."""
    pale = 255 - (255 - work.rgba[..., :3]) * 0.18
    return rgb(np.where(there[..., None], work.rgba[..., :3], pale))


def _shadows(softs: Sequence[Any], shape: tuple[int, int]) -> Bytes:
    """Alpha of all shadows and glows, dark where it is strong."""
    alpha = np.zeros(shape, np.float32)
    for soft in softs:
        alpha = np.maximum(alpha, soft.alpha)
    return rgb(np.repeat(255 * (1 - alpha / max(float(alpha.max()), 1e-6))[..., None], 3, -1))


def _extent(plans: Any, shape: tuple[int, int]) -> Bytes:
    """What shows of the red disc, in its colour, and what is hidden of it, paler."""
    red = max(plans.layers[1:], key=lambda plan: float(plan.color[..., 0].mean() - plan.color[..., 1:].mean()))
    out = np.full((*shape, 3), 235, np.float32)
    inside = out[red.box]
    hidden = (red.extent > NO_EDGE_PX) & (red.visible <= NO_EDGE_PX)
    inside[red.extent > NO_EDGE_PX] = red.color[red.extent > NO_EDGE_PX]
    inside[hidden] = 0.5 * inside[hidden] + 0.5 * 255
    return rgb(out)


def _edge(layers: NDArray[Any]) -> Bytes:
    """A piece of the disc's edge, every pixel as a square."""
    alpha = layers[1, ..., 3]
    row = alpha.shape[0] // 2 - 300
    at = int(np.flatnonzero(alpha[row] > 0.5)[0])
    piece = alpha[row - 16 : row + 16, at - 12 : at + 12]
    large = cv2.resize(piece, TILE, interpolation=cv2.INTER_NEAREST)
    return rgb(np.repeat(255 * large[..., None], 3, -1))


def sheet(shown: Sequence[tuple[Bytes, str]]) -> Image.Image:
    """The tiles in rows, each with its title below."""
    cell = (TILE[0] + GAP, TILE[1] + TITLE_PX + GAP + 14)
    rows = -(-len(shown) // COLUMNS)
    page = Image.new("RGB", (COLUMNS * cell[0] + GAP, rows * cell[1] + GAP), PAPER)
    draw = ImageDraw.Draw(page)
    for number, (pixels, title) in enumerate(shown):
        x, y = GAP + number % COLUMNS * cell[0], GAP + number // COLUMNS * cell[1]
        page.paste(Image.fromarray(pixels).resize(TILE, Image.Resampling.LANCZOS), (x, y))
        draw.text((x, y + TILE[1] + 6), title, INK, ImageFont.load_default(size=TITLE_PX))
    return page


def figure() -> Image.Image:
    """The poster's steps."""
    poster = np.array(draw_poster().convert("RGBA"))
    picture = torch.from_numpy(poster).float().div_(255)
    return sheet(tiles(Seen().watch(picture)))
