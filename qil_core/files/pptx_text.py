"""Editable text on a slide: a text box a block of recognised lines, over the hidden picture of its layer.

1. `add_text_boxes`: boxes without insets, wrapping or automatic fitting, so that no program moves a word. Line spacing
   is exact: then a line's baseline lies its font's descent above the line's foot, whatever the font's ascent is.
2. `report`, `note`: what became text, and what did not.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from statistics import median
from typing import TYPE_CHECKING, Any

from ..stack import Box
from ..typography.fonts import BULLETS, EAST_ASIAN, TYPEFACES, WIDE_BEARING, WIDE_BOTTOM, WIDE_TOP, bearing, is_wide
from ..typography.layer import Recognized, stays_pictures, turned_place
from ..typography.paragraphs import Block
from ..typography.style import Line
from .names import clean, short
from .pptx_frame import Frame

if TYPE_CHECKING:
    from pptx.shapes.shapetree import GroupShapes, SlideShapes

EMU_PER_POINT = 12700
"""English Metric Units a point (ECMA-376 part 1, ST_Coordinate)."""

SINGLE_LEADING = 1.2
"""Exact line spacing of a single line, in font sizes: what typefaces themselves have is 1.15 to 1.3."""

MIN_SPACING_POINTS = 0.02
"""Least letter spacing that is written: PowerPoint counts in hundredths of a point."""

WIDE_DESCENT = 0.24
"""How far a line with East Asian letters reaches below the baseline, in em: Microsoft YaHei has 0.262, and LibreOffice
takes 0.212 of the Latin typeface where it is missing; the middle of both is at most 0.03 off."""


def add_text_boxes(shapes: SlideShapes | GroupShapes, text: Recognized, box: Box, frame: Frame) -> None:
    """A text box a block, in the order of reading. box: the layer's, in pixels."""
    for block in text.blocks:
        _add_box(shapes, block, text, box, frame)


def _add_box(shapes: SlideShapes | GroupShapes, block: Block, text: Recognized, box: Box, frame: Frame) -> None:
    from pptx.util import Emu

    left, top, width, height = _extent(block)
    x, y = turned_place(text, left + width / 2, top + height / 2, box.height, box.width)
    middle = frame.at(box.left + x, box.top + y)
    wide, high = width * frame.pixel, height * frame.pixel
    sides = (round(side) for side in (middle[0] - wide / 2, middle[1] - high / 2, wide, high))
    shape = shapes.add_textbox(*map(Emu, sides))
    shape.rotation = text.degrees
    shape.name = _unused(short(block.text), {each.name for each in shapes})
    _fill_box(shape.text_frame, block, frame.pixel / EMU_PER_POINT)


def _unused(name: str, taken: set[str]) -> str:
    """The name, with the first free number behind it where the slide or group has it already."""
    if name not in taken:
        return name
    return next(numbered for number in count(2) if (numbered := f"{name} {number}") not in taken)


def _extent(block: Block) -> tuple[float, float, float, float]:
    """Left, top, width and height of a block's box, in pixels of the upright layer."""
    lines = block.lines
    if block.vertical:
        return _extent_of_columns(block)
    left = min(min(_left(line), _sign_left(line)) for line in lines)
    right = max(line.right + bearing(line.text[-1], line.family) * line.size for line in lines)
    leading = _leading(block)
    top = lines[0].baseline - leading + _descent(lines[0]) * lines[0].size
    return left, top, right - left, leading * len(lines)


def _extent_of_columns(block: Block) -> tuple[float, float, float, float]:
    """The same of columns: the first one has its middle half a leading left of the box's right side."""
    lines, leading = block.lines, _leading(block)
    size = median(line.size for line in lines)
    top = min(line.top for line in lines) - (1 - WIDE_TOP + WIDE_BOTTOM) / 2 * size
    bottom = max(line.bottom for line in lines) + WIDE_BEARING * size
    right = (lines[0].left + lines[0].right + leading) / 2
    return right - leading * len(lines), top, leading * len(lines), bottom - top


def _left(line: Line) -> float:
    """Where a line's first letter has its place, in front of its ink."""
    return line.left - bearing(line.text[0], line.family) * line.size


def _sign_left(line: Line) -> float:
    """The same of the sign before it, or of itself where there is none."""
    sign = line.bullet
    return _left(line) if sign is None else sign.left - BULLETS[sign.sign].bearing * sign.scale * line.size


def _leading(block: Block) -> float:
    return block.leading or SINGLE_LEADING * block.lines[0].size


def _descent(line: Line) -> float:
    return WIDE_DESCENT if any(map(is_wide, line.text)) else TYPEFACES[line.family].descent


def _fill_box(frame: Any, block: Block, points: float) -> None:
    """The words with their style. points: per pixel."""
    from pptx.enum.text import MSO_ANCHOR, MSO_AUTO_SIZE, PP_ALIGN
    from pptx.util import Pt

    frame.margin_left = frame.margin_top = frame.margin_right = frame.margin_bottom = 0
    frame.word_wrap, frame.auto_size, frame.vertical_anchor = False, MSO_AUTO_SIZE.NONE, MSO_ANCHOR.TOP
    size = median(line.size for line in block.lines) * points
    if block.vertical:
        frame._txBody.bodyPr.set("vert", "eaVert")
    text_left = min(_left(line) for line in block.lines)
    margin = 0.0 if block.vertical else (text_left - _extent(block)[0]) * points
    for number, lines in enumerate(block.paragraphs):
        paragraph = frame.add_paragraph() if number else frame.paragraphs[0]
        paragraph.alignment = getattr(PP_ALIGN, block.alignment.upper())
        paragraph.line_spacing = Pt(_leading(block) * points)
        if lines[0].script == "right-to-left":
            paragraph._p.get_or_add_pPr().set("rtl", "1")
        if block.alignment == "left" and margin:
            _hang(paragraph._p.get_or_add_pPr(), lines[0], margin, (_sign_left(lines[0]) - text_left) * points)
        for at, line in enumerate(lines):
            if at:
                paragraph.add_line_break()
            _add_run(paragraph, line, size, points)


def _hang(properties: Any, line: Line, margin: float, indent: float) -> None:
    """A paragraph's place from the box's left side and its sign's from there, in points, and the sign itself.

    ECMA-376 part 1, 21.1.2.2.7 and 21.1.2.4.
    """
    from pptx.oxml.ns import qn

    properties.set("marL", str(round(margin * EMU_PER_POINT)))
    if line.bullet is None:
        return
    properties.set("indent", str(round(indent * EMU_PER_POINT)))
    color = properties.makeelement(qn("a:buClr"), {})
    color.append(color.makeelement(qn("a:srgbClr"), {"val": "{:02X}{:02X}{:02X}".format(*line.bullet.color)}))
    properties.append(color)
    given = {
        "a:buSzPct": {"val": str(round(100_000 * line.bullet.scale))},
        "a:buFont": {"typeface": TYPEFACES["sans"].latin},
        "a:buChar": {"char": line.bullet.sign},
    }
    for tag, values in given.items():
        properties.append(properties.makeelement(qn(tag), values))


def _add_run(paragraph: Any, line: Line, size: float, points: float) -> None:
    """One line. size: in points."""
    from pptx.dml.color import RGBColor
    from pptx.util import Pt

    run = paragraph.add_run()
    run.text = clean(line.text)
    font = run.font
    font.size, font.bold, font.italic = Pt(round(size, 1)), line.bold, line.italic
    font.color.rgb = RGBColor(*line.color)
    spacing = line.spacing * points
    if abs(spacing) >= MIN_SPACING_POINTS:
        font._element.set("spc", str(round(100 * spacing)))
    _set_typefaces(font._element, line)
    if line.opacity < 1:
        _set_opacity(font._element, line.opacity)


def _set_typefaces(properties: Any, line: Line) -> None:
    """Latin, East Asian and complex scripts have a typeface each (ECMA-376 part 1, 21.1.2.3)."""
    from pptx.oxml.ns import qn

    latin = TYPEFACES[line.family].latin
    for tag, face in (("a:latin", latin), ("a:ea", EAST_ASIAN.get(line.script, latin)), ("a:cs", latin)):
        element = properties.makeelement(qn(tag), {"typeface": face})
        properties.append(element)


def _set_opacity(properties: Any, opacity: float) -> None:
    """In thousandths of a percent (ECMA-376 part 1, 20.1.2.3.1)."""
    from pptx.oxml.ns import qn

    color = properties.find(f"{qn('a:solidFill')}/{qn('a:srgbClr')}")
    color.append(color.makeelement(qn("a:alpha"), {"val": str(round(100_000 * opacity))}))


def note(texts: Iterable[Recognized | None]) -> str:
    """The recognised text for a slide's notes, the topmost layer last, and what stays a picture; "" of neither."""
    found = [text for text in texts if text]
    words = [text.text for text in found if text.blocks]
    unsure = stays_pictures(found)
    return "\n".join([*words, *([f"Text that stays a picture: {'; '.join(unsure)}"] if unsure else [])])


def report(texts: Iterable[Recognized | None]) -> str:
    """What became text and what stays a picture, on one line."""
    found = [text for text in texts if text]
    names = [f'"{short(block.text)}"' for text in found for block in text.blocks]
    unsure = stays_pictures(found)
    line = f"{len(names)} text box{'es' * (len(names) != 1)}: {', '.join(names)}" if names else "no text boxes"
    return line + (f"; stays a picture: {'; '.join(map(clean, unsure))}" if unsure else "")
