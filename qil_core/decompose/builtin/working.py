"""What all steps share: array types, the working copy, tolerances that follow the noise, and reporting from loops."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from ...progress import Progress

Floats = NDArray[np.float32]
Labels = NDArray[np.int32]
Mask = NDArray[np.bool_]
Item = TypeVar("Item")
Channels = TypeVar("Channels", Floats, NDArray[np.int16])


@dataclass(frozen=True)
class Working:
    """A small premultiplied copy, float32 (h, w, 4) in 0..255.

    noise: standard deviation of the noise in 1/255. ringing: (h, w), the same of what JPEG leaves around edges; None
    where the picture shows no blocks of JPEG. is_even: whether it is drawn in flat colours, each of whose steps counts.
    """

    rgba: Floats
    noise: float
    ringing: Floats | None = None
    is_even: bool = False

    @property
    def local_noise(self) -> Floats | np.float32:
        """Standard deviation of noise and ringing together, in 1/255: (h, w), or one number where it is the same."""
        return np.float32(self.noise) if self.ringing is None else np.hypot(self.ringing, np.float32(self.noise))

    @property
    def shape(self) -> tuple[int, int]:
        return self.rgba.shape[0], self.rgba.shape[1]

    @property
    def is_opaque(self) -> bool:
        """Whether nothing of the picture is clear."""
        return float(self.rgba[..., 3].min()) > OPAQUE_ALPHA


OPAQUE_ALPHA = 250
"""Alpha, in 1/255, above which a pixel counts as opaque: reducing and rounding may cost a few steps."""


class Tolerance(NamedTuple):
    """A difference of colours, in 1/255, that counts as none: a floor, and so much for every step of noise."""

    floor: float
    per_noise: float

    def at(self, noise: float) -> float:
        """The tolerance for a picture whose noise has this standard deviation in 1/255."""
        return self.floor + self.per_noise * noise

    def around(self, noise: Floats | np.float32) -> Floats:
        """The same for noise (h, w) that differs from place to place, or one number for everywhere."""
        return np.asarray(self.floor + self.per_noise * noise, np.float32)


def strongest(values: Channels) -> Channels:
    """The largest absolute value of each pixel's channels: (h, w) from (h, w, c).

    Taken channel by channel, for numpy's own reduction over a short last axis takes ten times as long.
    """
    out = np.asarray(np.abs(values[..., 0]))
    for channel in range(1, values.shape[-1]):
        np.maximum(out, np.abs(values[..., channel]), out=out)
    return out


def reduced(image: Floats, side: int) -> Floats:
    """An image (h, w, c) whose longer side is at most `side` pixels, by means of areas; a small one as it is."""
    import cv2

    height, width = image.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.float32)


def reported(items: Sequence[Item], progress: Progress, what: str) -> Iterator[Item]:
    """The items one by one; before each, `progress` is called, which may stop the work."""
    for number, item in enumerate(items):
        progress(number / len(items), what)
        yield item


def rising(progress: Progress) -> Progress:
    """The same, but the fraction never falls: loops inside loops start again, a progress bar must not."""
    highest = 0.0

    def report(fraction: float, what: str) -> None:
        nonlocal highest
        highest = max(highest, fraction)
        progress(highest, what)

    return report
