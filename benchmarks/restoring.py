"""Layers of 640 px at 4096: restored and exact against Pillow's Lanczos of the same layers, which is neither."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from qil_core.composite import composite, premultiplied
from qil_core.exact import make_exact, recomposition
from qil_core.metrics import edge_band, edge_error
from qil_core.restore import restore
from qil_core.stack import LayerStack

from .timing import in_turns

SMALL, LARGE, LAYERS = 640, 4096, 4


def scene(side: int) -> LayerStack:
    """Three overlapping discs on a gradient, their edges one pixel of their own size wide."""
    y, x = torch.meshgrid(*[torch.linspace(0, 1, side)] * 2, indexing="ij")
    layers = [torch.stack([0.9 - 0.3 * y, 0.8 * torch.ones_like(y), 0.6 + 0.3 * x, torch.ones_like(y)], -1)]
    for i in range(1, LAYERS):
        distance = ((x - 0.2 * i - 0.1) ** 2 + (y - 0.5) ** 2).sqrt()
        alpha = ((0.22 - distance) * side + 0.5).clamp(0, 1)
        color = torch.tensor([0.1, 0.25 * i, 0.9 - 0.25 * i]).expand(side, side, 3)
        layers.append(torch.cat([color, alpha[..., None]], -1))
    return LayerStack.from_image(torch.stack(layers))


def lanczos(stack: LayerStack) -> list[list[Image.Image]]:
    """What others do: every premultiplied channel by itself, as float."""
    size = (LARGE, LARGE)
    planes = [premultiplied(layer).permute(2, 0, 1).contiguous() for layer in stack.pixels]
    return [[Image.fromarray(p.numpy()).resize(size, Image.Resampling.LANCZOS) for p in one] for one in planes]


def run() -> None:
    small, true = scene(SMALL), scene(LARGE)
    picture = composite(true)
    pair = in_turns(lambda: make_exact(restore(small, picture), picture), lambda: lanczos(small), turns=3)
    print(f"  {LAYERS} layers, {SMALL} to {LARGE} px, made exact, against Pillow's Lanczos, which is not: {pair}")
    exact = make_exact(restore(small, picture), picture)
    plain = torch.from_numpy(np.stack([np.array(planes[3]) for planes in lanczos(small)]))
    band = edge_band(plain)
    ours, theirs = (edge_error(found, true.pixels[..., 3], band) for found in (exact.pixels[..., 3], plain))
    print(f"  alpha error at edges: ours {ours:.4f}, Lanczos {theirs:.4f}: {ours / theirs:.2f} of it")
    print(f"  recomposition: {recomposition(exact, picture)}")
