"""The channels of a Photoshop file: how long each must be for its pixels, and how it is unpacked.

Source: Adobe, "Photoshop File Formats Specification" (November 2019), "Channel Image Data" and "Image Data Section".
"""

from __future__ import annotations

import math
import zlib

import numpy as np
from numpy.typing import NDArray

from .limits import DEFLATE_RATIO
from .psd_header import BITMAP_DEPTH, LIGHT_DEPTH, PSB, Header

RAW, RUNS, DEFLATED, DEFLATED_DIFFERENCES = 0, 1, 2, 3
"""How a channel is compressed (specification, "Channel Image Data")."""

RUN, RUN_BYTES = 128, 2
"""Equal bytes that the run-length encoding holds at most in so many bytes (PackBits)."""

COUNT_BYTES = {False: 2, True: 4}
"""Bytes of the length that stands in front of all rows for each; a PSB's are longer."""


def unpacked(width: int, height: int, header: Header) -> int:
    """Bytes of a channel when it is unpacked; the rows of a bitmap are filled up to whole bytes."""
    return height * math.ceil(width * header.depth / 8)


def least_bytes(compression: int, width: int, height: int, header: Header) -> int:
    """Bytes that a channel has at least, whatever its pixels are: fewer are cut off, or were never there."""
    size = unpacked(width, height, header)
    if compression == RAW:
        return size
    if compression == RUNS:
        row = math.ceil(width * header.depth / 8)
        return height * (COUNT_BYTES[header.version == PSB] + RUN_BYTES * math.ceil(row / RUN))
    return size // DEFLATE_RATIO


def check_length(data: bytes, compression: int, width: int, height: int, header: Header) -> None:
    """ValueError for a channel that is too short for its pixels, before any of them takes memory."""
    least = least_bytes(compression, width, height, header)
    if len(data) < least:
        raise ValueError(f"a channel of {width}x{height} has {len(data)} bytes, expected at least {least}")


def decode(data: bytes, compression: int, width: int, height: int, header: Header) -> NDArray[np.float32]:
    """A channel as float32 (height, width) in [0, 1], or above it where 32 bits are light.

    Raises ValueError, zlib.error: broken or cut off.
    """
    from psd_tools.compression import decode_prediction, decode_rle

    check_length(data, compression, width, height, header)
    size = unpacked(width, height, header)
    if compression == RAW:
        raw = data[:size]
    elif compression == RUNS:
        raw = decode_rle(data, width, height, header.depth, header.version)
    else:
        raw = zlib.decompressobj().decompress(data, size)
        raw = decode_prediction(raw, width, height, header.depth) if compression == DEFLATED_DIFFERENCES else raw
    if len(raw) != size:
        raise ValueError(f"a channel holds {len(raw)} bytes, expected {size}")
    return _numbers(raw, width, height, header.depth)


def _numbers(raw: bytes, width: int, height: int, depth: int) -> NDArray[np.float32]:
    if depth == BITMAP_DEPTH:  # a set bit is ink
        bits = np.unpackbits(np.frombuffer(raw, np.uint8).reshape(height, -1), axis=1)[:, :width]
        return (1 - bits).astype(np.float32)
    if depth == LIGHT_DEPTH:
        return np.frombuffer(raw, ">f4").reshape(height, width).astype(np.float32)
    kind, top = (np.dtype(np.uint8), 255) if depth == 8 else (np.dtype(">u2"), 65535)
    values = np.frombuffer(raw, kind).reshape(height, width).astype(np.float32)
    values /= np.float32(top)  # not a product with 1/255: k/255 must come out as everywhere in the package
    return values
