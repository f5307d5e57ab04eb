"""Editable decks and drawings are the same bytes each time, as files of pictures are."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont

from qil_core import ocr
from qil_core.files.format import Options
from qil_core.files.registry import FORMATS
from qil_core.stack import LayerStack, quantize

needs_reader = pytest.mark.skipif(
    bool(ocr.missing()), reason=f"NOT CHECKED: the extra `text` lacks {ocr.missing()}, so nothing is read"
)

SIZE = (480, 270)


def layer(color: tuple[int, int, int], draw: str, *given: object, **more: object) -> np.ndarray:
    """What ImageDraw draws, in one colour, (h, w, 4)."""
    mask = Image.new("L", SIZE)
    getattr(ImageDraw.Draw(mask), draw)(*given, fill=255, **more)
    picture = Image.new("RGB", SIZE, color)
    picture.putalpha(mask)
    return np.asarray(picture, np.float32) / 255


@needs_reader
@pytest.mark.parametrize("kind", ["pptx", "svg"])
def test_two_writes_of_text_and_shapes_give_the_same_bytes(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = layer((20, 60, 160), "text", (60, 60), "Two new offices", font=ImageFont.load_default(size=40))
    disc = layer((200, 60, 40), "ellipse", (300, 130, 400, 230))
    page = layer((250, 250, 250), "rectangle", (0, 0, *SIZE))
    stack = LayerStack.from_image(quantize(torch.from_numpy(np.stack([page, disc, words]))), "page\ndisc\nwords")
    extras = FORMATS[kind].extras
    options = Options(**{name: "editable" for name in ("text", "shapes") if name in extras})
    kept = []
    for year in (0, 1):
        monkeypatch.setattr(time, "time", lambda year=year: 1_800_000_000 + year * 31_536_000)
        kept.append(FORMATS[kind].write(stack, tmp_path / str(year) / f"x.{kind}", options=options).read_bytes())
    assert kept[0] == kept[1]
