"""Box means and bicubic enlargement: by OpenCV on a CPU, where it is ten times as fast as torch, by torch elsewhere."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


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


def _inside(side: int, radius: int, like: Tensor) -> Tensor:
    """How many places (side,) of each window lie inside a picture's side."""
    place = torch.arange(side, dtype=like.dtype)
    return (place + radius).clamp(max=side - 1) - (place - radius).clamp(min=0) + 1


def enlarge(pixels: Tensor, height: int, width: int) -> Tensor:
    """Pixels (h, w, C) at a larger size, bicubic (Keys 1981, a = -3/4); every channel by itself, kept to 0..1."""
    if pixels.device.type != "cpu":
        planes = F.interpolate(pixels.permute(2, 0, 1)[None], size=(height, width), mode="bicubic")
        return planes[0].permute(1, 2, 0).clamp(0, 1)
    import cv2

    large = cv2.resize(pixels.contiguous().numpy(), (width, height), interpolation=cv2.INTER_CUBIC)
    return torch.from_numpy(large).view(height, width, -1).clamp_(0, 1)
