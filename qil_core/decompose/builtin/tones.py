"""Grounds of two tones that straight lines part: rays, stripes and checks behind a poster.

1. `_second_tone`: a colour beside the ground's own that many pieces along the picture's border have.
2. `_lines`: the straight lines between the two tones, the longest first (Hough transform: Duda & Hart, 1972), each
   fitted to the points beside it.
3. `two_toned`: the lines cut the picture into cells, each of one tone: that of most of its pixels that are seen. So the
   tones go on under what covers them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .fill import nearest
from .rim import common_colors, rim_mask
from .shapes import grown
from .working import Floats, Mask, strongest

MIN_ON_RIM = 0.15
"""Share of the rim that each tone has at least."""

MIN_BOTH_ON_RIM = 0.6
"""Share of the rim that both have together."""

MIN_PIECES = 3
"""Pieces of the second tone along the picture's border: one is a bar, two are bars above and below."""

MIN_PIECE = 5e-4
"""Smallest such piece, as a share of the picture."""

HOUGH_SIDE_PX = 512
"""Longest side of the copy on which lines are looked for."""

TURN = np.pi / 720
"""Steps of a line's direction, in radians."""

MIN_LINE = 0.03
"""Shortest line, seen in pieces, as a share of the longer side."""

MIN_MEAN_LINE = 0.2
"""Mean length of all lines, as far as they are seen, as a share of the longer side: waves are many short lines."""

MAX_LINES = 48
"""Most lines that are looked for: cells are numbered by bits of 64."""

NEAR_LINE_PX = 3
"""How far a point of the border between the tones may be from a line that explains it."""

MIN_EXPLAINED = 0.85
"""Share of the border between the tones that lines must explain: waves and blobs are no pattern of lines."""

MIN_RIGHT = 0.95
"""Share of the pixels of both tones that their cells must tell right."""

SEAM_PX = 2
"""Half width of the band between the tones to which lines are fitted."""

FINER = 4
"""Into how many parts a pixel's side is divided where a line crosses it."""


class Line(NamedTuple):
    """The points with x * cos + y * sin = distance, in pixels from the picture's corner."""

    cos: float
    sin: float
    distance: float


@dataclass(frozen=True)
class Tones:
    """A ground of two tones. model: (h, w, 3) in 0..255. seams: (h, w), the pixels along the lines between them.

    contrast: of the tones, in 1/255.
    """

    model: Floats
    seams: Mask
    contrast: float


def two_toned(rgb: Floats, model: Floats, front: Mask, tolerance: Floats) -> Tones | None:
    """The pattern that a ground (h, w, 3) in 0..255 is one tone of; None where there is none.

    front: (h, w), what differs from that tone. tolerance: by how much a pixel may differ from the second one.
    """
    second = _second_tone(rgb - model, front, tolerance)
    if second is None:
        return None
    offset, other = second
    seam = grown(~front, SEAM_PX) & grown(other, SEAM_PX)
    lines, explained = _lines(seam)
    length = seam.sum() / (2 * SEAM_PX) / max(len(lines), 1)
    if explained < MIN_EXPLAINED or length < MIN_MEAN_LINE * max(seam.shape):
        return None
    share = _shares(lines, ~front, other)
    if ((share > 0.5) == other)[~front | other].mean() < MIN_RIGHT:
        return None
    mixed = np.asarray(np.clip(model + share[..., None] * offset, 0, 255), np.float32)
    return Tones(mixed, grown((share > 0) & (share < 1), 1), float(np.abs(offset).max()))


def _second_tone(difference: Floats, front: Mask, tolerance: Floats) -> tuple[Floats, Mask] | None:
    """How the second tone differs (3,) from the first one, and where (h, w) it is seen."""
    import cv2

    rim = rim_mask(*front.shape)
    if front[rim].mean() < MIN_ON_RIM:
        return None
    offset = common_colors(difference[rim & front] + 255, 1)[0] - 255
    other = front & (strongest(difference - offset) < tolerance)
    shares = (~front)[rim].mean(), other[rim].mean()
    _, pieces = cv2.connectedComponents(other.astype(np.uint8), connectivity=4)
    border = np.unique(np.concatenate([pieces[[0, -1]].ravel(), pieces[:, [0, -1]].ravel()]))
    count = (np.bincount(pieces.ravel())[border[border > 0]] > MIN_PIECE * front.size).sum()
    if min(shares) < MIN_ON_RIM or sum(shares) < MIN_BOTH_ON_RIM or count < MIN_PIECES:
        return None
    return np.asarray(offset, np.float32), other


def _lines(seam: Mask) -> tuple[list[Line], float]:
    """The lines along a band of pixels (h, w), the longest first, and the share of the band that they explain."""
    import cv2

    scale = min(1.0, HOUGH_SIDE_PX / max(seam.shape))
    y, x = np.nonzero(seam)
    points, left = np.stack([x, y], 1).astype(np.float64) + 0.5, np.ones(len(x), bool)
    least = max(8, round(MIN_LINE * scale * max(seam.shape)))
    lines: list[Line] = []
    while len(lines) < MAX_LINES and left.any():
        canvas = np.zeros((int(seam.shape[0] * scale) + 1, int(seam.shape[1] * scale) + 1), np.uint8)
        canvas[tuple((points[left, ::-1] * scale).astype(int).T)] = 255
        found = cv2.HoughLines(canvas, 1, TURN, least)
        if found is None:
            break
        distance, angle = map(float, found[0, 0][:2])
        line = _fitted(Line(np.cos(angle), np.sin(angle), (distance + 0.5) / scale), points[left])
        beside = np.abs(_beyond(line, points[:, 0], points[:, 1])) < NEAR_LINE_PX
        if not (beside & left).any():
            break
        left &= ~beside
        lines.append(line)
    return lines, 1 - float(left.mean()) if len(left) else 0.0


def _fitted(line: Line, points: NDArray[np.float64]) -> Line:
    """The line of least squares through the points (n, 2) beside a line."""
    for reach in (2 * NEAR_LINE_PX, NEAR_LINE_PX):
        near = points[np.abs(_beyond(line, points[:, 0], points[:, 1])) < reach]
        if len(near) < 2:
            return line
        middle = near.mean(0)
        cos, sin = np.linalg.eigh(np.cov((near - middle).T))[1][:, 0]
        line = Line(float(cos), float(sin), float(middle @ (cos, sin)))
    return line


def _beyond(line: Line, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """By how many pixels points lie beyond a line."""
    return np.asarray(x * line.cos + y * line.sin - line.distance)


def _shares(lines: list[Line], one: Mask, other: Mask) -> Floats:
    """The second tone's share (h, w) in each pixel, given where each tone is seen."""
    y, x = np.mgrid[: one.shape[0], : one.shape[1]] + 0.5
    gap = np.min([np.abs(_beyond(line, x, y)) for line in lines], axis=0)
    cells, number = np.unique(_codes(lines, x, y).ravel(), return_inverse=True)
    counts = [np.bincount(number[(mask & (gap > 1)).ravel()], minlength=len(cells)) for mask in (one, other)]
    tones = _tones(cells, *counts)
    share = (tones == 1)[number].reshape(one.shape)
    if (tones < 0).any():
        share = share.ravel()[nearest((tones >= 0)[number].reshape(one.shape))[0]]
    share = share.astype(np.float32)
    rows, columns = np.nonzero(gap < 1)
    steps = (np.arange(FINER) + 0.5) / FINER
    fine = _codes(lines, columns[:, None, None] + steps, rows[:, None, None] + steps[:, None]).ravel()
    place = np.searchsorted(cells, fine).clip(max=len(cells) - 1)
    known = np.where(
        (cells[place] == fine) & (tones[place] >= 0), tones[place], np.repeat(share[rows, columns], FINER**2)
    )
    share[rows, columns] = known.reshape(len(rows), -1).mean(1)
    return share


def _tones(cells: NDArray[np.int64], ones: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.int64]:
    """The tone (n,) of each cell: 0, 1, or -1 where nothing is seen of it.

    Where the tone changes at every line that is crossed, cells of which nothing is seen are known too.
    """
    seen = ones + others
    odd = np.array([cell.bit_count() % 2 for cell in cells.tolist()])
    right = np.where(odd == 1, others, ones).sum()
    changes = max(right, seen.sum() - right) > MIN_RIGHT * seen.sum()
    hidden = (odd if 2 * right > seen.sum() else 1 - odd) if changes else np.full_like(odd, -1)
    return np.where(seen > 0, others > ones, hidden)


def _codes(lines: list[Line], x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.int64]:
    """The number of the cell in which each point lies: a bit for each line."""
    code = np.zeros(np.broadcast_shapes(x.shape, y.shape), np.int64)
    for bit, line in enumerate(lines):
        code |= (_beyond(line, x, y) > 0).astype(np.int64) << bit
    return code
