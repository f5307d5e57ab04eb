"""What was picked in a layer, as data: a box, clicks in a thing and beside it, and by how much the pick was grown.

It is a part of the text of the edits, so anybody may have written it:

    {"of": "1f2e3d4c5b6a7980", "box": [120, 40, 380, 300], "inside": [[200, 90]], "outside": [[130, 50.5]], "grow": -2}

All numbers are pixels of the layer's own canvas, before its edit. All keys but `of` may be missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..decompose.likeness import Point
from ..stack import Box
from .ids import CUT, is_copy, layer_id
from .reading import check_keys, mapping, number, refuse

MAX_CUTS = 100
"""Things that are cut out, in all: as many layers as a file takes (files.limits)."""

MAX_CLICKS = 100
"""Clicks of a kind. The benchmark's three a thing reach nine tenths; a person gives up long before."""

MAX_GROW = 64
"""Pixels by which a pick is grown or shrunk at the most: more is a click's work."""

MAX_SIDE = 65_536.0
"""Pixels; larger numbers lie outside of every picture. That a click is inside the layer's is checked with the layer."""


@dataclass(frozen=True)
class Pick:
    """What was picked in a layer, in pixels of its canvas. grow: pixels, negative to shrink."""

    box: Box | None = None
    inside: tuple[Point, ...] = ()
    outside: tuple[Point, ...] = ()
    grow: int = 0


@dataclass(frozen=True)
class Cut:
    """A thing that is cut out of a layer, and the layer's id: a fingerprint, or the id of an earlier cut."""

    of: str
    pick: Pick


def read_cuts(value: Any) -> dict[str, Cut]:
    """The cuts of a text of edits, by their ids. Raises QilError that says where what is wrong."""
    given = mapping("cut", value)
    if len(given) > MAX_CUTS:
        refuse("cut", f"at most {MAX_CUTS} cuts", len(given))
    return {_cut_id(name): read_cut(f"cut {name}", one) for name, one in given.items()}


def read_cut(where: str, value: Any) -> Cut:
    """One cut. Raises QilError."""
    given = mapping(where, value)
    check_keys(where, given, ("of", "box", "inside", "outside", "grow"))
    of = layer_id(f"of of {where}", given.get("of"))
    if is_copy(of) or of.startswith("m"):
        refuse(f"of of {where}", "a layer, no duplicate and no merged one", of)
    grow = number(-MAX_GROW, MAX_GROW)(f"grow of {where}", given.get("grow", 0))
    pick = Pick(
        _box(f"box of {where}", given.get("box")),
        _points(f"inside of {where}", given.get("inside", [])),
        _points(f"outside of {where}", given.get("outside", [])),
        round(grow),
    )
    if not (pick.box or pick.inside):
        refuse(where, "a box or a click in the thing", "none")
    return Cut(of, pick)


def cut_fields(cut: Cut) -> dict[str, Any]:
    """What read_cut() reads again, as short as it can be."""
    pick = cut.pick
    fields: Mapping[str, Any] = {
        "box": list(pick.box) if pick.box else None,
        "inside": [list(point) for point in pick.inside],
        "outside": [list(point) for point in pick.outside],
        "grow": pick.grow,
    }
    return {"of": cut.of, **{key: value for key, value in fields.items() if value}}


def _cut_id(value: str) -> str:
    return value if CUT.fullmatch(value) else refuse("cut", "names such as c1", value)


def _box(where: str, value: Any) -> Box | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 4:
        refuse(where, "a list of left, top, right and bottom", value)
    left, top, right, bottom = (round(number(0, MAX_SIDE)(where, side)) for side in value)
    if left >= right or top >= bottom:
        refuse(where, "a box with something in it", value)
    return Box(left, top, right, bottom)


def _points(where: str, value: Any) -> tuple[Point, ...]:
    if not isinstance(value, list) or len(value) > MAX_CLICKS:
        refuse(where, f"a list of at most {MAX_CLICKS} points", value)
    return tuple(_point(where, one) for one in value)


def _point(where: str, value: Any) -> Point:
    if not isinstance(value, list) or len(value) != 2:
        refuse(where, "points such as [120, 40]", value)
    x, y = (number(0, MAX_SIDE)(where, place) for place in value)
    return Point(x, y)
