"""PowerPoint's own shapes: rectangles, ellipses, lines and freeforms with fills and soft shadows (DrawingML).

Source: ECMA-376 part 1, chapter 20: prstGeom and custGeom, solidFill and gradFill, outerShdw. Lengths are EMU, angles
sixtieths of a thousandth of a degree clockwise, shares thousandths of a percent.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..stack import Box
from .png import encode
from .pptx_frame import Frame
from .shape_fills import Color, Fill, Shadow
from .shape_outlines import Freeform, Outline, Points, Rounded
from .shape_painting import Shape, Stroke
from .shapes import FoundShapes, names_of

if TYPE_CHECKING:
    from pptx.shapes.shapetree import GroupShapes, SlideShapes
    from pptx.util import Emu

DRAWING = "http://schemas.openxmlformats.org/drawingml/2006/main"

DEGREE, WHOLE = 60_000, 100_000
"""Units of an angle a degree, and of a share the whole (ECMA-376 part 1, ST_Angle and ST_Percentage)."""

BLUR_RADIUS = 2.0
"""Radius of a soft shadow, in standard deviations of a Gaussian: as CSS has it (Backgrounds and Borders 3, 6.1.1)."""


def add_shapes(target: SlideShapes | GroupShapes, found: FoundShapes, name: str, box: Box, frame: Frame) -> None:
    """Add what was found in a layer: one shape by the layer's name, or a group of shapes and the rest on top.

    box: the layer's content on the canvas, in pixels.
    """
    shapes = [shape.moved(box.left, box.top) for shape in found.shapes]
    if found.rest is None and len(shapes) == 1:
        _add(target, shapes[0], name, frame)
        return
    group = target.add_group_shape()
    group.name = name
    for shape, called in zip(shapes, names_of(shapes), strict=True):
        _add(group.shapes, shape, called, frame)
    if found.rest is not None:
        left, top, wide, high = _box(frame, box.left, box.top, box.width, box.height)
        picture = group.shapes.add_picture(io.BytesIO(encode(found.rest)), left, top, wide, high)
        picture.name = "rest"
        element: Any = picture.element
        element.nvPicPr.cNvPr.set("descr", name)  # the alternative text, which is else the file's name


def _add(target: SlideShapes | GroupShapes, shape: Shape, name: str, frame: Frame) -> None:
    outline = shape.within_stroke(0.5)
    if isinstance(outline, Rounded) and outline.is_line and shape.fill.other is None and not shape.stroke:
        added = _add_line(target, outline, shape.fill, frame)
    else:
        added = _add_area(target, outline, shape.fill, frame)
        added.element.spPr.append(_xml(_pen(shape.stroke, frame)))
    added.name = name
    properties = added.element.spPr
    if shape.shadow:
        properties.append(_xml(_shadow(shape.shadow, frame)))
    element: Any = added.element
    for style in element.findall("{http://schemas.openxmlformats.org/presentationml/2006/main}style"):
        element.remove(style)  # a theme's outline, shade and colours


def _add_area(target: SlideShapes | GroupShapes, outline: Outline, fill: Fill, frame: Frame) -> Any:
    from pptx.enum.shapes import MSO_SHAPE

    if isinstance(outline, Freeform):
        points = np.concatenate(outline.outlines)
        (left, top), (right, bottom) = points.min(0), points.max(0)
        added: Any = target.add_shape(MSO_SHAPE.RECTANGLE, *_box(frame, left, top, right - left, bottom - top))
        preset = added.element.spPr.find(f"{{{DRAWING}}}prstGeom")
        preset.getparent().replace(preset, _xml(_geometry(outline.outlines, added.width, added.height)))
        center, size, turn = ((left + right) / 2, (top + bottom) / 2), (right - left, bottom - top), 0.0
    else:
        left, top = outline.x - outline.width / 2, outline.y - outline.height / 2
        radius = outline.radius if isinstance(outline, Rounded) else 0.0
        kinds = {"rectangle": MSO_SHAPE.RECTANGLE, "ellipse": MSO_SHAPE.OVAL}
        kind = MSO_SHAPE.ROUNDED_RECTANGLE if radius else kinds.get(outline.form, MSO_SHAPE.RECTANGLE)
        added = target.add_shape(kind, *_box(frame, left, top, outline.width, outline.height))
        if radius:
            added.adjustments[0] = radius / min(outline.width, outline.height)
        added.rotation = math.degrees(outline.turn)
        center, size, turn = (outline.x, outline.y), (outline.width, outline.height), outline.turn
    added.element.spPr.append(_xml(_filled(fill, center, size, turn)))
    return added


def _pen(stroke: Stroke | None, frame: Frame) -> str:
    """The line around an area, whose middle lies on its outline; none has to be said, too."""
    if stroke is None:
        return f'<a:ln xmlns:a="{DRAWING}"><a:noFill/></a:ln>'
    width = max(1, round(stroke.width * frame.pixel))
    return f'<a:ln xmlns:a="{DRAWING}" w="{width}">{_solid(stroke.color, 1.0)}<a:miter lim="800000"/></a:ln>'


def _add_line(target: SlideShapes | GroupShapes, line: Rounded, fill: Fill, frame: Frame) -> Any:
    """A line along the longer side; where its ends are round it ends half its width earlier."""
    from pptx.enum.shapes import MSO_CONNECTOR
    from pptx.util import Emu

    wide = line.width >= line.height
    thick, turn = (line.height, line.turn) if wide else (line.width, line.turn + math.pi / 2)
    half = max(line.width, line.height) / 2 - (thick / 2 if line.radius else 0)
    dx, dy = math.cos(turn) * half, math.sin(turn) * half
    ends = (*frame.emu(line.x - dx, line.y - dy), *frame.emu(line.x + dx, line.y + dy))
    added: Any = target.add_connector(MSO_CONNECTOR.STRAIGHT, *map(Emu, ends))
    cap = "rnd" if line.radius else "flat"
    width = max(1, round(thick * frame.pixel))
    pen = f'<a:ln xmlns:a="{DRAWING}" w="{width}" cap="{cap}">{_solid(fill.color, fill.opacity)}<a:round/></a:ln>'
    added.element.spPr.append(_xml(pen))
    return added


def _box(frame: Frame, left: float, top: float, width: float, height: float) -> tuple[Emu, Emu, Emu, Emu]:
    """Left, top, width and height in EMU: edges are rounded, not sizes."""
    from pptx.util import Emu

    one, other = frame.emu(left, top), frame.emu(left + width, top + height)
    return Emu(one[0]), Emu(one[1]), Emu(max(1, other[0] - one[0])), Emu(max(1, other[1] - one[1]))


def _xml(text: str) -> Any:
    from pptx.oxml import parse_xml

    return parse_xml(text)


def _filled(fill: Fill, center: tuple[float, float], size: tuple[float, float], turn: float) -> str:
    if fill.other is None:
        return _solid(fill.color, fill.opacity, f' xmlns:a="{DRAWING}"')
    angle, stops = stops_of(fill, center, size, turn)
    marks = "".join(f'<a:gs pos="{round(at * WHOLE)}">{_rgb(color, fill.opacity)}</a:gs>' for at, color in stops)
    line = f'<a:lin ang="{round(math.degrees(angle) * DEGREE) % (360 * DEGREE)}" scaled="0"/>'
    return f'<a:gradFill xmlns:a="{DRAWING}" rotWithShape="1"><a:gsLst>{marks}</a:gsLst>{line}</a:gradFill>'


def stops_of(
    fill: Fill, center: tuple[float, float], size: tuple[float, float], turn: float
) -> tuple[float, list[tuple[float, Color]]]:
    """A gradient's angle in the frame of a turned box, and its colours along the line on which the box' corners lie.

    That line runs through the middle, and its ends are where its perpendiculars touch the outermost corners.
    """
    assert fill.other is not None
    dx, dy = fill.end[0] - fill.start[0], fill.end[1] - fill.start[1]
    length, angle = math.hypot(dx, dy), math.atan2(dy, dx)
    inner = angle - turn
    across = abs(size[0] * math.cos(inner)) + abs(size[1] * math.sin(inner))
    first = ((fill.start[0] - center[0]) * dx + (fill.start[1] - center[1]) * dy) / length
    marks = [(first + across / 2) / across, (first + length + across / 2) / across]
    one, other = np.array(fill.color), np.array(fill.other)

    def color_at(at: float) -> Color:
        share = min(1.0, max(0.0, (at - marks[0]) / (marks[1] - marks[0])))
        red, green, blue = (float(value) for value in one + share * (other - one))
        return red, green, blue

    places = [0.0, *(mark for mark in marks if 0.001 < mark < 0.999), 1.0]
    return inner, [(at, color_at(at)) for at in places]


def _shadow(shadow: Shadow, frame: Frame) -> str:
    blur, far = shadow.sigma * BLUR_RADIUS * frame.pixel, math.hypot(shadow.x, shadow.y) * frame.pixel
    turn = round(math.degrees(math.atan2(shadow.y, shadow.x)) * DEGREE) % (360 * DEGREE)
    where = f'blurRad="{round(blur)}" dist="{round(far)}" dir="{turn}" algn="ctr" rotWithShape="0"'
    color = _rgb(shadow.color, shadow.opacity)
    return f'<a:effectLst xmlns:a="{DRAWING}"><a:outerShdw {where}>{color}</a:outerShdw></a:effectLst>'


def _solid(color: Color, opacity: float, space: str = "") -> str:
    return f"<a:solidFill{space}>{_rgb(color, opacity)}</a:solidFill>"


def _rgb(color: Color, opacity: float) -> str:
    alpha = f'<a:alpha val="{round(opacity * WHOLE)}"/>' if opacity < 1 else ""
    return f'<a:srgbClr val="{hex_of(color)}">{alpha}</a:srgbClr>'


def hex_of(color: Color) -> str:
    """RRGGBB of a colour in 0..1."""
    return "".join(f"{round(255 * value):02X}" for value in color)


def _geometry(outlines: Sequence[Points], width: int, height: int) -> str:
    """A freeform in a box of this many EMU: a path of all outlines, where two overlap is a hole."""
    points = np.concatenate(outlines)
    low, high = points.min(0), points.max(0)
    scale = np.array([width, height]) / np.maximum(high - low, 1e-9)
    drawing = "".join(_subpath(np.round((path - low) * scale).astype(int)) for path in outlines)
    lists = "<a:avLst/><a:gdLst/><a:ahLst/><a:cxnLst/>"
    rectangle = '<a:rect l="0" t="0" r="r" b="b"/>'
    path = f'<a:pathLst><a:path w="{width}" h="{height}">{drawing}</a:path></a:pathLst>'
    return f'<a:custGeom xmlns:a="{DRAWING}">{lists}{rectangle}{path}</a:custGeom>'


def _subpath(points: np.ndarray) -> str:
    first, *others = (f'<a:pt x="{x}" y="{y}"/>' for x, y in points.tolist())
    return f"<a:moveTo>{first}</a:moveTo>" + "".join(f"<a:lnTo>{one}</a:lnTo>" for one in others) + "<a:close/>"
