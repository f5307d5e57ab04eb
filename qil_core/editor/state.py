"""The edits of a stack as one JSON text: what people did in the panel, kept apart from the layers.

The text is in saved workflows, in API requests and in the metadata of pictures, so anybody may have written it: it is
bounded, its types are checked, numbers are clamped to their ranges, and what is wrong is an error that says where.

    {"version": 1,
     "edits": {"1f2e3d4c5b6a7980": {"name": "girl", "dx": 100, "hidden": true, "mode": "multiply", "hue": 60}},
     "order": ["1f2e3d4c5b6a7980", "m1", "1f2e3d4c5b6a7980~2"],
     "merged": {"m1": ["0011223344556677", "8899aabbccddeeff"]},
     "cut": {"c1": {"of": "1f2e3d4c5b6a7980", "inside": [[210, 95.5]]}}}

Layers are named by fingerprints of their content (ids.py). `~2` is a duplicate of a layer, which exists when it is in
the order; `m1` is a layer merged of others, bottom first; `c1` is a thing that was cut out of a layer (picks.py), which
leaves the rest of it under its own id. All keys but the version may be missing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from ..color import parse_color
from ..files.layered import known_mode
from ..request import readable
from ..text import MAX_LIST, MAX_STACK
from ..transform import MAX_SCALE, MIN_SCALE
from .ids import MERGED, layer_id, original_of
from .picks import Cut, cut_fields, read_cuts
from .reading import check_keys, flag, mapping, number, read_json, refuse, short_text

VERSION = 1
"""Of this form of the text. A text of a later version is refused: it may mean what this version cannot do."""

FAR = 16384.0
"""Pixels that a layer can be moved at the most, as far as Transform Layer moves it."""

FULL_TURN = 360.0
"""Degrees; rotations and hues are kept between minus and plus this."""

MAX_COPIES = 100
"""Duplicates in all: as many layers as a file takes (files.limits). Each takes the memory of a layer."""


@dataclass(frozen=True)
class Edit:
    """What was done to one layer; every default leaves it as it is.

    name: a new name; a "/" makes a group. hidden, locked: the eye and the lock (the lock only keeps the panel from
    changing the layer). opacity: 0..1. mode: a blend mode, None keeps normal. dx, dy: pixels, right and down.
    scale_x, scale_y: 0.01..100. rotation: degrees, clockwise. The centre of the layer's content is the pivot.
    hue: degrees by which hues are turned. color: "#rrggbb" that the layer is colourised with, instead of a hue.
    """

    name: str = ""
    hidden: bool = False
    locked: bool = False
    opacity: float = 1.0
    mode: str = "normal"
    dx: float = 0.0
    dy: float = 0.0
    scale_x: float = 1.0
    scale_y: float = 1.0
    rotation: float = 0.0
    flip_x: bool = False
    flip_y: bool = False
    hue: float = 0.0
    color: str = ""


UNCHANGED = Edit()


@dataclass(frozen=True)
class Edits:
    """All edits of a stack: by layer; the order, bottom first, empty for the stack's own; what was merged of what; and
    what was cut out of which layer."""

    by_layer: Mapping[str, Edit] = field(default_factory=dict)
    order: tuple[str, ...] = ()
    merged: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    cut: Mapping[str, Cut] = field(default_factory=dict)

    def of(self, layer: str) -> Edit:
        """The edit of a layer; one that changes nothing where there is none."""
        return self.by_layer.get(layer, UNCHANGED)


def parse_edits(text: str) -> Edits:
    """The edits that a text holds; an empty text holds none.

    Raises QilError: too long, no JSON, a later version, an unknown key, a value of a wrong type. Numbers that are out
    of their range are clamped to it.
    """
    readable("The edits", text, MAX_LIST)
    if not text.strip():
        return Edits()
    state = mapping("the edits", read_json(text))
    version = state.get("version")
    if version != VERSION or isinstance(version, bool):
        refuse("their version", f"{VERSION} (a later one needs a later version of these nodes)", version)
    check_keys("the edits", state, ("version", "edits", "order", "merged", "cut"))
    given = mapping("edits", state.get("edits", {}))
    merged = mapping("merged", state.get("merged", {}))
    cut = read_cuts(state.get("cut", {}))
    return Edits(
        {layer_id("edits", layer): _edit(layer, value) for layer, value in given.items()},
        _order(state.get("order", [])),
        {_merged_id(layer): _parts(layer, parts) for layer, parts in merged.items()},
        cut,
    )


def edits_text(edits: Edits) -> str:
    """The text that parse_edits() reads again, as short as it can be; empty where nothing was done."""
    if not (edits.by_layer or edits.order or edits.merged or edits.cut):
        return ""
    state: dict[str, Any] = {"version": VERSION}
    if by_layer := {layer: _differences(edit) for layer, edit in edits.by_layer.items() if edit != UNCHANGED}:
        state["edits"] = by_layer
    if edits.order:
        state["order"] = edits.order
    if edits.merged:
        state["merged"] = edits.merged
    if edits.cut:
        state["cut"] = {name: cut_fields(cut) for name, cut in edits.cut.items()}
    return json.dumps(state, ensure_ascii=False, separators=(",", ":"))


def _differences(edit: Edit) -> dict[str, Any]:
    return {one.name: value for one in fields(Edit) if (value := getattr(edit, one.name)) != one.default}


def _edit(layer: str, value: Any) -> Edit:
    given = mapping(f"edits of {layer}", value)
    check_keys(f"edits of {layer}", given, tuple(READERS))
    read = {key: READERS[key](f"{key} of {layer}", one) for key, one in given.items()}
    if read.get("color") and read.get("hue"):
        refuse(f"edits of {layer}", "a hue or a color", "both")
    return Edit(**read)


def _mode(where: str, value: Any) -> str:
    return known_mode(short_text(where, value))


def _color(where: str, value: Any) -> str:
    text = short_text(where, value)
    if text:
        parse_color(text)
    return text


READERS: dict[str, Callable[[str, Any], Any]] = {
    "name": short_text,
    "hidden": flag,
    "locked": flag,
    "opacity": number(0, 1),
    "mode": _mode,
    "dx": number(-FAR, FAR),
    "dy": number(-FAR, FAR),
    "scale_x": number(MIN_SCALE, MAX_SCALE),
    "scale_y": number(MIN_SCALE, MAX_SCALE),
    "rotation": number(-FULL_TURN, FULL_TURN),
    "flip_x": flag,
    "flip_y": flag,
    "hue": number(-FULL_TURN, FULL_TURN),
    "color": _color,
}
"""How each value of an edit is read; the keys are the fields of Edit."""


def _ids(where: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > MAX_STACK:
        refuse(where, f"a list of at most {MAX_STACK} layers", value)
    found = tuple(layer_id(where, one) for one in value)
    if len(set(found)) < len(found):
        refuse(where, "every layer once", next(one for one in found if found.count(one) > 1))
    return found


def _order(value: Any) -> tuple[str, ...]:
    order = _ids("order", value)
    copies = sum(original_of(layer) != layer for layer in order)
    if copies > MAX_COPIES:
        refuse("order", f"at most {MAX_COPIES} duplicates", copies)
    return order


def _merged_id(value: str) -> str:
    return value if MERGED.fullmatch(value) else refuse("merged", "names such as m1", value)


def _parts(layer: str, value: Any) -> tuple[str, ...]:
    parts = _ids(f"parts of {layer}", value)
    if len(parts) < 2:
        refuse(f"parts of {layer}", "two layers or more", len(parts))
    return parts
