"""Which layers there are after the edits, in which order, and which edits no longer fit.

Steps, for a stack whose layers have these fingerprints:
1. `_merges`: a merged layer is there when all its parts are; its parts are not there by themselves.
2. `_wanted`: the order of the edits, without what is not there.
3. `_with_new`: layers that the order does not know come above the layer that is below them in the stack.
4. `_stale`: what the edits name and the stack does not hold. It is told, and never given to another layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .state import LAYER, MERGED, Edits, original_of


@dataclass(frozen=True)
class Items:
    """order: ids of the layers after the edits, bottom first. merged: those of them and of their parts that are merged
    of others, by id. stale: ids that the edits name and that are not there.
    """

    order: tuple[str, ...]
    merged: dict[str, tuple[str, ...]]
    stale: tuple[str, ...]


def arrange_items(edits: Edits, layers: Sequence[str]) -> Items:
    """What there is after the edits of a stack with these fingerprints, bottom first."""
    merged = _merges(edits, layers)
    parts = {part for group in merged.values() for part in group}
    order = _with_new(_wanted(edits, layers, merged, parts), layers, parts)
    order += [one for one in merged if one not in parts and one not in order]
    return Items(tuple(order), merged, _stale(edits, layers, merged))


def _merges(edits: Edits, layers: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The merges whose parts are there, in the order of their numbers: a merge can be a part of later ones only."""
    found: dict[str, tuple[str, ...]] = {}
    taken: set[str] = set()
    for name in sorted(edits.merged, key=lambda name: int(name[1:])):
        parts = edits.merged[name]
        if all(_is_there(part, layers, found) and part not in taken for part in parts):
            found[name] = parts
            taken.update(parts)
    return found


def _is_there(item: str, layers: Sequence[str], merged: dict[str, tuple[str, ...]]) -> bool:
    return item in merged if MERGED.fullmatch(item) else original_of(item) in layers


def _wanted(edits: Edits, layers: Sequence[str], merged: dict[str, tuple[str, ...]], parts: set[str]) -> list[str]:
    return [item for item in edits.order if item not in parts and _is_there(item, layers, merged)]


def _with_new(order: list[str], layers: Sequence[str], parts: set[str]) -> list[str]:
    result = list(order)
    for i, layer in enumerate(layers):
        if layer in result or layer in parts:
            continue
        below = next((one for one in reversed(layers[:i]) if one in result), None)
        result.insert(result.index(below) + 1 if below else 0, layer)
    return result


def _stale(edits: Edits, layers: Sequence[str], merged: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    named = [*edits.by_layer, *edits.order, *edits.merged, *(part for group in edits.merged.values() for part in group)]
    gone = [item for item in named if not _is_there(item, layers, merged)]
    return tuple(dict.fromkeys(gone))


def is_copy(item: str) -> bool:
    """Whether an id is that of a duplicate made in the panel."""
    match = LAYER.fullmatch(item)
    return bool(match and match[2])
