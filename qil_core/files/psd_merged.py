"""The merged picture of a Photoshop file: its one layer where it has no others, and what its layers look like together.

Source: Adobe, "Photoshop File Formats Specification" (November 2019), "Image Data Section".
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import QilError
from .limits import check_packing
from .psd_channels import check_length, decode, unpacked
from .psd_color import Colors
from .psd_header import CLEAR_INDEX, INDEXED, NO_INDEX, PALETTE, PLANES, Header
from .psd_record import FULL

if TYPE_CHECKING:
    from psd_tools.psd import PSD

VERSION_INFO = 1057
"""The image resource that says whether the merged picture is there, or only room for it."""

FROM_PAPER = 1e-6
"""Least alpha by which colours that were laid over white are divided."""


def background(document: PSD, header: Header, colors: Colors) -> Tensor:
    """The merged picture (H, W, 4), opaque but for the clear index of a palette. Raises ValueError: not all colours."""
    planes = _planes(document, header)
    image = torch.ones(header.height, header.width, 4)
    if header.mode == INDEXED:
        indices = np.rint(planes[0] * FULL).astype(np.uint8)  # they were read as k/255
        image[..., 3] = torch.from_numpy(indices != document.image_resources.get_data(CLEAR_INDEX, NO_INDEX))
        planes = _looked_up(indices, document.color_mode_data.value)
    image[..., :3] = colors.rgb(planes[: PLANES[header.mode]] if header.mode != INDEXED else planes)
    return image


def merged_picture(document: PSD, header: Header, colors: Colors, path: Path) -> Tensor:
    """The picture (H, W, 4) that Photoshop merged the layers to, clear where it is. Raises QilError: there is none."""
    about = document.image_resources.get_data(VERSION_INFO)
    if about is not None and not about.has_composite:
        raise QilError(
            f"Cannot read {path}: it was saved without a merged picture. In Photoshop switch on Preferences > File "
            "Handling > Maximize Compatibility, and save."
        )
    image = background(document, header, colors)
    wanted = PLANES[header.mode]
    layers = document._get_layer_info()
    if layers is None or layers.layer_count >= 0 or header.channels <= wanted:
        return image
    alpha = torch.from_numpy(_planes(document, header)[wanted].copy()).clamp(0, 1)[..., None]
    # Photoshop lays the colours of clear places over white.
    colored = ((image[..., :3] - (1 - alpha)) / alpha.clamp(min=FROM_PAPER)).clamp(0, 1)
    return torch.cat([torch.where(alpha > 0, colored, 0), alpha], dim=-1)


def check_merged(document: PSD, header: Header, path: Path, size: int) -> None:
    """What the merged picture takes, before it does. size: bytes of the file.

    Raises QilError, ValueError: too much for its data.
    """
    rows = header.height * header.channels
    check_packing(unpacked(header.width, rows, header), size, path)
    data = document.image_data
    check_length(data.data, int(data.compression), header.width, rows, header)


def _planes(document: PSD, header: Header) -> NDArray[np.float32]:
    """All channels (C, H, W)."""
    data, wanted = document.image_data, PLANES[header.mode]
    if header.channels < wanted:
        raise ValueError(f"{header.channels} channels for {wanted} colours")
    rows = header.height * header.channels
    planes = decode(data.data, int(data.compression), header.width, rows, header)
    return planes.reshape(header.channels, header.height, header.width)


def _looked_up(indices: NDArray[np.uint8], palette: bytes) -> NDArray[np.float32]:
    """The colours (3, H, W) of indices (H, W). palette: bytes, see PALETTE."""
    table = np.frombuffer(palette, np.uint8).reshape(3, PALETTE).astype(np.float32) / np.float32(FULL)
    return table[:, indices]
