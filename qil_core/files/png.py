"""PNG: one picture, or a stack as a folder of full-canvas PNGs with a layers.json beside them.

The list of layers (layers.json), its checks and the decoding are shared with the ZIP in archive.py. What is read
comes from outside: sizes and names are checked before anything is decoded.
"""

from __future__ import annotations

import io
import json
import os
import re
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..errors import QilError
from ..progress import Progress, silent
from ..stack import GRID, LayerStack, to_bytes
from .atomic import atomic_path, atomic_paths
from .layered import PLAIN, Layered, Look

FORMAT = "qil-layers"
VERSION = 1
LISTING = "layers.json"
MAX_LISTING = 1 << 22
MAX_LAYERS = 100
MAX_PIXELS = 300_000_000
"""Canvas pixels times layers that read() takes: 4.8 GB of float32."""
USUAL: dict[str, Any] = {"mode": "normal", "opacity": 1.0, "visible": True}
MAX_NAME = 80
MAX_NAME_BYTES = 240  # Linux takes 255 bytes; 80 emoji would be 320

UNSAFE = re.compile(r'[\\:*?"<>|\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufffe\uffff\ud800-\udfff]')
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

Item = TypeVar("Item")
Result = TypeVar("Result")


def write(stack: LayerStack, folder: Path, progress: Progress = silent, look: Look = PLAIN) -> list[Path]:
    """Write one full-canvas RGBA PNG a layer and layers.json into `folder`; the PNGs' paths, bottom layer first.

    All files appear or none. Raises QilError: too many layers, an impossible look, or the disk refuses.
    """
    listing = list_layers(stack, look)
    paths = [folder / name for name in file_names(stack.names)]
    with atomic_paths([*paths, folder / LISTING]) as temporaries, parallel(encode, stack.pixels) as encoded:
        for i, data in enumerate(encoded):
            progress(i / len(stack), f"Writing {paths[i].name}")
            temporaries[i].write_bytes(data)
        temporaries[-1].write_bytes(listing)
    return paths


def read(folder: Path) -> LayerStack:
    """The stack that write() left in a folder, bit for bit. Raises QilError: missing, broken or too large files."""
    return read_layered(folder).stack


def read_layered(folder: Path) -> Layered:
    """The same with blend modes, opacities and visibility."""
    return read_listed(lambda name: open(folder / name, "rb"), folder)


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


@contextmanager
def parallel(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Iterator[Result]]:
    """Results in order, computed on all cores (Pillow lets go of the GIL); an error drops what has not begun."""
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        yield pool.map(function, items)
    finally:
        pool.shutdown(cancel_futures=True)


def file_names(names: Sequence[str]) -> list[str]:
    """File names that every system takes, that sort bottom first and that lead out of no folder."""
    digits = max(2, len(str(len(names) - 1)))
    return [_file_name(f"{i:0{digits}d}", name) for i, name in enumerate(names)]


def _file_name(number: str, name: str) -> str:
    """ "00 girl - hair.png" for "girl/hair"; the number in front also keeps it from being a reserved name."""
    groups = (" ".join(part.split()) for part in unicodedata.normalize("NFC", name).split("/"))
    text = f"{number} " + UNSAFE.sub("_", " - ".join(part for part in groups if part.strip(". ")))
    short = text[: MAX_NAME - 4].encode()[: MAX_NAME_BYTES - 4].decode(errors="ignore")
    return short.rstrip(". ") + ".png"


@dataclass(frozen=True)
class Listing:
    """What layers.json says, checked: canvas size in pixels, and a name and a file a layer, bottom first."""

    width: int
    height: int
    names: tuple[str, ...]
    files: tuple[str, ...]
    look: Look


def list_layers(stack: LayerStack, look: Look = PLAIN) -> bytes:
    """layers.json: canvas; per layer index, name, file, bounds [left, top, right, bottom] or null, coverage 0..1,
    and mode, opacity or visible where they are not normal, 1 and true.
    """
    look = look.of(len(stack))
    check_count(stack)
    layers = [_entry(stack, i, file) | _look_entry(look, i) for i, file in enumerate(file_names(stack.names))]
    canvas = {"width": stack.width, "height": stack.height}
    text = json.dumps(
        {"format": FORMAT, "version": VERSION, "canvas": canvas, "layers": layers}, ensure_ascii=False, indent=1
    )
    return text.encode(errors="backslashreplace")  # half a surrogate pair becomes its JSON escape


def _entry(stack: LayerStack, index: int, file: str) -> dict[str, Any]:
    box = stack.bounds(index)
    return {
        "index": index,
        "name": stack.names[index],
        "file": file,
        "bounds": list(box) if box else None,
        "coverage": round(stack.coverage(index), 6),
    }


def _look_entry(look: Look, index: int) -> dict[str, Any]:
    """What is special in a layer's look."""
    look_of = {"mode": look.modes[index], "opacity": look.opacities[index], "visible": look.visible[index]}
    return {key: value for key, value in look_of.items() if value != USUAL[key]}


def _parse_look(layers: Sequence[dict[str, Any]]) -> Look:
    rows = [{key: layer.get(key, usual) for key, usual in USUAL.items()} for layer in layers]
    return Look(
        tuple(str(row["mode"]) for row in rows),
        tuple(float(row["opacity"]) for row in rows),
        tuple(bool(row["visible"]) for row in rows),
    ).of(len(rows))


def parse_listing(data: bytes) -> Listing:
    """Check layers.json from outside. Raises QilError: not ours, a newer version, too large, files elsewhere."""
    try:
        listing = json.loads(data)
        version, canvas, layers = listing["version"], listing["canvas"], listing["layers"]
        width, height = int(canvas["width"]), int(canvas["height"])
        names = tuple(" ".join(str(layer["name"]).splitlines()) for layer in layers)
        files = tuple(str(layer["file"]) for layer in layers)
        look = _parse_look(layers)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError) as error:
        raise QilError(f"{LISTING} is not a list of layers ({type(error).__name__}: {error}).") from error
    if version != VERSION:
        raise QilError(f"{LISTING} has version {version!r}, this package reads version {VERSION}: update the package.")
    _check_amount(width, height, len(files))
    for file in files:
        if file in ("", ".", "..") or set(file) & set("/\\:\0"):
            raise QilError(f"{LISTING} names the file {file!r}: it must lie in the same folder, without any path.")
    return Listing(width, height, names, files, look)


def check_count(stack: LayerStack) -> None:
    """QilError when a stack has more layers than a file takes."""
    if len(stack) > MAX_LAYERS:
        raise QilError(f"The stack has {len(stack)} layers and a file takes {MAX_LAYERS}: merge some layers first.")


def _check_amount(width: int, height: int, count: int) -> None:
    if min(width, height) < 1 or not 1 <= count <= MAX_LAYERS:
        raise QilError(f"{LISTING} declares {count} layers of {width}x{height}, expected 1 to {MAX_LAYERS} layers.")
    if width * height * count > MAX_PIXELS:
        raise QilError(
            f"{count} layers of {width}x{height} are {width * height * count / 1e6:.0f} megapixels, more than the "
            f"{MAX_PIXELS // 10**6} that are read at once: scale them down or take fewer layers."
        )


def read_listed(open_file: Callable[[str], IO[bytes]], source: Path) -> Layered:
    """The layers whose files `open_file` opens by name. source: for messages. Raises QilError."""
    with reading(source, LISTING):
        listing = parse_listing(read_bounded(open_file, LISTING, MAX_LISTING))
    # Incompressible pixels, and room for an editor's metadata.
    limit = 5 * listing.width * listing.height + MAX_LISTING
    pixels = torch.empty(len(listing.files), listing.height, listing.width, 4)
    # Filled through NumPy: ComfyUI's nodes run in inference mode, which the threads below are not in.
    array = pixels.numpy()

    def fill(index: int) -> None:
        file = listing.files[index]
        with reading(source, file):
            array[index] = decode(read_bounded(open_file, file, limit), (listing.width, listing.height)).numpy()

    with parallel(fill, range(len(pixels))) as filled:
        for _ in filled:
            pass
    return Layered(LayerStack.from_image(pixels, listing.names), listing.look)


def png_size(head: bytes) -> tuple[int, int]:
    """Width and height that the first 25 bytes of an 8-bit PNG declare. Raises QilError: no PNG, another depth."""
    if len(head) < 25 or head[:8] != b"\x89PNG\r\n\x1a\n":
        raise QilError("it is not a PNG file")
    width, height, depth = struct.unpack(">IIB", head[16:25])
    if depth > 8:
        raise QilError(f"it has {depth} bits a channel, expected 8")
    return width, height


def decode(data: bytes, size: tuple[int, int]) -> Tensor:
    """The bytes of an 8-bit PNG of size (width, height) as RGBA, float32 (H, W, 4), values k/255.

    Raises QilError for another size or depth, seen before anything is decoded; Pillow's errors for broken data.
    """
    width, height = png_size(data)
    if (width, height) != size:
        raise QilError(f"it is {width}x{height}, the canvas is {size[0]}x{size[1]}")
    with Image.open(io.BytesIO(data), formats=("PNG",)) as picture:
        return torch.from_numpy(np.array(picture.convert("RGBA"))).float().div_(GRID)


def read_bounded(open_file: Callable[[str], IO[bytes]], name: str, limit: int) -> bytes:
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
