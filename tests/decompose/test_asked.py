"""The built-in decomposer told what becomes a layer: boxes, and texts by their words."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont

from qil_core import ocr
from qil_core.composite import composite
from qil_core.decompose import Request
from qil_core.decompose.asked import Asked, Line, _found
from qil_core.decompose.run import decompose
from qil_core.elements import Element, parse_elements
from qil_core.errors import QilError
from qil_core.stack import Box, LayerStack

pytest.importorskip("pymatting", reason="PyMatting is missing, so nothing of elements was tested")

PAPER, RED, BLUE = (235, 230, 215), (200, 40, 40), (40, 60, 200)


def page(words: str = "") -> torch.Tensor:
    """A page (300, 400, 3) with a red ellipse half under a blue one, and words above them."""
    picture = Image.new("RGB", (400, 300), PAPER)
    pen = ImageDraw.Draw(picture)
    pen.ellipse((60, 120, 220, 280), fill=RED)
    pen.ellipse((180, 140, 320, 270), fill=BLUE)
    pen.text((40, 30), words, fill=(20, 20, 20), font=ImageFont.load_default(48))
    return torch.from_numpy(np.asarray(picture, np.float32) / 255)


def asked(words: str, picture: torch.Tensor | None = None) -> tuple[LayerStack, tuple[str, ...]]:
    stack, report = decompose(Asked(), page() if picture is None else picture, Request(elements=parse_elements(words)))
    return stack, report.notes


def test_boxes_become_layers_named_by_their_words_over_a_whole_background() -> None:
    stack, notes = asked("blue ball at 180,140,321,271\nred ball at 60,120,221,281")
    assert sorted(stack.names) == ["background", "blue ball", "red ball"]
    blue = stack.pixels[stack.names.index("blue ball")]
    assert torch.allclose(blue[200, 250], torch.tensor([*BLUE, 255]) / 255, atol=0.02)
    assert stack.pixels[0, ..., 3].min() == 1
    assert torch.allclose(stack.pixels[0, 200, 250, :3], torch.tensor(PAPER) / 255, atol=0.02)
    assert (composite(stack)[..., :3] - page()).abs().max() <= 1.001 / 255
    assert any("red ball 1" in note for note in notes), "the share of the picture"


def test_the_same_words_twice_make_two_names() -> None:
    stack, _ = asked("ball at 180,140,321,271\nball at 60,120,221,281")
    assert len(set(stack.names)) == 3


def test_without_elements_it_is_the_built_in_decomposer() -> None:
    stack, _ = decompose(Asked(), page(), Request(layers=3))
    assert len(stack) == 3


def test_an_element_without_a_box_or_quoted_words_is_refused_with_what_to_write() -> None:
    with pytest.raises(QilError, match=r'finds "girl" by a box or by words in quotes.*girl at left,top,right,bottom'):
        asked("girl")


def test_words_need_ocr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocr, "reader", lambda: None)
    monkeypatch.setattr(ocr, "missing", lambda: "rapidocr")
    with pytest.raises(QilError, match=r"rapidocr is missing: run install.py --text.* Or give the text a box"):
        asked('"SALE"')


@pytest.mark.slow
def test_a_text_is_found_by_its_words() -> None:
    if ocr.missing():
        pytest.skip(f"{ocr.missing()} is missing, so no text was looked for")
    stack, _ = asked('"Summer sale"', page("Summer sale"))
    assert stack.names == ("background", "Summer sale")
    rows, columns = torch.nonzero(stack.pixels[1, ..., 3] > 0.5).T
    assert 25 < rows.min() < rows.max() < 100
    assert columns.max() < 360
    with pytest.raises(QilError, match=r'"Winter" is not read in the picture; what is: "Summer sale"'):
        asked('"Winter"', page("Summer sale"))


LINES = [
    Line("halloween", "HALLOWEEN", Box(10, 10, 90, 30)),
    Line("party", "PARTY", Box(30, 40, 70, 60)),
    Line("freeentry", "Free entry", Box(0, 90, 40, 99)),
]


def test_a_text_may_go_on_over_several_lines() -> None:
    assert _found(Element("x", text="Halloween party"), LINES) == Box(10, 10, 90, 60)
    assert _found(Element("x", text="Party!"), LINES) == Box(30, 40, 70, 60)


def test_letters_that_were_misread_do_not_matter() -> None:
    assert _found(Element("x", text="Frce entr"), LINES) == Box(0, 90, 40, 99)


def test_other_words_are_not_taken_for_it() -> None:
    with pytest.raises(QilError, match=r'"Easter" is not read.*"HALLOWEEN", "PARTY", "Free entry"'):
        _found(Element("x", text="Easter"), LINES)
