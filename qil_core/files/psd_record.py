"""What the record of a Photoshop layer says: its name and mode, which mask its pixels lack, and why it cannot be drawn.

Source: Adobe, "Photoshop File Formats Specification" (November 2019). What it leaves open was read off psd-tools' test
files and the pictures that Photoshop merged them to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from .tree import Problem

if TYPE_CHECKING:
    from psd_tools.psd.layer_and_mask import LayerRecord, MaskData

MODES = {
    "normal": "NORMAL", "multiply": "MULTIPLY", "screen": "SCREEN", "overlay": "OVERLAY", "darken": "DARKEN",
    "lighten": "LIGHTEN", "color-dodge": "COLOR_DODGE", "color-burn": "COLOR_BURN", "hard-light": "HARD_LIGHT",
    "soft-light": "SOFT_LIGHT", "difference": "DIFFERENCE", "exclusion": "EXCLUSION", "linear-dodge": "LINEAR_DODGE",
    "linear-burn": "LINEAR_BURN", "vivid-light": "VIVID_LIGHT", "pin-light": "PIN_LIGHT",
    "linear-light": "LINEAR_LIGHT", "hard-mix": "HARD_MIX", "subtract": "SUBTRACT", "divide": "DIVIDE", "hue": "HUE",
    "saturation": "SATURATION", "color": "COLOR", "luminosity": "LUMINOSITY",
}  # fmt: skip
"""This package's blend modes as psd-tools names them."""

FULL = 255
"""All of an opacity, a density, a mask or a colour: each is a byte."""

ALPHA, MASK, REAL_MASK = -1, -2, -3
"""Ids of the channels beside the colours, which are 0 to 2 (specification, "Layer records")."""

OPENS, CLOSES = (1, 2), 3
"""Section dividers: the record above a group's layers (open or closed in the panel), and the one below them."""

# What follows are the keys of the blocks of a record (specification, "Additional Layer Information").

ADJUSTMENTS = {
    b"brit", b"levl", b"curv", b"expA", b"vibA", b"hue ", b"hue2", b"blnc", b"blwh", b"phfl", b"mixr", b"clrL",
    b"nvrt", b"post", b"thrs", b"grdm", b"selc",
}  # fmt: skip
"""Layers that change the colours of those below and have no pixels of their own: levels, curves, ..."""

SOLID = b"SoCo"
FILLS = {SOLID, b"GdFl", b"PtFl"}
"""Fills of one colour, with a gradient, and with a pattern."""

STROKE = b"vstk"
"""A line along the path of a shape, and whether it is on."""

SHAPE = {*FILLS, b"vscg"}
"""A layer with pixels and one of these is a shape: a fill that a path cuts out."""

EFFECTS = (b"lfx2", b"lmfx")
"""Shadows, glows, strokes, ...: one of each kind, and several of a kind."""

ARTBOARD = (b"artb", b"artd", b"abdd")
VECTOR_MASK = (b"vmsk", b"vsms")
FILL_OPACITY, DIVIDERS, UNICODE_NAME = b"iOpa", (b"lsct", b"lsdk"), b"luni"
KNOCKOUT, CHANNELS, CLIPS_AS_GROUP = b"knko", b"brst", b"clbl"

FULL_RANGE = (0, 65535)
"""A pair of Blend If that leaves nothing out: two bytes of black, 0, and two of white, 255 (Layer blending ranges)."""

FILL_DIFFERS = {
    "color-burn", "linear-burn", "color-dodge", "linear-dodge", "vivid-light", "linear-light", "hard-mix", "difference",
}  # fmt: skip
"""Modes in which Photoshop's fill opacity is not an opacity: it fades the layer's effect, not its alpha."""


class StoredMask(NamedTuple):
    """A mask in the file: its channel, its place, the value around it (0..255), and how much it hides (0..1)."""

    channel: int
    left: int
    top: int
    right: int
    bottom: int
    outside: int
    density: float

    @property
    def width(self) -> int:
        return max(self.right - self.left, 0)

    @property
    def height(self) -> int:
        return max(self.bottom - self.top, 0)


class Board(NamedTuple):
    """An artboard: its edges on the canvas, and its colour (0..1), or None where it is clear."""

    left: int
    top: int
    right: int
    bottom: int
    color: tuple[float, float, float] | None


def divider_kind(record: LayerRecord) -> int:
    data = block(record, *DIVIDERS)
    return int(data.kind) if data is not None else 0


def group_mode(record: LayerRecord) -> bytes:
    """A group's mode stands in its divider; without it the record's own holds."""
    mode = getattr(block(record, *DIVIDERS), "blend_mode", None) or record.blend_mode
    return bytes(mode.value)


def mode_name(mode: bytes) -> str | None:
    """This package's name of a Photoshop mode, or None where it has none (dissolve, darker color, lighter color)."""
    from psd_tools.constants import BlendMode

    return next((name for name, known in MODES.items() if BlendMode[known].value == mode), None)


def layer_name(record: LayerRecord) -> str:
    name = block(record, UNICODE_NAME)
    return str(record.name if name is None else _value(name)).rstrip("\0")


def fill_opacity(record: LayerRecord) -> float:
    """Photoshop's second opacity, 0..1: it leaves layer effects alone."""
    return int(_number(record, FILL_OPACITY, FULL)) / FULL


def clips_apart(record: LayerRecord) -> bool:
    """Whether "Blend Clipped Layers as Group" is off."""
    return not _number(record, CLIPS_AS_GROUP, 1)


# --- masks


def stored_mask(record: LayerRecord) -> StoredMask | None:
    """The mask that a layer's pixels still lack; None where there is none or it is switched off.

    Channel -2 is the user's mask, or what Photoshop drew of a vector mask, times the user's mask where there is one,
    which then is channel -3. A shape's pixels are cut out by its path already: it lacks the user's mask alone.
    """
    data = record.mask_data
    if data is None or data.flags is None:
        return None
    ids, flags = {int(info.id) for info in record.channel_info}, data.flags
    user_flags = data.real_flags if REAL_MASK in ids else None
    if flags.user_mask_from_render and _is_shape(record):
        return _user_mask(data) if user_flags is not None and not user_flags.mask_disabled else None
    if MASK not in ids or flags.mask_disabled:
        return None
    user, vector = _densities(data)
    drawn = 1.0 if user_flags is not None else vector
    density = drawn if flags.user_mask_from_render else user
    return StoredMask(MASK, data.left, data.top, data.right, data.bottom, data.background_color or 0, density)


def _user_mask(data: MaskData) -> StoredMask:
    edges = (data.real_left, data.real_top, data.real_right, data.real_bottom)
    left, top, right, bottom = (edge or 0 for edge in edges)
    return StoredMask(REAL_MASK, left, top, right, bottom, data.real_background_color or 0, _densities(data)[0])


def _densities(data: MaskData) -> tuple[float, float]:
    """How much the user's mask and the vector mask hide, 0..1."""
    given = data.parameters
    both = (None, None) if given is None else (given.user_mask_density, given.vector_mask_density)
    user, vector = (1.0 if density is None else density / FULL for density in both)
    return user, vector


def _is_shape(record: LayerRecord) -> bool:
    return bool(keys(record) & SHAPE) and has_pixels(record)


def has_pixels(record: LayerRecord) -> bool:
    return record.width * record.height > 0


def _mask_problems(record: LayerRecord) -> Iterator[Problem]:
    """What a mask does that its stored pixels do not show."""
    data = record.mask_data
    given = data.parameters if data is not None else None
    if data is not None and given is not None:
        if given.user_mask_feather or given.vector_mask_feather:
            yield Problem("has a mask with feather", "drawn with its hard edge")
        in_use = _is_shape(record) or stored_mask(record) is not None
        if in_use and _lost_density(record, data) < 1:
            yield Problem("has a vector mask with density", "drawn as if it were whole")


def _lost_density(record: LayerRecord, data: MaskData) -> float:
    """The density, 0..1, that the stored mask cannot show: the vector's beside the user's, either one in a product."""
    user, vector = _densities(data)
    if not data.flags.user_mask_from_render or _is_shape(record):
        return vector
    return min(user, vector) if data.real_flags is not None else 1.0


def lacks_drawn_mask(record: LayerRecord) -> bool:
    """Whether a vector mask is on that cuts neither the layer's pixels nor a mask among its channels."""
    vector = block(record, *VECTOR_MASK)
    drawn = record.mask_data is not None and record.mask_data.flags.user_mask_from_render
    if vector is None or drawn or _is_shape(record) or int(vector.flags) & 4:
        return False
    return any(type(part).__name__ in ("ClosedPath", "OpenPath") for part in vector.path)


# --- what cannot be drawn


def problems_of(record: LayerRecord) -> list[Problem]:
    """What a layer or a group does that pixels alone do not show."""
    found = list(_mask_problems(record))
    if _has_effects(record):
        found.append(Problem("has layer effects", "drawn without them"))
    if _number(record, KNOCKOUT, 0):
        found.append(Problem("knocks out the layers below", "drawn over them"))
    if block(record, CHANNELS):
        found.append(Problem("is blended into some of the channels only", "drawn into all"))
    ranges = record.blending_ranges
    pairs = [*(ranges.composite_ranges or ()), *(pair for row in ranges.channel_ranges or () for pair in row)]
    if any(tuple(pair) != FULL_RANGE for pair in pairs):
        found.append(Problem("blends by tone (Blend If)", "drawn whole"))
    return found


def lacks_pixels(record: LayerRecord) -> Problem | None:
    """Why a layer that is no group and no fill has no pixels of its own, or nothing."""
    found = keys(record)
    if found & ADJUSTMENTS:
        return Problem("is an adjustment layer")
    if has_pixels(record) or found & FILLS:
        return None
    # An empty layer lacks this flag: one of a kind that came after the specification has it.
    return Problem("is a layer without pixels of its own") if record.flags.pixel_data_irrelevant else None


def is_fill(record: LayerRecord) -> bool:
    """Whether a layer is a fill that has to be drawn."""
    return bool(keys(record) & FILLS) and not has_pixels(record)


def has_stroke(record: LayerRecord) -> bool:
    """Whether a line is drawn along the path of a shape, which is not in the fill."""
    data = block(record, STROKE)
    return data is not None and _is_on(data, b"strokeEnabled")


def fill_problem(record: LayerRecord, mode: str) -> Problem | None:
    faded = mode in FILL_DIFFERS and fill_opacity(record) < 1
    return Problem(f"has a fill opacity under the blend mode {mode}", "drawn with it as opacity") if faded else None


def _has_effects(record: LayerRecord) -> bool:
    """Whether an effect is switched on. The older list, lrFX, does not count: it lacks the switch for all effects."""
    found = [data for key in EFFECTS if (data := block(record, key)) is not None]
    # psd-tools leaves what it cannot take apart as bytes.
    return any(isinstance(data, bytes) or (_is_on(data, b"masterFXSwitch") and _holds_effect(data)) for data in found)


def _holds_effect(data: Any, depth: int = 4) -> bool:
    """Whether a descriptor, or a list of them, holds an effect that is switched on."""
    inner = data.values() if hasattr(data, "values") else data if isinstance(data, Iterable) else ()
    return _is_on(data, b"enab") or (depth > 0 and any(_holds_effect(one, depth - 1) for one in inner))


def _is_on(data: Any, key: bytes) -> bool:
    return hasattr(data, "values") and key in data and bool(_value(data[key]))


# --- colours in descriptors


def solid_color(record: LayerRecord) -> tuple[float, float, float] | None:
    """The colour (0..1) of a solid fill that has no pixels, for the whole canvas; None for all else."""
    fill = block(record, SOLID)
    return None if fill is None or has_pixels(record) else _rgb(fill)


def _rgb(data: Any) -> tuple[float, float, float] | None:
    """The colour of a descriptor, k/255; None where it is not an RGB colour."""
    color = data.get(b"Clr ")
    if color is None or not all(key in color for key in (b"Rd  ", b"Grn ", b"Bl  ")):
        return None
    red, green, blue = (round(min(max(float(_value(color[key])), 0), FULL)) for key in (b"Rd  ", b"Grn ", b"Bl  "))
    return red / FULL, green / FULL, blue / FULL


def artboard(record: LayerRecord, width: int, height: int) -> Board | None:
    """The artboard that a group is, cut at the canvas; None for a plain group."""
    data = block(record, *ARTBOARD)
    if data is None or b"artboardRect" not in data:
        return None
    edges = data[b"artboardRect"]
    left, top, right, bottom = (float(_value(edges[key])) for key in (b"Left", b"Top ", b"Rght", b"Btom"))
    x0, x1 = (round(min(max(x, 0), width)) for x in (left, right))
    y0, y1 = (round(min(max(y, 0), height)) for y in (top, bottom))
    kind = int(_value(data.get(b"artboardBackgroundType", 3)))
    color = {1: (1.0, 1.0, 1.0), 2: (0.0, 0.0, 0.0), 4: _rgb(data)}.get(kind)  # 3 is clear
    return Board(x0, y0, max(x0, x1), max(y0, y1), color)


# --- blocks


def block(record: LayerRecord, *wanted: bytes) -> Any:
    """The data of a record's first block with one of these keys, or None."""
    found = {_key(tag): tagged.data for tag, tagged in record.tagged_blocks.items()}
    return next((found[key] for key in wanted if key in found), None)


def keys(record: LayerRecord) -> set[bytes]:
    return {_key(tag) for tag in record.tagged_blocks}


def _key(tag: Any) -> bytes:
    value = getattr(tag, "value", tag)
    return value if isinstance(value, bytes) else b""


def _number(record: LayerRecord, key: bytes, otherwise: int) -> int:
    data = block(record, key)
    return otherwise if data is None else int(_value(data))


def _value(data: Any) -> Any:
    return getattr(data, "value", data)
