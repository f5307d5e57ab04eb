"""Reading Photoshop files: RGB and grey, 8 and 16 bits, with groups, masks, clipping, opacity and blend modes.

A file comes from outside: its header, the sizes of its layers and the lengths of its channels are checked before
memory is taken. What has no pixels to read (adjustments, live effects) is an error that names the layer.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import QilError
from .layered import Layered
from .png import MAX_PIXELS
from .psd import MODES
from .tree import Folder, Mask, Sheet, Style, check_size, flatten

if TYPE_CHECKING:
    from psd_tools.psd import PSD
    from psd_tools.psd.layer_and_mask import ChannelData, LayerRecord

    Records = Sequence[tuple[LayerRecord, Sequence[ChannelData]]]

GREY, RGB = 1, 3
COLOR_MODES = {0: "bitmap", 2: "indexed", 4: "CMYK", 7: "multichannel", 8: "duotone", 9: "Lab"}
ALPHA, MASK, REAL_MASK = -1, -2, -3
OPENS, CLOSES = (1, 2), 3
"""Section dividers: the record above a group's layers (open or closed in the panel), and the one below them."""

ADJUSTMENTS = {
    b"brit", b"levl", b"curv", b"expA", b"vibA", b"hue ", b"hue2", b"blnc", b"blwh", b"phfl", b"mixr", b"clrL",
    b"nvrt", b"post", b"thrs", b"grdm", b"selc",
}  # fmt: skip
FILLS = {b"SoCo", b"GdFl", b"PtFl"}
EFFECTS = {b"lfx2", b"lrFX", b"lmfx"}
ARTBOARD = {b"artb", b"artd", b"abdd"}
VECTOR_MASK = {b"vmsk", b"vsms"}
FILL_OPACITY, DIVIDER, NESTED_DIVIDER, UNICODE_NAME, KNOCKOUT = b"iOpa", b"lsct", b"lsdk", b"luni", b"knko"
FULL_RANGE = (0, 65535)


class Header(NamedTuple):
    """A PSD's first 26 bytes: version 1 (PSD) or 2 (PSB), channels, size in pixels, bits a channel, colour mode."""

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
        header = _header(file.read(26), path)
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
    if len(data) < 26 or data[:4] != b"8BPS":
        raise QilError(f"Cannot read {path}: it is not a Photoshop file, or it is cut off.")
    header = Header(*struct.unpack(">H6xHIIHH", data[4:]))
    if header.version not in (1, 2):
        raise QilError(f"Cannot read {path}: it has version {header.version}, expected 1 (PSD) or 2 (PSB).")
    if header.mode not in (GREY, RGB):
        mode = COLOR_MODES.get(header.mode, f"unknown ({header.mode})")
        raise QilError(f"Cannot read {path}: its colours are {mode}. In Photoshop choose Image > Mode > RGB, and save.")
    if header.depth not in (8, 16):
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
    if not records:
        return flatten([_background(document, header)], header.width, header.height, path)
    area = sum(record.width * record.height for record, _ in records)
    if area > MAX_PIXELS:
        raise QilError(
            f"Cannot read {path}: its layers hold {area / 1e6:.0f} megapixels, more than the {MAX_PIXELS // 10**6} "
            "that are read at once. Scale it down or merge layers."
        )
    tree = _Reader(header, hidden).tree(records)
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
    """The one layer of a file without layers: its merged picture."""
    data = document.image_data
    rows = header.height * header.channels
    planes = _decode(data.data, int(data.compression), header.width, rows, header)
    colors = planes.reshape(header.channels, header.height, header.width)[: header.mode]
    image = torch.ones(header.height, header.width, 4)
    image[..., :3] = torch.from_numpy(colors).permute(1, 2, 0)
    return Sheet("Background", image, 0, 0, Style())


def _decode(data: bytes, compression: int, width: int, height: int, header: Header) -> NDArray[np.float32]:
    """A channel as float32 (height, width) in [0, 1]. Raises ValueError, zlib.error: broken or cut off."""
    from psd_tools.compression import decode_prediction, decode_rle

    size = width * height * header.depth // 8
    if compression == 0:
        raw = data[:size]
    elif compression == 1:
        raw = decode_rle(data, width, height, header.depth, header.version)
    else:
        raw = zlib.decompressobj().decompress(data, size)
        raw = decode_prediction(raw, width, height, header.depth) if compression == 3 else raw
    if len(raw) != size:
        raise ValueError(f"a channel holds {len(raw)} bytes, expected {size}")
    kind, top = (np.dtype(np.uint8), 255) if header.depth == 8 else (np.dtype(">u2"), 65535)
    # Division, not a product with 1/255: k/255 must come out as everywhere in the package.
    return np.frombuffer(raw, kind).reshape(height, width).astype(np.float32) / np.float32(top)


class _Reader:
    """Builds the tree of one file; the pixels of hidden layers are decoded only when they are wanted."""

    def __init__(self, header: Header, hidden: bool) -> None:
        self.header = header
        self.hidden = hidden
        self.mask_pixels = 0

    def tree(self, records: Records) -> tuple[Sheet | Folder, ...]:
        """Groups and layers, bottom first. A file that closes more groups than it opens ends in the innermost one."""
        levels: list[list[Sheet | Folder]] = [[]]
        for record, channels in records:
            kind = _divider_kind(record)
            if kind == CLOSES:
                levels.append([])
            elif kind in OPENS and len(levels) > 1:
                items = tuple(levels.pop())
                levels[-1].append(self._folder(record, channels, items))
            else:
                levels[-1].append(self._sheet(record, channels))
        return tuple(item for level in levels for item in level)

    def _folder(
        self, record: LayerRecord, channels: Sequence[ChannelData], items: tuple[Sheet | Folder, ...]
    ) -> Folder:
        mode = _group_mode(record)
        style = self._style(record, channels, "normal" if mode == b"pass" else _mode_name(mode))
        return Folder(_layer_name(record), items, style, isolated=mode != b"pass")

    def _sheet(self, record: LayerRecord, channels: Sequence[ChannelData]) -> Sheet:
        style = self._style(record, channels, _mode_name(record.blend_mode.value))
        problem = style.problem or _no_pixels(record)
        style = Style(style.opacity, style.mode, style.visible, style.clipped, style.mask, problem)
        wanted = not problem and (style.visible or self.hidden)
        image = self._image(record, channels) if wanted else torch.zeros(0, 0, 4)
        return Sheet(_layer_name(record), image, record.left, record.top, style)

    def _style(self, record: LayerRecord, channels: Sequence[ChannelData], mode: str | None) -> Style:
        fill = _block(record, FILL_OPACITY)
        opacity = record.opacity / 255 * (1.0 if fill is None else int(_value(fill)) / 255)
        visible = bool(record.flags.visible)
        problem = _cannot(record) if mode else f"has the blend mode {record.blend_mode.name.lower()}"
        mask = self._mask(record, channels) if not problem and (visible or self.hidden) else None
        return Style(opacity, mode or "normal", visible, int(record.clipping) == 1, mask, problem)

    def _image(self, record: LayerRecord, channels: Sequence[ChannelData]) -> Tensor:
        """Pixels float32 (h, w, 4); a missing alpha is opaque, one missing colour channel is black."""
        width, height = record.width, record.height
        image = torch.zeros(height, width, 4)
        image[..., 3] = 1
        if not width or not height:
            return image
        for info, channel in zip(record.channel_info, channels, strict=True):
            plane = {ALPHA: 3, 0: 0, 1: 1, 2: 2}.get(int(info.id))
            if plane is not None and (plane == 3 or plane < self.header.mode):
                image[..., plane] = self._plane(channel, width, height)
        if self.header.mode == GREY:
            image[..., 1:3] = image[..., :1]
        return image

    def _plane(self, channel: ChannelData, width: int, height: int) -> Tensor:
        return torch.from_numpy(_decode(channel.data, int(channel.compression), width, height, self.header))

    def _mask(self, record: LayerRecord, channels: Sequence[ChannelData]) -> Mask | None:
        """The user's mask; None where there is none or it is switched off.

        With a vector mask beside it, Photoshop stores their product as the "real" mask.
        """
        found = {int(info.id): channel for info, channel in zip(record.channel_info, channels, strict=True)}
        data = record.mask_data
        if data is None:
            return None
        real = REAL_MASK in found and data.real_flags is not None
        flags = data.real_flags if real else data.flags
        channel = found.get(REAL_MASK if real else MASK)
        if channel is None or flags is None or flags.mask_disabled:
            return None
        outside = (data.real_background_color if real else data.background_color) or 0
        density = data.parameters.user_mask_density if data.parameters is not None else None
        weight = 1.0 if density is None else density / 255  # a density of 0 lets everything through
        left, top, right, bottom = _mask_edges(data, real)
        plane = self._mask_plane(channel, max(right - left, 0), max(bottom - top, 0))
        return Mask(1 - (1 - plane) * weight, left, top, 1 - (1 - outside / 255) * weight)

    def _mask_plane(self, channel: ChannelData, width: int, height: int) -> Tensor:
        self.mask_pixels += width * height
        if self.mask_pixels > MAX_PIXELS:
            raise QilError(f"The masks hold more than {MAX_PIXELS // 10**6} megapixels: apply some of them, then save.")
        return self._plane(channel, width, height) if width and height else torch.zeros(0, 0)


def _mask_edges(data: Any, real: bool) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a mask's rectangle."""
    if real:
        return data.real_left, data.real_top, data.real_right, data.real_bottom
    return data.left, data.top, data.right, data.bottom


def _block(record: LayerRecord, key: bytes) -> Any:
    """The data of a record's block, or None."""
    found = next((block for tag, block in record.tagged_blocks.items() if _key(tag) == key), None)
    return None if found is None else found.data


def _key(tag: Any) -> bytes:
    value = getattr(tag, "value", tag)
    return value if isinstance(value, bytes) else b""


def _keys(record: LayerRecord) -> set[bytes]:
    return {_key(tag) for tag in record.tagged_blocks}


def _value(data: Any) -> Any:
    return getattr(data, "value", data)


def _divider_kind(record: LayerRecord) -> int:
    data = _block(record, DIVIDER) or _block(record, NESTED_DIVIDER)
    return int(data.kind) if data is not None else 0


def _group_mode(record: LayerRecord) -> bytes:
    """A group's mode stands in its divider; without it the record's own holds."""
    data = _block(record, DIVIDER) or _block(record, NESTED_DIVIDER)
    mode = getattr(data, "blend_mode", None) or record.blend_mode
    return bytes(mode.value)


def _mode_name(mode: bytes) -> str | None:
    """This package's name of a Photoshop mode, or None where it has none (dissolve, darker color, lighter color)."""
    from psd_tools.constants import BlendMode

    return next((name for name, known in MODES.items() if BlendMode[known].value == mode), None)


def _layer_name(record: LayerRecord) -> str:
    name = _block(record, UNICODE_NAME)
    return str(record.name if name is None else _value(name)).rstrip("\0")


def _no_pixels(record: LayerRecord) -> str:
    """Why a layer has no pixels of its own, or nothing."""
    keys = _keys(record)
    if keys & ADJUSTMENTS:
        return "is an adjustment layer"
    if keys & FILLS and not record.width * record.height:
        return "is a fill layer without pixels"
    return ""


def _cannot(record: LayerRecord) -> str:
    """What a layer or a group does that pixels alone do not show, or nothing."""
    keys = _keys(record)
    if keys & ARTBOARD:
        return "is an artboard"
    if _is_softened(record, bool(keys & VECTOR_MASK)):
        return "has a mask with feather or density"
    if keys & EFFECTS and _has_effects(record):
        return "has layer effects"
    if KNOCKOUT in keys and int(_value(_block(record, KNOCKOUT)) or 0):
        return "knocks out the layers below"
    ranges = record.blending_ranges
    pairs = [*(ranges.composite_ranges or ()), *(pair for row in ranges.channel_ranges or () for pair in row)]
    return "blends by tone (Blend If)" if any(tuple(pair) != FULL_RANGE for pair in pairs) else ""


def _is_softened(record: LayerRecord, vector: bool) -> bool:
    """Whether a mask has a feather, or a density that a vector mask beside it leaves unclear."""
    given = record.mask_data.parameters if record.mask_data is not None else None
    if given is None:
        return False
    return bool(given.user_mask_feather or given.vector_mask_feather) or vector


def _has_effects(record: LayerRecord) -> bool:
    """Whether an effect is switched on."""
    blocks = [data for key in EFFECTS if (data := _block(record, key)) is not None]
    return any(_is_on(data, b"masterFXSwitch") and _holds_effect(data) for data in blocks)


def _holds_effect(data: Any, depth: int = 4) -> bool:
    """Whether a descriptor, or a list of them, holds an effect that is switched on."""
    inner = data.values() if hasattr(data, "values") else data if isinstance(data, Iterable) else ()
    return _is_on(data, b"enab") or (depth > 0 and any(_holds_effect(one, depth - 1) for one in inner))


def _is_on(data: Any, key: bytes) -> bool:
    return hasattr(data, "values") and key in data and bool(_value(data[key]))
