"""Colour profiles for tests, made of sRGB's own: nothing is fetched."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from qil_core.files.profile import srgb_profile

FIXED = 1 << 16
"""One, in a profile's numbers of 16.16 bits (s15Fixed16Number)."""

P3 = np.array([[0.51512, 0.29198, 0.15710], [0.24118, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]])
"""Display P3: red, green and blue as XYZ of D50 (columns), as in Apple's profile."""

SRGB = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])
"""The same of sRGB (IEC 61966-2-1, adapted to D50)."""


def display_p3() -> bytes:
    """Display P3: sRGB's curve and white with other primaries."""
    made = bytearray(srgb_profile())
    (count,) = struct.unpack_from(">I", made, 128)
    tags = {bytes(made[at : at + 4]): at for at in range(132, 132 + 12 * count, 12)}
    for column, tag in enumerate((b"rXYZ", b"gXYZ", b"bXYZ")):
        (place,) = struct.unpack_from(">I", made, tags[tag] + 4)
        struct.pack_into(">3i", made, place + 8, *(round(value * FIXED) for value in P3[:, column]))
    return bytes(made)


def p3_as_srgb(colors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Display P3 values (..., 3) in [0, 1] as sRGB by the definitions; what lies outside of it is cut off."""
    light = np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)
    seen = (light @ P3.T @ np.linalg.inv(SRGB).T).clip(0, 1)
    return np.where(seen <= 0.0031308, seen * 12.92, 1.055 * seen ** (1 / 2.4) - 0.055)
