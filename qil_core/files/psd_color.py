"""The colours of a Photoshop file as sRGB: from its colour mode, its bits a channel and its colour profile.

Layers are converted one by one. Where they are mixed, by soft edges or blend modes, Photoshop mixes the numbers of the
document's own space and this package those of sRGB: that can differ by some steps, and the notes say so.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..color import linear_to_srgb
from .profile import Conversion, conversion
from .psd_header import BITMAP, CMYK, DUOTONE, GREY, INDEXED, LAB, LIGHT_DEPTH, MODE_NAMES, RGB, Header

PILLOW = {GREY: "L", DUOTONE: "L", BITMAP: "L", INDEXED: "RGB", RGB: "RGB", CMYK: "CMYK", LAB: "LAB"}
"""Each colour mode as Pillow names it; a palette's colours are RGB."""

MIXING = "what is mixed with soft edges or blend modes can differ by some steps"


LIGHT_NOTE = (
    "32 bits a channel: converted from light to sRGB, white at most; Photoshop mixes soft edges and half-clear parts "
    "in light, so that they look different here"
)


class Colors:
    """From the channels of one document to sRGB. notes: what was converted and what had to be assumed."""

    def __init__(self, header: Header, profile: bytes | None) -> None:
        """profile: the ICC profile in the file. One that cannot be used is left out, which is noted."""
        self.header = header
        self.notes: list[str] = []
        self._conversion = None if header.depth == LIGHT_DEPTH else self._chosen(profile)
        if header.depth == LIGHT_DEPTH:
            self.notes.append(LIGHT_NOTE)
        if header.mode == DUOTONE:
            self.notes.append("duotone: read as grey, for how its inks look is not in the file")

    def _chosen(self, profile: bytes | None) -> Conversion | None:
        mode, name = PILLOW[self.header.mode], MODE_NAMES[self.header.mode]
        try:
            found = conversion(mode, profile)
        except ValueError as error:
            self.notes.append(f"{error}: it was left out")
            profile, found = None, conversion(mode, None)
        if found and found.name:
            self.notes.append(f'{name}: converted to sRGB from "{found.name}"; {MIXING}')
        elif found:
            self.notes.append(f"{name} without a profile: ideal inks were assumed, which are brighter than real ones")
        return found

    def rgb(self, planes: NDArray[np.float32]) -> Tensor:
        """Channels (C, h, w) in [0, 1], as the file has them, as sRGB (h, w, 3). Of light all above 1 is white."""
        values = np.ascontiguousarray(planes.transpose(1, 2, 0))
        if self.header.depth == LIGHT_DEPTH:
            values = linear_to_srgb(torch.from_numpy(np.nan_to_num(values).clip(0, 1))).numpy()
        if self._conversion:
            values = self._conversion(1 - values if self.header.mode == CMYK else values)  # 1 is no ink in the file
        return torch.from_numpy(values).expand(*values.shape[:2], 3)  # one plane of grey serves all three

    def one(self, color: tuple[float, float, float]) -> tuple[float, float, float]:
        """The same of one colour of a document in RGB; elsewhere colours are named in sRGB."""
        if self.header.mode != RGB or self._conversion is None:
            return color
        red, green, blue = self._conversion(np.array([[color]], np.float32))[0, 0].tolist()
        return red, green, blue
