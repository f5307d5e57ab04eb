"""Which layers there are after the edits, in which order, and which edits no longer fit.

Steps, for a stack whose layers have these fingerprints:
1. `with_things`: what was cut out of a layer is a layer too, just above the rest of it.
2. `_merges`: a merged layer is there when all its parts are; its parts are not there by themselves.
3. `_wanted`: the order of the edits, without what is not there.
4. `_with_new`: layers that the order does not know come above the layer that is below them in the stack.
5. `_stale`: what the edits name and the stack does not hold. It is told, and never given to another layer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .ids import MERGED, original_of
from .picks import Cut
from .state import Edits


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
    layers = with_things(edits.cut, layers)
    merged = _merges(edits, layers)
    parts = {part for group in merged.values() for part in group}
    order = _with_new(_wanted(edits, layers, merged, parts), layers, parts)
    order += [one for one in merged if one not in parts and one not in order]
    return Items(tuple(order), merged, _stale(edits, layers, merged))


def with_things(cuts: Mapping[str, Cut], layers: Sequence[str]) -> list[str]:
    """Layers, bottom first, and the things that are cut out of them, each just above the rest. In the order of their
    numbers: a thing can be cut out of an earlier one only."""
    found = list(layers)
    for name in sorted(cuts, key=_number):
        if cuts[name].of in found:
            found.insert(found.index(cuts[name].of) + 1, name)
    return found


def known_cuts(cuts: Mapping[str, Cut], layers: Sequence[str]) -> dict[str, Cut]:
    """The cuts whose layers are there, in the order in which they are made."""
    there = set(with_things(cuts, layers))
    return {name: cuts[name] for name in sorted(cuts, key=_number) if name in there}


def _number(name: str) -> int:
    return int(name[1:])


def _merges(edits: Edits, layers: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The merges whose parts are there, in the order of their numbers: a merge can be a part of later ones only."""
    found: dict[str, tuple[str, ...]] = {}
    taken: set[str] = set()
    for name in sorted(edits.merged, key=_number):
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
    parts = (part for group in edits.merged.values() for part in group)
    cut_from = (cut.of for cut in edits.cut.values())
    named = [*edits.by_layer, *edits.order, *edits.merged, *parts, *edits.cut, *cut_from]
    gone = [item for item in named if not _is_there(item, layers, merged)]
    return tuple(dict.fromkeys(gone))
