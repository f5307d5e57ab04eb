"""The built-in decomposer on the example poster, from small to large: seconds, a megapixel's, and the longest silence.

A silence is the time between two reports of progress, in which a user cannot stop the work.
"""

from __future__ import annotations

import time

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


class Silence:
    """A Progress that remembers the longest time between two reports, in seconds."""

    def __init__(self) -> None:
        self.longest, self._last = 0.0, time.perf_counter()

    def __call__(self, fraction: float, what: str) -> None:
        now = time.perf_counter()
        self.longest, self._last = max(self.longest, now - self._last), now


def run() -> None:
    decompose(Builtin(), poster(256), Request(4))  # imports and first calls are not counted
    for side in SIDES:
        picture = poster(side)
        reports: list[Report] = []
        took = seconds(lambda: reports.append(decompose(Builtin(), picture, Request(4))[1]))  # noqa: B023
        megapixels = side * side / 1e6
        silence = Silence()
        decompose(Builtin(), picture, Request(4), silence)
        speed = f"{took:6.2f} s, {took / megapixels:.2f} s a megapixel, longest silence {silence.longest:.2f} s"
        print(f"  {side} x {side}: {speed}; {reports[0].after}")
