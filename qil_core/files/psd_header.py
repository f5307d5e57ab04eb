"""The header of a Photoshop file: its first bytes, which say how large it is and what its numbers are.

Source: Adobe, "Photoshop File Formats Specification" (November 2019), "File Header Section".
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple

from ..errors import QilError
from .limits import check_size

SIGNATURE = b"8BPS"
"""The first bytes of a PSD or PSB (specification, "File Header Section", as all that follows up to HEADER_BYTES)."""

PSD, PSB = VERSIONS = (1, 2)
"""Of the format: PSB is for pictures above 30000 pixels."""

BITMAP_DEPTH, LIGHT_DEPTH = 1, 32
DEPTHS = (BITMAP_DEPTH, 8, 16, LIGHT_DEPTH)
"""Bits a channel: 1 for black and white, 32 for numbers of light, in which 1 is white and more is brighter."""

HEADER_BYTES = 26

BITMAP, GREY, INDEXED, RGB, CMYK, DUOTONE, LAB = 0, 1, 2, 3, 4, 8, 9
PLANES = {BITMAP: 1, GREY: 1, INDEXED: 1, RGB: 3, CMYK: 4, DUOTONE: 1, LAB: 3}
"""Colour channels of the modes that are read; further ones are alpha and spot colours."""

MULTICHANNEL = 7
MODE_NAMES = {
    BITMAP: "bitmap", GREY: "grey", INDEXED: "a palette", RGB: "RGB", CMYK: "CMYK", MULTICHANNEL: "multichannel",
    DUOTONE: "duotone", LAB: "Lab",
}  # fmt: skip
PALETTE = 256
"""Colours of a palette: its reds come first, then its greens, then its blues ("Color Mode Data Section")."""

CLEAR_INDEX, NO_INDEX = 1047, PALETTE
"""The image resource that names the palette's clear index, and an index that no pixel has, for files without it."""


class Header(NamedTuple):
    """A PSD's first HEADER_BYTES: version 1 (PSD) or 2 (PSB), channels, size in pixels, bits a channel, colour mode."""

    version: int
    channels: int
    height: int
    width: int
    depth: int
    mode: int


def read_header(data: bytes, path: Path) -> Header:
    if len(data) < HEADER_BYTES or not data.startswith(SIGNATURE):
        raise QilError(f"Cannot read {path}: it is not a Photoshop file, or it is cut off.")
    header = Header(*struct.unpack(">H6xHIIHH", data[4:]))
    if header.version not in VERSIONS:
        raise QilError(f"Cannot read {path}: it has version {header.version}, expected 1 (PSD) or 2 (PSB).")
    if header.mode not in PLANES:
        mode = MODE_NAMES.get(header.mode, f"unknown ({header.mode})")
        raise QilError(f"Cannot read {path}: its colours are {mode}. In Photoshop choose Image > Mode > RGB, and save.")
    if header.depth not in DEPTHS or (header.depth == BITMAP_DEPTH) != (header.mode == BITMAP):
        raise QilError(
            f"Cannot read {path}: it has {header.depth} bits a channel. Choose Image > Mode > 8 Bits/Channel, and save."
        )
    check_size(header.width, header.height, 1, path)
    return header
