"""Recognised text as SVG text: a `text` element a paragraph and in it a `tspan` a line, each on its own baseline.

Source: SVG 1.1 (W3C), chapter 10 (text), and Inkscape's sodipodi:role, by which it takes a tspan for a line that one
can break and join, and puts it where line-height says. Columns run downwards (CSS Writing Modes 3). Every line is held
where it was measured, by its side or middle as the block is aligned, so a font that is missing moves no line but its
ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from ..stack import Box
from ..typography.bullets import Bullet
from ..typography.fonts import BULLETS, EAST_ASIAN, TYPEFACES, WIDE_BOTTOM, WIDE_TOP, Family, bearing
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
    across, down = _start(lines[0], block.alignment)
    x, y = turned_place(text, across, down, box.height, box.width)
    x, y = box.left + x, box.top + y
    turn = {"transform": f"rotate({text.degrees:.6g} {x:.6g} {y:.6g})"} if text.degrees else {}
    element = add(parent, "text", about | turn | {"x": x, "y": y, "style": ";".join(_style(block, lines))})
    for line in lines:
        start = _start(line, block.alignment)
        role = {f"{{{SODIPODI}}}role": "line"} if len(lines) > 1 else {}
        place = {"x": x + start[0] - across, "y": y + start[1] - down}
        add(element, "tspan", role | place | _own_style(line)).text = clean(line.text)
        if line.bullet is not None:
            sign = x + _sign_left(line, line.bullet) - across
            _add_bullet(parent, line, line.bullet, turn | {"x": sign, "y": place["y"]})


def _start(line: Line, alignment: Alignment) -> tuple[float, float]:
    """Where a line is held, in pixels of the upright layer: on its baseline, or of a column at its head's middle."""
    if line.vertical:
        return (line.left + line.right) / 2, line.top - (1 - WIDE_TOP + WIDE_BOTTOM) / 2 * line.size
    return _anchor(line, alignment), line.baseline


def _sign_left(line: Line, bullet: Bullet) -> float:
    """Where the sign before a line has its place, in front of its ink."""
    return bullet.left - BULLETS[bullet.sign].bearing * bullet.scale * line.size


def _add_bullet(parent: Element, line: Line, bullet: Bullet, place: dict[str, str | float]) -> None:
    """The sign before a line: a text of its own, as SVG has no lists."""
    font = f"font-family:'{TYPEFACES['sans'].latin}',{GENERIC['sans']};font-size:{bullet.scale * line.size:.6g}px"
    add(parent, "text", place | {"style": font, "fill": _hex(bullet.color)}).text = bullet.sign


def _hex(color: tuple[int, int, int]) -> str:
    return "#" + "".join(f"{value:02X}" for value in color)


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
    if block.vertical:
        yield "writing-mode:vertical-rl"
        return
    leftward = line.script == "right-to-left"
    if leftward:
        yield "direction:rtl"
    ends = {"left": "end" if leftward else "start", "center": "middle", "right": "start" if leftward else "end"}
    yield f"text-anchor:{ends[block.alignment]}"


def _own_style(line: Line) -> dict[str, str | float]:
    """What a line has of its own."""
    style: dict[str, str | float] = {"fill": _hex(line.color)}
    if line.opacity < 1:
        style["fill-opacity"] = line.opacity
    if abs(line.spacing) >= MIN_SPACING_PX:
        style["letter-spacing"] = line.spacing
    return style
