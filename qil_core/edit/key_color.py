"""The flat colour behind a layer while it is edited: chosen far from the layer's own, and found again in the answer.

A fixed green is near the colours of some layers: there no cut can tell the layer from what is behind it. Editors paint
the colour they were given slightly differently, so what is really there is read from the border of their answer.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import torch
from torch import Tensor

from ..recolor import Rgb

STEPS = (0.0, 0.5, 1.0)
CANDIDATES: tuple[Rgb, ...] = tuple(
    sorted(
        ((red, green, blue) for red in STEPS for green in STEPS for blue in STEPS),
        key=lambda rgb: (min(rgb) - max(rgb), rgb != (0, 1, 0)),
    )
)
"""Corners, edges and middles of the RGB cube; saturated ones first, of these green: the first of equals is taken."""

NEUTRALS: tuple[Rgb, ...] = ((1.0, 1.0, 1.0), (0.5, 0.5, 0.5), (0.0, 0.0, 0.0))

NAMED: dict[str, Rgb] = {
    "red crimson scarlet 红 紅 赤": (1.0, 0.0, 0.0),
    "green lime 绿 綠 緑": (0.0, 0.8, 0.2),
    "blue navy 蓝 藍 青": (0.0, 0.2, 1.0),
    "yellow gold golden 黄 黃 金": (1.0, 0.9, 0.0),
    "cyan turquoise teal aqua": (0.0, 0.8, 0.9),
    "magenta pink fuchsia rose 粉 桃": (1.0, 0.2, 0.8),
    "orange 橙 橘": (1.0, 0.5, 0.0),
    "purple violet lilac 紫": (0.5, 0.0, 0.8),
    "white 白": (1.0, 1.0, 1.0),
    "black 黑 黒": (0.0, 0.0, 0.0),
    "grey gray silver 灰 银 銀": (0.5, 0.5, 0.5),
}
"""Words for colours, and a colour of each."""

CELLS = 16
"""Colours are counted in cells of so many steps a channel."""

RARE = 0.005
"""This share of a layer may be nearer to the key: a few stray pixels decide nothing, a faint shadow does."""

UNEVEN = 0.06
"""How far nine tenths of a border may be from its median, in any channel, to count as one colour."""


class FoundKey(NamedTuple):
    """The colour (3,) of an answer's border, and how far nine tenths of the border are from it, at the most."""

    color: Tensor
    unevenness: float

    @property
    def flat(self) -> bool:
        return self.unevenness <= UNEVEN


def choose_key(layer: Tensor, instruction: str = "") -> Tensor:
    """The candidate (3,) whose least distance to the colours of a layer (H, W, 4) is largest; they count by alpha.

    Colours that the instruction names count as if the layer had them: it will soon.
    """
    cells, weights = _histogram(layer)
    named = layer.new_tensor(named_colors(instruction)).reshape(-1, 3)
    cells = torch.cat([cells, named])
    weights = torch.cat([weights, weights.sum().expand(len(named))])
    keys = layer.new_tensor(CANDIDATES)
    distances = torch.cdist(keys, cells)
    order = distances.argsort(dim=1)
    reached = weights[order].cumsum(1) >= RARE * weights.sum()
    first = reached.float().argmax(dim=1, keepdim=True)
    least = distances.gather(1, order).gather(1, first)[:, 0]
    return keys[int((least > least.max() - 0.02).float().argmax())]


def named_colors(text: str) -> list[Rgb]:
    """The colours that a text speaks of, in English or Chinese."""
    words = set(re.findall(r"[a-z]+", text.lower()))
    return [
        rgb
        for names, rgb in NAMED.items()
        if any(name in (words if name.isascii() else text) for name in names.split())
    ]


def _histogram(layer: Tensor) -> tuple[Tensor, Tensor]:
    """Colours (P, 3) of a layer and their weights (P,)."""
    steps = (layer[..., :3] * (CELLS - 1)).round().long().reshape(-1, 3)
    index = (steps[:, 0] * CELLS + steps[:, 1]) * CELLS + steps[:, 2]
    weights = torch.bincount(index, layer[..., 3].reshape(-1), minlength=CELLS**3)
    used = weights.nonzero()[:, 0]
    cells = torch.stack([used // CELLS**2, used // CELLS % CELLS, used % CELLS], -1)
    return cells / (CELLS - 1), weights[used].to(layer.dtype)


def neutral_backdrop(picture: Tensor) -> Tensor:
    """What a further picture (H, W, 4) is put on, (3,): white, or grey or black where it is itself light."""
    cells, weights = _histogram(picture)
    share = weights / weights.sum().clamp(min=1e-6)
    near = [float((share * ((cells - cells.new_tensor(color)).norm(dim=-1) < 0.35)).sum()) for color in NEUTRALS]
    return picture.new_tensor(NEUTRALS[next((i for i, part in enumerate(near) if part < 0.25), near.index(min(near)))])


def find_key(answer: Tensor, alpha: Tensor) -> FoundKey:
    """The colour behind the subject in an answer (h, w, 3), from its border where the old alpha (h, w) is 0."""
    ring = torch.ones_like(alpha, dtype=torch.bool)
    thick = max(2, min(alpha.shape) // 50)
    ring[thick:-thick, thick:-thick] = False
    border = answer[ring & (alpha <= 0)]
    color = border.median(dim=0).values
    off = (border - color).abs().amax(-1)
    return FoundKey(color, float(off.kthvalue(max(1, round(0.9 * len(off)))).values))
