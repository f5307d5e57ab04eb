"""CompositeLayers against Pillow's alpha_composite chain, from and to the same float tensor."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from qil_core.composite import composite
from qil_core.stack import LayerStack

from .timing import in_turns, median

LAYERS, SIDE = 8, 1024


def with_pillow(pixels: Tensor) -> Tensor:
    """What people write today: 8-bit images, alpha_composite, back to floats."""
    images = [Image.fromarray(layer) for layer in (pixels * 255).round().to(torch.uint8).numpy()]
    whole = images[0]
    for image in images[1:]:
        whole = Image.alpha_composite(whole, image)
    return torch.from_numpy(np.array(whole)).float() / 255


def reference(pixels: Tensor) -> Tensor:
    """Premultiplied "over" in float64."""
    out = torch.zeros(*pixels.shape[1:], dtype=torch.float64)
    for layer in pixels.double():
        alpha = layer[..., 3:]
        out = torch.cat([layer[..., :3] * alpha, alpha], -1) + out * (1 - alpha)
    return out


def premultiplied(flat: Tensor) -> Tensor:
    flat = flat.double()
    return torch.cat([flat[..., :3] * flat[..., 3:], flat[..., 3:]], -1)


def run() -> None:
    pixels = torch.rand(LAYERS, SIDE, SIDE, 4, generator=torch.Generator().manual_seed(0))
    stack = LayerStack.from_image(pixels)
    print(f"  {LAYERS} layers of {SIDE} x {SIDE}: {in_turns(lambda: composite(stack), lambda: with_pillow(pixels))}")
    truth = reference(pixels)
    for name, flat in (("ours", composite(stack)), ("Pillow", with_pillow(pixels))):
        print(f"  {name}: max error {float((premultiplied(flat) - truth).abs().max()) * 255:.4f}/255")
    modes = ["normal", "multiply", "screen", "overlay", "soft-light", "hue", "linear-light", "normal"]
    print(f"  with eight different blend modes: {median(lambda: composite(stack, modes)) * 1e3:.1f} ms")
    if torch.cuda.is_available():
        on_gpu = LayerStack(pixels.cuda(), stack.names)
        print(f"  on the GPU: {median(lambda: composite(on_gpu)) * 1e3:.2f} ms")
