"""Which layers, in which order."""

from __future__ import annotations

import re

from .errors import QilError
from .request import readable
from .stack import LayerStack
from .text import MAX_LINE, MAX_STACK, quoted

_ITEM = re.compile(r"(-?\d{1,9})(?:-(\d{1,9}))?", re.ASCII)


def arrange(stack: LayerStack, order: str) -> LayerStack:
    """The layers that a list such as "0,2,1" names, bottom first; a repeated name is numbered ("dove 2").

    Ranges include both ends and may run backwards ("3-0"); negative indices count from the top. An empty list keeps
    every layer. Raises QilError.
    """
    if not order.strip():
        return stack
    picked = stack.select(parse_order(order))
    return LayerStack(picked.pixels, unique(picked.names))


def parse_order(text: str) -> list[int]:
    """Indices of a list such as "0, 2-4, -1", at most MAX_STACK of them, none beyond what a stack can have.

    QilError says which part cannot be read. No list is made that is longer than that.
    """
    readable("The list of indices", text, MAX_LINE)
    indices: list[int] = []
    for item in filter(None, re.split(r"[,;\s]+", text)):
        indices += _indices(item)
        if len(indices) > MAX_STACK:
            raise QilError(f"The list names more than {MAX_STACK} layers: give {MAX_STACK} indices at the most.")
    return indices


def _indices(item: str) -> range:
    match = _ITEM.fullmatch(item)
    if not match:
        raise QilError(f"{quoted(item)} is not a layer index: write a list such as 0,2,1 or 0-3, bottom layer first.")
    first, last = int(match[1]), int(match[2] or match[1])
    if max(abs(first), abs(last)) > MAX_STACK:
        raise QilError(f"{quoted(item)} is out of range: an index must be -{MAX_STACK} to {MAX_STACK}.")
    return range(first, last + 1) if first <= last else range(first, last - 1, -1)


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
