"""Names that were made reach every format, whatever words the layers show."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch
from pptx import Presentation

from qil_core.files import loading
from qil_core.files.registry import FORMATS
from qil_core.files.svg import INKSCAPE
from qil_core.naming import named, nameless
from qil_core.naming.words import short
from qil_core.stack import LayerStack

HOSTILE = ("CON", "..", "a/b", "<50%> OFF: * ? |", "\u202eturned", "aux.", "\\\\host\\x", "图层分解" * 20, "e\u0301te")
"""Words that a picture may show and that file systems, XML or readers of names treat in a way of their own."""


def stack() -> LayerStack:
    """A background, a red square, and a layer for each of the hostile words that can be a name."""
    names = ["", "", *filter(None, (short([text]) for text in HOSTILE))]
    pixels = torch.zeros(len(names), 24, 32, 4)
    pixels[0] = 1
    for i, layer in enumerate(pixels[1:]):
        layer[4:20, 6:22] = torch.tensor((0.8, 0.2, 0.2, 1)) if i == 0 else torch.tensor((0.0, 0.0, 1.0, 0.2))
    return named(LayerStack(nameless(pixels).pixels, tuple(names)))


def names_of(kind: str, path: Path) -> tuple[str, ...]:
    if kind == "pptx":
        return tuple(shape.name for shape in Presentation(str(path)).slides[0].shapes)
    if kind == "svg":
        labels = ElementTree.parse(path).getroot()
        return tuple(each.get(f"{{{INKSCAPE}}}label", "") for each in labels)
    return loading.load([path]).stack.names


@pytest.mark.parametrize("kind", FORMATS)
def test_names_come_back_from_every_format(kind: str, tmp_path: Path) -> None:
    made = stack()
    assert made.names[:3] == ("background", "red square", "CON")
    assert len(set(made.names)) == len(made)
    path = FORMATS[kind].write(made, tmp_path / f"x{FORMATS[kind].suffix(made)}")
    assert names_of(kind, path) == made.names
