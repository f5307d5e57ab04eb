"""Reading Photoshop files: RGB and grey, 8 and 16 bits, with groups, masks, clipping, opacity and blend modes.

A file comes from outside: its header, the sizes of its layers and the lengths of its channels are checked before
memory is taken. What has no pixels to read (adjustments, live effects) is an error that names the layer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import QilError
from .layered import Layered
from .limits import check_canvas_in, check_packing, check_pixels
from .png import CHANNELS
from .psd_channels import check_length, decode, unpacked
from .psd_header import CLEAR_INDEX, GREY, HEADER_BYTES, INDEXED, NO_INDEX, PALETTE, PLANES, Header, read_header
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

MAX_DEPTH = 64
"""Groups inside groups that are read: four times what this package writes (names.MAX_DEPTH)."""


def read_document(path: Path, hidden: bool) -> Layered:
    """See psd.read()."""
    try:
        file = path.open("rb")
    except (OSError, ValueError) as error:
        raise QilError(f"Cannot read {path}: {getattr(error, 'strerror', None) or error}.") from error
    with file, _reading(path):
        header = read_header(file.read(HEADER_BYTES), path)
        size = path.stat().st_size
        # A PSD always holds the merged picture; not every program writes one that is whole, but all write its rows.
        check_canvas_in(size, header.width, header.height, 1, path)
        file.seek(0)
        return _flattened(_parse(file), header, path, size, hidden)


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


def _parse(file: Any) -> PSD:
    from psd_tools.psd import PSD

    return PSD.read(file)


def _flattened(document: PSD, header: Header, path: Path, size: int, hidden: bool) -> Layered:
    """size: bytes of the file."""
    records = _records(document)
    if not records or header.mode == INDEXED:
        _check_merged(document, header, path, size)
        return flatten([_background(document, header)], header.width, header.height, path)
    reader = _Reader(header, path, hidden)
    reader.check_amount(records, size)
    return flatten(reader.tree(records), header.width, header.height, path, hidden)


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


def _check_merged(document: PSD, header: Header, path: Path, size: int) -> None:
    """What the merged picture takes, before it does. Raises QilError, ValueError: too much for its data."""
    rows = header.height * header.channels
    check_packing(unpacked(header.width, rows, header), size, path)
    data = document.image_data
    check_length(data.data, int(data.compression), header.width, rows, header)


def _background(document: PSD, header: Header) -> Sheet:
    """The one layer of a file without layers: its merged picture, opaque but for the clear index of a palette."""
    data, wanted = document.image_data, PLANES[header.mode]
    if header.channels < wanted:
        raise ValueError(f"{header.channels} channels for {wanted} colours")
    rows = header.height * header.channels
    planes = decode(data.data, int(data.compression), header.width, rows, header)
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


class _Reader:
    """Builds the tree of one file; the pixels of hidden layers are decoded only when they are wanted."""

    def __init__(self, header: Header, path: Path, hidden: bool) -> None:
        self.header = header
        self.path = path
        self.hidden = hidden
        self.mask_pixels = 0

    def check_amount(self, records: Records, size: int) -> None:
        """What all layers take, before any does. size: bytes of the file.

        Raises QilError, ValueError: more than memory takes, or than the channels have room for.
        """
        header, canvas = self.header, self.header.width * self.header.height
        area = sum(canvas if solid_color(record) else record.width * record.height for record, _ in records)
        check_pixels(area, "its layers hold", self.path)
        masks = [mask for record, _ in records if (mask := stored_mask(record))]
        check_pixels(sum(mask.width * mask.height for mask in masks), "its masks hold", self.path)
        packed = unpacked(header.width, header.height * header.channels, header)
        packed += sum(unpacked(record.width, record.height, header) * len(channels) for record, channels in records)
        packed += sum(unpacked(mask.width, mask.height, header) * CHANNELS for mask in masks)  # each counts as a layer
        check_packing(packed, size, self.path)
        for record, channels in records:
            for info, channel in zip(record.channel_info, channels, strict=True):
                wanted = int(info.id) in self._wanted() and (record.flags.visible or self.hidden)
                if wanted and record.width and record.height:
                    check_length(channel.data, int(channel.compression), record.width, record.height, header)

    def _wanted(self) -> dict[int, int]:
        """Where in a pixel each channel goes, by its id; masks and spot colours are not among them."""
        return {ALPHA: 3} | {color: color for color in range(PLANES[self.header.mode])}

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
        wanted = self._wanted()
        for info, channel in zip(record.channel_info, channels, strict=True):
            if int(info.id) in wanted:
                image[..., wanted[int(info.id)]] = self._plane(channel, width, height)
        if self.header.mode == GREY:
            image[..., 1:3] = image[..., :1]
        return image

    def _plane(self, channel: ChannelData, width: int, height: int) -> Tensor:
        return torch.from_numpy(decode(channel.data, int(channel.compression), width, height, self.header))

    def _mask(self, record: LayerRecord, channels: Channels) -> Mask | None:
        """The mask that the pixels of a layer still lack, with its density worked in."""
        mask = stored_mask(record)
        if mask is None:
            return None
        width, height = mask.width, mask.height
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
        check_pixels(self.mask_pixels, "its masks hold", self.path)


def _filled(color: tuple[float, float, float], width: int, height: int) -> Tensor:
    """One opaque colour, (h, w, 4); it takes the memory of one pixel."""
    return torch.tensor([*color, 1.0]).expand(height, width, 4)
