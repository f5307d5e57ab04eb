"""Cut-outs: pictures with nothing around their content, as a layer that is split into parts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from drawings import SIDE, Floats, mask, words
from torch import Tensor

from qil_core import ocr
from qil_core.decompose import Request
from qil_core.decompose.builtin import Builtin
from qil_core.decompose.recursive import split
from qil_core.progress import silent
from qil_core.stack import LayerStack

INK, RED = (12, 12, 14), (200, 40, 50)

needs_reader = pytest.mark.skipif(
    bool(ocr.missing()), reason=f"NOT CHECKED: the extra `text` lacks {ocr.missing()}, so nothing is read"
)


def cut_out(alpha: Floats, color: tuple[int, int, int]) -> Tensor:
    """A layer (SIDE, SIDE, 4) of one colour; where it is nearly clear, its colours are noise, as models leave them."""
    noise = np.random.default_rng(0).uniform(0, 1, (SIDE, SIDE, 3))
    colors = np.where(alpha[..., None] > 0.25, np.array(color) / 255, noise)
    return torch.from_numpy(np.dstack([colors, alpha]).astype(np.float32)).mul(255).round().div(255)


def cut_close(layer: Tensor) -> Tensor:
    y, x = layer[..., 3].nonzero().unbind(-1)
    return layer[int(y.min()) : int(y.max()) + 1, int(x.min()) : int(x.max()) + 1]


def parts_of(layer: Tensor, layers: int = 4) -> LayerStack:
    return Builtin().decompose(layer, Request(layers), silent).stack


@needs_reader
def test_a_text_is_one_piece_however_close_it_is_cut() -> None:
    text = words("Afterglow", 20, 100, 44)
    stack = LayerStack(cut_out(text, INK)[None], ("title",))
    after, report = split(Builtin(), stack, 0, Request(4))
    assert after is stack
    assert '"title" is one piece' in " ".join(report.notes)


def test_alpha_and_colour_of_a_black_shape_are_its_own_although_clear_is_black_too() -> None:
    disc, square = mask("ellipse", 40, 40, 150, 150), mask("rectangle", 145, 60, 240, 150)
    picture = cut_out(np.maximum(disc, square), INK)
    picture[:, 148:, :3] = torch.where(picture[:, 148:, 3:] > 0.25, torch.tensor(RED) / 255, picture[:, 148:, :3])
    parts = parts_of(picture)
    black = min(parts.pixels, key=lambda layer: float((layer[..., 3] * layer[..., :3].mean(-1)).sum()))
    alone = torch.from_numpy(disc * (1 - square)) > 0
    assert (black[..., 3] - picture[..., 3])[alone & (torch.arange(SIDE) < 140)].abs().max() < 0.02
    inside = black[..., 3] > 0.9
    assert (black[inside][:, :3] * 255 - torch.tensor(INK)).abs().mean() < 2


def test_what_reaches_the_border_has_its_size_and_alpha_again() -> None:
    picture = cut_close(cut_out(mask("ellipse", 40, 40, 150, 150), RED))
    parts = parts_of(picture)
    assert parts.pixels.shape == (1, *picture.shape)
    assert (parts.pixels[0, ..., 3] - picture[..., 3]).abs().max() < 0.1
