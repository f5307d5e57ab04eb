"""A folder of PNG files: ours, with a layers.json beside them that says what they are, or any others as they lie."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import torch

from ..errors import QilError
from ..progress import Progress, silent
from ..stack import LayerStack
from .atomic import atomic_paths
from .format import NONE, REFUSE, Format, Options
from .layered import PLAIN, Layered, Look
from .limits import check_size
from .listing import LISTING, SUFFIX, file_names, list_layers, read_listed
from .names import join_levels
from .png import HEADER_BYTES, encode, files_of, parallel, png_size, read_picture, reading

NUMBER = re.compile(r"^\d+[ ._-]+(?=\S)")
"""The number in front of "01 hair.png" and "01_hair.png"."""


def write(
    stack: LayerStack, path: Path, look: Look = PLAIN, options: Options = NONE, progress: Progress = silent
) -> Path:
    """Write one full-canvas RGBA PNG a layer and layers.json into the folder `path`.

    All files appear or none. Raises QilError: too many layers, an impossible look, or the disk refuses.
    """
    listing = list_layers(stack, look)
    paths = [path / name for name in file_names(stack.names)]
    with atomic_paths([*paths, path / LISTING]) as temporaries, parallel(encode, stack.pixels) as encoded:
        for i, data in enumerate(encoded):
            progress(i / len(stack), f"Writing {paths[i].name}")
            temporaries[i].write_bytes(data)
        temporaries[-1].write_bytes(listing)
    return path


def read(path: Path, hidden: bool = True, unsupported: str = REFUSE) -> Layered:
    """The layers of a folder: as its layers.json says, or without one its PNG files, their names in natural order.

    What write() left comes back bit for bit. hidden: keep hidden layers too. unsupported: nothing in this
    format is. Raises QilError: nothing to read, missing, broken or too large files.
    """
    names = layer_files(path)
    if LISTING in names:
        return read_listed(files_of(path), path, hidden)
    if not names:
        raise QilError(
            f"Cannot read {path}: the folder holds neither {LISTING} nor PNG files. Choose the one that does."
        )
    return read_pictures([path / name for name in names])


def layer_files(path: Path) -> list[str]:
    """Names of the files in a folder that layers can be in: layers.json and the PNGs, in natural order."""
    try:
        names = os.listdir(path)
    except (OSError, ValueError) as error:
        raise QilError(f"Cannot read {path}: {getattr(error, 'strerror', None) or error}.") from error
    # Hidden files are not pictures: some systems put "._hair.png" beside "hair.png".
    wanted = (n for n in names if n == LISTING or (n.lower().endswith(SUFFIX) and not n.startswith(".")))
    return sorted(wanted, key=natural)


def natural(name: str) -> tuple[list[str | int], str]:
    """A key that sorts file names as people count: "2.png" comes before "10.png", and "1.png" before "1 b.png"."""
    parts = re.split(r"(\d+)", Path(name).stem.casefold())  # every second one is a number
    return [int(part) if i % 2 else part for i, part in enumerate(parts)], name


def read_pictures(paths: Sequence[Path]) -> Layered:
    """PNG files as layers, bottom first: each says by its name what it is, a number in front only orders.

    Raises QilError: missing or broken files, two sizes, too many or too large pictures.
    """
    sizes = [_size(path) for path in paths]
    width, height = sizes[0]
    for path, size in zip(paths, sizes, strict=True):
        if size != sizes[0]:
            raise QilError(
                f"{paths[0].name} is {width}x{height}, {path.name} is {size[0]}x{size[1]}: layers must have one size."
            )
    check_size(width, height, len(paths), paths[0])
    pixels = torch.empty(len(paths), height, width, 4)
    for layer, path in zip(pixels, paths, strict=True):
        with reading(path.parent, path.name):
            layer.copy_(read_picture(files_of(path.parent), path.name, sizes[0]))
    names = [join_levels([NUMBER.sub("", path.stem)]) for path in paths]
    return Layered(LayerStack.from_image(pixels, names), PLAIN.of(len(paths)))


def _size(path: Path) -> tuple[int, int]:
    with reading(path.parent, path.name), path.open("rb") as file:
        return png_size(file.read(HEADER_BYTES))


FORMAT = Format("png", "PNG files", (), write, read, recognizes=lambda path, head: path.is_dir())
