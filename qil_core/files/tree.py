"""From the tree of a layered file to a flat stack that composites to the same picture.

Layers stay layers wherever a flat stack can show them. What it cannot show is merged, exactly, into one layer: a base
with the layers clipped to it; a group that is isolated, half transparent or masked. What can be neither is an error
that names the layer, or is skipped and noted, as the caller wants it. Rules: Adobe's "Layer opacity and blending" help
(groups, clipping masks), W3C "Compositing and Blending Level 1", section 3 (isolated groups), and that "over" is
associative.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ..composite import composite
from ..errors import QilError
from ..stack import LayerStack
from .layered import Layered, Look
from .limits import check_size
from .names import clean, join_levels


@dataclass(frozen=True, eq=False)
class Mask:
    """A mask: float32 (h, w) in [0, 1], 1 = shows, at a place on the canvas, and the value everywhere else."""

    plane: Tensor
    left: int = 0
    top: int = 0
    outside: float = 0.0

    def is_hard(self) -> bool:
        """Whether it shows or hides every pixel whole: then each layer of a group may have it instead of the group."""
        return self.outside in (0, 1) and bool(((self.plane == 0) | (self.plane == 1)).all())

    def on(self, canvas: Mask) -> Mask:
        """This mask and one that covers the whole canvas, as one."""
        weight = torch.full_like(canvas.plane, self.outside)
        _place(weight, self.plane, self.left - canvas.left, self.top - canvas.top)
        return replace(canvas, plane=canvas.plane * weight)


class Unsupported(QilError):
    """A file is whole, and holds something that layers of this package cannot show. why: what, in a few words."""

    def __init__(self, message: str, why: str) -> None:
        super().__init__(message)
        self.why = why


class Problem(NamedTuple):
    """What a layer does that cannot be drawn ("has layer effects"), and what is done instead where that is wanted
    ("it is drawn without them"); without an instead the layer has to be left out.
    """

    what: str
    instead: str = ""


@dataclass(frozen=True, eq=False)
class Style:
    """How a layer or a group meets what is below it.

    clipped: shows only where the layer below it does. apart: layers clipped to this one meet what is below it one
    by one, not together with it. problems: what cannot be drawn.
    """

    opacity: float = 1.0
    mode: str = "normal"
    visible: bool = True
    clipped: bool = False
    mask: Mask | None = None
    problems: tuple[Problem, ...] = ()
    apart: bool = False


@dataclass(frozen=True, eq=False)
class Sheet:
    """A layer with pixels: float32 (h, w, 4) in [0, 1], straight alpha; left and top may lie off the canvas."""

    name: str
    image: Tensor
    left: int
    top: int
    style: Style


@dataclass(frozen=True, eq=False)
class Folder:
    """A group: its layers, bottom first. isolated: they blend with each other only, not with what is below."""

    name: str
    items: tuple[Sheet | Folder, ...]
    style: Style
    isolated: bool


@dataclass(frozen=True, eq=False)
class Flat:
    """A layer of the flat stack to be: the names of its groups and its own, pixels, their place, and its look."""

    levels: tuple[str, ...]
    image: Tensor
    left: int
    top: int
    opacity: float
    mode: str
    visible: bool


def flatten(
    items: Sequence[Sheet | Folder], width: int, height: int, source: Path, hidden: bool = True, skip: bool = False
) -> Layered:
    """The flat stack of a tree, bottom first, on a canvas of width x height.

    hidden: keep what is hidden, as hidden layers; a hidden layer inside something that has to be merged is left out
    in any case. skip: leave out what cannot be drawn, and note each. Raises QilError: nothing to show, too large;
    Unsupported: a layer that cannot be drawn (hidden ones may be so).
    """
    room = _Canvas(width, height, hidden, source, skip)
    flats = [flat for flat in room.flats(items) if hidden or flat.visible]
    if not flats:
        left_out = f" {'; '.join(room.notes)}. Take the merged picture instead." if room.notes else ""
        nothing = f"it holds no {'' if hidden else 'visible '}layer"
        raise Unsupported(f"Cannot read {source}: {nothing}.{left_out}", nothing)
    check_size(width, height, len(flats), source)
    pixels = torch.zeros(len(flats), height, width, 4)
    for canvas, flat in zip(pixels, flats, strict=True):
        _place(canvas, flat.image, flat.left, flat.top)
    names = [join_levels([level for level in flat.levels if level] or ["layer"]) for flat in flats]
    modes, opacities, visible = zip(*((flat.mode, flat.opacity, flat.visible) for flat in flats), strict=True)
    return Layered(LayerStack.from_image(pixels, names), Look(modes, opacities, visible), tuple(room.notes))


def merged_layer(picture: Tensor, why: str) -> Layered:
    """The merged picture (H, W, 4) of a file whose layers cannot be shown, as its one layer. why: for the notes."""
    note = f"the merged picture was taken: {why}"
    return Layered(LayerStack.from_image(picture[None], [MERGED_NAME]), Look().of(1), (note,))


def _place(canvas: Tensor, image: Tensor, left: int, top: int) -> None:
    """Put an image on a canvas (H, W, ...) of the same kind; what lies outside of it is cut off."""
    height, width = image.shape[:2]
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + width, canvas.shape[1]), min(top + height, canvas.shape[0])
    if x0 < x1 and y0 < y1:
        canvas[y0:y1, x0:x1] = image[y0 - top : y1 - top, x0 - left : x1 - left]


def _masked(flat: Flat, mask: Mask | None) -> Flat:
    """The layer with a mask multiplied into its alpha."""
    if mask is None:
        return flat
    weight = flat.image.new_full(flat.image.shape[:2], mask.outside)
    _place(weight, mask.plane, mask.left - flat.left, mask.top - flat.top)
    return replace(flat, image=torch.cat([flat.image[..., :3], (flat.image[..., 3] * weight)[..., None]], dim=-1))


class _Canvas:
    """Flattens on a canvas of this size; hidden layers are looked into only when they are wanted.

    notes: what was skipped, a line each.
    """

    def __init__(self, width: int, height: int, hidden: bool, source: Path, skip: bool) -> None:
        self.width, self.height, self.hidden, self.source, self.skip = width, height, hidden, source, skip
        self.merged = 0
        self.notes: list[str] = []

    def flats(self, items: Sequence[Sheet | Folder]) -> list[Flat]:
        """The flat layers of some siblings, bottom first."""
        found: list[Flat] = []
        for base, clipped in _runs(items):
            if base.style.visible or self.hidden:
                layers = self._one(base)
                seen = [item for item in clipped if item.style.visible] if base.style.visible else []
                if seen and not layers and base.style.problems:
                    self.notes += [f"{_quoted(item)} is clipped to {_quoted(base)}: left out with it" for item in seen]
                    continue
                found += [self._clip(base, layers, seen)] if seen else layers
        return found

    def _one(self, item: Sheet | Folder) -> list[Flat]:
        """The flat layers of one layer or group, whose style is theirs when it returns."""
        problems, visible = item.style.problems, item.style.visible
        if problems and not self.skip and visible:
            raise _refused(item, problems[0].what)
        given_up = any(not each.instead for each in problems)
        if problems and (visible or self.hidden):
            self.notes += [f"{_quoted(item)} {each.what}: {each.instead or 'left out'}" for each in problems]
        if given_up or (problems and not self.skip):
            return []
        return self._folder(item) if isinstance(item, Folder) else [self._sheet(item)]

    def _sheet(self, item: Sheet) -> Flat:
        style = item.style
        levels = (clean(item.name).strip(),)
        flat = Flat(levels, item.image, item.left, item.top, style.opacity, style.mode, style.visible)
        return _masked(flat, style.mask)

    def _folder(self, item: Folder) -> list[Flat]:
        style = item.style
        if not style.visible:  # its layers stay apart: nobody sees how they meet
            inner = [replace(flat, visible=False) for flat in self.flats(item.items)]
        else:
            inner = self.flats(item.items)
        level = clean(item.name).strip()
        below = [replace(flat, levels=(level, *flat.levels)) for flat in inner]
        if not style.visible or self._is_transparent(item, inner):
            return below
        if len(inner) == 1 and self._lets_through(item, inner):
            (only,) = below
            return [_masked(replace(only, opacity=only.opacity * style.opacity), style.mask)]
        if style.opacity == 1 and style.mask and style.mask.is_hard() and self._lets_through(item, inner):
            return [_masked(flat, style.mask) for flat in below]
        if not item.isolated and any(flat.mode != "normal" for flat in inner if flat.visible):
            what = f'the group "{level}" lets blend modes through at {style.opacity:.0%} opacity or under a mask'
            if not self.skip:
                raise Unsupported(
                    f"T{what[1:]}, which separate layers cannot show. Set the group's mode to Normal, or merge "
                    f"it, then save. {OTHERWISE}",
                    what,
                )
            self.notes.append(f"{what}: merged as if its mode were Normal")
        merged = self._merge((level,), inner)
        mode = style.mode if item.isolated else "normal"
        return [_masked(replace(merged, opacity=style.opacity, mode=mode), style.mask)]

    def _is_transparent(self, item: Folder, inner: Sequence[Flat]) -> bool:
        """Whether a group only groups: its layers look the same without it."""
        return item.style.opacity == 1 and item.style.mask is None and self._lets_through(item, inner)

    def _lets_through(self, item: Folder, inner: Sequence[Flat]) -> bool:
        """Whether the layers of a group may meet what is below the group."""
        alike = item.style.mode == "normal" and all(flat.mode == "normal" for flat in inner)
        return not item.isolated or alike

    def _clip(self, base: Sheet | Folder, layers: Sequence[Flat], clipped: Sequence[Sheet | Folder]) -> Flat:
        """One layer of a base and the layers clipped to it: they colour it, its alpha and its look stay."""
        plain_look = base.style.opacity == 1 and {base.style.mode, *(item.style.mode for item in clipped)} == {"normal"}
        if base.style.apart and not plain_look:
            if not self.skip:
                raise _refused(base, "blends the layers clipped to it one by one")
            self.notes.append(f"{_quoted(base)} blends the layers clipped to it one by one: drawn as blended together")
        own = layers[0] if len(layers) == 1 else self._merge((clean(base.name).strip(),), layers)
        plain = replace(own, opacity=1.0, mode="normal")
        pixels, modes = self._stack([plain, *self.flats([_unclipped(item) for item in clipped])])
        alpha = pixels[0, ..., 3:].clone()
        pixels[0, ..., 3] = 1
        flat = composite(LayerStack(pixels, ("",) * len(pixels)), modes)
        return replace(own, image=torch.cat([flat[..., :3], alpha], dim=-1), left=0, top=0)

    def _merge(self, levels: tuple[str, ...], flats: Sequence[Flat]) -> Flat:
        """One layer of what one sees of several."""
        pixels, modes = self._stack([flat for flat in flats if flat.visible])
        flat = composite(LayerStack(pixels, ("",) * len(pixels)), modes) if len(pixels) else torch.zeros(0, 0, 4)
        return Flat(levels, flat, 0, 0, 1.0, "normal", True)

    def _stack(self, flats: Sequence[Flat]) -> tuple[Tensor, list[str]]:
        """Layers on the canvas, opacity in alpha, (N, H, W, 4), and their modes. Raises QilError: too many of them."""
        self.merged += 1  # each leaves a picture as large as the canvas
        check_size(self.width, self.height, max(self.merged, len(flats)), self.source)
        pixels = torch.zeros(len(flats), self.height, self.width, 4)
        for canvas, flat in zip(pixels, flats, strict=True):
            _place(canvas, flat.image, flat.left, flat.top)
            canvas[..., 3] *= flat.opacity
        return pixels, [flat.mode for flat in flats]


MERGED_NAME = "merged picture"
OTHERWISE = "Or choose, as unsupported, to skip what cannot be drawn or to take the merged picture."
"""How a file can be read all the same, for messages."""


def _refused(item: Sheet | Folder, problem: str) -> Unsupported:
    why = f"the layer {_quoted(item)} {problem}"
    mend = "Rasterize it, merge it or hide it, then save."
    return Unsupported(f"T{why[1:]}. {mend} {OTHERWISE}", why)


def _quoted(item: Sheet | Folder) -> str:
    return f'"{clean(item.name)}"'


def _unclipped(item: Sheet | Folder) -> Sheet | Folder:
    return replace(item, style=replace(item.style, clipped=False))


def _runs(items: Sequence[Sheet | Folder]) -> Iterator[tuple[Sheet | Folder, list[Sheet | Folder]]]:
    """Each base with the layers clipped to it; clipped layers without a base are bases."""
    at = 0
    while at < len(items):
        end = at + 1
        while end < len(items) and items[end].style.clipped:
            end += 1
        yield items[at], list(items[at + 1 : end])
        at = end
