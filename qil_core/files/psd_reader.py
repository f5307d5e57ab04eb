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
from .format import MERGED, SKIP
from .layered import Layered
from .limits import check_canvas_in, check_packing, check_pixels
from .png import CHANNELS
from .psd_channels import check_length, decode, unpacked
from .psd_color import Colors
from .psd_fill import CannotDraw, Drawings
from .psd_header import BITMAP, HEADER_BYTES, INDEXED, PLANES, read_header
from .psd_merged import background, check_merged, merged_picture
from .psd_record import (
    ALPHA,
    CLOSES,
    FULL,
    OPENS,
    Board,
    artboard,
    clips_apart,
    divider_kind,
    fill_opacity,
    fill_problem,
    group_mode,
    has_stroke,
    is_fill,
    lacks_drawn_mask,
    lacks_pixels,
    layer_name,
    mode_name,
    problems_of,
    solid_color,
    stored_mask,
)
from .tree import Folder, Mask, Problem, Sheet, Style, Unsupported, flatten, merged_layer

if TYPE_CHECKING:
    from psd_tools.psd import PSD
    from psd_tools.psd.layer_and_mask import ChannelData, LayerRecord

    Records = Sequence[tuple[LayerRecord, Sequence[ChannelData]]]
    Channels = Sequence[ChannelData]

ICC = 1039
"""The image resource that holds the colour profile."""

MAX_DEPTH = 64
"""Groups inside groups that are read: four times what this package writes (names.MAX_DEPTH)."""


def read_document(path: Path, hidden: bool, unsupported: str) -> Layered:
    """See psd.read()."""
    try:
        file = path.open("rb")
    except (OSError, ValueError) as error:
        raise QilError(f"Cannot read {path}: {getattr(error, 'strerror', None) or error}.") from error
    with file, _reading(path):
        header = read_header(file.read(HEADER_BYTES), path)
        size = path.stat().st_size
        check_canvas_in(size, header.width, header.height, 1, path)  # every such file has room for the merged picture
        file.seek(0)
        document = _parse(file)
        colors = Colors(header, _profile(document))
        try:
            layered = _flattened(document, colors, path, size, hidden, skip=unsupported == SKIP)
        except Unsupported as error:
            if unsupported != MERGED:
                raise
            check_merged(document, header, path, size)
            layered = merged_layer(merged_picture(document, header, colors, path), error.why)
        return replace(layered, notes=(*colors.notes, *layered.notes))


def _profile(document: PSD) -> bytes | None:
    resource = document.image_resources.get(ICC)
    return bytes(resource.data) if resource is not None and isinstance(resource.data, bytes) else None


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


def _flattened(document: PSD, colors: Colors, path: Path, size: int, hidden: bool, skip: bool) -> Layered:
    """size: bytes of the file. skip: leave out what cannot be drawn, instead of an error."""
    header, records = colors.header, _records(document)
    if not records or header.mode in (INDEXED, BITMAP):
        check_merged(document, header, path, size)
        whole = Sheet("Background", background(document, header, colors), 0, 0, Style())
        return flatten([whole], header.width, header.height, path)
    reader = _Reader(document, colors, path, hidden, skip)
    reader.check_amount(records, size)
    layered = flatten(reader.tree(records), header.width, header.height, path, hidden, skip)
    return replace(layered, notes=(*layered.notes, *reader.drawings.notes))


def _records(document: PSD) -> Records:
    """The layers' records and channels, bottom first; files of 16 and 32 bits keep them in a block of their own."""
    from psd_tools.constants import Tag

    section = document.layer_and_mask_information
    blocks = section.tagged_blocks
    tags = [tag for tag in (Tag.LAYER_16, Tag.LAYER_32) if blocks is not None and tag in blocks]
    info = (blocks.get_data(tags[0]) if blocks is not None and tags else None) or section.layer_info
    if info is None or not info.layer_records:
        return []
    return list(zip(info.layer_records, info.channel_image_data, strict=True))


class _Reader:
    """Builds the tree of one file; the pixels of hidden layers are decoded only when they are wanted."""

    def __init__(self, document: PSD, colors: Colors, path: Path, hidden: bool, skip: bool) -> None:
        self.header = colors.header
        self.colors = colors
        self.drawings = Drawings(document, colors, path)
        self.path = path
        self.hidden = hidden
        self.skip = skip
        self.mask_pixels = 0

    def check_amount(self, records: Records, size: int) -> None:
        """What all layers take, before any does. size: bytes of the file.

        Raises QilError, ValueError: more than memory takes, or than the channels have room for.
        """
        header, canvas = self.header, self.header.width * self.header.height
        area = sum(canvas if is_fill(record) else record.width * record.height for record, _ in records)
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
            problem = Problem("is an artboard with a mask", "drawn without the mask")
            folder = replace(folder, style=replace(style, problems=(*style.problems, problem)))
        return self._framed(folder, board) if board else folder

    def _framed(self, folder: Folder, board: Board) -> Folder:
        """An artboard's group: cut at its edges, its colour below its layers."""
        width, height = board.right - board.left, board.bottom - board.top
        self._count(width * height)
        frame = Mask(torch.ones(height, width), board.left, board.top)
        style = replace(folder.style, mask=frame)
        if board.color is None:
            return replace(folder, style=style)
        ground = Sheet(
            "background", _filled(self.colors.one(board.color), width, height), board.left, board.top, Style()
        )
        # On an opaque ground it does not matter what lies below the group.
        isolated = folder.isolated and (style.mode, style.opacity) != ("normal", 1.0)
        return Folder(folder.name, (ground, *folder.items), style, isolated)

    def _sheet(self, record: LayerRecord, channels: Channels) -> Sheet:
        lacking = lacks_pixels(record)
        style = self._style(record, channels, mode_name(record.blend_mode.value), [lacking] if lacking else [])
        if not self._is_wanted(style):
            return Sheet(layer_name(record), torch.zeros(0, 0, 4), record.left, record.top, style)
        if is_fill(record):
            return self._filled_sheet(record, style)
        return Sheet(layer_name(record), self._image(record, channels), record.left, record.top, style)

    def _filled_sheet(self, record: LayerRecord, style: Style) -> Sheet:
        name, color = layer_name(record), solid_color(record)
        if color:
            pixels = _filled(self.colors.one(color), self.header.width, self.header.height)
            return Sheet(name, pixels, 0, 0, style)
        try:
            pixels, box = self.drawings.fill(record)
        except CannotDraw as error:
            problem = Problem(f"is a fill layer without pixels that cannot be drawn ({error})")
            return Sheet(name, torch.zeros(0, 0, 4), 0, 0, replace(style, problems=(*style.problems, problem)))
        return Sheet(name, pixels, box.left, box.top, style)

    def _style(
        self, record: LayerRecord, channels: Channels, mode: str | None, problems: Sequence[Problem] = ()
    ) -> Style:
        """problems: those that are known already."""
        found = [*problems, *problems_of(record)]
        if mode is None:
            found.append(Problem(f"has the blend mode {record.blend_mode.name.lower()}", "drawn as Normal"))
        if faded := fill_problem(record, mode or ""):
            found.append(faded)
        if is_fill(record) and has_stroke(record):
            found.append(Problem("has a line along its path", "drawn without it"))
        visible = bool(record.flags.visible)
        style = Style(
            opacity=record.opacity / FULL * fill_opacity(record),
            mode=mode or "normal",
            visible=visible,
            clipped=int(record.clipping) == 1,
            apart=clips_apart(record),
            problems=tuple(found),
        )
        return self._masked(record, channels, style) if self._is_wanted(style) else style

    def _is_wanted(self, style: Style) -> bool:
        """Whether pixels will be drawn: not of what is refused or left out."""
        given_up = any(not (self.skip and problem.instead) for problem in style.problems)
        return not given_up and (style.visible or self.hidden)

    def _masked(self, record: LayerRecord, channels: Channels, style: Style) -> Style:
        """The style with the mask that the pixels still lack, from the file or drawn of its path."""
        mask = self._mask(record, channels)
        if not lacks_drawn_mask(record):
            return replace(style, mask=mask)
        self._count(self.header.width * self.header.height)
        try:
            outline = self.drawings.path(record)
        except CannotDraw as error:
            problem = Problem(f"has a vector mask that cannot be drawn ({error})", "drawn without it")
            return replace(style, mask=mask, problems=(*style.problems, problem))
        return replace(style, mask=mask.on(outline) if mask else outline)

    def _image(self, record: LayerRecord, channels: Channels) -> Tensor:
        """Pixels float32 (h, w, 4); a missing alpha is opaque, one missing colour channel is black."""
        width, height = record.width, record.height
        image = torch.zeros(height, width, 4)
        image[..., 3] = 1
        if not width or not height:
            return image
        wanted = self._wanted()
        colors = np.zeros((PLANES[self.header.mode], height, width), np.float32)
        for info, channel in zip(record.channel_info, channels, strict=True):
            if int(info.id) == ALPHA:
                image[..., 3] = torch.from_numpy(self._plane(channel, width, height))
            elif int(info.id) in wanted:
                colors[wanted[int(info.id)]] = self._plane(channel, width, height)
        image[..., :3] = self.colors.rgb(colors)
        return image

    def _plane(self, channel: ChannelData, width: int, height: int) -> NDArray[np.float32]:
        return decode(channel.data, int(channel.compression), width, height, self.header)

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
            plane = torch.from_numpy(self._plane(channels[ids.index(mask.channel)], width, height))
        # A density of 0 lets everything through.
        return Mask(1 - (1 - plane) * mask.density, mask.left, mask.top, 1 - (1 - mask.outside / FULL) * mask.density)

    def _count(self, pixels: int) -> None:
        """Add up the pixels of masks before they take memory. Raises QilError: too many."""
        self.mask_pixels += pixels
        check_pixels(self.mask_pixels, "its masks hold", self.path)


def _filled(color: tuple[float, float, float], width: int, height: int) -> Tensor:
    """One opaque colour, (h, w, 4); it takes the memory of one pixel."""
    return torch.tensor([*color, 1.0]).expand(height, width, 4)
