"""Drawn scenes with known and named layers: slides, app screens, posters, and illustrated figures.

A seed gives the same scene at every size. Even seeds are for tuning. Odd seeds are held back: nobody looks at their
pictures or tunes a threshold by their scores, which are measured only to be reported. `jpeg` gives the same pictures
with a camera's or a web page's compression.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from qil_core.stack import LayerStack

from . import illustrations, screens, slides
from .page import Page

TUNING = (0, 2, 4)
HELD_BACK = (1, 3, 5)

QUALITY = 80
"""Of JPEG pictures: what cameras, chat programs and web pages commonly use."""


@dataclass(frozen=True)
class Drawn:
    """Which scene it is, and its true layers on the 8-bit grid, named, bottom first."""

    family: str
    seed: int
    layers: LayerStack


FAMILIES: dict[str, tuple[Callable[[Page], None], tuple[tuple[float, float], ...]]] = {
    "slides": (slides.slide, (slides.WIDE,)),
    "screens": (screens.screen, screens.SHAPES),
    "posters": (illustrations.poster, illustrations.POSTER_ASPECTS),
    "figures": (illustrations.illustration, illustrations.ASPECTS),
}
"""What draws a family's scenes, and the aspects they have in turn."""


def drawn(side: int, seeds: Iterable[int] = TUNING, families: Iterable[str] = tuple(FAMILIES)) -> Iterator[Drawn]:
    """The families' scenes of these seeds; the longer side has `side` pixels."""
    for family in families:
        for seed in seeds:
            yield Drawn(family, seed, draw(family, seed, side))


def draw(family: str, seed: int, side: int) -> LayerStack:
    """The true layers of a scene, 4 to 13, named, on the 8-bit grid, bottom first."""
    plan, aspects = FAMILIES[family]
    page = Page(
        side, aspects[seed // 2 % len(aspects)], np.random.default_rng([seed, list(FAMILIES).index(family), 12])
    )
    plan(page)
    return page.stack()


def jpeg(picture: Tensor, quality: int = QUALITY) -> Tensor:
    """A picture (H, W, 3) in 0..1 after JPEG compression, with colours at half resolution, as is usual."""
    file = io.BytesIO()
    Image.fromarray((picture.numpy() * 255).round().astype(np.uint8)).save(file, "JPEG", quality=quality)
    return torch.from_numpy(np.asarray(Image.open(file), np.float32) / 255)
