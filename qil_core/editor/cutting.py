"""Cutting a thing out of a layer: two layers in the place of one, which look the same until one of them is moved.

1. `Sheet`: a layer's content on the 8-bit grid, and a key that says all of it.
2. `Cutter.mask`: what a pick means (decompose/picking.py), in the picture of the content alone, so that a small thing
   gets the full attention; clear places are never in it.
3. `Cutter.cut`: soft edges, pure colours and the completed rest, as Layers from Masks makes them (decompose/masks.py),
   made exact by the one way there is (decompose/run.py).
4. `Cutter.layers`: all cuts of a text of edits, one after another. Each is remembered by its layer's content and its
   pick, so that an edit of something else cuts nothing again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..decompose import Request
from ..decompose.builtin.working import Mask
from ..decompose.likeness import Point, on_ground
from ..decompose.masks import CLEAR, Masks
from ..decompose.picking import Picker, Picking
from ..decompose.run import decompose
from ..errors import QilError
from ..files.layered import Content
from ..kept import Kept
from ..opencv import check_opencv
from ..progress import Progress, part, silent
from ..stack import GRID, Box, LayerStack, content_box, to_bytes
from .picks import Cut, Pick

KEPT_BYTES = 1 << 28
"""Memory of the layers that were cut, a byte a channel: forty cuts of a picture of 1328 x 1328 pixels."""

KEPT_PICKERS = 4
"""Layers whose pickers are kept: people pick in one or two at a time."""

KEPT_PICKINGS = 16
"""Picks that are kept, so that one more click costs that click alone; each takes a byte a pixel or less."""


@dataclass(frozen=True, eq=False)
class Sheet:
    """A layer: a key that is the same for the same content, its content as uint8 (h, w, 4), where that lies, and the
    size of the canvas (width, height)."""

    key: str
    pixels: Tensor
    box: Box
    canvas: tuple[int, int]

    @classmethod
    def of_layer(cls, key: str, layer: Tensor) -> Sheet:
        """A layer (H, W, 4) in [0, 1]."""
        box = content_box(layer[..., 3]) or Box(0, 0, 0, 0)
        height, width = layer.shape[:2]
        content = layer[box.top : box.bottom, box.left : box.right]
        pixels = to_bytes(content).cpu() if content.numel() else torch.zeros(0, 0, 4, dtype=torch.uint8)
        return cls(key, pixels, box, (width, height))

    @property
    def content(self) -> Content:
        """The content, float32 on the 8-bit grid."""
        return Content(self.pixels.float().div_(GRID), self.box.left, self.box.top)

    @property
    def layer(self) -> Tensor:
        """All of the canvas (H, W, 4)."""
        return self.content.within(Box(0, 0, *self.canvas))


def cut_sheets(stack: LayerStack, keys: Sequence[str], cuts: Mapping[str, Cut]) -> dict[str, Sheet]:
    """The layers of a stack with these fingerprints that something is cut out of, by their fingerprints."""
    wanted = {cut.of for cut in cuts.values()}
    return {key: Sheet.of_layer(key.partition(".")[0], stack.pixels[i]) for i, key in enumerate(keys) if key in wanted}


class Cutter:
    """Finds what is picked and cuts it out, and remembers what it did. Used by several threads at once."""

    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        self._pickers: Kept[Picker] = Kept(KEPT_PICKERS)
        self._pickings: Kept[Picking] = Kept(KEPT_PICKINGS)
        self._cuts: Kept[tuple[Sheet, Sheet]] = Kept(kept_bytes)

    def mask(self, sheet: Sheet, pick: Pick) -> Mask:
        """What is picked, bool of the size of the sheet's content. Raises QilError: clicks beside what the layer shows,
        nothing is picked."""
        _check_clicks(sheet, pick)
        box = _moved_box(pick.box, sheet.box) if pick.box else None
        inside, outside = (_moved_points(points, sheet.box) for points in (pick.inside, pick.outside))
        found = self._picking(
            sheet, box, [*((point, True) for point in inside), *((point, False) for point in outside)]
        )
        return _grown(found.masks()[0], pick.grow) & (sheet.pixels[..., 3].numpy() > CLEAR * GRID)

    def cut(self, sheet: Sheet, pick: Pick, progress: Progress = silent) -> tuple[Sheet, Sheet]:
        """The rest of a layer and the thing above it. Raises QilError: nothing or all of it is picked, PyMatting is
        missing."""
        name = hashlib.blake2b(f"{sheet.key} {pick}".encode(), digest_size=16).hexdigest()
        if known := self._cuts.get(name):
            return known
        mask = self.mask(sheet, pick)
        if not mask.any():
            raise QilError("Nothing is picked: click in the thing, or draw a box around it.")
        if mask[sheet.pixels[..., 3].numpy() > CLEAR * GRID].all():
            raise QilError("All of the layer is picked, so there is nothing to cut it from: take something away.")
        parts, _ = decompose(Masks([mask.astype(np.float32)], ["thing"]), sheet.content.image, Request(), progress)
        rest, thing = (_part(f"{name}{i}", layer, sheet) for i, layer in enumerate(parts.pixels))
        self._cuts.put(name, (rest, thing), rest.pixels.nbytes + thing.pixels.nbytes)
        return rest, thing

    def layers(
        self, sheets: Mapping[str, Sheet], cuts: Mapping[str, Cut], progress: Progress = silent
    ) -> dict[str, Sheet]:
        """The sheets by their ids after the cuts, in this order: the rest under the layer's id, the thing under the
        cut's."""
        found = dict(sheets)
        for done, (name, cut) in enumerate(cuts.items()):
            step = part(progress, done / len(cuts), (done + 1) / len(cuts))
            found[cut.of], found[name] = self.cut(found[cut.of], cut.pick, step)
        return found

    def _picking(self, sheet: Sheet, box: Box | None, clicks: Sequence[tuple[Point, bool]]) -> Picking:
        """What a box, or nothing, and clicks one after another have picked, from the longest part that is kept."""
        names = [f"{sheet.key} {box} {list(clicks[:count])}" for count in range(len(clicks) + 1)]
        known = [self._pickings.get(name) for name in names]
        done = max((count for count, picking in enumerate(known) if picking), default=0)
        picking = known[done]
        if picking is None:
            picker = self._picker(sheet)
            picking = picker.boxes([box]) if box else picker.mask(np.zeros(sheet.pixels.shape[:2], bool))
        for count, (point, is_inside) in enumerate(clicks[done:], done + 1):
            picking = picking.clicked(0, point, is_inside)
            self._pickings.put(names[count], picking, 1)
        return picking

    def _picker(self, sheet: Sheet) -> Picker:
        picker = self._pickers.get(sheet.key)
        if picker is None:
            picker = Picker(on_ground(sheet.content.image.numpy()))
            self._pickers.put(sheet.key, picker, 1)
        return picker


def _check_clicks(sheet: Sheet, pick: Pick) -> None:
    box = sheet.box
    if not sheet.pixels.numel():
        raise QilError("The layer is empty: there is nothing to pick in it.")
    if pick.box and pick.box.overlap(box) is None:
        raise QilError(f"The box {tuple(pick.box)} lies beside what the layer shows, which is {tuple(box)}: move it.")
    for x, y in pick.inside:
        if not (box.left <= x < box.right and box.top <= y < box.bottom):
            raise QilError(f"The click at {x:.0f}, {y:.0f} lies beside what the layer shows: click in a thing of it.")


def _moved_box(given: Box, content: Box) -> Box:
    seen = given.overlap(content) or given
    return Box(seen.left - content.left, seen.top - content.top, seen.right - content.left, seen.bottom - content.top)


def _moved_points(points: tuple[Point, ...], content: Box) -> list[Point]:
    """Those in the content, in its own pixels. A click beside it takes nothing away: no pick is there anyway."""
    moved = (Point(x - content.left, y - content.top) for x, y in points)
    return [point for point in moved if 0 <= point.x < content.width and 0 <= point.y < content.height]


def _grown(mask: Mask, pixels: int) -> Mask:
    """A mask grown by so many pixels, or shrunk by a negative number, with round corners."""
    import cv2

    if not pixels:
        return mask
    check_opencv()
    beside = cv2.distanceTransform((~mask if pixels > 0 else mask).astype(np.uint8), cv2.DIST_L2, 5)
    return np.asarray(beside <= pixels if pixels > 0 else beside > -pixels)


def _part(key: str, layer: Tensor, sheet: Sheet) -> Sheet:
    """A layer of the size of a sheet's content, as a sheet of the same canvas."""
    found = Sheet.of_layer(key, layer)
    left, top, right, bottom = found.box
    x, y = sheet.box.left, sheet.box.top
    return Sheet(key, found.pixels, Box(left + x, top + y, right + x, bottom + y), sheet.canvas)
