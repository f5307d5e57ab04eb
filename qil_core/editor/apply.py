"""Applying the edits of the panel to a stack. The stack is only read: whatever the edits do, they can be undone.

First things are cut out of layers, which then are layers of their own (cutting.py).

Each layer is recoloured, then placed (flipped, scaled, rotated about the centre of its content, moved), from its own
pixels, so that many small edits resample it once. Opacity, blend mode and visibility are not put into pixels: they are
the look of the result, and a hidden layer is in the result as well as any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch

from ..composite import composite
from ..files.layered import Content, Layered, Look
from ..progress import Progress, part, silent
from ..stack import Box, LayerStack
from .content import content_of, edited, flattened, keeps_pixels, kept_around
from .cutting import Cutter, Sheet, cut_sheets
from .fingerprint import fingerprints
from .ids import is_copy, original_of
from .items import Items, arrange_items, known_cuts
from .state import Edit, Edits

CUTTING_SHARE = 0.7
"""Of the progress: cutting a thing out takes seconds, placing a layer a part of one."""


@dataclass(frozen=True, eq=False)
class EditedLayer:
    """A layer after its edits: its id, its name, its content, which may reach beyond the canvas, and its edit."""

    item: str
    name: str
    content: Content
    edit: Edit


@dataclass(frozen=True, eq=False)
class Edited:
    """A stack after its edits, bottom first. stale: ids that the edits name and the stack does not hold. pieces: layers
    that something was cut out of, and what was, by their ids, before their edits."""

    width: int
    height: int
    layers: tuple[EditedLayer, ...]
    stale: tuple[str, ...]
    pieces: Mapping[str, Sheet]

    def layered(self) -> Layered:
        """What is on the canvas, as a stack, and its look. Hidden layers are in it; opacity is in the look alone,
        and so is what lies beyond the canvas."""
        canvas = Box(0, 0, self.width, self.height)
        pixels = torch.stack([layer.content.within(canvas) for layer in self.layers])
        edits = [layer.edit for layer in self.layers]
        look = Look(
            tuple(edit.mode for edit in edits),
            tuple(edit.opacity for edit in edits),
            tuple(not edit.hidden for edit in edits),
            tuple(_beyond(layer.content, canvas) for layer in self.layers),
        )
        return Layered(LayerStack(pixels, tuple(layer.name for layer in self.layers)), look)


def _beyond(content: Content, canvas: Box) -> Content | None:
    """A content that reaches beyond the canvas, for files that keep it; None of one that does not."""
    return None if not content.image.numel() or content.box.hull(canvas) == canvas else content


def apply_edits(stack: LayerStack, edits: Edits, progress: Progress = silent, cutter: Cutter | None = None) -> Edited:
    """The stack after its edits; edits of layers that it does not hold are stale and change nothing.

    cutter: remembers what was cut out before. Raises QilError where a thing cannot be cut out.
    """
    keys = fingerprints(stack)
    items = arrange_items(edits, keys)
    index = {key: i for i, key in enumerate(keys)}
    share = CUTTING_SHARE if edits.cut else 0.0
    pieces = _pieces(stack, index, edits, part(progress, 0, share), cutter or Cutter())
    work = _Work(stack, edits, items, index, pieces)
    layers = []
    for done, item in enumerate(items.order):
        progress(share + (1 - share) * done / len(items.order), f"Editing {work.name(item)}")
        layers.append(EditedLayer(item, work.name(item), work.content(item), edits.of(item)))
    return Edited(stack.width, stack.height, tuple(layers), items.stale, pieces)


def _pieces(
    stack: LayerStack, index: Mapping[str, int], edits: Edits, progress: Progress, cutter: Cutter
) -> dict[str, Sheet]:
    """What is left of layers that something was cut out of, and what was cut out, by their ids."""
    cuts = known_cuts(edits.cut, list(index))
    return cutter.layers(cut_sheets(stack, list(index), cuts), cuts, progress)


@dataclass(frozen=True, eq=False)
class _Work:
    stack: LayerStack
    edits: Edits
    items: Items
    index: Mapping[str, int]
    pieces: Mapping[str, Sheet]

    def name(self, item: str) -> str:
        """The new name, or that of the layer it comes from; a merged layer has that of its topmost part."""
        if given := self.edits.of(item).name:
            return given
        if parts := self.items.merged.get(item):
            return self.name(parts[-1])
        own = self._own_name(original_of(item))
        return f"{own} copy" if is_copy(item) else own

    def _own_name(self, layer: str) -> str:
        """That of the stack; of a thing, that of the layer it comes from and the number of the cut."""
        root = layer
        while root not in self.index:
            root = self.edits.cut[root].of
        own = self.stack.names[self.index[root]]
        return own if root == layer else f"{own} cutout {layer[1:]}"

    def content(self, item: str) -> Content:
        """The content of an item, placed and recoloured."""
        edit, canvas = self.edits.of(item), (self.stack.width, self.stack.height)
        if parts := self.items.merged.get(item):
            return edited(self._merged(parts), edit, canvas)
        if piece := self.pieces.get(original_of(item)):
            content = piece.content
            return edited(replace(content, image=content.image.to(self.stack.pixels.device)), edit, canvas)
        layer = self.stack.pixels[self.index[original_of(item)]]
        if keeps_pixels(edit):  # all bits, also of colours that no alpha shows
            return Content(layer, 0, 0)
        return edited(content_of(layer), edit, canvas)

    def _merged(self, parts: tuple[str, ...]) -> Content:
        """What one sees of the parts, hidden ones left out, as far around the canvas as pixels are kept."""
        shown = [part for part in parts if not self.edits.of(part).hidden]
        found = [(part, content) for part in shown if (content := self.content(part)).image.numel()]
        if not found:
            return Content(self.stack.pixels.new_zeros(0, 0, 4), 0, 0)
        kept = kept_around(self.stack.width, self.stack.height)
        seen = [(part, _cut(content, kept)) for part, content in found]
        pixels, box = flattened([content for _, content in seen], [self.edits.of(part).opacity for part, _ in seen])
        flat = composite(LayerStack(pixels, ("",) * len(pixels)), [self.edits.of(part).mode for part, _ in seen])
        return content_of(flat, box.left, box.top)


def _cut(content: Content, box: Box) -> Content:
    """What lies in a box; nothing, 0 x 0 pixels, of a content that lies outside of it."""
    seen = content.box.overlap(box)
    if seen is None:
        return Content(content.image[:0, :0], box.left, box.top)
    return Content(content.within(seen), seen.left, seen.top)
