"""Reading Photoshop files: RGB and grey, 8 and 16 bits, with groups, masks, clipping, opacity and blend modes.

A file comes from outside: its header, the sizes of its layers and the lengths of its channels are checked before
memory is taken. What has no pixels to read (adjustments, live effects) is an error that names the layer.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import QilError
from .layered import Layered
from .limits import MAX_PIXELS, check_size
from .psd_record import (
    ALPHA,
    CLOSES,
    FULL,
    OPENS,
    Board,
    artboard,
    cannot_draw,
    clips_apart,
    divider_kind,
    fill_opacity,
    fill_problem,
    group_mode,
    lacks_pixels,
    layer_name,
    mode_name,
    solid_color,
    stored_mask,
)
from .tree import Folder, Mask, Sheet, Style, flatten

if TYPE_CHECKING:
    from psd_tools.psd import PSD
    from psd_tools.psd.layer_and_mask import ChannelData, LayerRecord

    Records = Sequence[tuple[LayerRecord, Sequence[ChannelData]]]
    Channels = Sequence[ChannelData]

SIGNATURE = b"8BPS"
"""The first bytes of a PSD or PSB (specification, "File Header Section", as all that follows up to HEADER_BYTES)."""

VERSIONS = (1, 2)
"""PSD and PSB."""

DEPTHS = (8, 16)
"""Bits a channel that are read; 1 is for bitmaps, and 32 for light, which this package does not keep."""

HEADER_BYTES = 26

RAW, RUNS, DEFLATED, DEFLATED_DIFFERENCES = 0, 1, 2, 3
"""How a channel is compressed (specification, "Channel Image Data")."""

GREY, INDEXED, RGB = 1, 2, 3
PLANES = {GREY: 1, INDEXED: 1, RGB: 3}
"""Colour channels of the modes that are read; further ones are alpha and spot colours."""

COLOR_MODES = {0: "bitmap", 4: "CMYK", 7: "multichannel", 8: "duotone", 9: "Lab"}
PALETTE = 256
"""Colours of a palette: its reds come first, then its greens, then its blues ("Color Mode Data Section")."""

CLEAR_INDEX, NO_INDEX = 1047, PALETTE
"""The image resource that names the palette's clear index, and an index that no pixel has, for files without it."""

MAX_DEPTH = 64
"""Groups inside groups that are read: four times what this package writes (names.MAX_DEPTH)."""


class Header(NamedTuple):
    """A PSD's first HEADER_BYTES: version 1 (PSD) or 2 (PSB), channels, size in pixels, bits a channel, colour mode."""

    version: int
    channels: int
    height: int
    width: int
    depth: int
    mode: int


def read_document(path: Path, hidden: bool) -> Layered:
    """See psd.read()."""
    try:
        file = path.open("rb")
    except (OSError, ValueError) as error:
        raise QilError(f"Cannot read {path}: {getattr(error, 'strerror', None) or error}.") from error
    with file, _reading(path):
        header = _header(file.read(HEADER_BYTES), path)
        file.seek(0)
        return _flattened(_parse(file), header, path, hidden)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn what psd-tools raises into a QilError: on a broken file that is whatever Python raises there."""
    try:
        yield
    except QilError:
        raise
    except MemoryError as error:
        raise QilError(f"Cannot read {path}: there is too little memory for it.") from error
    except Exception as error:
        raise QilError(f"Cannot read {path}: it is broken or cut off ({type(error).__name__}: {error}).") from error


def _header(data: bytes, path: Path) -> Header:
    if len(data) < HEADER_BYTES or not data.startswith(SIGNATURE):
        raise QilError(f"Cannot read {path}: it is not a Photoshop file, or it is cut off.")
    header = Header(*struct.unpack(">H6xHIIHH", data[4:]))
    if header.version not in VERSIONS:
        raise QilError(f"Cannot read {path}: it has version {header.version}, expected 1 (PSD) or 2 (PSB).")
    if header.mode not in PLANES:
        mode = COLOR_MODES.get(header.mode, f"unknown ({header.mode})")
        raise QilError(f"Cannot read {path}: its colours are {mode}. In Photoshop choose Image > Mode > RGB, and save.")
    if header.depth not in DEPTHS:
        raise QilError(
            f"Cannot read {path}: it has {header.depth} bits a channel. Choose Image > Mode > 8 Bits/Channel, and save."
        )
    check_size(header.width, header.height, 1, path)
    return header


def _parse(file: Any) -> PSD:
    from psd_tools.psd import PSD

    return PSD.read(file)


def _flattened(document: PSD, header: Header, path: Path, hidden: bool) -> Layered:
    records = _records(document)
    if not records or header.mode == INDEXED:
        return flatten([_background(document, header)], header.width, header.height, path)
    canvas = header.width * header.height
    area = sum(canvas if solid_color(record) else record.width * record.height for record, _ in records)
    if area > MAX_PIXELS:
        raise QilError(
            f"Cannot read {path}: its layers hold {area / 1e6:.0f} megapixels, more than the {MAX_PIXELS // 10**6} "
            "that are read at once. Scale it down or merge layers."
        )
    tree = _Reader(header, path, hidden).tree(records)
    return flatten(tree, header.width, header.height, path, hidden)


def _records(document: PSD) -> Records:
    """The layers' records and channels, bottom first; 16-bit files keep them in a block of their own."""
    from psd_tools.constants import Tag

    section = document.layer_and_mask_information
    blocks = section.tagged_blocks
    deep = blocks.get_data(Tag.LAYER_16) if blocks is not None and Tag.LAYER_16 in blocks else None
    info = deep or section.layer_info
    if info is None or not info.layer_records:
        return []
    return list(zip(info.layer_records, info.channel_image_data, strict=True))


def _background(document: PSD, header: Header) -> Sheet:
    """The one layer of a file without layers: its merged picture, opaque but for the clear index of a palette."""
    data, wanted = document.image_data, PLANES[header.mode]
    if header.channels < wanted:
        raise ValueError(f"{header.channels} channels for {wanted} colours")
    rows = header.height * header.channels
    planes = _decode(data.data, int(data.compression), header.width, rows, header)
    colors = planes.reshape(header.channels, header.height, header.width)[:wanted]
    image = torch.ones(header.height, header.width, 4)
    if header.mode == INDEXED:
        indices = np.rint(colors[0] * FULL).astype(np.uint8)  # they were read as k/255
        image[..., 3] = torch.from_numpy(indices != document.image_resources.get_data(CLEAR_INDEX, NO_INDEX))
        colors = _looked_up(indices, document.color_mode_data.value)
    image[..., :3] = torch.from_numpy(colors).permute(1, 2, 0)  # one plane of grey serves all three
    return Sheet("Background", image, 0, 0, Style())


def _looked_up(indices: NDArray[np.uint8], palette: bytes) -> NDArray[np.float32]:
    """The colours (3, H, W) of indices (H, W). palette: bytes, see PALETTE."""
    table = np.frombuffer(palette, np.uint8).reshape(3, PALETTE).astype(np.float32) / np.float32(FULL)
    return table[:, indices]


def _decode(data: bytes, compression: int, width: int, height: int, header: Header) -> NDArray[np.float32]:
    """A channel as float32 (height, width) in [0, 1]. Raises ValueError, zlib.error: broken or cut off."""
    from psd_tools.compression import decode_prediction, decode_rle

    size = width * height * header.depth // 8
    if compression == RAW:
        raw = data[:size]
    elif compression == RUNS:
        raw = decode_rle(data, width, height, header.depth, header.version)
    else:
        raw = zlib.decompressobj().decompress(data, size)
        raw = decode_prediction(raw, width, height, header.depth) if compression == DEFLATED_DIFFERENCES else raw
    if len(raw) != size:
        raise ValueError(f"a channel holds {len(raw)} bytes, expected {size}")
    kind, top = (np.dtype(np.uint8), 255) if header.depth == 8 else (np.dtype(">u2"), 65535)
    # Division, not a product with 1/255: k/255 must come out as everywhere in the package.
    return np.frombuffer(raw, kind).reshape(height, width).astype(np.float32) / np.float32(top)


class _Reader:
    """Builds the tree of one file; the pixels of hidden layers are decoded only when they are wanted."""

    def __init__(self, header: Header, path: Path, hidden: bool) -> None:
        self.header = header
        self.path = path
        self.hidden = hidden
        self.mask_pixels = 0

    def tree(self, records: Records) -> tuple[Sheet | Folder, ...]:
        """Groups and layers, bottom first. A file that closes more groups than it opens ends in the innermost one."""
        levels: list[list[Sheet | Folder]] = [[]]
        for record, channels in records:
            kind = divider_kind(record)
            if kind == CLOSES:
                levels.append([])
                if len(levels) > MAX_DEPTH:
                    raise QilError(f"Cannot read {self.path}: its groups lie more than {MAX_DEPTH} deep.")
            elif kind in OPENS and len(levels) > 1:
                items = tuple(levels.pop())
                levels[-1].append(self._group(record, channels, items))
            else:
                levels[-1].append(self._sheet(record, channels))
        return tuple(item for level in levels for item in level)

    def _group(self, record: LayerRecord, channels: Channels, items: tuple[Sheet | Folder, ...]) -> Folder:
        mode = group_mode(record)
        passing = mode == b"pass"
        style = self._style(record, channels, "normal" if passing else mode_name(mode))
        folder = Folder(layer_name(record), items, style, isolated=not passing)
        board = artboard(record, self.header.width, self.header.height)
        if board and style.mask:
            raise QilError(f'Cannot read {self.path}: the artboard "{folder.name}" has a mask. Merge it, then save.')
        return self._framed(folder, board) if board else folder

    def _framed(self, folder: Folder, board: Board) -> Folder:
        """An artboard's group: cut at its edges, its colour below its layers."""
        width, height = board.right - board.left, board.bottom - board.top
        self._count(width * height)
        frame = Mask(torch.ones(height, width), board.left, board.top)
        style = replace(folder.style, mask=frame)
        if board.color is None:
            return replace(folder, style=style)
        ground = Sheet("background", _filled(board.color, width, height), board.left, board.top, Style())
        # On an opaque ground it does not matter what lies below the group.
        isolated = folder.isolated and (style.mode, style.opacity) != ("normal", 1.0)
        return Folder(folder.name, (ground, *folder.items), style, isolated)

    def _sheet(self, record: LayerRecord, channels: Channels) -> Sheet:
        style = self._style(record, channels, mode_name(record.blend_mode.value), lacks_pixels(record))
        color = solid_color(record)
        if style.problem or not (style.visible or self.hidden):
            image = torch.zeros(0, 0, 4)
        elif color:
            return Sheet(layer_name(record), _filled(color, self.header.width, self.header.height), 0, 0, style)
        else:
            image = self._image(record, channels)
        return Sheet(layer_name(record), image, record.left, record.top, style)

    def _style(self, record: LayerRecord, channels: Channels, mode: str | None, problem: str = "") -> Style:
        """problem: why the layer cannot be drawn, if that is known already."""
        if mode is None:
            problem = f"has the blend mode {record.blend_mode.name.lower()}"
        problem = problem or cannot_draw(record) or fill_problem(record, mode or "")
        visible = bool(record.flags.visible)
        return Style(
            opacity=record.opacity / FULL * fill_opacity(record),
            mode=mode or "normal",
            visible=visible,
            clipped=int(record.clipping) == 1,
            apart=clips_apart(record),
            mask=self._mask(record, channels) if not problem and (visible or self.hidden) else None,
            problem=problem,
        )

    def _image(self, record: LayerRecord, channels: Channels) -> Tensor:
        """Pixels float32 (h, w, 4); a missing alpha is opaque, one missing colour channel is black."""
        width, height = record.width, record.height
        image = torch.zeros(height, width, 4)
        image[..., 3] = 1
        if not width or not height:
            return image
        wanted = {ALPHA: 3} | {color: color for color in range(PLANES[self.header.mode])}
        for info, channel in zip(record.channel_info, channels, strict=True):
            if int(info.id) in wanted:
                image[..., wanted[int(info.id)]] = self._plane(channel, width, height)
        if self.header.mode == GREY:
            image[..., 1:3] = image[..., :1]
        return image

    def _plane(self, channel: ChannelData, width: int, height: int) -> Tensor:
        return torch.from_numpy(_decode(channel.data, int(channel.compression), width, height, self.header))

    def _mask(self, record: LayerRecord, channels: Channels) -> Mask | None:
        """The mask that the pixels of a layer still lack, with its density worked in."""
        mask = stored_mask(record)
        if mask is None:
            return None
        width, height = max(mask.right - mask.left, 0), max(mask.bottom - mask.top, 0)
        self._count(width * height)
        ids = [int(info.id) for info in record.channel_info]
        plane = torch.zeros(0, 0)
        if width and height:
            plane = self._plane(channels[ids.index(mask.channel)], width, height)
        # A density of 0 lets everything through.
        return Mask(1 - (1 - plane) * mask.density, mask.left, mask.top, 1 - (1 - mask.outside / FULL) * mask.density)

    def _count(self, pixels: int) -> None:
        """Add up the pixels of masks before they take memory. Raises QilError: too many."""
        self.mask_pixels += pixels
        if self.mask_pixels > MAX_PIXELS:
            raise QilError(
                f"Cannot read {self.path}: its masks hold more than {MAX_PIXELS // 10**6} megapixels. "
                "Apply some of them, then save."
            )


def _filled(color: tuple[float, float, float], width: int, height: int) -> Tensor:
    """One opaque colour, (h, w, 4); it takes the memory of one pixel."""
    return torch.tensor([*color, 1.0]).expand(height, width, 4)
