"""PNG: one picture as bytes and back. What is read comes from outside: sizes are checked before anything is decoded."""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..errors import QilError
from ..stack import GRID, to_bytes
from .atomic import atomic_path
from .limits import DEFLATE_RATIO
from .profile import layer_as_srgb

SIGNATURE = b"\x89PNG\r\n\x1a\n"
"""The first bytes of every PNG (PNG specification, 5.2)."""

HEADER_BYTES = 25
"""Bytes up to the bit depth: the signature, and the first fields of the chunk IHDR, which comes first (11.2)."""

BYTES_A_PIXEL = 5
"""Most bytes that a pixel is taken to need in a file: its 4 channels where nothing compresses, and a fifth for the
filter byte of each row (a picture 1 pixel wide has one a pixel) and what zlib adds."""

CHANNELS = 4
"""Of a layer: red, green, blue and alpha, a byte each."""

LEAST_BITS_A_PIXEL = 1
"""A PNG of two colours has one bit a pixel (PNG specification, 11.2.2)."""

METADATA_BYTES = 1 << 22
"""Bytes (4 MiB) that a picture may hold beside its pixels, such as an editor's metadata; it bounds what is unpacked."""

UNREADABLE = (
    OSError,
    EOFError,
    KeyError,  # no such member in a ZIP
    RuntimeError,  # an encrypted ZIP; too little memory
    SyntaxError,  # Pillow's word for a broken PNG
    ValueError,
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
    Image.DecompressionBombError,
)
"""What Python, Pillow and zipfile raise on broken files."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def write_image(image: Tensor, path: Path) -> None:
    """Write a picture (H, W, 4|3), values in [0, 1], as one PNG. Raises QilError if the disk refuses."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(encode(image))


def encode(image: Tensor) -> bytes:
    """A picture (H, W, 4|3), values in [0, 1], as the bytes of an 8-bit PNG, rounded to nearest."""
    buffer = io.BytesIO()
    # Z_RLE looks for runs only. On photos and soft mattes it is as fast as level 1 and within 1 % of the size of
    # level 6, which takes 4 times as long (benchmarks/bench_files.py); on bare flat shapes it is 14 % above level 1.
    Image.fromarray(to_bytes(image).cpu().numpy()).save(buffer, "PNG", compress_type=zlib.Z_RLE)
    return buffer.getvalue()


OpenFile = Callable[[str], IO[bytes]]
"""Opens a file by its name, in a folder (see files_of) or in a ZIP."""


@contextmanager
def parallel(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Iterator[Result]]:
    """Results in order, computed on all cores (Pillow lets go of the GIL); an error drops what has not begun."""
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        yield pool.map(function, items)
    finally:
        pool.shutdown(cancel_futures=True)


def png_size(head: bytes) -> tuple[int, int]:
    """Width and height that the first HEADER_BYTES of an 8-bit PNG declare. Raises QilError: no PNG, another depth."""
    if len(head) < HEADER_BYTES or not head.startswith(SIGNATURE):
        raise QilError("it is not a PNG file")
    width, height, depth = struct.unpack(">IIB", head[16:25])
    if depth > 8:
        raise QilError(f"it has {depth} bits a channel, expected 8")
    return width, height


def decode(data: bytes, size: tuple[int, int]) -> Tensor:
    """The bytes of an 8-bit PNG of size (width, height) as sRGB and alpha, float32 (H, W, 4), values k/255.

    Raises QilError for another size or depth, seen before anything is decoded; Pillow's errors for broken data, and
    ValueError for a colour profile that cannot be used.
    """
    width, height = png_size(data)
    if (width, height) != size:
        raise QilError(f"it is {width}x{height}, the canvas is {size[0]}x{size[1]}")
    if width * height * LEAST_BITS_A_PIXEL // 8 > DEFLATE_RATIO * len(data):
        raise QilError(f"its {len(data)} bytes have no room for {width}x{height} pixels: it is cut off")
    with Image.open(io.BytesIO(data), formats=("PNG",)) as picture:
        rgba = layer_as_srgb(np.array(picture.convert("RGBA")), picture.info.get("icc_profile"))
    return torch.from_numpy(rgba).float().div_(GRID)


def files_of(folder: Path) -> OpenFile:
    """Opens the files of a folder."""
    return lambda name: open(folder / name, "rb")


def read_picture(open_file: OpenFile, name: str, size: tuple[int, int]) -> Tensor:
    """A PNG of size (width, height) as decode() gives it; no more of it is unpacked than such a picture needs."""
    width, height = size
    return decode(read_bounded(open_file, name, BYTES_A_PIXEL * width * height + METADATA_BYTES), size)


def read_bounded(open_file: OpenFile, name: str, limit: int) -> bytes:
    """All bytes of a file. Raises QilError when there are more than `limit`, before more of them take memory."""
    with open_file(name) as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise QilError(f"it is larger than {limit} bytes")
    return data


@contextmanager
def reading(source: Path, name: str) -> Iterator[None]:
    """Say which file of which source could not be read, and why."""
    try:
        yield
    except (QilError, *UNREADABLE) as error:
        reason = str(getattr(error, "strerror", None) or error).rstrip(".")
        raise QilError(f"Cannot read {name} of {source}: {reason}. Mend that file, or write them all again.") from error
