"""Small files that claim, or unpack to, gigabytes."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from pathlib import Path

from psd_tools.constants import ChannelID, Compression
from psd_tools.psd import PSD
from psd_tools.psd.layer_and_mask import (
    ChannelData,
    ChannelDataList,
    ChannelImageData,
    ChannelInfo,
    LayerInfo,
    LayerRecord,
    LayerRecords,
    MaskData,
    MaskFlags,
)

SIDE = 17_000
"""289 megapixels, 4.6 GB as float32 RGBA."""


def png(width: int, height: int, data: bytes) -> bytes:
    """An 8-bit RGBA PNG with this compressed data."""
    head = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", data), (b"IEND", b""))
    parts = (struct.pack(">I", len(d)) + kind + d + struct.pack(">I", zlib.crc32(kind + d)) for kind, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def zeros(count: int) -> bytes:
    """So many zero bytes, deflated without holding them."""
    packer, block = zlib.compressobj(9), bytes(1 << 20)
    parts = [packer.compress(block) for _ in range(count >> 20)]
    return b"".join([*parts, packer.compress(bytes(count % (1 << 20))), packer.flush()])


def ora(path: Path, canvas: tuple[int, int], picture: bytes, count: int = 1) -> Path:
    """An OpenRaster file without a merged picture, with one PNG as so many layers."""
    layers = '<layer src="a"/>' * count
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("stack.xml", f'<image w="{canvas[0]}" h="{canvas[1]}"><stack>{layers}</stack></image>')
        out.writestr("a", picture)
    return path


def huge_canvas(path: Path) -> Path:
    """461 bytes or fewer: one pixel on 289 megapixels."""
    return ora(path, (SIDE, SIDE), png(1, 1, zeros(5)))


def many_layers(path: Path) -> Path:
    return ora(path, (SIDE // 10, SIDE // 10), png(1, 1, zeros(5)), 100)


def cut_off_png(path: Path) -> Path:
    """A PNG that claims 169 megapixels, which is as much as Pillow takes, and holds none."""
    return ora(path, (9, 9), png(13_000, 13_000, zeros(5)))


def packed_twice(path: Path) -> Path:
    """A whole PNG of 169 clear megapixels, which is packed a second time: 676 MB in a few kB."""
    return ora(path, (9, 9), png(13_000, 13_000, zeros(13_000 * (4 * 13_000 + 1))))


def photoshop(width: int, height: int, merged: bytes, version: int = 1, depth: int = 8, channels: int = 3) -> bytes:
    """A file without layers. merged: the picture with its compression in front."""
    head = struct.pack(">4sH6xHIIHH", b"8BPS", version, channels, height, width, depth, 3)
    return head + bytes(8) + bytes(4 * version) + merged


def deflated_picture(path: Path) -> Path:
    """843 kB: a merged picture of 289 megapixels, deflated as far as that goes."""
    path.write_bytes(photoshop(SIDE, SIDE, struct.pack(">H", 2) + zeros(3 * SIDE * SIDE)))
    return path


def runs_without_rows(path: Path) -> Path:
    """16 kB: the lengths of the rows, each nothing, and no rows."""
    width, height = 219_780, 1365
    path.write_bytes(photoshop(width, height, struct.pack(">H", 1) + bytes(4 * 3 * height), version=2))
    return path


def layer(path: Path, compression: Compression, data: bytes, version: int, side: int = SIDE, mask: bytes = b"") -> Path:
    """A small canvas with one layer of side x side whose four channels hold this. mask: deflated, of SIDE x SIDE."""
    document = PSD.frombytes(photoshop(9, 9, struct.pack(">H", 0) + bytes(3 * 81), version))
    ids = (ChannelID.TRANSPARENCY_MASK, ChannelID.CHANNEL_0, ChannelID.CHANNEL_1, ChannelID.CHANNEL_2)
    record = LayerRecord(0, 0, side, side, channel_info=[ChannelInfo(each) for each in ids])
    channels = ChannelDataList()
    channels.extend(ChannelData(compression, data) for _ in ids)
    if mask:
        record.mask_data = MaskData(bottom=SIDE, right=SIDE, flags=MaskFlags())
        record.channel_info.append(ChannelInfo(ChannelID.USER_LAYER_MASK))
        channels.append(ChannelData(Compression.ZIP, mask))
    document.layer_and_mask_information.layer_info = LayerInfo(1, LayerRecords([record]), ChannelImageData([channels]))
    buffer = io.BytesIO()
    document.write(buffer)
    path.write_bytes(buffer.getvalue())
    return path


def deflated_layer(path: Path) -> Path:
    return layer(path, Compression.ZIP, zeros(SIDE * SIDE), 1)


def layer_without_rows(path: Path) -> Path:
    """16 kB as a PSB: four channels of 225 megapixels that hold next to nothing."""
    return layer(path, Compression.RLE, bytes(4000), 2, side=15_000)


def layer_without_pixels(path: Path) -> Path:
    return layer(path, Compression.RAW, b"", 2)


def deflated_mask(path: Path) -> Path:
    """281 kB: a layer of one pixel under a mask of 289 megapixels."""
    return layer(path, Compression.RAW, b"0", 1, 1, zeros(SIDE * SIDE))


HOSTILE = {
    "huge canvas.ora": huge_canvas,
    "many layers.ora": many_layers,
    "cut off.ora": cut_off_png,
    "packed twice.ora": packed_twice,
    "deflated picture.psd": deflated_picture,
    "deflated layer.psd": deflated_layer,
    "deflated mask.psd": deflated_mask,
    "runs without rows.psb": runs_without_rows,
    "layer without rows.psb": layer_without_rows,
    "layer without pixels.psb": layer_without_pixels,
}
"""By file name."""
