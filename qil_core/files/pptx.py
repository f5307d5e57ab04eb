"""PowerPoint: a slide a picture, and on it a placed, named, described picture a layer, in groups.

Lengths are EMU, English Metric Units: 914400 an inch, so a pixel at 96 dpi is 9525 of them.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..errors import QilError
from ..progress import Progress, part, silent
from ..stack import Box, LayerStack
from ..typography.layer import Recognized
from . import pptx_text
from .atomic import atomic_path
from .editable import EDITABLE, Editable, find_editable
from .format import NONE, Dpi, Format, Options, check_ways
from .layered import PLAIN, Layered, Look
from .limits import check_modes
from .names import Group, Leaf, clean, nest
from .png import encode, parallel
from .pptx_frame import EMU, Frame
from .pptx_package import new_deck, save
from .pptx_shapes import add_shapes

if TYPE_CHECKING:
    from pptx.presentation import Presentation
    from pptx.shapes.shapetree import GroupShapes, SlideShapes
    from pptx.slide import Slide

MIN_SIDE = 1 * EMU
"""Least side of a slide: PowerPoint takes 1 to 56 inches (ECMA-376 part 1, ST_SlideSizeCoordinate)."""

MAX_SIDE = 56 * EMU
"""Largest side of a slide."""

DPI = Dpi(usual=96, least=10, most=2400)
"""At 96, a screen's usual number, PowerPoint shows a pixel as a pixel; the bounds are far wider than print needs."""

ORIGINAL = "original"
"""Name of the hidden picture that a slide can begin with."""


@dataclass(frozen=True)
class PptxReport:
    """What was written: slide size in inches, and per slide its pictures, the names of the empty layers that were
    left out, and the scale of the picture (1 = its size at the dpi asked for). texts: per slide what became text and
    what did not, where editable text was asked for. shapes: per slide the layers that became shapes.
    """

    path: Path
    width: float
    height: float
    pictures: tuple[int, ...]
    empty: tuple[tuple[str, ...], ...]
    scales: tuple[float, ...]
    texts: tuple[str, ...] = ()
    shapes: tuple[tuple[str, ...], ...] = ()

    def __str__(self) -> str:
        """A few lines for people."""
        slides = f"{len(self.pictures)} slide{'s' * (len(self.pictures) != 1)}"
        lines = [f"{self.path.name}: {slides} of {self.width:.2f} x {self.height:.2f} inch"]
        for number, (count, empty, scale) in enumerate(zip(self.pictures, self.empty, self.scales, strict=True), 1):
            line = f"slide {number}: {count} pictures"
            line += f", at {scale:.1%} of their size" if abs(scale - 1) > 1e-6 else ""
            line += f"; left out because they are empty: {', '.join(empty)}" if empty else ""
            lines.append(line)
            lines += [f"slide {number}: {text}" for text in self.texts[number - 1 : number]]
        return "\n".join(lines + [f"as shapes: {', '.join(names)}" for names in self.shapes if names])


@dataclass(frozen=True, eq=False)
class Piece:
    """A layer that has content: its name, the box of the content in pixels, the content (h, w, 4), whether it shows.

    found: what became editable, where that was asked for.
    """

    name: str
    box: Box
    crop: Tensor
    visible: bool
    found: Editable


@dataclass(frozen=True)
class Page:
    """A slide to be: the canvas in pixels, where it lies, its pieces, bottom first, and the names of empty layers."""

    canvas: Box
    frame: Frame
    pieces: tuple[Piece, ...]
    empty: tuple[str, ...]


def write(
    stack: LayerStack, path: Path, look: Look = PLAIN, options: Options = NONE, progress: Progress = silent
) -> Path:
    """Write a deck of one stack, as write_deck() does.

    Raises QilError as write_deck(), and for a look that is impossible.
    """
    return write_deck([stack], path, options, progress, [look]).path


def write_deck(
    slides: Sequence[LayerStack],
    path: Path,
    options: Options = NONE,
    progress: Progress = silent,
    looks: Sequence[Look] = (),
) -> PptxReport:
    """Write a deck, a slide a stack, every layer a picture cropped to its content; "/" in a name makes a group.

    looks: one a stack, or none: opacities go into alpha, hidden layers are pictures that PowerPoint's Selection Pane
    shows as hidden, what lies beyond the canvas lies beside the slide. options: see Options; dpi is 10..2400. The slide
    takes the widest and the highest picture, scaled if a side would pass 56 inches or both stay under 1 inch; every
    picture fills its slide with its aspect kept, centred. Empty layers are left out and reported. Raises QilError: no
    slides, blend modes, dpi out of range, notes or originals for another count of stacks, the disk refuses.
    """
    _check(slides, options)
    dpi = DPI.of(options)
    size = slide_size([(stack.width, stack.height) for stack in slides], dpi)
    given = looks or [PLAIN] * len(slides)
    pages = [_page(_drawable(stack, look), size, options) for stack, look in zip(slides, given, strict=True)]
    crops = [piece.crop for page in pages for piece in page.pieces]
    with atomic_path(path) as temporary, parallel(_encode, crops) as pngs:
        deck = new_deck(size, path.stem)
        shown: list[Page] = []
        for i, page in enumerate(pages):
            shown += _add_page(deck, page, pngs, options, i, part(progress, i / len(pages), (i + 1) / len(pages)))
        save(deck, temporary, Layered(slides[0], given[0].of(len(slides[0]))).composite())
    return PptxReport(
        path,
        size[0] / EMU,
        size[1] / EMU,
        pictures=tuple(len(page.pieces) for page in shown),
        empty=tuple(page.empty for page in shown),
        scales=tuple(page.frame.pixel * dpi / EMU for page in shown),
        texts=tuple(pptx_text.report(piece.found.text for piece in page.pieces) for page in shown)
        if options.text == EDITABLE
        else (),
        shapes=tuple(tuple(piece.name for piece in page.pieces if piece.found.shapes) for page in pages),
    )


def _add_page(
    deck: Presentation, page: Page, pngs: Iterator[bytes], options: Options, index: int, progress: Progress
) -> list[Page]:
    """Add the slides of one stack; what each shows."""
    steps = [replace(page, pieces=page.pieces[: i + 1]) for i in range(len(page.pieces))] if options.build_up else []
    placed: list[bytes] = []
    steps = steps or [page]
    for step, shown in enumerate(steps):
        slide = _add_slide(deck)
        if options.originals:
            _add_original(slide, options.originals[index], page)
        _fill(slide, shown, placed, pngs, part(progress, step / len(steps), (step + 1) / len(steps)))
        text = pptx_text.note(piece.found.text for piece in shown.pieces)
        if options.notes or text:
            given = f"{options.notes[index]}\n{_note(shown)}" if options.notes else ""
            _add_note(slide, f"{text}\n\n{given}" if text else given)
    return steps


def _note(page: Page) -> str:
    """What lies on a slide, bottom first, in a few lines."""
    names = ", ".join(piece.name for piece in page.pieces)
    empty = f"\nEmpty and left out: {', '.join(page.empty)}" if page.empty else ""
    return f"{len(page.pieces)} pictures, bottom first: {names}{empty}".rstrip(": ")


def _add_note(slide: Slide, text: str) -> None:
    frame = slide.notes_slide.notes_text_frame
    if frame is not None:  # only a template whose notes have no text has none
        frame.text = _clean_lines(text)


def _clean_lines(text: str) -> str:
    """Text without what XML cannot hold, its lines kept, without blank ones at its ends."""
    return "\n".join(map(clean, text.splitlines())).strip()


def _check(slides: Sequence[LayerStack], options: Options) -> None:
    check_ways(options)
    if not slides:
        raise QilError("A PowerPoint file needs at least one picture, and none was given.")
    for what, given in (("notes", options.notes), ("originals", options.originals)):
        if given and len(given) != len(slides):
            raise QilError(f"{len(given)} {what} were given for {len(slides)} stacks: give one a stack, or none.")
    if options.found and len(slides) > 1:
        raise QilError(f"What is editable was found in one stack, and {len(slides)} were given: leave out `found`.")


def slide_size(pictures: Sequence[tuple[int, int]], dpi: float) -> tuple[int, int]:
    """Width and height in EMU of a slide for pictures of (width, height) pixels: sides from 1 to 56 inches."""
    sides = [max(sizes) * EMU / dpi for sizes in zip(*pictures, strict=True)]
    scale = min(1, MAX_SIDE / max(sides))
    width, height = (max(MIN_SIDE, round(side * scale)) for side in sides)
    return width, height


def _drawable(stack: LayerStack, look: Look) -> Layered:
    """A stack and its look, written out. QilError for a blend mode, which PowerPoint has none of."""
    layered = Layered(stack, look.of(len(stack)))
    check_modes(stack, layered.look, ("normal",), "PowerPoint", "PSD")
    return layered


def _page(layered: Layered, size: tuple[int, int], options: Options) -> Page:
    stack, look = layered.stack, layered.look
    contents = [layered.content(i) for i in range(len(stack))]
    crops = [content and _faded(content[1], opacity) for content, opacity in zip(contents, look.opacities, strict=True)]
    rows = zip(contents, crops, look.visible, strict=True)
    shown = [(content[0], crop) if content and crop is not None and seen else None for content, crop, seen in rows]
    found = options.found or find_editable(shown, options.text, options.shapes)
    every = zip(stack.names, contents, crops, look.visible, found, strict=True)
    pieces = (Piece(name, at[0], crop, seen, each) for name, at, crop, seen, each in every if at and crop is not None)
    empty = tuple(name for name, content in zip(stack.names, contents, strict=True) if not content)
    return Page(Box(0, 0, stack.width, stack.height), _frame(stack, size), tuple(pieces), empty)


def _faded(crop: Tensor, opacity: float) -> Tensor:
    return crop if opacity == 1 else torch.cat([crop[..., :3], crop[..., 3:] * opacity], dim=-1)


def _frame(stack: LayerStack, size: tuple[int, int]) -> Frame:
    pixel = min(size[0] / stack.width, size[1] / stack.height)
    return Frame((size[0] - stack.width * pixel) / 2, (size[1] - stack.height * pixel) / 2, pixel)


def _encode(crop: Tensor) -> bytes:
    """A PNG, without the alpha channel where everything is opaque."""
    return encode(crop[..., :3] if float(crop[..., 3].min()) == 1 else crop)


def _add_slide(deck: Presentation) -> Slide:
    """A slide with nothing on it: the layout with the fewest placeholders is the blank one."""
    blank = min(deck.slide_layouts, key=lambda layout: len(layout.placeholders))
    slide: Slide = deck.slides.add_slide(blank)
    return slide


def _fill(slide: Slide, page: Page, placed: list[bytes], pngs: Iterator[bytes], progress: Progress) -> None:
    """Place the pieces, bottom first, in their groups. placed: PNGs of earlier slides of the same stack; it grows."""

    def place(shapes: SlideShapes | GroupShapes, items: Sequence[Group | Leaf]) -> None:
        for item in items:
            if isinstance(item, Group):
                group = shapes.add_group_shape()
                group.name = item.name
                place(group.shapes, item.items)
                continue
            piece = page.pieces[item.index]
            progress(item.index / len(page.pieces), f"Placing {piece.name}")
            if item.index == len(placed):
                placed.append(next(pngs))
            words, found = piece.found.words, piece.found.shapes
            name = f"{item.name} (pixels)" if found else item.name
            _add_picture(shapes, placed[item.index], name, piece.box, page.frame)
            if words or found or not piece.visible:
                _hide(shapes)
            if words:
                _add_text(shapes, words, item.name, piece.box, page.frame)
            if found:
                add_shapes(shapes, found, item.name, piece.box, page.frame)

    place(slide.shapes, nest([piece.name for piece in page.pieces]))


def _add_text(shapes: SlideShapes | GroupShapes, words: Recognized, name: str, box: Box, frame: Frame) -> None:
    """Text boxes in place of a layer's content, over a picture of what of it is not text."""
    if words.rest is not None:
        _add_picture(shapes, encode(words.rest), f"{name} (rest)", box, frame)
    pptx_text.add_text_boxes(shapes, words, box, frame)


def _add_original(slide: Slide, picture: Tensor, page: Page) -> None:
    """The picture that the layers came from, hidden, over the whole canvas: the eye in the Selection Pane shows it."""
    _add_picture(slide.shapes, encode(picture), ORIGINAL, page.canvas, page.frame)
    _hide(slide.shapes)


def _hide(shapes: SlideShapes | GroupShapes) -> None:
    """Switches the topmost picture off: the eye in the Selection Pane shows it (ECMA-376 part 1, cNvPr, hidden)."""
    element: Any = shapes[-1].element
    element.nvPicPr.cNvPr.set("hidden", "1")


def _add_picture(target: SlideShapes | GroupShapes, png: bytes, name: str, box: Box, frame: Frame) -> None:
    from pptx.util import Emu

    place = frame.place(box)
    picture = target.add_picture(io.BytesIO(png), Emu(place.left), Emu(place.top), Emu(place.width), Emu(place.height))
    picture.name = name
    text = f"{name}, {box.width} x {box.height} pixels at {box.left}, {box.top}"
    element: Any = picture.element
    element.nvPicPr.cNvPr.set("descr", text)  # python-pptx has no property for alt text


EXTRAS = ("notes", "originals", "build_up", "text", "shapes", "found")

FORMAT = Format("pptx", "PowerPoint", (".pptx",), write, dpi=DPI, extras=EXTRAS)
