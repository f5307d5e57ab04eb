"""All decomposers, in the order in which people are offered them.

The command line (`--decomposer`), the node Load Layered Model and the report of `qil info` read this list. A new
decomposer is one file with a class (see `Decomposer`) and an `Entry` or several, and one line here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import QilError
from ..options import read_all
from . import Decomposer, Entry, Place, asked, layered_control, qwen

DECOMPOSERS: tuple[Entry, ...] = (
    asked.ENTRY,
    *qwen.ENTRIES,
    *layered_control.ENTRIES,
)


def entry(name: str) -> Entry:
    """The decomposer of this name or label. Raises QilError that says which there are."""
    for each in DECOMPOSERS:
        if name in (each.name, each.label):
            return each
    raise QilError(f'There is no decomposer "{name}": choose one of {", ".join(each.name for each in DECOMPOSERS)}.')


def open_by_name(name: str, given: Sequence[str], place: Place) -> Decomposer:
    """The decomposer of this name with options as texts such as "memory=auto"; the others have their defaults."""
    found = entry(name)
    return opened(found, read_all(found.options, given), place)


def opened(which: Entry, values: Mapping[str, Any], place: Place) -> Decomposer:
    """A decomposer that knows its `recipe`, its name and the options' values, for reports. Raises QilError."""
    decomposer = which.open({"source": which.label, **values}, place)
    recipe = {"name": which.name, "options": {key: value for key, value in values.items() if key != "source"}}
    decomposer.recipe = recipe  # type: ignore[attr-defined]  # not asked of decomposers that nobody opens by name
    return decomposer
