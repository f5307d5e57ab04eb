"""Filters that several places need, and the one door to changes of size.

1. `box_mean` and `grown`: means and largest values in squares of pixels.
2. `enlarge` and `shrink`: small layers to the picture's size, and the picture to theirs.
3. `scaled`: any other change of size of values that stand for themselves, such as opaque colours, masks or
   premultiplied pixels. For layers with straight alpha there is `resample.resize`, which premultiplies.
4. `spread`: what is known, carried to where it is not (pull-push, Gortler et al., "The Lumigraph", 1996).

On a CPU the first two are done by OpenCV, which is ten times as fast there as torch, and by torch elsewhere. OpenCV
has threads of its own, which do not wait for each other at every operation, so a busy machine does not slow them down
more than others.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

FAINT = 2e-4
"""Mean of squared alpha in a window below which a wider one is asked."""


def box_mean(planes: Tensor, radius: int) -> Tensor:
    """Means of planes (1, C, h, w) in squares of 2 * radius + 1 pixels, of what lies inside the picture."""
    size = 2 * radius + 1
    if planes.device.type != "cpu":
        rows = F.avg_pool2d(planes, (1, size), stride=1, padding=(0, radius), count_include_pad=False)
        return F.avg_pool2d(rows, (size, 1), stride=1, padding=(radius, 0), count_include_pad=False)
    import cv2

    pixels = planes[0].permute(1, 2, 0).contiguous()
    sums = cv2.boxFilter(pixels.numpy(), -1, (size, size), normalize=False, borderType=cv2.BORDER_CONSTANT)
    down, across = (_inside(side, radius, pixels) for side in pixels.shape[:2])
    return (torch.from_numpy(sums).view_as(pixels) / (down[:, None, None] * across[:, None])).permute(2, 0, 1)[None]


def grown(plane: Tensor, radius: int) -> Tensor:
    """The largest values of a plane or mask (h, w) within so many pixels along both axes: float32."""
    values = plane.float()
    if values.device.type == "cpu":  # twenty times as fast
        import cv2

        square = cv2.getStructuringElement(cv2.MORPH_RECT, (2 * radius + 1, 2 * radius + 1))
        return torch.from_numpy(cv2.dilate(values.contiguous().numpy(), square))
    rows = F.max_pool2d(values[None, None], (1, 2 * radius + 1), stride=1, padding=(0, radius))
    return F.max_pool2d(rows, (2 * radius + 1, 1), stride=1, padding=(radius, 0))[0, 0]


def _inside(side: int, radius: int, like: Tensor) -> Tensor:
    """How many places (side,) of each window lie inside a picture's side."""
    place = torch.arange(side, dtype=like.dtype)
    return (place + radius).clamp(max=side - 1) - (place - radius).clamp(min=0) + 1


def enlarge(pixels: Tensor, out: Tensor) -> None:
    """Fill out (H, W, C) with pixels (h, w, C), bicubic (Keys 1981, a = -3/4): channel by channel, kept to 0..1."""
    height, width = out.shape[:2]
    if pixels.device.type != "cpu":
        out[:] = scaled(pixels, height, width, antialias=False)
    else:
        import cv2

        cv2.resize(pixels.contiguous().numpy(), (width, height), out.numpy(), interpolation=cv2.INTER_CUBIC)
    out.clamp_(0, 1)


def scaled(pixels: Tensor, height: int, width: int, mode: str = "bicubic", antialias: bool = True) -> Tensor:
    """Pixels (h, w, C) at another size by torch, channel by channel; bicubic may leave the range of the values.

    mode: one of torch's interpolate. antialias: where a side shrinks, every pixel of it counts; bicubic is then Keys'
    kernel with a = -1/2 (as Pillow's), without it a = -3/4 (as OpenCV's).
    """
    planes = pixels.permute(2, 0, 1)[None]
    return F.interpolate(planes, size=(height, width), mode=mode, antialias=antialias)[0].permute(1, 2, 0)


def shrink(pixels: Tensor, height: int, width: int) -> Tensor:
    """Pixels (H, W, C) at a smaller size: means of the areas."""
    if pixels.device.type != "cpu":
        return scaled(pixels, height, width, "area", antialias=False)
    import cv2

    small = cv2.resize(pixels.contiguous().numpy(), (width, height), interpolation=cv2.INTER_AREA)
    return torch.from_numpy(small).view(height, width, -1)


def spread(weighted: Tensor, weight: Tensor) -> Tensor:
    """weighted (h, w, C) over weight (h, w) in windows of 5, and in wider ones where those hold nearly nothing."""
    planes = torch.cat([weighted, weight[..., None]], -1).permute(2, 0, 1)[None]
    return _pull_push(planes)[0].permute(1, 2, 0)


def _pull_push(planes: Tensor) -> Tensor:
    """Ratios (1, C, h, w) of the first planes of (1, C + 1, h, w) to the last one."""
    if max(planes.shape[-2:]) <= 2:
        total = planes.mean((2, 3), keepdim=True)
        return (total[:, :-1] / total[:, -1:].clamp(min=1e-12)).expand(-1, -1, *planes.shape[-2:])
    halves = F.avg_pool2d(planes, 2, ceil_mode=True, count_include_pad=False)
    wider = F.interpolate(_pull_push(halves), size=planes.shape[-2:], mode="bilinear")
    here = box_mean(planes, 2)
    return (here[:, :-1] + FAINT * wider) / (here[:, -1:] + FAINT)
