"""Colour profiles (ICC): sRGB's own, which files carry, and from any other one to sRGB, in which this package works.

Conversion is LittleCMS' (Pillow's ImageCms), relative colorimetric with black point compensation, as Photoshop
converts by default. It counts in 8 bits; what finer values have beyond them is added afterwards (see Conversion).
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.ImageCms import ImageCmsProfile

DATE = slice(24, 36)
"""Where an ICC profile says when it was made (ICC.1:2010, 7.2.8): six big-endian 16-bit numbers."""

FULL = 255
"""The largest value of 8 bits."""

SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK", "LAB": "Lab"}
"""Pillow's modes that are converted, and the colour space that a profile for each names (ICC.1:2010, 7.2.6)."""

SAME = 2
"""Steps of 255 by which a profile may differ from sRGB anywhere and be taken for it: versions of sRGB round otherwise,
and values that need no conversion stay what they are to the last bit."""

PROBES = 17
"""Values of each channel that a profile is tried with; their combinations are laid over the whole space."""

LAB_ZERO = 128
"""a and b of 0 in the bytes of a Lab picture; Pillow wants them as signed bytes."""

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]


@cache
def srgb_profile() -> bytes:
    """An ICC profile of sRGB, the same bytes every time."""
    from PIL import ImageCms

    made = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    made[DATE] = bytes.fromhex("07ea 0001 0001 0000 0000 0000")
    return bytes(made)


class Conversion(NamedTuple):
    """From one colour space to sRGB. name: what the profile calls itself. convert: bytes (h, w, C) to (h, w, 3).

    fine: whether values change little and smoothly, so that what is between two steps of 8 bits may be added after.
    """

    name: str
    convert: Callable[[Bytes], Bytes]
    fine: bool

    def __call__(self, values: Floats) -> Floats:
        """Values (h, w, C) in [0, 1] as sRGB (h, w, 3): k/255 where they are k/255, and at most 1/255 off between."""
        rounded = np.rint(values * np.float32(FULL)).astype(np.uint8)
        converted = self.convert(rounded).astype(np.float32) / np.float32(FULL)
        if not self.fine:
            return converted
        rest = values - rounded.astype(np.float32) / np.float32(FULL)
        return np.clip(converted + rest, 0, 1) if rest.any() else converted


def conversion(mode: str, profile: bytes | None) -> Conversion | None:
    """How colours of a mode (see SPACES) become sRGB; None where they are sRGB already, or grey of its curve.

    Without a profile, Lab is Lab of D50, and CMYK is taken for inks that each absorb one of red, green and blue whole.
    Raises ValueError: a profile that cannot be used, with the reason.
    """
    if mode == "LAB":
        from PIL import ImageCms

        return _by_profile(mode, ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")))
    if profile:
        return _by_profile(mode, _opened(profile, mode))
    return Conversion("", _absorbed, fine=False) if mode == "CMYK" else None


def layer_as_srgb(rgba: Bytes, profile: bytes | None) -> Bytes:
    """A layer (H, W, 4) with its colours as sRGB. profile: of RGB or, where the layer is grey, of greys; None is sRGB.

    Raises ValueError: a profile that cannot be used, with the reason.
    """
    if not profile:
        return rgba
    grey = space_of(profile) == SPACES["L"]
    found = conversion("L" if grey else "RGB", profile)
    return rgba if found is None else np.dstack([found.convert(rgba[..., : 1 if grey else 3]), rgba[..., 3]])


SPACE = slice(16, 20)
"""Where an ICC profile names the colour space that it is for (ICC.1:2010, 7.2.6)."""


def space_of(profile: bytes) -> str:
    """The colour space that a profile is for, see SPACES."""
    return profile[SPACE].decode("ascii", "replace").strip()


def _opened(profile: bytes, mode: str) -> ImageCmsProfile:
    from PIL import ImageCms

    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(f"its colour profile cannot be read ({error})") from error
    space = space_of(profile)
    if space != SPACES[mode]:
        raise ValueError(f"its colour profile is for {space}, and its colours are {SPACES[mode]}")
    return opened


def _by_profile(mode: str, profile: ImageCmsProfile) -> Conversion | None:
    from PIL import Image, ImageCms

    try:
        transform = ImageCms.buildTransform(
            profile,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except ImageCms.PyCMSError as error:
        raise ValueError(f"its colour profile cannot be used ({error})") from error

    def convert(values: Bytes) -> Bytes:
        picture: Any = Image.fromarray(np.ascontiguousarray(_signed(values) if mode == "LAB" else values), mode)
        return np.asarray(ImageCms.applyTransform(picture, transform))

    name = " ".join(str(ImageCms.getProfileDescription(profile)).split())
    # LittleCMS takes pictures of one channel without the axis for it.
    found = Conversion(name, (lambda values: convert(values[..., 0])) if mode == "L" else convert, mode in ("L", "RGB"))
    return None if mode in ("L", "RGB") and _changes_nothing(found, 1 if mode == "L" else 3) else found


def _signed(lab: Bytes) -> Bytes:
    """Lab as Pillow takes it: a and b count from 0 up and down."""
    out = lab.copy()
    out[..., 1:] ^= LAB_ZERO
    return out


def _changes_nothing(found: Conversion, channels: int) -> bool:
    steps = np.linspace(0, FULL, PROBES).round().astype(np.uint8)
    probes = np.stack(np.meshgrid(*[steps] * channels), axis=-1).reshape(1, -1, channels)
    return bool(np.abs(found.convert(probes).astype(int) - probes).max() <= SAME)


def _absorbed(inks: Bytes) -> Bytes:
    """CMYK (h, w, 4), 255 = all of the ink, as RGB: what is left of the light after each ink and black."""
    light = FULL - inks.astype(np.uint16)
    return ((light[..., :3] * light[..., 3:] + FULL // 2) // FULL).astype(np.uint8)
