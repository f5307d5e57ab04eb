"""What a layered file holds beyond pixels and names: how each layer meets the ones below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from ..blend import blend_mode
from ..composite import composite
from ..errors import QilError
from ..stack import LayerStack


@dataclass(frozen=True)
class Look:
    """Per layer, bottom first: blend mode, opacity 0..1, and whether it is shown. Empty: normal, 1, shown."""

    modes: tuple[str, ...] = ()
    opacities: tuple[float, ...] = ()
    visible: tuple[bool, ...] = ()

    def of(self, count: int) -> Look:
        """The same with every value written out, for `count` layers. Raises QilError: wrong counts, unknown modes."""
        modes = tuple(known_mode(mode) for mode in self.modes) or ("normal",) * count
        look = Look(modes, self.opacities or (1.0,) * count, self.visible or (True,) * count)
        for what, given in (("blend modes", look.modes), ("opacities", look.opacities), ("flags", look.visible)):
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
    """A stack and how its layers meet, as read from a file. The look is written out, one value a layer."""

    stack: LayerStack
    look: Look

    def folded(self) -> Layered:
        """The same picture with the opacities multiplied into alpha, as every node of this package expects it."""
        opacities = self.stack.pixels.new_tensor(self.look.opacities)
        if bool((opacities == 1).all()):
            return self
        pixels = self.stack.pixels.clone()
        pixels[..., 3] *= opacities[:, None, None]
        return Layered(LayerStack(pixels, self.stack.names), replace(self.look, opacities=(1.0,) * len(self.stack)))

    def select(self, indices: Sequence[int]) -> Layered:
        """The layers at these indices, in this order."""
        modes, opacities, visible = self.look.modes, self.look.opacities, self.look.visible
        rows = [(modes[i], opacities[i], visible[i]) for i in indices]
        return Layered(self.stack.select(indices), Look(*zip(*rows, strict=True)))

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
