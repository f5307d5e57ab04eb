"""The built-in decomposer on the example poster, from small to large: seconds, and seconds a megapixel."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from qil_core.decompose import Request
from qil_core.decompose.builtin import Builtin
from qil_core.decompose.run import Report, decompose
from qil_core.example import draw_poster

from .timing import seconds

SIDES = (664, 1328, 2048, 4096)


def poster(side: int) -> Tensor:
    image = draw_poster(side, side)
    return torch.from_numpy(np.array(image.convert("RGB"))).float() / 255


def run() -> None:
    decompose(Builtin(), poster(256), Request(4))  # imports and first calls are not counted
    for side in SIDES:
        picture = poster(side)
        reports: list[Report] = []
        took = seconds(lambda: reports.append(decompose(Builtin(), picture, Request(4))[1]))  # noqa: B023
        megapixels = side * side / 1e6
        print(f"  {side} x {side}: {took:6.2f} s, {took / megapixels:.2f} s a megapixel; {reports[0].after}")
