"""How long work reports itself, shows itself and can be stopped."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

Progress = Callable[[float, str], None]
"""Called with the fraction done (0..1) and what is being done. It may raise to stop the work."""

Preview = Callable[[Callable[[], Tensor]], None]
"""Called now and then while layers form, with a function that makes a small picture of them: (N, h, w, 4) in [0, 1],
straight alpha, bottom first. Whoever does not want to see them does not call it, and it costs nothing. It works only
until the Preview returns."""

LONGEST_ROW = 5
GAP = 4


def silent(fraction: float, what: str) -> None:
    """Report nothing, stop nothing."""


def part(progress: Progress, start: float, end: float) -> Progress:
    """A Progress for a sub-task that fills start..end of the whole."""
    return lambda fraction, what: progress(start + (end - start) * fraction, what)


def unseen(make: Callable[[], Tensor]) -> None:
    """Look at nothing."""


def side_by_side(layers: Tensor) -> Tensor:
    """One picture (H, W, 3) in [0, 1] of layers (N, h, w, 4), each over a checkerboard: a row, or two when many."""
    count, height, width, _ = layers.shape
    rows = 1 if count <= LONGEST_ROW else 2
    columns = math.ceil(count / rows)
    squares = (torch.arange(height)[:, None] // 8 + torch.arange(width) // 8) % 2
    board = (0.78 + 0.14 * squares)[..., None]
    cells = torch.full((rows * columns, height + GAP, width + GAP, 3), 0.125)
    cells[:count, :height, :width] = board + layers[..., 3:] * (layers[..., :3] - board)
    grid = cells.unflatten(0, (rows, columns)).transpose(1, 2)
    return grid.reshape(rows * (height + GAP), columns * (width + GAP), 3)[:-GAP, :-GAP]
