"""Resampling under a mapping whose footprint is a box along the source's axes (shift, scale, rotate, flip).

Every filter is the same three steps: the phase of a sample picks its tap weights from a table, the taps of both
axes are multiplied, and a weighted gather (`embedding_bag`) sums the premultiplied pixels.

Kernels: bilinear (triangle), bicubic (Keys 1981, a = -1/2, as Pillow), lanczos (Duchon 1979, a = 3). When a
picture shrinks, the kernel is widened by the same factor, axis by axis, so nothing aliases.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from .composite import premultiplied
from .filters import scaled

PHASES = 4096
"""Table rows a pixel: a sample's position is rounded to 1/4096 pixel, which moves a value by less than 2e-4."""

MOST_STRETCH = 4.0
"""Kernels are stretched no further: what shrinks more is shrunk first, or a sample would weigh 100 000 pixels."""


def _triangle(x: Tensor) -> Tensor:
    return (1 - x.abs()).clamp(min=0)


def _keys(x: Tensor) -> Tensor:
    x = x.abs()
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return torch.where(x < 1, near, torch.where(x < 2, far, 0.0))


def _lanczos(x: Tensor) -> Tensor:
    return torch.where(x.abs() < 3, torch.sinc(x) * torch.sinc(x / 3), 0.0)


KERNELS: dict[str, tuple[Callable[[Tensor], Tensor], int]] = {
    "bilinear": (_triangle, 1),
    "bicubic": (_keys, 2),
    "lanczos": (_lanczos, 3),
}
"""Kernel function and its radius in pixels."""


def tap_table(kernel: str, widen: float) -> tuple[Tensor, float]:
    """Weights (PHASES + 1, taps) float32 of one axis, and the kernel's radius in pixels.

    widen >= 1: factor by which the kernel is stretched. Row p is for a sample whose reach begins p / PHASES right
    of a pixel's centre, the first tap being the next pixel. Rows sum to 1.
    """
    function, radius = KERNELS[kernel]
    reach = radius * widen
    phase = torch.linspace(0, 1, PHASES + 1, dtype=torch.float64)[:, None]
    taps = torch.arange(1, math.ceil(2 * reach) + 1, dtype=torch.float64)[None]
    weights = function((taps - phase - reach) / widen)
    return (weights / weights.sum(1, keepdim=True)).float(), reach


def sampler(layer: Tensor, filter: str, widen: tuple[float, float]) -> Nearest | Kernel:
    """What samples a layer (H, W, 4) float32, straight alpha, at any points; outside of it everything is clear.

    filter: "nearest" or one of KERNELS. widen: (x, y) stretch of the kernel, >= 1.
    """
    return Nearest(layer) if filter == "nearest" else Kernel(layer, filter, widen)


def resize(layers: Tensor, height: int, width: int) -> Tensor:
    """Layers (N, h, w, 4), straight alpha, at another size: bicubic, premultiplied, without aliasing."""
    if layers.shape[1:3] == (height, width):
        return layers
    out = layers.new_empty(len(layers), height, width, 4)
    for i, layer in enumerate(layers):
        resized = scaled(premultiplied(layer), height, width)
        out[i] = _straight(resized.reshape(-1, 4)).view(height, width, 4)
    return out


class Nearest:
    """Takes the pixel that holds the point."""

    def __init__(self, layer: Tensor) -> None:
        self._layer = layer

    def touches(self, x: Tensor, y: Tensor) -> Tensor:
        """Which points lie on the layer."""
        return (x >= 0) & (x < self._layer.shape[1]) & (y >= 0) & (y < self._layer.shape[0])

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Pixels (P, 4) at points x, y (P,) that touch the layer."""
        return self._layer[y.floor().long(), x.floor().long()]


class Kernel:
    """Weighs the pixels around the point."""

    def __init__(self, layer: Tensor, kernel: str, widen: tuple[float, float]) -> None:
        (across, rx), (down, ry) = (tap_table(kernel, w) for w in widen)
        nx, ny = across.shape[1], down.shape[1]
        both = across.repeat(1, ny), down.repeat_interleave(nx, dim=1)  # each (PHASES + 1, ny * nx)
        self._tables = [table.to(layer.device) for table in both]
        self._reach, self._margin = (rx, ry), (nx, ny)
        self._size = layer.shape[1], layer.shape[0]
        padded = layer.new_empty(layer.shape[0] + 2 * ny, layer.shape[1] + 2 * nx, 4)
        for edge in (padded[:ny], padded[-ny:], padded[:, :nx], padded[:, -nx:]):
            edge.zero_()
        inner = padded[ny:-ny, nx:-nx].copy_(layer)
        inner[..., :3] *= layer[..., 3:]
        self._row = padded.shape[1]
        self._pixels = padded.view(-1, 4)
        rows, columns = (torch.arange(n, device=layer.device, dtype=torch.int32) for n in (ny, nx))
        self._taps = (rows[:, None] * self._row + columns).flatten()
        room = 1 << 20 if layer.device.type == "cpu" else 1 << 25
        self._chunk = max(1, room // (nx * ny))
        self._of_thread = threading.local()

    def touches(self, x: Tensor, y: Tensor) -> Tensor:
        """Which points have the layer within the kernel's reach."""
        (rx, ry), (width, height) = self._reach, self._size
        return (x > -rx) & (x < width + rx) & (y > -ry) & (y < height + ry)

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Pixels (P, 4) at points x, y (P,) that touch the layer; pixel i spans i..i+1."""
        out = x.new_empty(len(x), 4, dtype=torch.float32)
        for part in zip(out.split(self._chunk), x.split(self._chunk), y.split(self._chunk), strict=True):
            part[0].copy_(self._sample(*part[1:]))
        return _straight(out)

    def _sample(self, x: Tensor, y: Tensor) -> Tensor:
        weights, down, indices = (scratch[: len(x)] for scratch in self._scratch())
        left = self._axis(0, x, weights)
        top = self._axis(1, y, down)
        torch.add((top * self._row + left)[:, None], self._taps, out=indices)
        return F.embedding_bag(indices, self._pixels, mode="sum", per_sample_weights=weights.mul_(down))

    def _scratch(self) -> list[Tensor]:
        """Memory of each thread for intermediate values, taken once: fresh pages cost more than the arithmetic."""
        if not hasattr(self._of_thread, "scratch"):
            shape, kinds = (self._chunk, len(self._taps)), (torch.float32, torch.float32, torch.int32)
            self._of_thread.scratch = [self._pixels.new_empty(shape, dtype=kind) for kind in kinds]
        return self._of_thread.scratch

    def _axis(self, axis: int, at: Tensor, weights: Tensor) -> Tensor:
        """First tap (P,) in the padded picture along one axis; its share of all taps' weights goes to (P, ny * nx)."""
        at = at - (0.5 + self._reach[axis])
        first = at.floor()
        phase = ((at - first) * PHASES).round_().int()
        torch.index_select(self._tables[axis], 0, phase, out=weights)
        return first.int() + (self._margin[axis] + 1)


def _straight(values: Tensor) -> Tensor:
    """Premultiplied (P, 4), changed in place to straight; alpha that a kernel overshoots is cut off, colour stays."""
    values[:, :3] /= values[:, 3:].clamp(min=1e-9)
    return values.clamp_(0, 1)
