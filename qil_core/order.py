"""Which layers, in which order."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import NamedTuple

import torch
from torch import Tensor

from .composite import composite
from .errors import QilError
from .request import readable
from .stack import LayerStack
from .text import MAX_LINE, MAX_STACK, printable, quoted

_RANGE = re.compile(r"(-?\d{1,9})(?:-(\d{1,9}))?", re.ASCII)
_INDEX = re.compile(r"[+-]?\d+", re.ASCII)

NAMED = 20
"""Names that a message lists at the most."""


def find(stack: LayerStack, which: int | str) -> list[int]:
    """Indices, bottom first, of the layers that are meant.

    which: an index, as a number or a text, where negative ones count from the top; or a name, such as "title". A "*" in
    a name stands for any text: "girl/*" is every layer of the group "girl".
    Raises QilError: the index is out of range, no layer is called so, or several layers have that very name.
    """
    text = str(which).strip()
    readable("The layer", text, MAX_LINE)
    if _INDEX.fullmatch(text):
        return [stack.index(_number(text))]
    pattern = re.sub(r"([?[])", r"[\1]", text)  # of fnmatch's wildcards only the star is one here
    found = [i for i, name in enumerate(stack.names) if fnmatchcase(name, pattern)]
    if not found:
        raise QilError(f"No layer is called {quoted(text)}: use an index or a name of {_all_names(stack)}.")
    if len(found) > 1 and "*" not in text:
        raise QilError(
            f"{len(found)} layers are called {quoted(text)}: give one of the indices {', '.join(map(str, found))}, "
            "0 being the bottom layer."
        )
    return found


def find_one(stack: LayerStack, which: int | str) -> int:
    """As `find`, where only one layer can be meant."""
    found = find(stack, which)
    if len(found) > 1:
        names = ", ".join(quoted(stack.names[i]) for i in found[:NAMED])
        raise QilError(f"{quoted(str(which))} means {len(found)} layers, {names}: give the name of one of them.")
    return found[0]


def _number(text: str) -> int:
    """An index that is written so; one of very many digits is out of every stack's range as well."""
    return int(text[:10])


def _all_names(stack: LayerStack) -> str:
    """The stack's names for a message, with their indices."""
    names = [f"{i} {quoted(name)}" for i, name in enumerate(stack.names[:NAMED])]
    return ", ".join(names) + (f" and {len(stack) - NAMED} more" if len(stack) > NAMED else "")


class Part(NamedTuple):
    """A layer of the new stack: its name, and the indices of the layers that it is made of, one or several."""

    name: str
    indices: list[int]


def arrange(stack: LayerStack, order: str) -> LayerStack:
    """The layers that a list such as "0, person = girl/* + hat, title" gives, bottom first.

    Each item is an index, a range ("3-0" runs backwards, both ends are included) or a name as in `find`; a blank is
    enough between indices. "new name = item + item" merges layers into one, in the order in which they lie in the
    stack, or renames one. A repeated name is numbered ("dove 2"). An empty list keeps every layer. Raises QilError.
    """
    if not order.strip():
        return stack
    parts = listed(stack, order)
    layers = torch.stack([_merged(stack, part.indices) for part in parts])
    return LayerStack(layers, unique(tuple(part.name for part in parts)))


def _merged(stack: LayerStack, indices: list[int]) -> Tensor:
    """Layers as one, (H, W, 4), the lower ones of the stack first."""
    if len(indices) == 1:
        return stack.pixels[indices[0]]
    return composite(stack.select(sorted(set(indices))))


def listed(stack: LayerStack, order: str) -> list[Part]:
    """What a list gives (see `arrange`), MAX_STACK layers at the most. Raises QilError."""
    readable("The list of layers", order, MAX_LINE)
    parts: list[Part] = []
    for item in filter(None, map(str.strip, re.split(r"[,;\n]", order))):
        for part in _parts(stack, item):
            parts.append(part)
            if len(parts) > MAX_STACK:
                raise QilError(f"The list names more than {MAX_STACK} layers: give {MAX_STACK} at the most.")
    if not parts:
        raise QilError(f"The list {quoted(order)} names no layer: give at least one index or name.")
    return parts


def _parts(stack: LayerStack, item: str) -> Iterator[Part]:
    """The layers of the new stack that stand between two commas."""
    name, merges, sources = item.partition("=")
    if merges:
        yield Part(_new_name(name), [i for source in sources.split("+") for i in _indices(stack, source.strip())])
    else:
        for i in _indices(stack, item):
            yield Part(stack.names[i], [i])


def _new_name(text: str) -> str:
    if not text.strip():
        raise QilError('A new name is missing before "=": write new name = layer + layer.')
    return printable(text.strip())


def _indices(stack: LayerStack, item: str) -> Iterator[int]:
    """Where the layers are that indices and ranges, or a name, mean."""
    ranges = [match for word in item.split() if (match := _RANGE.fullmatch(word))]
    if ranges and len(ranges) == len(item.split()):
        for each in ranges:
            yield from (stack.index(i) for i in _between(each))
    else:
        yield from find(stack, item)


def _between(match: re.Match[str]) -> range:
    """The indices of a range, or the one that is no range. Raises QilError: beyond what a stack can have."""
    first, last = int(match[1]), int(match[2] or match[1])
    if max(abs(first), abs(last)) > MAX_STACK:
        raise QilError(f"{quoted(match[0])} is out of range: an index must be -{MAX_STACK} to {MAX_STACK}.")
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
