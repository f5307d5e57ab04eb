"""What all parts of an SVG file are made with: its namespaces, its elements, and how numbers are written."""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree import ElementTree

SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
INKSCAPE = "http://www.inkscape.org/namespaces/inkscape"
SODIPODI = "http://sodipodi.sourceforge.net/DTD/sodipodi-0.dtd"
LABEL = f"{{{INKSCAPE}}}label"

ElementTree.register_namespace("", SVG)
ElementTree.register_namespace("xlink", XLINK)
ElementTree.register_namespace("inkscape", INKSCAPE)
ElementTree.register_namespace("sodipodi", SODIPODI)

Element = ElementTree.Element


def tag(name: str) -> str:
    """An SVG element's name as ElementTree has it."""
    return f"{{{SVG}}}{name}"


def add(parent: Element, name: str, attributes: Mapping[str, str | float]) -> Element:
    """Add an element; of numbers six digits are written."""
    texts = {key: value if isinstance(value, str) else f"{value:.6g}" for key, value in attributes.items()}
    return ElementTree.SubElement(parent, tag(name), texts)
