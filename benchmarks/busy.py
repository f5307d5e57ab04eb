"""The same work on an idle machine and beside other busy processes: bands on threads against torch's own threads.

"theirs" is the same code with the pool of `qil_core.parallel` switched off, so that the calling thread does band after
band and torch splits every operation over its threads; for compositing it is Pillow's chain too.
"""

from __future__ import annotations

import contextlib
import functools
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from unittest import mock

import torch

from qil_core import parallel
from qil_core.composite import composite
from qil_core.exact import make_exact, recomposition
from qil_core.recolor import HueTurn, recolor
from qil_core.restore import restore
from qil_core.stack import LayerStack, quantized, to_bytes
from qil_core.transform import Placement, transform

from .compositing import LAYERS, SIDE, with_pillow
from .restoring import scene
from .timing import Work, in_turns

BUSY = 2
"""Other processes, as many as the machine had cores on which the slowness was found."""

TURNS = 3
LARGE = 2048
"""Side in pixels of the layer that is turned."""

RESTORED = 256, 1024
"""Sides in pixels of layers that are restored, before and after."""

SPIN = "import os\nparent = os.getppid()\nwhile os.getppid() == parent: pass"
"""What another process does: nothing but work, and no longer than this one lives."""

SETTLE = 1.0
"""Seconds until the processes that were just started have their share of the cores."""


def run() -> None:
    print(f"  load of the last minute before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    measure("idle")
    with busy(BUSY):
        measure(f"beside {BUSY} busy processes")


def measure(label: str) -> None:
    """Print a line for each piece of work."""
    pixels = torch.rand(LAYERS, SIDE, SIDE, 4, generator=torch.Generator().manual_seed(0))
    print(f"  {label}")
    for name, work in pieces(pixels).items():
        print(f"    {name:36} {in_turns(work, functools.partial(without_pool, work), TURNS)}")
    stack = LayerStack.from_image(pixels)
    pillow = in_turns(lambda: composite(stack), lambda: with_pillow(pixels), TURNS)
    print(f"    {'composite against Pillow':36} {pillow}")


def pieces(pixels: torch.Tensor) -> dict[str, Work]:
    """What is measured, by name; pixels: a stack (N, H, W, 4)."""
    stack, picture = LayerStack.from_image(pixels), pixels[0].clone()
    picture[..., 3] = 1
    small, large, layer = scene(RESTORED[0]), composite(scene(RESTORED[1])), scene(LARGE).select([1])
    turned = Placement(rotation=17, scale_x=0.8, scale_y=0.8, pivot="canvas")
    modes = ["normal", "multiply", "screen", "overlay", "soft-light", "hue", "linear-light", "normal"]
    of_stack = f"{LAYERS} x {SIDE} px"
    return {
        f"composite, {of_stack}": lambda: composite(stack),
        f"composite, blend modes, {of_stack}": lambda: composite(stack, modes),
        f"make_exact, {of_stack}": lambda: make_exact(stack, picture),
        f"recomposition, {of_stack}": lambda: recomposition(stack, picture),
        f"quantized, {of_stack}": lambda: quantized(pixels),
        f"to_bytes, {of_stack}": lambda: to_bytes(pixels),
        f"recolor, 1 x {SIDE} px": lambda: recolor(stack, 0, HueTurn(30)),
        f"transform, 1 x {LARGE} px": lambda: transform(layer, 0, turned),
        f"restore, {len(small)} x {RESTORED[0]} to {RESTORED[1]} px": lambda: restore(small, large),
    }


def without_pool(work: Work) -> object:
    """Do it as it was done before: band after band, every operation split over torch's threads."""
    with mock.patch.object(parallel, "worker_count", return_value=1):
        return work()


@contextlib.contextmanager
def busy(count: int) -> Iterator[None]:
    """So many processes beside this one, each of which keeps a core busy."""
    others = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(count)]
    try:
        time.sleep(SETTLE)
        yield
    finally:
        for other in others:
            other.kill()
