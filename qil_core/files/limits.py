"""How much a file of layers may hold: what is more is refused before any memory is taken.

Two things are checked. What a file would take when it is read must fit into the memory that is free. And a file must be
large enough for what it says that it holds: a few bytes that claim a huge picture are broken or mean harm.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from ..errors import QilError
from ..memory import addressable, free_ram
from ..stack import LayerStack
from .layered import Look

MAX_LAYERS = 100
"""Layers of a file, read or written: ten times what a decomposer makes of a picture (request.MAX_LAYERS)."""

BYTES_A_PIXEL = 40
"""Bytes that a pixel of one layer takes while it is read: 16 in the stack (float32 RGBA), 16 in the layer as it was
unpacked, and what is computed in between. Measured on 4 layers of 3000 x 3000: 37 (PSD), 32 (ORA) and 27 (ZIP)."""

MEMORY_SHARE = 0.5
"""Of the free memory, the share that one file may take: what is done with its layers afterwards needs the rest."""

DEFLATE_RATIO = 1032
"""Times that Deflate, the compression of PNG and ZIP, shrinks what it is given at most: 258 bytes become 2 bits."""

RUNS_RATIO = 64
"""The same of Photoshop's run-length encoding (PackBits): 128 equal bytes become 2."""

EMPTY_RATIO, EMPTY_BYTES = 500, 800_000_000
"""A file that unpacks to more than EMPTY_BYTES (200 megapixels of 8-bit RGBA) and to more than EMPTY_RATIO times its
size holds one flat colour almost everywhere. No picture does: run-length encoding ends at 64 times, drawings at 100."""

LARGE_BYTES = 256 << 20
"""Bytes in memory above which pixels are held against the size of their file: below, neither hurts."""

GIGA, MEGA = 1e9, 1e6


def max_bytes() -> int:
    """Bytes that reading one file may take now."""
    limit, free = addressable(), free_ram()
    return int(MEMORY_SHARE * (free if limit is None else min(limit, free)))


def max_pixels() -> int:
    """Canvas pixels times layers that may be read at once now."""
    return max_bytes() // BYTES_A_PIXEL


def check_size(width: int, height: int, count: int, source: Path) -> None:
    """QilError for a canvas that is too large or empty, or for too many layers, before any memory is taken."""
    if min(width, height) < 1:
        raise QilError(f"Cannot read {source}: its canvas is {width}x{height} pixels.")
    if count > MAX_LAYERS:
        raise QilError(f"Cannot read {source}: it has {count} layers, at most {MAX_LAYERS} are read. Merge some first.")
    check_pixels(width * height * count, f"{count} layers of {width}x{height} are", source)


def check_pixels(pixels: int, what: str, source: object = "") -> None:
    """QilError for more pixels, canvas times layers, than free memory takes.

    what: "its layers hold", for the message. source: leave it out where the message is wrapped in one that names it.
    """
    limit = max_pixels()
    if pixels > limit:
        raise QilError(
            f"{f'Cannot read {source}: ' * bool(source)}{what} {pixels / MEGA:.0f} megapixels, which take "
            f"{pixels * BYTES_A_PIXEL / GIGA:.1f} GB of memory; now {limit * BYTES_A_PIXEL / GIGA:.1f} GB may be taken "
            f"({MEMORY_SHARE:.0%} of what is free), which is {limit / MEGA:.0f} megapixels. Scale the picture down, "
            "merge layers or close other programs."
        )


def check_canvas_in(size: int, width: int, height: int, count: int, source: Path, ratio: int = DEFLATE_RATIO) -> None:
    """QilError for a file of `size` bytes that is too small for even an empty picture of its canvas.

    For formats that always hold the merged picture. ratio: how far their compression goes.
    """
    in_memory = width * height * count * BYTES_A_PIXEL
    if in_memory > LARGE_BYTES and width * height > ratio * size:
        raise QilError(
            f"Cannot read {source}: in {size} bytes no picture of {width}x{height} has room, so that the file is cut "
            "off, or made to fill the memory. Save it again, with its merged picture."
        )


def check_packing(unpacked: int, size: int, source: Path) -> None:
    """QilError for pixels of `unpacked` bytes in a file of `size` bytes, which no picture shrinks to."""
    ratio = EMPTY_RATIO if unpacked > EMPTY_BYTES else DEFLATE_RATIO
    if unpacked > LARGE_BYTES and unpacked > ratio * size:
        raise QilError(
            f"Cannot read {source}: its {size} bytes unpack to {unpacked / GIGA:.1f} GB, {unpacked // size} times as "
            f"much, and at most {ratio} times are taken: the file is made to fill the memory, or is empty. Crop it or "
            "scale it down."
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
