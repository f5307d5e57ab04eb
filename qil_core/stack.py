"""LayerStack: the one data type that travels through the package.

A stack is float32 (N, H, W, 4) in [0, 1]: straight alpha, stored sRGB values, bottom layer first.
It is validated once, at the door, and trusted afterwards. Nothing here knows where layers come from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from .errors import QilError
from .parallel import each
from .progress import Progress, silent
from .text import printable

Result = TypeVar("Result")

GRID = 255.0
"""Steps of the 8-bit grid: finished stacks hold multiples of 1/255, so files keep them exactly."""

CPU_BAND, GPU_BAND = 1 << 17, 1 << 23
"""Pixels of a band. On a CPU a float32 plane of them is half a megabyte, so that a few fit a core's cache; on a GPU
few large bands keep it filled. Both bound the memory that intermediate values take."""

SLACK = 1.125
"""How much two aspects may differ and count as one: models round sides."""


def same_aspect(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two sizes, both (width, height) or both (height, width), are of one aspect."""
    return 1 / SLACK < (one[0] * other[1]) / (one[1] * other[0]) < SLACK


class Box(NamedTuple):
    """Half-open pixel rectangle: columns left..right-1, rows top..bottom-1."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def center(self) -> tuple[float, float]:
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    def overlap(self, other: Box) -> Box | None:
        """What two boxes share."""
        left, top = max(self.left, other.left), max(self.top, other.top)
        right, bottom = min(self.right, other.right), min(self.bottom, other.bottom)
        return Box(left, top, right, bottom) if left < right and top < bottom else None

    def hull(self, other: Box) -> Box:
        """The smallest box that holds both."""
        left, top = min(self.left, other.left), min(self.top, other.top)
        return Box(left, top, max(self.right, other.right), max(self.bottom, other.bottom))

    def within(self, outer: Box) -> tuple[slice, slice]:
        """The rows and columns of this box in pixels that begin at the corner of another one."""
        rows = slice(self.top - outer.top, self.bottom - outer.top)
        return rows, slice(self.left - outer.left, self.right - outer.left)


def quantize(values: Tensor) -> Tensor:
    """Round values in [0, 1] to the 8-bit grid k/255."""
    return (values * GRID).round_().div_(GRID)


def quantized(image: Tensor) -> Tensor:
    """A copy of an image (..., H, W, C) on the 8-bit grid, made band by band."""
    return _by_rows(image, image.dtype, quantize)


def to_bytes(values: Tensor) -> Tensor:
    """Values (..., H, W, C) in [0, 1] as uint8 0..255, rounded to nearest, made band by band."""
    return _by_rows(values, torch.uint8, lambda rows: (rows * GRID).round_())


def _by_rows(image: Tensor, dtype: torch.dtype, work: Callable[[Tensor], Tensor]) -> Tensor:
    """work(rows) of all rows of an image (..., H, W, C), those of all its layers being one tall picture."""
    out = torch.empty(image.shape, dtype=dtype, device=image.device)
    tall, given = out.flatten(0, -3), image.reshape(-1, *image.shape[-2:])

    def fill(rows: slice) -> None:
        tall[rows] = work(given[rows])

    each_band(tall, fill)
    return out


def each_band(
    image: Tensor, work: Callable[[slice], Result], progress: Progress = silent, what: str = ""
) -> list[Result]:
    """work(rows) of every band of image (..., H, W, C), top to bottom; on a CPU in parallel, as `parallel.each`."""
    return each(bands(image), work, image.device, progress, what)


def bands(image: Tensor) -> Iterator[slice]:
    """Slices of rows that cover (..., H, W, C) once, top to bottom, each of about CPU_BAND or GPU_BAND pixels."""
    height, width = image.shape[-3], image.shape[-2]
    step = max(1, (CPU_BAND if image.device.type == "cpu" else GPU_BAND) // width)
    return (slice(top, min(top + step, height)) for top in range(0, height, step))


def split_names(text: str) -> tuple[str, ...]:
    """One name a line, bottom first; blank lines at the end are dropped."""
    return tuple(line.strip() for line in text.rstrip().splitlines())


@dataclass(frozen=True, eq=False)
class LayerStack:
    """Layers of one picture.

    pixels: float32 (N, H, W, 4), in [0, 1], straight alpha, stored sRGB values, bottom layer first.
    names: N names, bottom first; a "/" makes a group ("girl/hair").
    """

    pixels: Tensor
    names: tuple[str, ...]

    @classmethod
    def from_image(cls, image: Tensor, names: str | Sequence[str] = ()) -> LayerStack:
        """Check an IMAGE tensor and its names; no names gives "layer 1", "layer 2", ...

        Raises QilError: wrong rank, channels, dtype or size, NaN, values outside [0, 1], wrong count of names.
        """
        image = check_image(image, channels=(4,))
        given = split_names(names) if isinstance(names, str) else tuple(names)
        return cls(image, check_names(given, len(image)))

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def height(self) -> int:
        return self.pixels.shape[1]

    @property
    def width(self) -> int:
        return self.pixels.shape[2]

    @property
    def name_text(self) -> str:
        """The names as one text, a line each, bottom first."""
        return "\n".join(self.names)

    def index(self, index: int) -> int:
        """A Python index (negative counts from the top layer) as 0..N-1; QilError when out of range."""
        count = len(self)
        if not -count <= index < count:
            raise QilError(
                f"Layer index {index} is out of range: the stack has {count} layers, "
                f"so use 0 to {count - 1} from the bottom, or -1 to -{count} from the top."
            )
        return index % count

    def select(self, indices: Sequence[int]) -> LayerStack:
        """The layers at these indices, in this order; one may come twice."""
        if not indices:
            raise QilError("No layer was selected: give at least one index, such as 0 or 0,2,1.")
        found = [self.index(i) for i in indices]
        return LayerStack(self.pixels[found], tuple(self.names[i] for i in found))

    def with_layer(self, index: int, layer: Tensor) -> LayerStack:
        """A copy in which layer `index` is `layer` (H, W, 4); every other layer keeps its bits."""
        return self.splice(index, LayerStack(layer[None], (self.names[self.index(index)],)))

    def each_changed(self, indices: Iterable[int], change: Callable[[Tensor], Tensor]) -> LayerStack:
        """A copy in which each of these layers is what change(layer), (H, W, 4), makes of it; the others stay."""
        chosen = {self.index(i) for i in indices}
        layers = [change(layer) if i in chosen else layer for i, layer in enumerate(self.pixels)]
        return LayerStack(torch.stack(layers), self.names)

    def splice(self, index: int, layers: LayerStack) -> LayerStack:
        """A copy in which the layers of another stack stand in the place of layer `index`."""
        at = self.index(index)
        parts = self.pixels[:at], layers.pixels, self.pixels[at + 1 :]
        pixels = torch.cat(parts) if len(self) > 1 else layers.pixels
        return LayerStack(pixels, self.names[:at] + layers.names + self.names[at + 1 :])

    def bounds(self, index: int) -> Box | None:
        """The smallest box that holds every pixel of a layer with alpha > 0; None for an empty layer."""
        return content_box(self.pixels[self.index(index), ..., 3])

    def coverage(self, index: int) -> float:
        """Mean alpha of a layer, 0..1."""
        return float(self.pixels[self.index(index), ..., 3].mean())


def content_box(alpha: Tensor) -> Box | None:
    """Tight box around alpha > 0, for alpha (H, W); None where there is none."""
    seen = alpha > 0
    rows, columns = (seen.any(dim).nonzero().flatten().tolist() for dim in (1, 0))
    return Box(columns[0], rows[0], columns[-1] + 1, rows[-1] + 1) if rows else None


def check_image(image: Tensor, channels: Sequence[int] = (3, 4)) -> Tensor:
    """A (B, H, W, C) tensor in [0, 1] from outside as contiguous float32; QilError says what is wrong and what to do.

    Half precision is taken too: ComfyUI can be told to pass pictures so.
    """
    if not isinstance(image, Tensor):
        raise QilError(f"Expected an image tensor, got {type(image).__name__}.")
    shape = tuple(image.shape)
    if image.ndim != 4:
        raise QilError(f"Expected an image batch of shape (N, H, W, {channels[-1]}), got shape {shape}.")
    if image.shape[3] not in channels:
        raise QilError(_channel_message(shape, channels))
    if 0 in shape:
        raise QilError(f"The image batch is empty: its shape is {shape}, and every side must be at least 1.")
    if not image.is_floating_point():
        raise QilError(f"Expected float values in [0, 1], got {image.dtype}. Divide by 255 first.")
    _check_range(image)
    return image.float().contiguous()


def _channel_message(shape: tuple[int, ...], channels: Sequence[int]) -> str:
    message = f"Expected {' or '.join(map(str, channels))} channels, got {shape[3]} (shape {shape})."
    if shape[3] == 3:
        message += " These are RGB pictures without alpha: add it with Join Image with Alpha, or decompose them first."
    return message


def _check_range(image: Tensor) -> None:
    low, high = (float(v) for v in torch.aminmax(image))  # one pass, no temporary; NaN comes through
    if low != low or high != high:
        raise QilError("The image holds NaN (not-a-number) values: the node before this one failed to compute.")
    if low < 0 or high > 1:
        raise QilError(
            f"Values must lie in [0, 1], these run from {low:.4g} to {high:.4g}. Clamp the image (or divide by 255)."
        )


def check_names(names: Sequence[str], count: int) -> tuple[str, ...]:
    """Names for `count` layers: as given, or "layer 1".. when none is; QilError when the count differs."""
    if not names:
        return tuple(f"layer {i + 1}" for i in range(count))
    if len(names) != count:
        raise QilError(
            f"{len(names)} names were given for {count} layers. Give one a line, bottom layer first, or none at all."
        )
    return tuple(printable(name) or f"layer {i + 1}" for i, name in enumerate(names))
