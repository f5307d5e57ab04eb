"""Which layers, in which order."""

from __future__ import annotations

import re

from .errors import QilError
from .stack import LayerStack

_ITEM = re.compile(r"(-?\d+)(?:-(\d+))?")


def arrange(stack: LayerStack, order: str) -> LayerStack:
    """The layers that a list such as "0,2,1" names, bottom first; a repeated name is numbered ("dove 2").

    Ranges include both ends and may run backwards ("3-0"); negative indices count from the top. Raises QilError.
    """
    picked = stack.select(parse_order(order))
    return LayerStack(picked.pixels, unique(picked.names))


def parse_order(text: str) -> list[int]:
    """Indices of a list such as "0, 2-4, -1"; QilError says which part cannot be read."""
    return [index for item in re.split(r"[,;\s]+", text.strip()) if item for index in _indices(item)]


def _indices(item: str) -> list[int]:
    match = _ITEM.fullmatch(item)
    if not match:
        raise QilError(f'"{item}" is not a layer index: write a list such as 0,2,1 or 0-3, bottom layer first.')
    first, last = int(match[1]), int(match[2] or match[1])
    return list(range(first, last + 1)) if first <= last else list(range(first, last - 1, -1))


def unique(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names in which none comes twice: later ones get a number."""
    taken: set[str] = set()
    result = []
    for name in names:
        fresh, number = name, 1
        while fresh in taken:
            number += 1
            fresh = f"{name} {number}"
        taken.add(fresh)
        result.append(fresh)
    return tuple(result)
