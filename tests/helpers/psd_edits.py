"""Photoshop files given what this package does not write: masks, paths, other colours."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from psd_tools.constants import ChannelID, Compression, Tag
from psd_tools.psd import PSD
from psd_tools.psd.color_mode_data import ColorModeData
from psd_tools.psd.descriptor import Bool, Descriptor, Double, Enumerated, Integer, List, UnitFloat
from psd_tools.psd.image_data import ImageData
from psd_tools.psd.layer_and_mask import ChannelData, ChannelInfo, LayerRecord, MaskData, MaskFlags
from psd_tools.psd.tagged_blocks import DescriptorBlock
from psd_tools.psd.vector import ClosedPath, VectorMaskSetting
from psd_tools.psd.vector import Path as Outline
from psd_tools.terminology import Unit
from torch import Tensor

from qil_core.stack import quantize

SIDE = 6
Change = Callable[[dict[str, tuple[LayerRecord, Any]]], None]


def pixels(alpha: Tensor | float = 1.0) -> Tensor:
    """Three layers of noise, SIDE x SIDE: two opaque ones, and one with this alpha."""
    layers = torch.rand(3, SIDE, SIDE, 4, generator=torch.Generator().manual_seed(0))
    layers[:2, ..., 3] = 1
    layers[2, ..., 3] = alpha
    return quantize(layers)


def edited(path: Path, change: Change) -> Path:
    document = PSD.frombytes(path.read_bytes())
    info = document.layer_and_mask_information.layer_info
    assert info is not None
    change({r.name: (r, c) for r, c in zip(info.layer_records, info.channel_image_data, strict=True)})
    with path.open("wb") as file:
        document.write(file)
    return path


def soft(seed: int) -> Tensor:
    """A mask (SIDE, SIDE) in k/255."""
    return quantize(torch.rand(SIDE, SIDE, generator=torch.Generator().manual_seed(seed)))


def give_channel(entry: tuple[LayerRecord, Any], channel: ChannelID, plane: Tensor) -> None:
    record, channels = entry
    record.channel_info.append(ChannelInfo(channel))
    channels.append(ChannelData(Compression.RAW, (plane * 255).round().to(torch.uint8).numpy().tobytes()))


def give_mask(entry: tuple[LayerRecord, Any], plane: Tensor, real: Tensor | None = None, **options: Any) -> None:
    """A mask as large as the canvas; `real` is the user's own where Photoshop drew `plane` of a path too."""
    drawn, density = options.get("drawn", False), options.get("density")
    flags = MaskFlags(
        mask_disabled=options.get("off", False), user_mask_from_render=drawn, parameters_applied=density is not None
    )
    data = MaskData(
        bottom=SIDE, right=SIDE, flags=flags, background_color=options.get("outside", 0), parameters=density
    )
    give_channel(entry, ChannelID.USER_LAYER_MASK, plane)
    if real is not None:
        data.real_flags = MaskFlags(mask_disabled=options.get("real_off", False))
        data.real_background_color = 255
        data.real_top = data.real_left = 0
        data.real_bottom = data.real_right = SIDE
        give_channel(entry, ChannelID.REAL_USER_LAYER_MASK, real)
    entry[0].mask_data = data


def give_path(entry: tuple[LayerRecord, Any], flags: int = 0) -> None:
    outline = Outline([ClosedPath()])
    entry[0].tagged_blocks.set_data(Tag.VECTOR_MASK_SETTING1, flags=flags, path=outline)
    assert isinstance(entry[0].tagged_blocks.get_data(Tag.VECTOR_MASK_SETTING1), VectorMaskSetting)


def flat(path: Path, planes: np.ndarray, mode: int, palette: bytes = b"", resources: bytes = b"") -> Path:
    """A PSD without layers: the planes are (channels, height, width)."""
    channels, height, width = planes.shape
    header = struct.pack(">4sH6xHIIHH", b"8BPS", 1, channels, height, width, 8, mode)
    document = ImageData(Compression.RAW, planes.astype(np.uint8).tobytes()).tobytes()
    between = struct.pack(">I", len(resources)) + resources + bytes(4)
    path.write_bytes(header + ColorModeData(palette).tobytes() + between + document)
    return path


def gradient_fill(
    kind: bytes, angle: float = 0, scale: float = 100, offset: float = 0, reverse: float = 0, smoothness: float = 0
) -> DescriptorBlock:
    """A gradient fill from black to white, as Photoshop describes it. scale, offset: percent. smoothness: 0..1."""
    fill, gradient, place = DescriptorBlock(version=16), Descriptor(classID=b"Grdn"), Descriptor(classID=b"Pnt ")
    gradient[b"GrdF"] = Enumerated(typeID=b"GrdF", enum=b"CstS")
    gradient[b"Intr"] = Double(4096.0 * smoothness)
    gradient[b"Clrs"] = List([_stop(b"Clrt", 0, 0), _stop(b"Clrt", 4096, 255)])
    gradient[b"Trns"] = List([_stop(b"TrnS", 0, None), _stop(b"TrnS", 4096, None)])
    place[b"Hrzn"], place[b"Vrtc"] = (UnitFloat(unit=Unit.Percent, value=value) for value in (offset, 0.0))
    fill[b"Angl"], fill[b"Scl "] = UnitFloat(unit=Unit.Angle, value=angle), UnitFloat(unit=Unit.Percent, value=scale)
    fill[b"Type"], fill[b"Rvrs"] = Enumerated(typeID=b"GrdT", enum=kind), Bool(bool(reverse))
    fill[b"Ofst"], fill[b"Grad"] = place, gradient
    return fill


def _stop(kind: bytes, place: int, grey: float | None) -> Descriptor:
    """A stop of a colour, or of full opacity where grey is None."""
    made = Descriptor(classID=kind)
    if grey is None:
        made[b"Opct"] = UnitFloat(unit=Unit.Percent, value=100.0)
    else:
        made[b"Clr "] = Descriptor(classID=b"RGBC")
        for key in (b"Rd  ", b"Grn ", b"Bl  "):
            made[b"Clr "][key] = Double(grey)
    made[b"Lctn"], made[b"Mdpn"] = Integer(place), Integer(50)
    return made
