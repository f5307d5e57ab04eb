"""Shapes as SVG's own elements: rect, ellipse, line and path, with linear gradients and blurred shadows.

Source: SVG 1.1 (W3C), chapters 9 (shapes), 13 (gradients, in user space) and 15 (filters). Lengths are pixels.
"""

from __future__ import annotations

import math

from .pptx_shapes import hex_of
from .shape_fills import Fill, Shadow
from .shape_outlines import Ellipse, Freeform, Outline, Rounded
from .shape_painting import Shape
from .svg_elements import Element, add


def add_shape(parent: Element, shape: Shape, identity: str, name: str) -> None:
    """Add a named shape to a group. identity: unique in the file; its gradient and its shadow are called by it."""
    if shape.shadow:
        _add_filter(parent, shape.shadow, f"{identity}-soft")
        _add_element(parent, shape.outline, hex_of(shape.shadow.color), shape.shadow.opacity).set(
            "style", f"filter:url(#{identity}-soft)"
        )
    paint = "#" + hex_of(shape.fill.color)
    if shape.fill.other is not None:
        _add_gradient(parent, shape.fill, f"{identity}-fill")
        paint = f"url(#{identity}-fill)"
    element = _add_element(parent, shape.within_stroke(0.5), paint, shape.fill.opacity)
    if shape.stroke:
        element.set("stroke", "#" + hex_of(shape.stroke.color))
        element.set("stroke-width", f"{shape.stroke.width:.6g}")
    element.set("id", identity)
    add(element, "title", {}).text = name


def _add_element(parent: Element, outline: Outline, paint: str, opacity: float) -> Element:
    paint = paint if paint.startswith(("#", "url")) else f"#{paint}"
    look: dict[str, str | float] = {"fill": paint}
    if opacity < 1:
        look["fill-opacity"] = opacity
    if isinstance(outline, Freeform):
        subpaths = ("M" + " L".join(f"{x:.6g},{y:.6g}" for x, y in path) + " Z" for path in outline.outlines)
        return add(parent, "path", look | {"d": " ".join(subpaths), "fill-rule": "evenodd"})
    if outline.turn:
        turn = f"rotate({math.degrees(outline.turn):.6g} {outline.x:.6g} {outline.y:.6g})"
        look |= {"transform": turn}
    if isinstance(outline, Ellipse):
        numbers = {"cx": outline.x, "cy": outline.y, "rx": outline.width / 2, "ry": outline.height / 2}
        return add(parent, "ellipse", look | numbers)
    return add(parent, "rect", look | _rectangle(outline))


def _rectangle(outline: Rounded) -> dict[str, float]:
    left, top = outline.x - outline.width / 2, outline.y - outline.height / 2
    numbers = {"x": left, "y": top, "width": outline.width, "height": outline.height}
    round_corners = {"rx": outline.radius, "ry": outline.radius} if outline.radius else {}
    return numbers | round_corners


def _add_gradient(parent: Element, fill: Fill, identity: str) -> None:
    (x1, y1), (x2, y2) = fill.start, fill.end
    line = {"x1": x1, "y1": y1, "x2": x2, "y2": y2}
    gradient = add(parent, "linearGradient", {"id": identity, "gradientUnits": "userSpaceOnUse", **line})
    for at, color in (("0", fill.color), ("1", fill.other or fill.color)):
        add(gradient, "stop", {"offset": at, "stop-color": "#" + hex_of(color)})


def _add_filter(parent: Element, shadow: Shadow, identity: str) -> None:
    """A blur of a copy that is moved; the region is generous, for the default one cuts wide shadows of small things."""
    region = {"x": "-1", "y": "-1", "width": "3", "height": "3", "color-interpolation-filters": "sRGB"}
    steps = add(parent, "filter", {"id": identity} | region)
    add(steps, "feGaussianBlur", {"stdDeviation": shadow.sigma})
    add(steps, "feOffset", {"dx": shadow.x, "dy": shadow.y})
