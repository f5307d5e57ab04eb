"""OpenRaster: a ZIP of PNGs cropped to their content, and stack.xml, which says how they lie on each other.

Source: the OpenRaster specification 0.0.6 (freedesktop.org), and what Krita 5 and GIMP 2.10 write. Hidden colour under
alpha 0 is kept inside a layer's bounds and is black outside them; an empty layer is one clear pixel.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from xml.etree import ElementTree

import torch
from PIL import Image
from torch import Tensor

from ..errors import QilError
from ..progress import Progress, silent
from ..stack import Box, LayerStack, to_bytes
from .archive import SIGNATURE, member, opened
from .atomic import atomic_path
from .format import MERGED, NONE, REFUSE, SKIP, Dpi, Format, Options
from .layered import PLAIN, Layered, Look
from .limits import check_canvas_in, check_count, check_modes, check_packing, check_pixels, check_size
from .names import Group, Leaf, nest
from .png import (
    CHANNELS,
    HEADER_BYTES,
    METADATA_BYTES,
    UNREADABLE,
    encode,
    parallel,
    png_size,
    read_bounded,
    read_picture,
    reading,
)
from .tree import Folder, Problem, Sheet, Style, Unsupported, flatten, merged_layer

VERSION = "0.0.6"
"""Of the specification, in stack.xml's root."""

MIMETYPE = b"image/openraster"
STACK = "stack.xml"
MERGED_FILE = "mergedimage.png"
THUMBNAIL = "Thumbnails/thumbnail.png"
THUMBNAIL_SIDE = 256
"""Pixels that a thumbnail may have on its longer side (specification, "Thumbnail")."""

MAX_DEPTH = 64
"""Stacks inside stacks that are read: four times what this package writes (names.MAX_DEPTH)."""

MAX_NUMBER = 10**7
"""Largest size or place in pixels that is taken from a file: far more than any canvas that is read."""

DPI = Dpi(usual=72, least=1, most=30_000)
"""The format sets no bounds; 72 is what it takes where a file says nothing, and the most is PSD's."""

NOT_SHOWN = Box(0, 0, 1, 1)
"""What stands for an empty layer: the format has no layer without a picture."""

OPS = {"normal": "svg:src-over"} | {
    mode: f"svg:{mode}"
    for mode in (
        "multiply", "screen", "overlay", "darken", "lighten", "color-dodge", "color-burn", "hard-light", "soft-light",
        "difference", "color", "luminosity", "hue", "saturation",
    )
}  # fmt: skip
"""This package's blend modes as OpenRaster's composite-op."""

MODES = {op: mode for mode, op in OPS.items()}


def write(
    stack: LayerStack, path: Path, look: Look = PLAIN, options: Options = NONE, progress: Progress = silent
) -> Path:
    """Write an OpenRaster file: cropped layers, groups, the merged picture and a thumbnail; the same bytes each time.

    look: blend modes, opacities, visibility, and what lies beyond the canvas. options: dpi. Raises QilError: too many
    layers, a mode that the format lacks, dpi out of range, the disk refuses.
    """
    dpi, look = DPI.of(options), look.of(len(stack))
    check_count(stack)
    check_modes(stack, look, OPS, "OpenRaster", "PSD")
    layered = Layered(stack, look)
    empty = NOT_SHOWN, stack.pixels.new_zeros(NOT_SHOWN.height, NOT_SHOWN.width, 4)
    boxes, crops = zip(*(layered.content(i) or empty for i in range(len(stack))), strict=True)
    merged = layered.composite()
    with (
        atomic_path(path) as temporary,
        zipfile.ZipFile(temporary, "w") as archive,
        parallel(encode, [*crops, merged]) as encoded,
    ):
        archive.writestr(member("mimetype"), MIMETYPE)
        archive.writestr(member(STACK), _stack_xml(stack, boxes, look, dpi))
        for i, name in enumerate(stack.names):
            progress(i / len(stack), f"Writing {name}")
            archive.writestr(member(_file(i)), next(encoded))
        archive.writestr(member(MERGED_FILE), next(encoded))
        archive.writestr(member(THUMBNAIL), _thumbnail(merged))
    return path


def _file(index: int) -> str:
    return f"data/layer{index:03}.png"


def _thumbnail(merged: Tensor) -> bytes:
    """The merged picture at most 256 pixels wide and high."""
    picture = Image.fromarray(to_bytes(merged).cpu().numpy())
    picture.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def _stack_xml(stack: LayerStack, boxes: Sequence[Box], look: Look, dpi: float) -> bytes:
    size = {"w": str(stack.width), "h": str(stack.height), "xres": f"{dpi:.0f}", "yres": f"{dpi:.0f}"}
    image = ElementTree.Element("image", {"version": VERSION, **size})
    _fill(ElementTree.SubElement(image, "stack"), nest(stack.names), boxes, look)
    return ElementTree.tostring(image, "utf-8", xml_declaration=True)


def _fill(parent: ElementTree.Element, items: Sequence[Group | Leaf], boxes: Sequence[Box], look: Look) -> None:
    """Elements top first, as the format has them. Groups let modes through: that is isolation="auto", the default."""
    for item in reversed(items):
        if isinstance(item, Group):
            _fill(ElementTree.SubElement(parent, "stack", name=item.name), item.items, boxes, look)
        else:
            at, box = item.index, boxes[item.index]
            about = {"name": item.name, "src": _file(at), "x": str(box.left), "y": str(box.top)}
            about["opacity"] = repr(float(look.opacities[at]))
            about["visibility"] = "visible" if look.visible[at] else "hidden"
            about["composite-op"] = OPS[look.modes[at]]
            ElementTree.SubElement(parent, "layer", about)


def read(path: Path, hidden: bool = True, unsupported: str = REFUSE) -> Layered:
    """The layers of an OpenRaster file, bottom first, with groups as names; see tree.py for what is merged.

    hidden: keep hidden layers too. unsupported: see Unsupported in format.py. Raises QilError: broken, hostile or too
    large files, layers that cannot be drawn.
    """
    if unsupported != MERGED:
        return _read_layers(path, hidden, skip=unsupported == SKIP)
    try:
        return _read_layers(path, hidden)
    except Unsupported as error:
        return _read_merged(path, error.why)


def _read_merged(path: Path, why: str) -> Layered:
    """The merged picture as one layer."""
    with opened(path) as archive, reading(path, MERGED_FILE):
        with archive.open(MERGED_FILE) as file:
            size = png_size(file.read(HEADER_BYTES))
        check_size(*size, 1, path)
        picture = read_picture(archive.open, MERGED_FILE, size)
    return merged_layer(picture, why)


def _read_layers(path: Path, hidden: bool, skip: bool = False) -> Layered:
    with opened(path) as archive:
        with reading(path, STACK):
            image = _parsed(read_bounded(archive.open, STACK, METADATA_BYTES))
            width, height = _number(image, "w", None), _number(image, "h", None)
            root = image.find("stack")
            if image.tag != "image" or root is None:
                raise QilError("it describes no stack of layers")
        count = max(1, sum(1 for _ in root.iter("layer")))
        check_size(width, height, count, path)
        check_canvas_in(path.stat().st_size, width, height, count, path)  # every such file holds the merged picture
        reader = _Reader(archive, path, hidden, refuse=not skip)
        reader.check_amount(root, width * height)
        tree = reader.items(root, MAX_DEPTH)
        return flatten(tree, width, height, path, hidden, skip)


def _parsed(data: bytes) -> ElementTree.Element:
    """The root of stack.xml. A DOCTYPE could declare entities that grow without end: no honest file has one."""
    text = data.decode("utf-8")  # no other encoding, so that the next line sees what the parser sees
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise QilError("it declares XML entities, which a file of layers has no use for")
    try:
        return ElementTree.fromstring(text.encode())
    except (ElementTree.ParseError, LookupError, ValueError) as error:  # the last two: an encoding nobody knows
        raise QilError(f"it is not XML in UTF-8 ({error})") from error


def _number(element: ElementTree.Element, key: str, default: int | None) -> int:
    """A whole number from -MAX_NUMBER to MAX_NUMBER."""
    text = element.get(key)
    if text is None and default is not None:
        return default
    try:
        number = round(float(text or ""))
    except (ValueError, OverflowError) as error:
        raise QilError(f"its {key} is {text!r}, expected a number") from error
    if abs(number) > MAX_NUMBER:
        raise QilError(f"its {key} is {text!r}, expected at most {MAX_NUMBER}")
    return number


class _Reader:
    """Builds the tree of one file."""

    def __init__(self, archive: zipfile.ZipFile, path: Path, hidden: bool, refuse: bool) -> None:
        """refuse: what cannot be drawn is refused later, so that its pixels are not wanted."""
        self.archive = archive
        self.path = path
        self.hidden = hidden
        self.refuse = refuse

    def check_amount(self, root: ElementTree.Element, canvas: int) -> None:
        """QilError for more pixels in all layers than memory takes, or than such a file can honestly hold.

        canvas: its pixels, which the merged picture has. What has no size is refused where it is read.
        """
        pixels = 0
        for element in root.iter("layer"):
            with suppress(QilError, *UNREADABLE):
                width, height = self._size(element.get("src", ""))
                pixels += width * height
        check_pixels(pixels, "its layers hold", self.path)
        check_packing(CHANNELS * (canvas + pixels), self.path.stat().st_size, self.path)

    def _size(self, file: str) -> tuple[int, int]:
        """Width and height that the PNG of a layer declares."""
        with self.archive.open(file) as member:
            return png_size(member.read(HEADER_BYTES))

    def items(self, stack: ElementTree.Element, depth: int) -> tuple[Sheet | Folder, ...]:
        """The layers and groups of a stack element, bottom first."""
        if depth == 0:
            raise QilError(f"Cannot read {self.path}: its groups lie more than {MAX_DEPTH} deep.")
        return tuple(self._item(element, depth) for element in reversed(stack))

    def _item(self, element: ElementTree.Element, depth: int) -> Sheet | Folder:
        name = element.get("name", "")
        with reading(self.path, STACK):
            style = _style(element)
        if element.tag == "stack":
            isolated = element.get("isolation") == "isolate" or style.mode != "normal" or style.opacity < 1
            return Folder(name, self.items(element, depth - 1), style, isolated)
        if element.tag != "layer":
            style = Style(visible=style.visible, problems=(Problem(f"is a {element.tag}, not a layer of pixels"),))
        given_up = any(self.refuse or not problem.instead for problem in style.problems)
        wanted = not given_up and (style.visible or self.hidden)
        image = self._image(element) if wanted else torch.zeros(0, 0, 4)
        with reading(self.path, STACK):
            return Sheet(name, image, _number(element, "x", 0), _number(element, "y", 0), style)

    def _image(self, element: ElementTree.Element) -> Tensor:
        """A layer's pixels (h, w, 4). The size that its file declares, checked before, bounds what is unpacked."""
        file = element.get("src", "")
        with reading(self.path, file or "a layer without a file"):
            return read_picture(self.archive.open, file, self._size(file))


def _style(element: ElementTree.Element) -> Style:
    op = element.get("composite-op", OPS["normal"])
    text = element.get("opacity", "1")
    try:
        opacity = float(text)
    except ValueError:
        opacity = -1
    if not 0 <= opacity <= 1:
        raise QilError(f"an opacity is {text!r}, expected a number from 0 to 1")
    problems = () if op in MODES else (Problem(f"has the blend mode {op}", "drawn as Normal"),)
    return Style(opacity, MODES.get(op, "normal"), element.get("visibility", "visible") != "hidden", problems=problems)


def recognizes(path: Path, head: bytes) -> bool:
    """Whether a file is a ZIP that holds a stack.xml. Raises QilError: a broken ZIP."""
    if not head.startswith(SIGNATURE):
        return False
    with opened(path) as archive:
        return STACK in archive.namelist()


FORMAT = Format("ora", "OpenRaster", (".ora",), write, read, recognizes, dpi=DPI)
