"""The way back: what an answer changes, enlarged and put in its place; where it changes nothing, the old bits stay."""

from __future__ import annotations

import torch
from torch import Tensor

from ..progress import Progress, part, silent
from ..stack import each_band, quantize
from .answer import Change
from .frame import Frame

LEAST_WEIGHT = 0.005
"""Weight of a new colour that counts: about one step in 255 of the largest difference that can be."""


def pasted(layer: Tensor, change: Change, frame: Frame, progress: Progress = silent) -> tuple[Tensor, float]:
    """The layer (H, W, 4) with a change in it, and the share of its pixels that are no longer the same."""
    done = layer.clone()
    if not bool((change.weight > 0).any()):
        return done, 0.0
    left, top, right, bottom = frame.within(layer)
    place = done[top:bottom, left:right]
    progress(0, "enlarging the edit")
    colors = frame.back(change.colors, layer, "bicubic")
    progress(0.4, "enlarging its alpha")
    masks = torch.stack([change.weight, change.cut.moved, change.cut.alpha], -1)
    masks = frame.back(masks, layer, "bilinear")

    def blend(rows: slice) -> None:
        place[rows] = _blended(place[rows], colors[rows], *masks[rows].unbind(-1))

    each_band(place, blend, part(progress, 0.6, 1), "putting the edit into the layer")
    differs = (done != layer).any(-1)
    seen = torch.maximum(done, layer)[..., 3] > 0
    return done, float((differs & seen).sum() / seen.sum())


def _blended(old: Tensor, colors: Tensor, weight: Tensor, moved: Tensor, alpha: Tensor) -> Tensor:
    """Pixels (h, w, 4) with new colours by weight and new alpha where moved; where neither counts, the old bits."""
    was = old[..., 3]
    now = torch.lerp(was, alpha, moved)
    kept, taken = (1 - weight) * was, weight * now
    mixed = old[..., :3] * kept[..., None] + colors * taken[..., None]
    mixed = mixed / (kept + taken).clamp(min=1e-6)[..., None]
    new = quantize(torch.cat([mixed, now[..., None]], -1).clamp(0, 1))
    new[..., 3] = torch.where(moved > 0, new[..., 3], was)
    counts = (weight > LEAST_WEIGHT)[..., None]
    seen = (kept + taken > 0)[..., None].expand_as(counts)
    new[..., :3] = torch.where(seen, new[..., :3], old[..., :3])
    return torch.where(counts, new, old)
