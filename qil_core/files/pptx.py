"""PowerPoint: a slide a picture, and on it a placed, named, described picture a layer, in groups.

Lengths are EMU, English Metric Units: 914400 an inch, so a pixel at 96 dpi is 9525 of them.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..errors import QilError
from ..progress import Progress, part, silent
from ..stack import Box, LayerStack
from .atomic import atomic_path
from .png import encode, parallel

if TYPE_CHECKING:
    from pptx.presentation import Presentation
    from pptx.shapes.shapetree import GroupShapes, SlideShapes
    from pptx.slide import Slide

EMU = 914400
MIN_SIDE = 1 * EMU
MAX_SIDE = 56 * EMU
MAX_DEPTH = 16
"""Groups inside groups; what is deeper stays in the picture's name. XML readers give up at 256."""


@dataclass(frozen=True)
class PptxReport:
    """What was written: slide size in inches, and per slide its pictures, the names of the empty layers that were
    left out, and the scale of the picture (1 = its size at the dpi asked for).
    """

    path: Path
    width: float
    height: float
    pictures: tuple[int, ...]
    empty: tuple[tuple[str, ...], ...]
    scales: tuple[float, ...]

    def __str__(self) -> str:
        """A few lines for people."""
        slides = f"{len(self.pictures)} slide{'s' * (len(self.pictures) != 1)}"
        lines = [f"{self.path.name}: {slides} of {self.width:.2f} x {self.height:.2f} inch"]
        for number, (count, empty, scale) in enumerate(zip(self.pictures, self.empty, self.scales, strict=True), 1):
            line = f"slide {number}: {count} pictures"
            line += f", at {scale:.1%} of their size" if abs(scale - 1) > 1e-6 else ""
            line += f"; left out because they are empty: {', '.join(empty)}" if empty else ""
            lines.append(line)
        return "\n".join(lines)


@dataclass(frozen=True)
class Frame:
    """Where a picture lies on its slide: left and top in EMU, and EMU a pixel."""

    left: float
    top: float
    pixel: float

    def place(self, box: Box) -> Box:
        """A pixel box as an EMU box. Edges are rounded, not sizes, so boxes that touch keep touching."""
        x, y = self.left, self.top
        left, right = (round(x + v * self.pixel) for v in (box.left, box.right))
        top, bottom = (round(y + v * self.pixel) for v in (box.top, box.bottom))
        return Box(left, top, right, bottom)


@dataclass(frozen=True, eq=False)
class Piece:
    """A layer that has content: its name, the box of the content in pixels, and the content (h, w, 4)."""

    name: str
    box: Box
    crop: Tensor


@dataclass(frozen=True)
class Page:
    """A slide to be: where the picture lies, its pieces, bottom first, and the names of the layers without content."""

    frame: Frame
    pieces: tuple[Piece, ...]
    empty: tuple[str, ...]


def write(slides: Sequence[LayerStack], path: Path, dpi: float = 96, progress: Progress = silent) -> PptxReport:
    """Write a deck, a slide a stack, every layer a picture cropped to its content; "/" in a name makes a group.

    dpi: pixels an inch, 10..2400. The slide takes the widest and the highest picture, scaled if a side would pass
    56 inches or both stay under 1 inch; every picture fills its slide with its aspect kept, centred. Empty layers are
    left out and reported. Raises QilError: no slides, dpi out of range, the disk refuses.
    """
    _check(slides, dpi)
    size = slide_size([(stack.width, stack.height) for stack in slides], dpi)
    pages = [_page(stack, size) for stack in slides]
    crops = [piece.crop for page in pages for piece in page.pieces]
    with atomic_path(path) as temporary, parallel(_encode, crops) as pngs:
        deck = _new_deck(size, path.stem)
        for i, page in enumerate(pages):
            _fill(_add_slide(deck), page, pngs, part(progress, i / len(pages), (i + 1) / len(pages)))
        deck.save(str(temporary))
    return PptxReport(
        path,
        size[0] / EMU,
        size[1] / EMU,
        pictures=tuple(len(page.pieces) for page in pages),
        empty=tuple(page.empty for page in pages),
        scales=tuple(page.frame.pixel * dpi / EMU for page in pages),
    )


def _check(slides: Sequence[LayerStack], dpi: float) -> None:
    if not slides:
        raise QilError("A PowerPoint file needs at least one picture, and none was given.")
    if not 10 <= dpi <= 2400:
        raise QilError(f"{dpi} dpi was given, expected 10 to 2400 pixels an inch; 96 shows pixels at their size.")


def slide_size(pictures: Sequence[tuple[int, int]], dpi: float) -> tuple[int, int]:
    """Width and height in EMU of a slide for pictures of (width, height) pixels: sides from 1 to 56 inches."""
    sides = [max(sizes) * EMU / dpi for sizes in zip(*pictures, strict=True)]
    scale = min(1, MAX_SIDE / max(sides)) * max(1, MIN_SIDE / max(sides))
    width, height = (max(MIN_SIDE, round(side * scale)) for side in sides)
    return width, height


def _page(stack: LayerStack, size: tuple[int, int]) -> Page:
    boxes = [stack.bounds(i) for i in range(len(stack))]
    layers = list(zip(stack.names, stack.pixels, boxes, strict=True))
    return Page(
        _frame(stack, size),
        tuple(
            Piece(name, box, layer[box.top : box.bottom, box.left : box.right]) for name, layer, box in layers if box
        ),
        tuple(name for name, _, box in layers if not box),
    )


def _frame(stack: LayerStack, size: tuple[int, int]) -> Frame:
    pixel = min(size[0] / stack.width, size[1] / stack.height)
    return Frame((size[0] - stack.width * pixel) / 2, (size[1] - stack.height * pixel) / 2, pixel)


def _encode(crop: Tensor) -> bytes:
    """A PNG, without the alpha channel where everything is opaque."""
    return encode(crop[..., :3] if float(crop[..., 3].min()) == 1 else crop)


def _new_deck(size: tuple[int, int], title: str) -> Presentation:
    import pptx
    from pptx.util import Emu

    deck = pptx.Presentation()
    deck.slide_width, deck.slide_height = Emu(size[0]), Emu(size[1])
    about = deck.core_properties
    about.title = _clean(title)[:255]
    about.author = about.last_modified_by = ""  # python-pptx's template names its own author
    about.created = about.modified = datetime(2026, 1, 1)  # the same layers give the same properties
    return deck


def _add_slide(deck: Presentation) -> Slide:
    """A slide with nothing on it: the layout with the fewest placeholders is the blank one."""
    blank = min(deck.slide_layouts, key=lambda layout: len(layout.placeholders))
    slide: Slide = deck.slides.add_slide(blank)
    return slide


def _fill(slide: Slide, page: Page, pngs: Iterator[bytes], progress: Progress) -> None:
    """Place the pieces, bottom first. A group stays open while the next piece has it too, so the order stays right."""
    opened: list[tuple[str, GroupShapes]] = []
    for i, piece in enumerate(page.pieces):
        progress(i / len(page.pieces), f"Placing {piece.name}")
        *groups, name = split_name(piece.name)
        _open(slide.shapes, opened, groups)
        _add_picture(opened[-1][1] if opened else slide.shapes, next(pngs), name, piece.box, page.frame)


def split_name(name: str) -> list[str]:
    """ "girl/hair" as its groups and the picture's own name, fit for XML; never empty."""
    levels = [level.strip() for level in _clean(name).split("/", MAX_DEPTH)]
    return [level for level in levels if level] or ["layer"]


def _clean(text: str) -> str:
    """Text without what XML 1.0 cannot hold, on one line."""
    return " ".join("".join(filter(_in_xml, text)).split())


def _in_xml(letter: str) -> bool:
    """Whether XML 1.0 can hold a character (its section 2.2)."""
    return letter in "\t\n\r" or " " <= letter <= "\ud7ff" or "\ue000" <= letter <= "\ufffd" or letter >= "\U00010000"


def _open(shapes: SlideShapes, opened: list[tuple[str, GroupShapes]], groups: Sequence[str]) -> None:
    """Close the groups that `groups` does not share with `opened`, and open the missing ones."""
    shared = 0
    while shared < min(len(opened), len(groups)) and opened[shared][0] == groups[shared]:
        shared += 1
    del opened[shared:]
    for name in groups[shared:]:
        group = (opened[-1][1] if opened else shapes).add_group_shape()
        group.name = name
        opened.append((name, group.shapes))


def _add_picture(target: SlideShapes | GroupShapes, png: bytes, name: str, box: Box, frame: Frame) -> None:
    from pptx.util import Emu

    place = frame.place(box)
    picture = target.add_picture(io.BytesIO(png), Emu(place.left), Emu(place.top), Emu(place.width), Emu(place.height))
    picture.name = name
    text = f"{name}, {box.width} x {box.height} pixels at {box.left}, {box.top}"
    element: Any = picture.element
    element.nvPicPr.cNvPr.set("descr", text)  # python-pptx has no property for alt text
