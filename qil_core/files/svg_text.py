"""Recognised text as SVG text: a `text` element a paragraph and in it a `tspan` a line, each on its own baseline.

Source: SVG 1.1 (W3C), chapter 10 (text), and Inkscape's sodipodi:role, by which it takes a tspan for a line that one
can break and join, and puts it where line-height says. Every line is held where it was measured, by its side or
middle as the block is aligned, so a font that is missing moves no line but its ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from ..stack import Box
from ..typography.fonts import EAST_ASIAN, TYPEFACES, Family, bearing
from ..typography.layer import Recognized, turned_place
from ..typography.paragraphs import Alignment, Block
from ..typography.style import Line
from .names import clean, short
from .svg_elements import LABEL, SODIPODI, Element, add

GENERIC: dict[Family, str] = {
    "sans": "'Liberation Sans',Helvetica,sans-serif",
    "serif": "'Liberation Serif',Times,serif",
    "mono": "'Liberation Mono',Courier,monospace",
}
"""What stands in for a family's typeface where that is missing: fonts of the same widths first, then CSS' own names."""

MIN_SPACING_PX = 0.02
"""Least letter spacing that is written, in pixels: less moves a line of 80 letters by less than two pixels."""


def add_text(parent: Element, text: Recognized, box: Box, identity: str) -> None:
    """Add the paragraphs of a layer's text, in the order of reading.

    box: of the layer's content on the canvas, in pixels. identity: begins the ids, unique in the file.
    """
    paragraphs = [(block, lines) for block in text.blocks for lines in block.paragraphs]
    for number, (block, lines) in enumerate(paragraphs, 1):
        about = {"id": f"{identity}-text{number}", LABEL: short(" ".join(line.text for line in lines))}
        _add_paragraph(parent, about, block, lines, text, box)


def _add_paragraph(
    parent: Element, about: dict[str, str], block: Block, lines: tuple[Line, ...], text: Recognized, box: Box
) -> None:
    """A paragraph. Its lines stand as in the upright layer, and all turn about the first one's place."""
    across, down = _anchor(lines[0], block.alignment), lines[0].baseline
    x, y = turned_place(text, across, down, box.height, box.width)
    x, y = box.left + x, box.top + y
    turn = {"transform": f"rotate({text.degrees:.6g} {x:.6g} {y:.6g})"} if text.degrees else {}
    element = add(parent, "text", about | turn | {"x": x, "y": y, "style": ";".join(_style(block, lines))})
    for line in lines:
        place = {"x": x + _anchor(line, block.alignment) - across, "y": y + line.baseline - down}
        role = {f"{{{SODIPODI}}}role": "line"} if len(lines) > 1 else {}
        add(element, "tspan", role | place | _own_style(line)).text = clean(line.text)


def _anchor(line: Line, alignment: Alignment) -> float:
    """Where a line is held, in pixels across: its middle, or its side with the clear space that letters have there."""
    left = line.left - bearing(line.text[0], line.family) * line.size
    right = line.right + bearing(line.text[-1], line.family) * line.size
    return {"left": left, "center": (left + right) / 2, "right": right}[alignment]


def _style(block: Block, lines: tuple[Line, ...]) -> Iterator[str]:
    """What the lines of a paragraph share, as CSS."""
    line = lines[0]
    latin = TYPEFACES[line.family].latin
    wide = f"'{EAST_ASIAN[line.script]}'," if line.script in EAST_ASIAN else ""
    yield f"font-family:'{latin}',{wide}{GENERIC[line.family]}"
    size = median(each.size for each in block.lines)
    yield f"font-size:{size:.6g}px"
    if block.leading:
        yield f"line-height:{block.leading / size:.6g}"
    if line.bold:
        yield "font-weight:bold"
    if line.italic:
        yield "font-style:italic"
    leftward = line.script == "right-to-left"
    if leftward:
        yield "direction:rtl"
    ends = {"left": "end" if leftward else "start", "center": "middle", "right": "start" if leftward else "end"}
    yield f"text-anchor:{ends[block.alignment]}"


def _own_style(line: Line) -> dict[str, str | float]:
    """What a line has of its own."""
    style: dict[str, str | float] = {"fill": "#" + "".join(f"{value:02X}" for value in line.color)}
    if line.opacity < 1:
        style["fill-opacity"] = line.opacity
    if abs(line.spacing) >= MIN_SPACING_PX:
        style["letter-spacing"] = line.spacing
    return style
