"""What a layered file holds beyond pixels and names: how each layer meets the ones below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..blend import blend_mode
from ..composite import composite
from ..errors import QilError
from ..stack import Box, LayerStack


@dataclass(frozen=True, eq=False)
class Content:
    """A layer without the empty canvas around it, which it may reach beyond.

    Pixels float32 (h, w, 4), straight alpha, and the place of their left top corner on the canvas, in pixels.
    """

    image: Tensor
    left: int
    top: int

    @property
    def box(self) -> Box:
        height, width = self.image.shape[:2]
        return Box(self.left, self.top, self.left + width, self.top + height)

    def within(self, box: Box) -> Tensor:
        """The pixels on a sheet (h, w, 4) that shows a box of the canvas; the rest of it is clear."""
        if self.box == box:
            return self.image
        sheet = self.image.new_zeros(box.height, box.width, 4)
        if seen := self.box.overlap(box):
            sheet[seen.within(box)] = self.image[seen.within(self.box)]
        return sheet

    def is_of(self, layer: Tensor) -> bool:
        """Whether a layer (H, W, 4) is still what of this is on its canvas: a later edit makes it another one."""
        return torch.equal(self.within(Box(0, 0, layer.shape[1], layer.shape[0])), layer)


@dataclass(frozen=True)
class Look:
    """Per layer, bottom first: blend mode, opacity 0..1, and whether it is shown. Empty: normal, 1, shown.

    whole: the layers that reach beyond the canvas, which a stack cuts off there; None for those that do not, or empty.
    """

    modes: tuple[str, ...] = ()
    opacities: tuple[float, ...] = ()
    visible: tuple[bool, ...] = ()
    whole: tuple[Content | None, ...] = ()

    def of(self, count: int) -> Look:
        """The same with every value written out, for `count` layers. Raises QilError: wrong counts, unknown modes."""
        modes = tuple(known_mode(mode) for mode in self.modes) or ("normal",) * count
        look = replace(self, modes=modes, opacities=self.opacities or (1.0,) * count)
        look = replace(look, visible=self.visible or (True,) * count)
        counted = ("blend modes", look.modes), ("opacities", look.opacities), ("flags", look.visible)
        for what, given in (*counted, ("whole layers", look.whole or (None,) * count)):
            if len(given) != count:
                raise QilError(f"{len(given)} {what} were given for {count} layers: give one a layer, or none.")
        if not all(0 <= opacity <= 1 for opacity in look.opacities):
            raise QilError(f"Opacities must lie in [0, 1]; given were {', '.join(map(str, look.opacities))}.")
        return look


PLAIN = Look()


def known_mode(mode: str) -> str:
    """A blend mode as this package spells it. Raises QilError."""
    return blend_mode(mode).__name__.replace("_", "-")


@dataclass(frozen=True, eq=False)
class Layered:
    """A stack and how its layers meet, as read from a file. The look is written out, one value a layer.

    notes: what of the file was left out, converted or assumed, a line each.
    """

    stack: LayerStack
    look: Look
    notes: tuple[str, ...] = ()

    def folded(self) -> Layered:
        """The same picture with the opacities multiplied into alpha, as every node of this package expects it."""
        opacities = self.stack.pixels.new_tensor(self.look.opacities)
        if bool((opacities == 1).all()):
            return self
        pixels = self.stack.pixels.clone()
        pixels[..., 3] *= opacities[:, None, None]
        look = replace(self.look, opacities=(1.0,) * len(self.stack))
        return replace(self, stack=LayerStack(pixels, self.stack.names), look=look)

    def content(self, index: int) -> tuple[Box, Tensor] | None:
        """A layer's content (h, w, 4), and its box, which may reach beyond the canvas; None of an empty layer."""
        layer = self.stack.pixels[index]
        whole = self.look.whole[index] if self.look.whole else None
        if whole is not None and whole.is_of(layer):
            return whole.box, whole.image
        box = self.stack.bounds(index)
        return (box, layer[box.top : box.bottom, box.left : box.right]) if box else None

    def select(self, indices: Sequence[int]) -> Layered:
        """The layers at these indices, in this order."""
        modes, opacities, visible = self.look.modes, self.look.opacities, self.look.visible
        rows = [(modes[i], opacities[i], visible[i]) for i in indices]
        whole = tuple(self.look.whole[i] for i in indices) if self.look.whole else ()
        look = replace(Look(*zip(*rows, strict=True)), whole=whole)
        return replace(self, stack=self.stack.select(indices), look=look)

    def shown(self, source: str) -> Layered:
        """The layers that are not hidden. source: for the message. Raises QilError when all are."""
        shown = [i for i, seen in enumerate(self.look.visible) if seen]
        if not shown:
            raise QilError(f"{source} holds no visible layer. Keep hidden layers to read them.")
        return self if len(shown) == len(self.stack) else self.select(shown)

    def composite(self, linear: bool = False) -> Tensor:
        """What one sees: float32 (H, W, 4), straight alpha, in [0, 1]; hidden layers are left out. linear: of light."""
        shown = [i for i, seen in enumerate(self.look.visible) if seen]
        if not shown:
            return self.stack.pixels.new_zeros(self.stack.pixels.shape[1:])
        seen = self if len(shown) == len(self.stack) else self.select(shown)
        folded = seen.folded()
        return composite(folded.stack, folded.look.modes, linear)
