"""TransformLayer (rotate 17 degrees, scale 0.8, bicubic) against Pillow doing the same.

Pillow premultiplies RGBA by itself before it resamples, in 8 bit. It can do it in one call (Image.transform, which
does not widen its kernel when a picture shrinks) or in two that do not alias (resize, then rotate). Ours is one
pass with a widened kernel. Every result is compared with a float64 reference: premultiplied Keys bicubic, straight
from the definition, widened for ours and the two-step one, not widened for Image.transform.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from qil_core.stack import LayerStack
from qil_core.transform import Placement, transform

from .timing import in_turns, median

SIDE, DEGREES, SCALE = 2048, 17.0, 0.8
PLACEMENT = Placement(rotation=DEGREES, scale_x=SCALE, scale_y=SCALE, pivot="canvas")


def drawing() -> Tensor:
    """A layer (SIDE, SIDE, 4) with smooth colour, sharp and soft edges."""
    at = (torch.arange(SIDE) + 0.5) / SIDE
    y, x = at[:, None], at[None]
    waves = [0.5 + 0.5 * torch.sin(40 * x + 9 * y * k) for k in (1, 2, 3)]
    ring = (((x - 0.5) ** 2 + (y - 0.5) ** 2).sqrt() * 40 % 4 - 1).clamp(0, 1)
    return torch.stack([*waves, ring], -1).float()


def eight_bit(layer: Tensor) -> Image.Image:
    return Image.fromarray((layer * 255).round().to(torch.uint8).numpy())


def floats(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image)).float() / 255


def inverse_map() -> tuple[float, ...]:
    cos, sin = math.cos(math.radians(DEGREES)) / SCALE, math.sin(math.radians(DEGREES)) / SCALE
    c = SIDE / 2
    return cos, sin, c - c * cos - c * sin, -sin, cos, c + c * sin - c * cos


def pillow_once(layer: Tensor) -> Tensor:
    size = (SIDE, SIDE)
    return floats(eight_bit(layer).transform(size, Image.Transform.AFFINE, inverse_map(), Image.Resampling.BICUBIC))


def pillow_twice(layer: Tensor) -> Tensor:
    side = round(SIDE * SCALE)
    small = eight_bit(layer).resize((side, side), Image.Resampling.BICUBIC)
    canvas = Image.new("RGBA", (SIDE, SIDE))
    canvas.paste(small, ((SIDE - side) // 2,) * 2)
    return floats(canvas.rotate(-DEGREES, Image.Resampling.BICUBIC))


def keys(x: NDArray[Any]) -> NDArray[Any]:
    x = np.abs(x)
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x < 1, 1.5 * x**3 - 2.5 * x**2 + 1, np.where(x < 2, far, 0))


def reference(layer: Tensor, points: NDArray[np.int64], widen: float) -> NDArray[np.float64]:
    """Premultiplied values (P, 4) in float64 at result pixels points (P, 2) = (x, y), from the definition."""
    pixels = layer.numpy().astype(np.float64)
    pixels[..., :3] *= pixels[..., 3:]
    a, b, c, d, e, f = inverse_map()
    x, y = points[:, 0] + 0.5, points[:, 1] + 0.5
    return np.stack([sample(pixels, *at, widen) for at in zip(a * x + b * y + c, d * x + e * y + f, strict=True)])


def sample(pixels: NDArray[np.float64], x: float, y: float, widen: float) -> NDArray[np.float64]:
    reach = math.ceil(2 * widen) + 1
    left, top = int(x), int(y)
    columns, rows = np.arange(left - reach, left + reach + 1), np.arange(top - reach, top + reach + 1)
    wx, wy = keys((columns + 0.5 - x) / widen), keys((rows + 0.5 - y) / widen)
    patch = pixels[rows.clip(0, SIDE - 1)][:, columns.clip(0, SIDE - 1)]
    return np.einsum("y,x,yxc->c", wy / wy.sum(), wx / wx.sum(), patch)


def error(result: Tensor, points: NDArray[np.int64], truth: NDArray[np.float64]) -> str:
    values = result.numpy()[points[:, 1], points[:, 0]].astype(np.float64)
    values[:, :3] *= values[:, 3:]
    plain = ((truth >= 0) & (truth <= truth[:, 3:]) & (truth[:, 3:] <= 1)).all(1)  # no overshoot to be cut off
    off = np.abs(values - truth)[plain] * 255
    return f"mean {off.mean():.4f}, max {off.max():.3f} (in 1/255)"


def run() -> None:
    layer = drawing()
    stack = LayerStack.from_image(layer[None])

    def ours() -> Tensor:
        return transform(stack, 0, PLACEMENT).pixels[0]

    print(f"  {SIDE} x {SIDE}, against Image.transform:   {in_turns(ours, lambda: pillow_once(layer))}")
    print(f"  {SIDE} x {SIDE}, against resize and rotate: {in_turns(ours, lambda: pillow_twice(layer))}")
    points = np.random.default_rng(0).integers(SIDE // 4, SIDE * 3 // 4, (3000, 2))
    wide, narrow = reference(layer, points, 1 / SCALE), reference(layer, points, 1.0)
    print(f"  ours against the widened float64 reference:              {error(ours(), points, wide)}")
    print(f"  resize and rotate against the same:                      {error(pillow_twice(layer), points, wide)}")
    print(f"  Image.transform against the float64 reference unwidened: {error(pillow_once(layer), points, narrow)}")
    if torch.cuda.is_available():
        on_gpu = LayerStack(stack.pixels.cuda(), stack.names)
        print(f"  on the GPU: {median(lambda: transform(on_gpu, 0, PLACEMENT)) * 1e3:.2f} ms")
