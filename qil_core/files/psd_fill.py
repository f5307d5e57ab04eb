"""Layers of a Photoshop file that say how they are drawn instead of holding pixels: fills, and masks that are paths.

psd-tools draws patterns, paths and gradients around an angle; other gradients are drawn by psd_gradient.py.
Paths are within 3 of 255 of Photoshop's. Gradients can be further off, so every fill that is drawn is noted.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..stack import Box
from .limits import check_pixels
from .names import clean
from .psd_color import Colors
from .psd_gradient import Frame, draw_gradient
from .psd_record import layer_name
from .tree import Mask

if TYPE_CHECKING:
    from psd_tools.api.layers import Layer
    from psd_tools.psd import PSD
    from psd_tools.psd.layer_and_mask import LayerRecord


BEYOND, SMALL = 4, 1_000_000
"""Times the canvas, and pixels, that a drawn fill may cover: a path of a few bytes can be of any size."""


class CannotDraw(Exception):
    """psd-tools does not draw a fill or a path; why."""


class Drawings:
    """Draws what one document describes. notes: which layers were, for what was drawn is not Photoshop's pixels."""

    def __init__(self, document: PSD, colors: Colors, path: Path) -> None:
        self._document = document
        self._colors = colors
        self._path = path
        self._layers: dict[int, Layer] = {}
        self.notes: list[str] = []

    def fill(self, record: LayerRecord) -> tuple[Tensor, Box]:
        """The pixels (h, w, 4) of a fill and where they lie. Raises CannotDraw; QilError: too large."""
        layer = self._layer(record)
        box = Box(*layer.bbox)
        if box.width < 1 or box.height < 1:
            return torch.zeros(0, 0, 4), box
        header = self._colors.header
        if box.width * box.height > max(BEYOND * header.width * header.height, SMALL):
            raise CannotDraw("its path reaches far beyond the canvas")
        check_pixels(box.width * box.height, "a fill of it has", self._path)
        color, shape = self._drawn(lambda: _create_fill(layer, box))
        if color is None:
            raise CannotDraw("its pattern is not in the file")
        planes = np.ascontiguousarray(color.transpose(2, 0, 1), np.float32)
        rgb = self._colors.rgb(np.broadcast_to(planes, (planes.shape[0], box.height, box.width)))
        name = clean(layer_name(record))
        self.notes.append(f'"{name}" is a fill without pixels: drawn here, which can differ from Photoshop')
        alpha = torch.ones(box.height, box.width, 1)
        if shape is not None:
            alpha *= torch.from_numpy(np.asarray(shape, np.float32))
        return torch.cat([rgb, alpha], dim=-1).clamp(0, 1), box

    def path(self, record: LayerRecord) -> Mask:
        """A vector mask over the whole canvas. Raises CannotDraw."""
        layer = self._layer(record)
        plane = self._drawn(lambda: _draw_path(layer))
        return Mask(torch.from_numpy(np.asarray(plane[..., 0], np.float32)).clamp(0, 1))

    def _drawn(self, draw: Any) -> Any:
        """What psd-tools draws; on descriptors that it does not expect it raises whatever Python raises there."""
        try:
            return draw()
        except ImportError as error:
            missing = str(error).splitlines()[0]
            raise CannotDraw(f"{missing.rstrip(':')}: pip install 'psd-tools[composite]'") from error
        except MemoryError:
            raise
        except Exception as error:
            raise CannotDraw(f"{type(error).__name__}: {error}") from error

    def _layer(self, record: LayerRecord) -> Layer:
        """psd-tools' layer of a record. Raises CannotDraw: a tree that it does not build."""
        from psd_tools import PSDImage

        if not self._layers:
            image = self._drawn(lambda: PSDImage(self._document))
            self._layers = {id(layer._record): layer for layer in image.descendants(include_clip=True)}
        if id(record) not in self._layers:
            raise CannotDraw("it is in no group")
        return self._layers[id(record)]


def _create_fill(layer: Layer, box: Box) -> tuple[Any, Any]:
    from psd_tools.composite.paint import create_fill
    from psd_tools.constants import Tag

    gradient = layer.tagged_blocks.get_data(Tag.GRADIENT_FILL_SETTING)
    if gradient is not None and (drawn := draw_gradient(gradient, layer._psd.color_mode, _frame(layer, box), box)):
        return drawn
    return create_fill(layer, (box.left, box.top, box.right, box.bottom))


def _frame(layer: Layer, box: Box) -> Frame:
    """What a fill is laid out on: the box of its path, or that of the layer."""
    if layer.vector_mask is None:
        return box.left, box.top, box.right, box.bottom
    left, top, right, bottom = layer.vector_mask.bbox  # in shares of the canvas
    width, height = layer._psd.width, layer._psd.height
    return left * width, top * height, right * width, bottom * height


def _draw_path(layer: Layer) -> Any:
    from psd_tools.composite.vector import draw_vector_mask

    return draw_vector_mask(layer)
