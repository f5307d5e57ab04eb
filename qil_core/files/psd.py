"""Photoshop: PSD, and PSB above 30000 pixels. Layers are cropped to their content, named in Unicode and grouped.

Source: Adobe, "Photoshop File Formats Specification" (November 2019); psd-tools holds its records. Hidden colour
under alpha 0 is kept inside a layer's bounds and is black outside them; an empty layer is a layer without pixels.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..progress import Progress, silent
from ..stack import LayerStack, to_bytes
from .atomic import atomic_path
from .format import NONE, REFUSE, Dpi, Format, Options
from .layered import PLAIN, Layered, Look
from .limits import check_count, check_modes
from .names import Group, Leaf, nest
from .png import parallel
from .profile import srgb_profile
from .psd_header import PSB, PSD, SIGNATURE
from .psd_reader import read_document
from .psd_record import FULL, MODES
from .thumbnail import jpeg_thumbnail, on_paper

if TYPE_CHECKING:
    from psd_tools.psd import PSD as Document
    from psd_tools.psd.layer_and_mask import ChannelDataList, LayerRecord

    Entry = tuple[LayerRecord, ChannelDataList]
    """A layer's record and the data of its channels."""

MAX_SIDE = 30_000
"""Pixels of a side that a PSD takes; a PSB takes 300000 (specification, "File Header Section")."""

MAX_BYTES = 1 << 30
"""Pixel bytes above which the format is PSB. A PSD's lengths are counted in 32 bits, and programs read files up to
2 GiB: pixels that do not compress make a file a little larger than they are."""

DPI = Dpi(usual=72, least=1, most=30_000)
"""72 is what Photoshop takes where a file says nothing; the number is kept as 16.16 bits (resource 1005), which end at
32767."""

FIXED = 1 << 16
"""One, in numbers of 16.16 bits."""

THUMBNAIL_SIDE = 160
"""Pixels of the longer side: what Photoshop itself writes."""

RESOLUTION, THUMBNAIL, ICC, VERSION_INFO = 1005, 1036, 1039, 1057
"""Image resources (specification, "Image Resource IDs")."""

INCHES = 1
"""Unit in which a resolution and a size are shown (resource 1005)."""

JPEG, BITS_A_PIXEL, PLANES = 1, 24, 1
"""What a thumbnail says of itself (specification, "Thumbnail resource format")."""

ROW_BITS = 32
"""A thumbnail's rows are counted in whole steps of so many bits."""

MAX_OLD_NAME = 255
"""Bytes of a layer's name in MacRoman: a Pascal string, whose length is a byte."""


def suffix(stack: LayerStack) -> str:
    """ ".psd", or ".psb" for a canvas or an amount of pixels that a PSD cannot hold."""
    return ".psb" if _version(stack) == PSB else ".psd"


def _version(stack: LayerStack) -> int:
    layers = len(stack) + 1  # the merged picture is one more
    large = max(stack.width, stack.height) > MAX_SIDE or 4 * stack.width * stack.height * layers > MAX_BYTES
    return PSB if large else PSD


def write(
    stack: LayerStack, path: Path, look: Look = PLAIN, options: Options = NONE, progress: Progress = silent
) -> Path:
    """Write a PSD (a PSB where suffix() says so): layers, groups, merged preview, thumbnail, dpi and sRGB profile.

    look: blend modes, opacities (kept as k/255), visibility, and what lies beyond the canvas. options: dpi. Raises
    QilError: too many layers, a mode that Photoshop lacks, dpi out of range, the disk refuses.
    """
    import psd_tools.psd  # noqa: F401  here: its modules import each other in a circle, which threads trip over

    dpi, look = DPI.of(options), look.of(len(stack))
    check_count(stack)
    check_modes(stack, look, MODES, "Photoshop", "OpenRaster")
    version = _version(stack)
    layered = Layered(stack, look)
    merged = layered.composite()
    with atomic_path(path) as temporary, parallel(lambda i: _layer(layered, i, version), range(len(stack))) as layers:
        document = _document(stack, merged, version, dpi)
        _add_entries(document, _entries(nest(stack.names), layers, look, progress))
        with temporary.open("wb") as file:
            document.write(file)
    return path


def _entries(items: Sequence[Group | Leaf], layers: Iterator[Entry], look: Look, progress: Progress) -> Iterator[Entry]:
    """Records bottom first: a group is a divider below its layers, and above them the record that bears its name."""
    for item in items:
        if isinstance(item, Leaf):
            progress(item.index / len(look.modes), f"Writing {item.name}")
            yield _named(next(layers), item, look)
        else:
            yield _divider("</Layer group>", "BOUNDING_SECTION_DIVIDER")
            yield from _entries(item.items, layers, look, progress)
            yield _divider(item.name, "OPEN_FOLDER")


def _named(entry: Entry, leaf: Leaf, look: Look) -> Entry:
    from psd_tools.constants import BlendMode

    record, _ = entry
    record.blend_mode = BlendMode[MODES[look.modes[leaf.index]]]
    record.opacity = round(look.opacities[leaf.index] * FULL)
    record.flags.visible = look.visible[leaf.index]
    _name(record, leaf.name)
    return entry


def _name(record: LayerRecord, name: str) -> None:
    """The name in Unicode, and in MacRoman for programs from before the year 2000."""
    from psd_tools.constants import Tag

    record.name = name.encode("macroman", "replace")[:MAX_OLD_NAME].decode("macroman")
    record.tagged_blocks.set_data(Tag.UNICODE_LAYER_NAME, name)


def _divider(name: str, kind: str) -> Entry:
    """A record without pixels that opens or closes a group. Groups let modes through, as a flat stack does."""
    from psd_tools.constants import BlendMode, SectionDivider, Tag

    record, channels = _record(torch.zeros(0, 0, 4), 0, 0, PSD)
    passing = {} if kind == "BOUNDING_SECTION_DIVIDER" else {"signature": b"8BIM", "blend_mode": BlendMode.PASS_THROUGH}
    record.tagged_blocks.set_data(Tag.SECTION_DIVIDER_SETTING, kind=SectionDivider[kind], **passing)
    _name(record, name)
    return record, channels


def _layer(layered: Layered, index: int, version: int) -> Entry:
    found = layered.content(index)
    if found is None:
        return _record(torch.zeros(0, 0, 4), 0, 0, version)
    box, crop = found
    return _record(crop, box.left, box.top, version)


def _record(crop: Tensor, left: int, top: int, version: int) -> Entry:
    """A layer of pixels (h, w, 4) at a place: alpha, red, green and blue, each run-length encoded."""
    from psd_tools.constants import ChannelID, Compression
    from psd_tools.psd.layer_and_mask import ChannelData, ChannelDataList, ChannelInfo, LayerRecord

    height, width, _ = crop.shape
    # Photoshop writes alpha first; -1 is its id, 0 to 2 are the colours'.
    planes = [_encoded(plane, version) for plane in _planes(crop.roll(1, dims=-1))]
    compression = Compression.RLE if width else Compression.RAW
    record = LayerRecord(
        top, left, top + height, left + width, channel_info=[ChannelInfo(ChannelID(i - 1)) for i in range(4)]
    )
    channels: ChannelDataList = ChannelDataList()
    channels.extend(ChannelData(compression, data) for data in planes)
    return record, channels


def _planes(image: Tensor) -> list[Tensor]:
    """An image (H, W, C) in [0, 1] as C planes, uint8 (H, W)."""
    return list(to_bytes(image).permute(2, 0, 1).contiguous().cpu()) if image.numel() else [image[..., 0]] * 4


def _encoded(plane: Tensor, version: int) -> bytes:
    from psd_tools.compression import encode_rle

    height, width = plane.shape
    return encode_rle(plane.numpy().tobytes(), width, height, 8, version) if width else b""


def _document(stack: LayerStack, merged: Tensor, version: int, dpi: float) -> Document:
    """Everything but the layers."""
    from psd_tools.constants import ColorMode
    from psd_tools.psd import PSD as Document
    from psd_tools.psd.header import FileHeader
    from psd_tools.psd.image_resources import ImageResource, ImageResources

    clear = bool((merged[..., 3] < 1).any())
    header = FileHeader(
        version=version,
        channels=3 + clear,
        height=stack.height,
        width=stack.width,
        depth=8,
        color_mode=ColorMode.RGB,
    )
    data = {
        RESOLUTION: struct.pack(">IHH", round(dpi * FIXED), INCHES, INCHES) * 2,  # across and down
        THUMBNAIL: _thumbnail(merged),
        ICC: srgb_profile(),
        VERSION_INFO: _version_info(),
    }
    resources = ImageResources()
    for key, value in data.items():
        resources[key] = ImageResource(key=key, data=value)
    return Document(header, image_resources=resources, image_data=_image_data(merged, clear, version))


def _image_data(merged: Tensor, clear: bool, version: int) -> Any:
    """The merged picture. Where it is clear Photoshop wants its colours laid over white, beside the alpha."""
    from psd_tools.constants import Compression
    from psd_tools.psd.image_data import ImageData

    alpha = merged[..., 3:]
    colors = on_paper(merged) if clear else merged[..., :3]
    planes = torch.cat(_planes(torch.cat([colors, alpha], dim=-1) if clear else colors))
    return ImageData(Compression.RLE, _encoded(planes, version))


def _thumbnail(merged: Tensor) -> bytes:
    """Resource 1036: a small JPEG over white, and what it would take unpacked, a row filled up to whole 32 bits."""
    jpeg, (width, height) = jpeg_thumbnail(merged, THUMBNAIL_SIDE)
    row = math.ceil(width * BITS_A_PIXEL / ROW_BITS) * ROW_BITS // 8
    return struct.pack(">6I2H", JPEG, width, height, row, row * height, len(jpeg), BITS_A_PIXEL, PLANES) + jpeg


def _version_info() -> bytes:
    """Resource 1057: the merged picture is real, and who wrote it."""
    names = ("Qwen Layers".encode("utf-16-be"),) * 2
    texts = b"".join(struct.pack(">I", len(name) // 2) + name for name in names)
    return struct.pack(">IB", 1, 1) + texts + struct.pack(">I", 1)


def _add_entries(document: Document, entries: Iterator[Entry]) -> None:
    from psd_tools.psd.layer_and_mask import ChannelImageData, LayerInfo, LayerRecords

    records, channels = zip(*entries, strict=True)
    clear = document.header.channels == 4
    # A negative count says that the merged picture's fourth channel is its transparency.
    info = LayerInfo(-len(records) if clear else len(records), LayerRecords(records), ChannelImageData(channels))
    document.layer_and_mask_information.layer_info = info


def read(path: Path, hidden: bool = True, unsupported: str = REFUSE) -> Layered:
    """The layers of a PSD or PSB, bottom first, with groups as names; see psd_reader.py for what becomes of them.

    hidden: keep hidden layers too. unsupported: see format.UNSUPPORTED. Raises QilError: broken files, multichannel
    files, layers that cannot be drawn.
    """
    return read_document(path, hidden, unsupported)


FORMAT = Format(
    "psd", "PSD", (".psd", ".psb"), write, read, lambda path, head: head.startswith(SIGNATURE), suffix, dpi=DPI
)
