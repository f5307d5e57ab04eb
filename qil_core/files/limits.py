"""How much a file of layers may hold: what is more is refused before any memory is taken."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from ..errors import QilError
from ..stack import LayerStack
from .layered import Look

MAX_LAYERS = 100
"""Layers of a file, read or written: ten times what a decomposer makes of a picture (request.MAX_LAYERS)."""

MAX_PIXELS = 300_000_000
"""Canvas pixels times layers that are read: as float32 RGBA they take 4.8 GB."""


def check_size(width: int, height: int, count: int, source: Path) -> None:
    """QilError for a canvas that is too large or empty, or for too many layers, before any memory is taken."""
    if min(width, height) < 1:
        raise QilError(f"Cannot read {source}: its canvas is {width}x{height} pixels.")
    if count > MAX_LAYERS:
        raise QilError(f"Cannot read {source}: it has {count} layers, at most {MAX_LAYERS} are read. Merge some first.")
    if width * height * count > MAX_PIXELS:
        raise QilError(
            f"Cannot read {source}: {count} layers of {width}x{height} are {width * height * count / 1e6:.0f} "
            f"megapixels, more than the {MAX_PIXELS // 10**6} that are read at once. Scale it down or merge layers."
        )


def check_count(stack: LayerStack) -> None:
    """QilError when a stack has more layers than a file takes."""
    if len(stack) > MAX_LAYERS:
        raise QilError(f"The stack has {len(stack)} layers and a file takes {MAX_LAYERS}: merge some layers first.")


def check_modes(stack: LayerStack, look: Look, modes: Collection[str], program: str, instead: str) -> None:
    """QilError for the first layer whose blend mode is not among those of a format.

    look: written out, one value a layer. program, instead: what lacks the mode, and what to try, for the message.
    """
    for name, mode in zip(stack.names, look.modes, strict=True):
        if mode not in modes:
            raise QilError(f'{program} has no blend mode "{mode}" (layer "{name}"): choose another mode or {instead}.')
