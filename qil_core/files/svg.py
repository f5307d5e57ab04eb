"""SVG: a picture a layer, placed and named, in named groups, as Inkscape, browsers and web editors open it.

Source: SVG 1.1 and 2 (W3C), "Compositing and Blending Level 1" for mix-blend-mode, and Inkscape's own namespace, which
makes a group a layer of its panel. Every layer is a PNG inside the file, cropped to its content; text and shapes are
pictures too, unless they are asked for as what they are. An empty layer is an empty group.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree

from torch import Tensor

from ..progress import Progress, silent
from ..stack import Box, LayerStack
from .atomic import atomic_path
from .editable import Editable, find_editable
from .format import NONE, Dpi, Format, Options
from .layered import PLAIN, Layered, Look
from .limits import check_count, check_modes
from .names import Group, Leaf, clean, nest
from .png import encode, parallel
from .shapes import FoundShapes, names_of
from .svg_elements import INKSCAPE, LABEL, XLINK, Element, add, tag
from .svg_shapes import add_shape
from .svg_text import add_text

MODES = {
    "normal", "multiply", "screen", "overlay", "darken", "lighten", "color-dodge", "color-burn", "hard-light",
    "soft-light", "difference", "exclusion", "hue", "saturation", "color", "luminosity",
}  # fmt: skip
"""The values of mix-blend-mode (Compositing and Blending Level 1, section 5.1), which are this package's names too."""

DPI = Dpi(usual=96, least=10, most=2400)
"""At 96, CSS' pixels an inch (CSS Values 4, section 6.2), a pixel of a layer is one of the drawing."""


def write(
    stack: LayerStack, path: Path, look: Look = PLAIN, options: Options = NONE, progress: Progress = silent
) -> Path:
    """Write an SVG: groups, layers, blend modes, opacities and hidden layers; the same bytes each time.

    look: what lies beyond the canvas is kept and cut off where it is shown. options: dpi, the size in inches. Raises
    QilError: too many layers, a mode that SVG lacks, dpi out of range, the disk refuses.
    """
    dpi, look = DPI.of(options), look.of(len(stack))
    check_count(stack)
    check_modes(stack, look, MODES, "SVG", "PSD")
    layered = Layered(stack, look)
    contents = [layered.content(i) for i in range(len(stack))]
    with atomic_path(path) as temporary, parallel(encode, (found[1] for found in contents if found)) as pngs:
        root = _root(stack, dpi)
        boxes = [found[0] if found else None for found in contents]
        shown = [content if seen else None for content, seen in zip(contents, look.visible, strict=True)]
        found = options.found or find_editable(shown, options.text, options.shapes)
        drawing = _Drawing(look, boxes, pngs, progress, found)
        drawing.fill(root, nest(stack.names))
        temporary.write_bytes(ElementTree.tostring(root, "utf-8", xml_declaration=True))
    return path


def _root(stack: LayerStack, dpi: float) -> Element:
    inches = {"width": f"{stack.width / dpi:.6g}in", "height": f"{stack.height / dpi:.6g}in"}
    # isolation: blend modes meet the layers, and never the page that the drawing lies on.
    about = {"version": "1.1", "viewBox": f"0 0 {stack.width} {stack.height}", "style": "isolation:isolate"}
    return Element(tag("svg"), about | inches)


class _Drawing:
    """Fills a drawing from the bottom up."""

    def __init__(
        self,
        look: Look,
        boxes: Sequence[Box | None],
        pngs: Iterator[bytes],
        progress: Progress,
        found: Sequence[Editable],
    ) -> None:
        self._look, self._boxes, self._pngs, self._progress, self._found = look, boxes, pngs, progress, found
        self._groups = 0

    def fill(self, parent: Element, items: Sequence[Group | Leaf]) -> None:
        """Elements bottom first, as SVG draws them."""
        for item in items:
            if isinstance(item, Group):
                self._groups += 1
                self.fill(_layer(parent, item.name, f"group{self._groups}"), item.items)
            else:
                self._place(parent, item)

    def _place(self, parent: Element, leaf: Leaf) -> None:
        index, look = leaf.index, self._look
        self._progress(index / len(self._boxes), f"Writing {leaf.name}")
        group = _layer(parent, leaf.name, f"layer{index}")
        style = "" if look.visible[index] else "display:none;"
        style += f"opacity:{look.opacities[index]:.6g};" if look.opacities[index] < 1 else ""
        style += f"mix-blend-mode:{look.modes[index]};" if look.modes[index] != "normal" else ""
        if style:
            group.set("style", style.rstrip(";"))
        if (box := self._boxes[index]) is not None:
            self._add_content(group, leaf, box)

    def _add_content(self, group: Element, leaf: Leaf, box: Box) -> None:
        """A layer's picture; hidden where it is text or shapes, and these above it."""
        index, words, shapes = leaf.index, self._found[leaf.index].words, self._found[leaf.index].shapes
        if not words and not shapes:
            return _add_picture(group, next(self._pngs), box)
        pixels = _layer(group, f"{leaf.name} (pixels)", f"layer{index}-pixels")
        pixels.set("style", "display:none")
        _add_picture(pixels, next(self._pngs), box)
        if words:
            _add_rest(group, words.rest, box)
            add_text(group, words, box, f"layer{index}")
        if shapes:
            _add_shapes(group, shapes, f"layer{index}", box)
            _add_rest(group, shapes.rest, box)


def _add_shapes(group: Element, found: FoundShapes, identity: str, box: Box) -> None:
    for number, (shape, name) in enumerate(zip(found.shapes, names_of(found.shapes), strict=True), 1):
        add_shape(group, shape.moved(box.left, box.top), f"{identity}-{number}", name)


def _add_rest(group: Element, rest: Tensor | None, box: Box) -> None:
    if rest is not None:
        _add_picture(group, encode(rest), box)


def _add_picture(parent: Element, png: bytes, box: Box) -> None:
    data = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    place = {"x": box.left, "y": box.top, "width": box.width, "height": box.height}
    add(parent, "image", {**place, f"{{{XLINK}}}href": data})


def _layer(parent: Element, name: str, identity: str) -> Element:
    """A group that Inkscape shows as a layer and browsers as a title."""
    name = clean(name)
    group = add(parent, "g", {f"{{{INKSCAPE}}}groupmode": "layer", LABEL: name, "id": identity})
    add(group, "title", {}).text = name
    return group


FORMAT = Format("svg", "SVG", (".svg",), write, dpi=DPI, extras=("text", "shapes", "found"))
