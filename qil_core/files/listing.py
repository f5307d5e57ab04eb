"""layers.json: what the PNG files beside it are, in a folder (folder.py) or in a ZIP (archive.py).

It comes from outside: names, sizes and counts are checked before any picture is opened.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..errors import QilError
from ..stack import LayerStack
from .layered import PLAIN, Layered, Look
from .limits import MAX_LAYERS, check_count, check_pixels
from .png import METADATA_BYTES, OpenFile, parallel, read_bounded, read_picture, reading

LISTING = "layers.json"
KIND = "qil-layers"
"""What the file says that it is, under the key "format"."""

VERSION = 1
USUAL: dict[str, Any] = {"mode": "normal", "opacity": 1.0, "visible": True}
"""What holds for a layer where the file says nothing."""

MIN_DIGITS = 2
"""Digits in front of a file's name: as many as MAX_LAYERS, counted from 0, needs."""

MAX_NAME = 80
"""Characters of a file's name: long names make paths longer than the 260 characters that Windows takes."""

MAX_NAME_BYTES = 240
"""UTF-8 bytes of a file's name: Linux and macOS take 255, and 80 emoji would be 320."""

SUFFIX = ".png"
UNSAFE = re.compile(r'[\\:*?"<>|\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufffe\uffff\ud800-\udfff]')
"""What some system does not take in a file's name, or what turns its order on a screen."""


def file_names(names: Sequence[str]) -> list[str]:
    """File names that every system takes, that sort bottom first and that lead out of no folder."""
    digits = max(MIN_DIGITS, len(str(len(names) - 1)))
    return [_file_name(f"{i:0{digits}d}", name) for i, name in enumerate(names)]


def _file_name(number: str, name: str) -> str:
    """ "00 girl - hair.png" for "girl/hair"; the number in front also keeps it from being a reserved name."""
    groups = (" ".join(part.split()) for part in unicodedata.normalize("NFC", name).split("/"))
    text = f"{number} " + UNSAFE.sub("_", " - ".join(part for part in groups if part.strip(". ")))
    short = text[: MAX_NAME - len(SUFFIX)].encode()[: MAX_NAME_BYTES - len(SUFFIX)].decode(errors="ignore")
    return short.rstrip(". ") + SUFFIX


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
        {"format": KIND, "version": VERSION, "canvas": canvas, "layers": layers}, ensure_ascii=False, indent=1
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


def _check_amount(width: int, height: int, count: int) -> None:
    if min(width, height) < 1 or not 1 <= count <= MAX_LAYERS:
        raise QilError(f"{LISTING} declares {count} layers of {width}x{height}, expected 1 to {MAX_LAYERS} layers.")
    check_pixels(width * height * count, f"{count} layers of {width}x{height} are")


def read_listed(open_file: OpenFile, source: Path, hidden: bool) -> Layered:
    """The layers whose files `open_file` opens by name. source: for messages. hidden: keep hidden layers too.

    Raises QilError: missing, broken or too large files.
    """
    with reading(source, LISTING):
        listing = parse_listing(read_bounded(open_file, LISTING, METADATA_BYTES))
    pixels = torch.empty(len(listing.files), listing.height, listing.width, 4)
    # Filled through NumPy: ComfyUI's nodes run in inference mode, which the threads below are not in.
    array = pixels.numpy()

    def fill(index: int) -> None:
        file = listing.files[index]
        with reading(source, file):
            array[index] = read_picture(open_file, file, (listing.width, listing.height)).numpy()

    with parallel(fill, range(len(pixels))) as filled:
        for _ in filled:
            pass
    layered = Layered(LayerStack.from_image(pixels, listing.names), listing.look)
    return layered if hidden else layered.shown(str(source))
