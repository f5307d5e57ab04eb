"""How good a decomposition is: LayersEditDist, and the measures of single layers and pictures.

LayersEditDist follows LayerD (Suzuki et al., 2025) as Qwen-Image-Layered's paper (arXiv 2512.15603) uses it: layers are
grouped, matched in order by dynamic time warping, and neighbours may be merged up to five times on either side, so
that a decomposition which is only finer or coarser than the truth is not punished for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from .composite import composite, premultiplied
from .errors import QilError
from .exact import Recomposition, recomposition
from .parallel import each
from .stack import LayerStack, each_band, quantized

MERGES = 5
"""Merges of neighbours that the score allows for at most, as Qwen-Image-Layered's paper does."""

EPSILON = 1e-8
"""Added to a count of pixels, so that a count of 0 divides too."""

SSIM_WINDOW = 11
"""Side in pixels of the window in which SSIM compares (Wang et al., 2004)."""


@dataclass(frozen=True)
class Pair:
    """A predicted layer against a true one: rgb_l1 0..1, lower is better; alpha_iou 0..1, higher is better."""

    rgb_l1: float
    alpha_iou: float

    @property
    def cost(self) -> float:
        return (self.rgb_l1 + 1 - self.alpha_iou) / 2


@dataclass(frozen=True)
class Score:
    """LayersEditDist at 0, 1, .. MERGES merges: means over the matched layers. merged: merges that were done."""

    levels: tuple[Pair, ...]
    merged: int

    def __str__(self) -> str:
        lines = ["merges  RGB L1  alpha soft IoU"]
        lines += [f"{i:6}  {pair.rgb_l1:6.4f}  {pair.alpha_iou:14.4f}" for i, pair in enumerate(self.levels)]
        return "\n".join([*lines, f"{self.merged} of {MERGES} merges made the match better."])

    def as_dict(self) -> dict[str, object]:
        """The same as numbers."""
        levels = [{"rgb_l1": pair.rgb_l1, "alpha_iou": pair.alpha_iou} for pair in self.levels]
        return {"levels": levels, "merged": self.merged}


@dataclass(frozen=True)
class Measures:
    """A stack against the true one.

    whole: its composite against the true one's. ssim: of the same, premultiplied; None below SSIM_WINDOW pixels a side.
    edges: mean alpha error, 0..1, in the soft edges of the true layers, matched without merges.
    """

    layers: Score
    whole: Recomposition
    ssim: float | None
    edges: float

    def __str__(self) -> str:
        ssim_ = f"SSIM not defined below {SSIM_WINDOW} px" if self.ssim is None else f"SSIM {self.ssim:.4f}"
        return f"{self.layers}\nComposites: {self.whole}, {ssim_}. Alpha error in soft edges: {self.edges:.4f}."

    def as_dict(self) -> dict[str, object]:
        """The same as numbers."""
        whole = {**self.whole.as_dict(), "ssim": self.ssim}
        return {**self.layers.as_dict(), "recomposition": whole, "edge_alpha_error": self.edges}


def measure(predicted: LayerStack, true: LayerStack) -> Measures:
    """All measures of a stack against the true one. Raises QilError as `layers_edit_dist`."""
    match = _matched(predicted, true)
    ours, theirs = composite(predicted), composite(true)
    alike = ssim(premultiplied(ours), premultiplied(theirs)) if min(ours.shape[:2]) >= SSIM_WINDOW else None
    return Measures(_score(match), recomposition(predicted, theirs), alike, match.edges())


def layers_edit_dist(predicted: LayerStack, true: LayerStack) -> Score:
    """Score a stack against the true one, both rounded to 8 bits.

    Raises QilError: sizes differ, a side has fewer than 2 layers.
    """
    return _score(_matched(predicted, true))


def _matched(predicted: LayerStack, true: LayerStack) -> _Match:
    if predicted.pixels.shape[1:3] != true.pixels.shape[1:3]:
        sizes = f"{predicted.width} x {predicted.height} and {true.width} x {true.height}"
        raise QilError(f"The stacks are {sizes} pixels: restore the smaller one first.")
    if min(len(predicted), len(true)) < 2:
        raise QilError(f"The stacks have {len(predicted)} and {len(true)} layers: the score is defined for 2 and more.")
    return _Match(grouped(list(quantized(predicted.pixels))), grouped(list(quantized(true.pixels))))


def _score(match: _Match) -> Score:
    levels = [match.mean()]
    while len(levels) <= MERGES and (better := match.best_merge()) is not None:
        match = better
        levels.append(match.mean())
    return Score(tuple(levels + levels[-1:] * (MERGES + 1 - len(levels))), len(levels) - 1)


def grouped(layers: Sequence[Tensor]) -> list[Tensor]:
    """Layers (H, W, 4) in groups, bottom first: those that nothing above overlaps make one, then the rest likewise."""
    groups: list[Tensor] = []
    left = list(layers)
    while left:
        covered = torch.zeros_like(left[0][..., 3], dtype=torch.bool)
        free: list[bool] = []
        for layer in reversed(left):
            seen = layer[..., 3] > 0
            free.insert(0, not bool((seen & covered).any()))
            covered |= seen
        groups.insert(0, flat([layer for layer, is_free in zip(left, free, strict=True) if is_free]))
        left = [layer for layer, is_free in zip(left, free, strict=True) if not is_free]
    return groups


def flat(layers: Sequence[Tensor]) -> Tensor:
    """Layers (H, W, 4) composited to one, on the 8-bit grid."""
    if len(layers) == 1:
        return layers[0]
    return quantized(composite(LayerStack(torch.stack(list(layers)), ("",) * len(layers))))


def compare(predicted: Tensor, true: Tensor) -> Pair:
    """Two layers (H, W, 4): RGB L1 where the true one's alpha is above 0, and soft IoU of the alphas.

    Two empty layers are alike: 0 and 1.
    """

    def sums(rows: slice) -> tuple[float, float, float, float]:
        p, t = predicted[rows], true[rows]
        there = t[..., 3] > 0
        parts = (
            (p[..., :3] - t[..., :3]).abs().mean(-1)[there],
            there,
            torch.minimum(p[..., 3], t[..., 3]),
            torch.maximum(p[..., 3], t[..., 3]),
        )
        error, count, low, high = (float(part.sum(dtype=torch.float64)) for part in parts)
        return error, count, low, high

    error, count, low, high = (sum(part) for part in zip(*each_band(true, sums), strict=True))
    return Pair(error / (count + EPSILON), low / high if high else 1.0)


def warp(costs: Sequence[Sequence[float]]) -> list[tuple[int, int]]:
    """The cheapest path of pairs (i, j) from (0, 0) to the end, by dynamic time warping; ties: diagonal, i-1, j-1."""
    rows, columns = len(costs), len(costs[0])
    total = [[0.0] * columns for _ in range(rows)]
    for i in range(rows):
        for j in range(columns):
            before = [total[a][b] for a, b in ((i - 1, j - 1), (i - 1, j), (i, j - 1)) if a >= 0 and b >= 0]
            total[i][j] = costs[i][j] + min(before, default=0.0)
    path = [(rows - 1, columns - 1)]
    while path[-1] != (0, 0):
        i, j = path[-1]
        steps = [(a, b) for a, b in ((i - 1, j - 1), (i - 1, j), (i, j - 1)) if a >= 0 and b >= 0]
        path.append(min(steps, key=lambda step: total[step[0]][step[1]]))
    return path[::-1]


@dataclass(frozen=True, eq=False)
class _Match:
    """Two lists of layers, and which of them belong together. known: pairs that were compared, by the layers' ids."""

    predicted: list[Tensor]
    true: list[Tensor]
    known: dict[tuple[int, int], tuple[Pair, Tensor, Tensor]] = field(default_factory=dict)

    def pair(self, p: Tensor, t: Tensor) -> Pair:
        """compare(), once for every two layers; they are held, so that no id is given away again."""
        key = id(p), id(t)
        if key not in self.known:
            self.known[key] = compare(p, t), p, t
        return self.known[key][0]

    def path(self) -> list[tuple[int, int]]:
        return warp([[self.pair(p, t).cost for t in self.true] for p in self.predicted])

    def mean(self) -> Pair:
        """Plain means over the path's pairs."""
        pairs = [self.pair(p, t) for p, t in self._pairs()]
        return Pair(sum(p.rgb_l1 for p in pairs) / len(pairs), sum(p.alpha_iou for p in pairs) / len(pairs))

    def edges(self) -> float:
        """Mean alpha error in the soft edges of the true layers."""

        def sums(pair: tuple[Tensor, Tensor]) -> tuple[float, int]:
            ours, true = (layer[..., 3] for layer in pair)
            band = edge_band(true)
            count = int(band.sum())
            return edge_error(ours, true, band) * count, count

        errors, counts = zip(*each(self._pairs(), sums, self.true[0].device), strict=True)
        return sum(errors) / max(sum(counts), 1)

    def _pairs(self) -> list[tuple[Tensor, Tensor]]:
        return [(self.predicted[i], self.true[j]) for i, j in self.path()]

    def best_merge(self) -> _Match | None:
        """The match after the one merge of two neighbours that gains most; None when none gains."""
        path = self.path()
        on_true = self._gains(
            self.true, [[self.predicted[i] for i, j in path if j == t] for t in range(len(self.true))]
        )
        swapped = [[self.true[j] for i, j in path if i == p] for p in range(len(self.predicted))]
        on_predicted = self._gains(self.predicted, swapped)
        gain, at, merged = max([*on_true, *on_predicted], key=lambda found: found[0], default=(0.0, 0, None))
        if gain <= 0 or merged is None:
            return None
        if any(merged is found[2] for found in on_true):
            return _Match(self.predicted, _spliced(self.true, at, merged), self.known)
        return _Match(_spliced(self.predicted, at, merged), self.true, self.known)

    def _gains(self, layers: list[Tensor], partners: list[list[Tensor]]) -> list[tuple[float, int, Tensor]]:
        """For every two neighbours of a side: what merging them gains, where, and the merged layer."""
        if len(layers) <= 2:
            return []
        return [self._gain(layers, partners, i) for i in range(len(layers) - 1)]

    def _gain(self, layers: list[Tensor], partners: list[list[Tensor]], i: int) -> tuple[float, int, Tensor]:
        merged, first, second = flat(layers[i : i + 2]), partners[i], partners[i + 1]
        now = self._similarity(layers[i], first) + self._similarity(layers[i + 1], second)
        others = [self._similarity(merged, second)]
        if i + 2 < len(layers):
            others += [self._similarity(layers[i + 2], group) for group in (first, second)]
        return self._similarity(merged, first) + max(others) - now, i, merged

    def _similarity(self, layer: Tensor, partners: list[Tensor]) -> float:
        """Mean of 1 - cost; a partner that is one of the predicted layers makes the layer a true one."""
        ours = any(partner is one for one in self.predicted for partner in partners)
        costs = [(self.pair(one, layer) if ours else self.pair(layer, one)).cost for one in partners]
        return sum(1 - cost for cost in costs) / len(costs)


def _spliced(layers: list[Tensor], at: int, merged: Tensor) -> list[Tensor]:
    return [*layers[:at], merged, *layers[at + 2 :]]


def edge_band(alpha: Tensor, margin: float = 0.02) -> Tensor:
    """Where alpha (...) is neither nearly 0 nor nearly 1."""
    return (alpha > margin) & (alpha < 1 - margin)


def edge_error(alpha: Tensor, true: Tensor, band: Tensor) -> float:
    """Mean |alpha - true| inside a band of the same shape; 0 when it is empty."""
    return float((alpha - true).abs()[band].mean()) if bool(band.any()) else 0.0


def ssim(image: Tensor, other: Tensor) -> float:
    """Structural similarity of two images (H, W, C) in [0, 1], at least SSIM_WINDOW pixels a side, mean over channels.

    Wang et al., 2004: Gaussian window with sigma 1.5, K1 = 0.01, K2 = 0.03, inside the picture only.
    """
    beyond = SSIM_WINDOW - 1
    if min(image.shape[:2]) <= beyond:
        raise QilError(f"SSIM needs {SSIM_WINDOW} pixels a side, the picture has {image.shape[1]} x {image.shape[0]}.")
    inside = image[beyond:, beyond:]

    def total(rows: slice) -> float:
        around = slice(rows.start, rows.stop + beyond)
        return float(_ssim(image[around], other[around]).sum())

    return sum(each_band(inside, total)) / inside.numel()


def _ssim(one: Tensor, other: Tensor) -> Tensor:
    """The similarity in every window that lies inside two images (h, w, C): (C, 1, h - 10, w - 10), float64."""
    x, y = (image.permute(2, 0, 1)[:, None].double() for image in (one, other))
    mean_x, mean_y = _window(x), _window(y)
    variance_x, variance_y = _window(x * x) - mean_x**2, _window(y * y) - mean_y**2
    covariance = _window(x * y) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    top = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return top / ((mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2))


def _window(planes: Tensor) -> Tensor:
    """Weighted means of planes (C, 1, h, w) in every window that lies inside them."""
    offsets = torch.arange(SSIM_WINDOW, dtype=planes.dtype, device=planes.device) - SSIM_WINDOW // 2
    weights = torch.exp(-(offsets**2) / (2 * 1.5**2))
    weights = weights / weights.sum()
    return F.conv2d(F.conv2d(planes, weights.view(1, 1, 1, -1)), weights.view(1, 1, -1, 1))
