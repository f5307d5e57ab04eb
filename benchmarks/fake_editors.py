"""Editors that obey without a model: what comes back is known, so what is made of it can be measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from qil_core.edit import Edited
from qil_core.edit_request import EditRequest
from qil_core.progress import Progress
from qil_core.stack import quantize

Change = Callable[[Tensor, int], Tensor]
"""Makes an answer (h, w, 3) of the picture (h, w, 3) and the variant's number."""

GRID = 32


@dataclass
class FakeEditor:
    """Answers with `change` of the first picture, 8 bits a channel; side: of the square with as many pixels."""

    change: Change
    side: int = 1024
    label: str = "a fake editor"
    given: list[list[Tensor]] = field(default_factory=list)

    def native_size(self, width: int, height: int) -> tuple[int, int]:
        ratio = math.sqrt(width / height)
        return tuple(max(GRID, round(self.side * r / GRID) * GRID) for r in (ratio, 1 / ratio))  # type: ignore[return-value]

    def edit(self, pictures: Sequence[Tensor], request: EditRequest, progress: Progress) -> Edited:
        self.given.append(list(pictures))
        answers = [self.change(pictures[0].clone(), i).clamp(0, 1) for i in range(request.variants)]
        return Edited(tuple(quantize(answer) for answer in answers), ("a fake editor's note",))


def unchanged(picture: Tensor, variant: int) -> Tensor:
    return picture


def noisy(sigma: float, offset: Sequence[float] = (0, 0, 0), gain: float = 1.0, smooth: int = 0) -> Change:
    """Adds noise and a shift of tone. smooth: radius in pixels over which the noise is blurred, its sigma unchanged."""

    def change(picture: Tensor, variant: int) -> Tensor:
        height, width = picture.shape[:2]
        noise = torch.randn(3, height, width, generator=torch.Generator().manual_seed(variant))
        if smooth:
            noise = F.avg_pool2d(noise[None], 2 * smooth + 1, stride=1, padding=smooth)[0]
            noise = noise / noise.std()
        return picture * gain + torch.tensor(offset) + sigma * noise.permute(1, 2, 0)

    return change


def resampled(share: float) -> Change:
    """Answers in another size."""

    def change(picture: Tensor, variant: int) -> Tensor:
        height, width = (round(side * share) for side in picture.shape[:2])
        planes = F.interpolate(picture.permute(2, 0, 1)[None], size=(height, width), mode="bicubic", antialias=True)
        return planes[0].permute(1, 2, 0)

    return change


def key_of(picture: Tensor) -> Tensor:
    """The colour (3,) of a picture's corner."""
    return picture[0, 0]


def turned_colors(degrees: float, strength: float = 0.7) -> Change:
    """Turns the subject's colours about the grey axis, around the key colour: soft edges stay exactly soft."""
    return lambda picture, variant: key_of(picture) + strength * (picture - key_of(picture)) @ turn(degrees).T


def turn(degrees: float) -> Tensor:
    """A turn about the grey axis (Rodrigues)."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees)) / math.sqrt(3)
    cross = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]])
    return torch.eye(3) * cos + cross * sin + (1 - cos) / 3


def answers(picture: Tensor) -> Change:
    """Answers with this picture (h, w, 3), whatever it is given."""
    return lambda given, variant: picture
