"""The sRGB colour profile that files carry."""

from __future__ import annotations

from functools import cache

DATE = slice(24, 36)
"""Where an ICC profile says when it was made (ICC.1:2010, 7.2.8): six big-endian 16-bit numbers."""


@cache
def srgb_profile() -> bytes:
    """An ICC profile of sRGB, the same bytes every time."""
    from PIL import ImageCms

    made = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    made[DATE] = bytes.fromhex("07ea 0001 0001 0000 0000 0000")
    return bytes(made)
