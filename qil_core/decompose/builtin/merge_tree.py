"""A tree of parts: neighbours merged two at a time, so that what looks like one thing is one node.

1. `measured`: the parts of a label map, their common outlines and how strong the edges along these are.
2. `with_scenery`: parts that belong to the picture's border (boundary connectivity: Zhu et al., "Saliency
   optimization from robust background detection", 2014).
3. `with_bands`: before a known background, scenery is also what reaches from side to side: hills, a strip of ground.
4. `with_bridges`: pieces of one colour on two sides of something are neighbours: what it hides goes on behind it.
5. `grown_trees`: agglomerative clustering to region merging trees (Salembier & Garrido, "Binary partition tree", 2000):
   always the two neighbours are merged whose merging costs least. `_Forest._price` is low where the smaller of the two
   is small, the edge between them weak, one encloses the other (an outline, an eye, a button), and one stands above the
   other (a hat, a head, a body).
Background (0) is merged with nothing and scenery only with scenery, so what touches only through them stays apart:
each connected thing gets a tree.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...progress import Progress, silent
from .areas import connected
from .step07_texts import gaps
from .table import boxes
from .units import SHAPE
from .working import Floats, Labels, Mask, Working, reduced

EDGE_SIDE_PX = 640
"""Longest side on which edges are looked at, in pixels: finer ones are texture. At 448 pictures differ both ways."""

EDGE_BLUR_PX = 0.7
"""Standard deviation of the blur before edges are measured, in pixels of that copy."""

COLOR_STEP = 3.0
"""Difference of two neighbouring parts' colours, in Lab, that costs nothing on the way to the border (Zhu et al.)."""

COLOR_SPREAD = 10.0
"""Standard deviation, in Lab, of the distance up to which parts count as one area (Zhu et al.)."""

MIN_CONNECTIVITY = 1.0
"""Length on the picture's border, in roots of its own area, from which an area is scenery: a square's side."""

MIN_ON_RIM = 0.5
"""The same length in roots of the picture's area, at the least: shorter ones are things that the border cuts."""

MAX_CONNECTED_PARTS = 900
"""With more parts than this, connectivity is not computed, since time grows with their third power."""

EDGE_BASE = 1.0
"""What is added to an edge's strength, in Lab per pixel: without any edge, size and enclosure decide."""

SHARE_BASE = 1.05
"""A pair's cost falls with the root of this less the share of one's outline that is with the other: a part that is
wholly enclosed still costs a little."""

MAX_BRIDGE = 1.0
"""Largest clear distance of two pieces that something lies between, in roots of the smaller one's area."""

MAX_BRIDGE_COLOR = 8.0
"""How unlike the colours of such pieces may be, in Lab."""

MAX_BAND_COLOR = 5.0
"""How unlike the colours of two pieces of one band of scenery may be, in Lab."""

MIN_BAND = 0.02
"""Smallest band of scenery, as a share of the picture: thinner ones are lines and rims."""

ASIDE = 2.0
"""What is added to a cost, as a share of it, when neither of two parts lies above the other: things stand upright, next
to each other. On drawn figures 0.78 of things are found with 2 or 3, and 0.70 with 0."""

UNLIKE = 30.0
"""Difference of two parts' colours, in Lab, from which the edge between them counts wholly."""

OUTLINED = 0.6
"""What an edge counts between parts of one colour, where it is but an outline: a pumpkin's ribs, a head on a neck. On
drawn figures and on pictures 0.6 is a little better than 1; lower factors help drawn figures and harm pictures."""


@dataclass(frozen=True)
class Parts:
    """Measures of parts 0..n-1 of a label map (h, w), 0 being background.

    area: (n,) in shares of the picture. color: (n, 3), mean Lab. box: (n, 4), left, top, right, bottom in pixels.
    border: (n, n), pixel sides in common. edge: (n, n), the strength of the edge there, in Lab per pixel, summed over
    these sides. rim: (n,), length on the picture's border, in roots of its area. scenery: (n,), what belongs to that
    border. kinds: (n,), as in Units. pixels: of the picture.
    """

    area: Floats
    color: Floats
    box: NDArray[np.int64]
    border: Floats
    edge: Floats
    rim: Floats
    scenery: Mask
    kinds: NDArray[np.int8]
    pixels: int


@dataclass(frozen=True)
class Node:
    """Some parts as one. parts: their numbers. cost: of merging its two children; 0 where it has none.

    area, color, box as in Parts. outline, on_ground, edge: pixel sides, those against no shape, and edge strength
    summed over them all. scenery: the share of it that is scenery.
    """

    parts: tuple[int, ...]
    area: float
    color: Floats
    box: NDArray[np.int64]
    outline: float
    on_ground: float
    edge: float
    scenery: float
    kind: int
    cost: float = 0.0
    children: tuple[Node, ...] = ()

    @property
    def contrast(self) -> float:
        """Mean strength of the edge along its outline, in Lab per pixel."""
        return self.edge / max(self.outline, 1)


def measured(work: Working, labels: Labels, kinds: NDArray[np.int8]) -> Parts:
    """The parts of a label map (h, w), which may have empty ones, over a picture of the same size; no scenery yet."""
    lab = lab_of(work.rgba)
    edge = _edges(lab)
    count, flat = len(kinds), labels.ravel()
    area = np.bincount(flat, minlength=count)
    sums = [np.bincount(flat, weights=lab[..., c].ravel(), minlength=count) for c in range(3)]
    color = np.asarray(np.stack(sums, 1) / np.maximum(area, 1)[:, None], np.float32)
    share = np.asarray(area / labels.size, np.float32)
    rims = (labels[0], labels[-1], labels[:, 0], labels[:, -1])
    rim = np.sum([np.bincount(side, minlength=count) for side in rims], axis=0) / np.sqrt(labels.size)
    border, strength = _borders(labels, edge, count)
    none = np.zeros(count, bool)
    return Parts(share, color, boxes(labels, count), border, strength, rim, none, kinds, labels.size)


def lab_of(rgba: Floats) -> Floats:
    """A picture (h, w, 4) in 0..255 in Lab (h, w, 3)."""
    import cv2

    rgb = np.ascontiguousarray(rgba[..., :3].clip(0, 255) / np.float32(255))
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB), np.float32)


def _edges(lab: Floats) -> Floats:
    """The strength of a Lab picture's edges (h, w) in Lab per pixel of a small copy."""
    import cv2

    strength = edge_strength(reduced(lab, EDGE_SIDE_PX))
    widened = cv2.dilate(strength, np.ones((3, 3), np.uint8))
    return np.asarray(cv2.resize(widened, lab.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def edge_strength(lab: Floats, blur_px: float = EDGE_BLUR_PX) -> Floats:
    """Length of the gradient (h, w) of a Lab picture, per pixel."""
    import cv2

    calm = cv2.GaussianBlur(lab, (0, 0), blur_px) if blur_px else lab
    across, down = (cv2.Sobel(calm, cv2.CV_32F, *way, scale=0.25) for way in ((1, 0), (0, 1)))
    return np.asarray(np.sqrt((across**2 + down**2).sum(2)), np.float32)


def _borders(labels: Labels, edge: Floats, count: int) -> tuple[Floats, Floats]:
    """How many pixel sides each two labels share, and the summed strength of the edge there: two of (n, n)."""
    length, strength = np.zeros((count, count), np.float32), np.zeros((count, count), np.float32)
    ways = (labels[:, 1:], labels[:, :-1], edge[:, 1:], edge[:, :-1]), (labels[1:], labels[:-1], edge[1:], edge[:-1])
    for first, second, here, there in ways:
        y, x = np.nonzero(first != second)
        one, other = first[y, x].astype(np.int64), second[y, x].astype(np.int64)
        code = np.minimum(one, other) * count + np.maximum(one, other)
        length += np.bincount(code, minlength=count * count).reshape(count, count)
        both = np.maximum(here[y, x], there[y, x])
        strength += np.bincount(code, weights=both, minlength=count * count).reshape(count, count)
    return length + length.T, strength + strength.T


def with_scenery(parts: Parts) -> Parts:
    """The parts with those marked that belong to an area that is long on the picture's border for its size.

    An area is what is alike along a path of neighbours.
    """
    if len(parts.area) > MAX_CONNECTED_PARTS:
        return parts
    apart = np.linalg.norm(parts.color[:, None] - parts.color[None], axis=2)
    way = np.where(parts.border > 0, np.maximum(apart - COLOR_STEP, 0), np.inf).astype(np.float32)
    np.fill_diagonal(way, 0)
    for middle in range(len(way)):  # shortest paths (Floyd, 1962)
        np.minimum(way, way[:, middle, None] + way[middle], out=way)
    alike = np.exp(-((way / COLOR_SPREAD) ** 2) / 2)
    on_rim, area = alike @ parts.rim, np.maximum(alike @ parts.area, 1e-9)
    return replace(parts, scenery=(on_rim > MIN_ON_RIM) & (on_rim > MIN_CONNECTIVITY * np.sqrt(area)))


def with_bands(parts: Parts) -> Parts:
    """The parts with those marked as scenery that reach from side to side, or from top to bottom along the border.

    Neighbours of one colour count as one piece; small pieces are no scenery, nor is what lies in a corner.
    """
    unlike = np.linalg.norm(parts.color[:, None] - parts.color[None], axis=2)
    shape = (parts.kinds == SHAPE) & (np.arange(len(parts.kinds)) > 0)
    piece = connected((parts.border > 0) & (unlike < MAX_BAND_COLOR) & np.logical_and.outer(shape, shape))
    same = np.equal.outer(piece, piece)
    rim, area = same @ parts.rim, same @ parts.area
    low, high = parts.box[:, :2] == 0, parts.box[:, 2:] == parts.box[:, 2:].max(0)
    across, down = ((same @ low) & (same @ high)).T
    long = (rim > MIN_ON_RIM) & (rim > MIN_CONNECTIVITY * np.sqrt(area))
    return replace(parts, scenery=shape & (area > MIN_BAND) & (across | (down & long)))


def with_bridges(parts: Parts) -> Parts:
    """The parts with pieces of one colour as neighbours where something lies between them, as across what covers them.

    Such a pair, apart by less than MAX_BRIDGE of the smaller one's size, gets a border of one pixel side.
    """
    unlike = np.linalg.norm(parts.color[:, None] - parts.color[None], axis=2)
    shape = (parts.kinds == SHAPE) & (np.arange(len(parts.kinds)) > 0)
    touching = (parts.border > 0) & np.logical_and.outer(shape, shape)
    over_one = touching.astype(np.float32) @ touching.astype(np.float32) > 0
    size = np.sqrt(parts.area * parts.pixels)
    near = gaps(parts.box, parts.box) <= MAX_BRIDGE * np.minimum.outer(size, size)
    bridged = over_one & near & (unlike < MAX_BRIDGE_COLOR) & (parts.border == 0)
    np.fill_diagonal(bridged, False)
    border, edge = np.where(bridged, 1, parts.border), np.where(bridged, unlike, parts.edge)
    return replace(parts, border=border, edge=edge)


def joined(first: Node, second: Node) -> Node:
    """Two nodes that do not touch, as one that is not split again."""
    total = first.area + second.area
    low, high = np.minimum(first.box, second.box), np.maximum(first.box, second.box)
    return Node(
        first.parts + second.parts, total,
        np.asarray((first.color * first.area + second.color * second.area) / total, np.float32),
        np.concatenate([low[:2], high[2:]]),
        first.outline + second.outline, first.on_ground + second.on_ground, first.edge + second.edge,
        (first.scenery * first.area + second.scenery * second.area) / total,
        first.kind,
    )  # fmt: skip


def grown_trees(parts: Parts, progress: Progress = silent) -> list[Node]:
    """The roots of the trees: one for each connected group of shapes, one for each part of another kind."""
    forest = _Forest(parts)
    while (pair := forest.cheapest()) is not None:
        progress(0, "sorting them into layers")
        forest.merge(*pair)
    return [forest.nodes[i] for i in np.flatnonzero(forest.alive)]


class _Forest:
    """Agglomerative merging of the shapes among parts 1..n-1; a merged node lives on under the lower number."""

    def __init__(self, parts: Parts) -> None:
        self.border, self.edge = parts.border.astype(np.float64), parts.edge.astype(np.float64)
        self.bare = _bare(parts)
        self.nodes = [_leaf(parts, i, self.bare) for i in range(len(parts.area))]
        self.area, self.scenery, self.box = parts.area.astype(np.float64), parts.scenery, parts.box.copy()
        self.color = parts.color.copy()
        self.alive = (parts.area > 0) & (np.arange(len(parts.area)) > 0)
        self.open = self.alive & (parts.kinds == SHAPE)
        self.costs = np.full(self.border.shape, np.inf)
        for i in np.flatnonzero(self.open):
            self._price(int(i))

    def cheapest(self) -> tuple[int, int] | None:
        """The pair of neighbours whose merging costs least, the lower number first; None where there is none."""
        first, second = divmod(int(self.costs.argmin()), len(self.costs))
        return (min(first, second), max(first, second)) if np.isfinite(self.costs[first, second]) else None

    def merge(self, first: int, second: int) -> None:
        """Node `first` takes in node `second`."""
        cost, one, other = self.costs[first, second], self.nodes[first], self.nodes[second]
        both = joined(one, other)
        self.box[first], self.color[first] = both.box, both.color
        self.area[first] += self.area[second]
        for table in (self.border, self.edge):
            table[first] += table[second]
            table[:, first] += table[:, second]
            table[first, first] = 0
            table[second] = table[:, second] = 0
        self.alive[second] = self.open[second] = False
        self.costs[second] = self.costs[:, second] = np.inf
        self.nodes[first] = replace(
            both, cost=float(cost), children=(one, other),
            outline=float(self.border[first].sum()), on_ground=float(self.border[first, self.bare].sum()),
            edge=float(self.edge[first].sum()),
        )  # fmt: skip
        self._price(first)

    def _price(self, node: int) -> None:
        """The cost of merging a node with each of its neighbours.

        Root of the smaller area, times edge, enclosure, and whether one lies above the other.
        """
        beside = self.open & (self.border[node] > 0) & (self.scenery == self.scenery[node])
        border, outline = self.border[node, beside], self.border[beside].sum(1)
        share = border / np.minimum(outline, self.border[node].sum())
        unlike = np.minimum(np.linalg.norm(self.color[beside] - self.color[node], axis=1) / UNLIKE, 1)
        strength = EDGE_BASE + self.edge[node, beside] / border * (OUTLINED + (1 - OUTLINED) * unlike)
        aside = 1 + ASIDE * (1 - _above(self.box[node], self.box[beside]))
        smaller = np.sqrt(np.minimum(self.area[beside], self.area[node]))
        cost = np.full(len(self.costs), np.inf)
        cost[beside] = smaller * strength * np.sqrt(SHARE_BASE - np.minimum(share, 1)) * aside
        self.costs[node] = self.costs[:, node] = cost


def _above(box: NDArray[np.int64], others: NDArray[np.int64]) -> Floats:
    """How far a box (4,) lies above or below others (n, 4): the common width, as a share of the narrower one's."""
    common = np.minimum(box[2], others[:, 2]) - np.maximum(box[0], others[:, 0])
    narrower = np.minimum(box[2] - box[0], others[:, 2] - others[:, 0])
    return np.asarray(np.clip(common / np.maximum(narrower, 1), 0, 1))


def _bare(parts: Parts) -> Mask:
    """Which parts (n,) are no shapes: the background, and texts and the like, which may lie between it and things."""
    return np.asarray((parts.kinds != SHAPE) | (np.arange(len(parts.kinds)) == 0))


def _leaf(parts: Parts, i: int, bare: Mask) -> Node:
    return Node(
        (i,), float(parts.area[i]), parts.color[i], parts.box[i], float(parts.border[i].sum()),
        float(parts.border[i, bare].sum()), float(parts.edge[i].sum()), float(parts.scenery[i]),
        int(parts.kinds[i]),
    )  # fmt: skip
