"""What a PowerPoint file says of itself: who made it and when, how many slides it has, and its thumbnail.

python-pptx begins with a deck that PowerPoint made, whose thumbnail is empty and whose properties are that deck's.
"""

from __future__ import annotations

import tempfile
import zipfile
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from .archive import member
from .names import clean
from .thumbnail import jpeg_thumbnail

if TYPE_CHECKING:
    from pptx.presentation import Presentation

MADE = datetime(2026, 1, 1)
"""When every deck says that it was made: the same layers give the same properties."""

THUMBNAIL_SIDE = 256
"""Pixels of the longer side: what PowerPoint itself writes."""

APP = """<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<Properties xmlns="http://schemas.openxmlformats.org/officeDocument/2006/extended-properties">\
<Application>Qwen Layers</Application><PresentationFormat>Custom</PresentationFormat>\
<Slides>{slides}</Slides><Notes>{notes}</Notes><HiddenSlides>0</HiddenSlides></Properties>
"""
"""docProps/app.xml (ECMA-376 part 1, 22.2): only what is known; every element may be left out."""


def new_deck(size: tuple[int, int], title: str) -> Presentation:
    """A deck without slides. size: width and height in EMU."""
    import pptx
    from pptx.util import Emu

    deck = pptx.Presentation()
    deck.slide_width, deck.slide_height = Emu(size[0]), Emu(size[1])
    element: Any = deck.element
    element.sldSz.attrib.pop("type", None)  # the template's says 4:3; without one it is a custom size
    about = deck.core_properties
    about.title = " ".join(clean(title).split())  # no file name is longer than the 255 characters of a title
    about.author = about.last_modified_by = ""  # python-pptx's template names its own author
    about.created = about.modified = MADE
    return deck


def save(deck: Presentation, path: Path, cover: Tensor) -> None:
    """Write a deck that is done, the same bytes for the same deck. cover: the picture (H, W, 4) of its thumbnail."""
    from pptx.opc.constants import RELATIONSHIP_TYPE as RELATION

    package = deck.part.package
    thumbnail: Any = package.part_related_by(RELATION.THUMBNAIL)
    thumbnail.blob = jpeg_thumbnail(cover, THUMBNAIL_SIDE)[0]
    about: Any = package.part_related_by(RELATION.EXTENDED_PROPERTIES)
    notes = sum(slide.has_notes_slide for slide in deck.slides)
    about.blob = APP.format(slides=len(deck.slides), notes=notes).encode()
    with tempfile.TemporaryFile() as file:
        deck.save(file)
        _copy_without_dates(file, path)


def _copy_without_dates(file: Any, path: Path) -> None:
    """The same ZIP, whose members say nothing of when they were written. Pictures are packed already."""
    with zipfile.ZipFile(file) as made, zipfile.ZipFile(path, "w") as out:
        for each in made.infolist():
            info = member(each.filename)
            packed = each.filename.endswith((".png", ".jpeg"))
            info.compress_type = zipfile.ZIP_STORED if packed else zipfile.ZIP_DEFLATED
            out.writestr(info, made.read(each))
