"""Editable text on slides, opened again with python-pptx."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont
from pptx import Presentation
from pptx.util import Pt

from qil_core import ocr
from qil_core.errors import QilError
from qil_core.files import pptx, pptx_text
from qil_core.files.format import Options
from qil_core.files.layered import Look
from qil_core.files.pptx_frame import Frame
from qil_core.stack import Box, LayerStack, quantize
from qil_core.typography.layer import Recognized
from qil_core.typography.paragraphs import Block
from qil_core.typography.style import Line

needs_reader = pytest.mark.skipif(
    bool(ocr.missing()), reason=f"NOT CHECKED: the extra `text` lacks {ocr.missing()}, so nothing is read"
)

EMU_PER_PIXEL = 9525
"""At 96 dpi."""


def slide_of(*words: tuple[str, int, int, int], size: tuple[int, int] = (640, 300)) -> LayerStack:
    """A white page and a layer of blue words on it, each line at x and y in a size."""
    mask = Image.new("L", size)
    for text, x, y, pixels in words:
        ImageDraw.Draw(mask).text((x, y), text, fill=255, font=ImageFont.load_default(size=pixels))
    image = Image.new("RGBA", size, (20, 60, 160))
    image.putalpha(mask)
    page = np.ones((size[1], size[0], 4), np.float32)
    layers = np.stack([page, np.asarray(image, np.float32) / 255])
    return LayerStack.from_image(quantize(torch.from_numpy(layers)), "page\nwords")


def shapes(path: Path, stack: LayerStack, **options: Any) -> list[Any]:
    pptx.write_deck([stack], path / "deck.pptx", Options(text="editable", **options))
    return list(Presentation(str(path / "deck.pptx")).slides[0].shapes)


@needs_reader
def test_the_picture_of_the_words_is_hidden_and_a_text_box_lies_on_it(tmp_path: Path) -> None:
    page, words, box = shapes(tmp_path, slide_of(("Two new offices", 60, 80, 48)))
    assert page._element.nvPicPr.cNvPr.get("hidden") is None
    assert (words.name, words._element.nvPicPr.cNvPr.get("hidden")) == ("words", "1")
    assert (box.name, box.text_frame.text) == ("Two new offices", "Two new offices")
    left, top = box.left / EMU_PER_PIXEL, box.top / EMU_PER_PIXEL
    assert left == pytest.approx(60, abs=5)
    assert top == pytest.approx(84, abs=8)


@needs_reader
def test_nothing_of_a_text_box_lets_a_program_move_its_words(tmp_path: Path) -> None:
    *_, box = shapes(tmp_path, slide_of(("Two new offices", 60, 80, 48)))
    body = box.text_frame._txBody.bodyPr
    assert [body.get(side) for side in ("lIns", "tIns", "rIns", "bIns", "wrap", "anchor")] == [*"0000", "none", "t"]
    assert body[0].tag.endswith("}noAutofit")


@needs_reader
def test_a_run_has_size_colour_and_both_typefaces(tmp_path: Path) -> None:
    *_, box = shapes(tmp_path, slide_of(("Two new offices", 60, 80, 48)))
    font = box.text_frame.paragraphs[0].runs[0].font
    assert font.size == pytest.approx(Pt(36), rel=0.08)
    assert (str(font.color.rgb), font.bold, font.italic) == ("143CA0", False, False)
    faces = {child.tag.rpartition("}")[2]: child.get("typeface") for child in font._element if child.get("typeface")}
    assert faces == {"latin": "Arial", "ea": "Arial", "cs": "Arial"}


@needs_reader
def test_a_paragraph_of_two_lines_is_one_box_with_a_line_break(tmp_path: Path) -> None:
    found = shapes(tmp_path, slide_of(("pictures taken apart", 60, 80, 40), ("into layers", 60, 128, 40)))
    assert len(found) == 3
    assert found[-1].text_frame.text == "pictures taken apart\vinto layers"
    assert found[-1].text_frame.paragraphs[0].line_spacing == pytest.approx(Pt(36), abs=Pt(1))


@needs_reader
def test_the_notes_hold_the_words_before_what_was_given(tmp_path: Path) -> None:
    pptx.write_deck(
        [slide_of(("Two new offices", 60, 80, 48))],
        tmp_path / "deck.pptx",
        Options(text="editable", notes=("Made so",)),
    )
    slide = Presentation(str(tmp_path / "deck.pptx")).slides[0]
    assert slide.notes_slide.notes_text_frame is not None
    assert slide.notes_slide.notes_text_frame.text.startswith("Two new offices\n\nMade so")


@needs_reader
def test_the_report_names_what_became_text(tmp_path: Path) -> None:
    done = pptx.write_deck(
        [slide_of(("Two new offices", 60, 80, 48))], tmp_path / "deck.pptx", Options(text="editable")
    )
    assert str(done).splitlines()[-1] == 'slide 1: 1 text box: "Two new offices"'


@needs_reader
def test_the_same_words_twice_have_two_names(tmp_path: Path) -> None:
    *_, first, second = shapes(tmp_path, slide_of(("Learn more", 60, 40, 40), ("Learn more", 60, 220, 40)))
    assert (first.name, second.name) == ("Learn more", "Learn more 2")


@needs_reader
def test_a_hidden_layer_stays_a_hidden_picture(tmp_path: Path) -> None:
    stack = slide_of(("Two new offices", 60, 80, 48))
    pptx.write_deck([stack], tmp_path / "deck.pptx", Options(text="editable"), looks=[Look(visible=(True, False))])
    assert len(Presentation(str(tmp_path / "deck.pptx")).slides[0].shapes) == 2


@needs_reader
def test_two_writes_give_the_same_bytes(tmp_path: Path) -> None:
    stack = slide_of(("Two new offices", 60, 80, 48))
    for name in ("one.pptx", "two.pptx"):
        pptx.write_deck([stack], tmp_path / name, Options(text="editable"))
    deck, other = (pptx_bytes(tmp_path / name) for name in ("one.pptx", "two.pptx"))
    assert deck == other


def pptx_bytes(path: Path) -> Any:
    """The slide of a deck; titles are named by their files."""
    return Presentation(str(path)).slides[0].part.blob


def test_an_unknown_way_is_refused(tmp_path: Path) -> None:
    with pytest.raises(QilError, match='Text as "live" was asked for: use pictures or editable'):
        pptx.write_deck([slide_of()], tmp_path / "deck.pptx", Options(text="live"))


def test_a_long_text_gives_a_short_name_on_one_line() -> None:
    assert pptx_text.short("Revenue grew\nby 18 percent in the year") == "Revenue grew by 18 percent…"
    assert pptx_text.short("Sale\x07") == "Sale"


@needs_reader
def test_a_bullet_is_a_sign_of_its_paragraph_that_hangs_before_the_words(tmp_path: Path) -> None:
    stack = slide_of(("Two new offices", 100, 80, 40))
    x, y = torch.meshgrid(torch.arange(640), torch.arange(300), indexing="xy")
    stack.pixels[1][(x - 66) ** 2 + (y - 104) ** 2 <= 30] = torch.tensor([1.0, 0.0, 0.0, 1.0])
    *_, words, box = shapes(tmp_path, stack)
    assert words._element.nvPicPr.cNvPr.get("hidden") == "1"
    properties = box.text_frame.paragraphs[0]._p.pPr
    given = {child.tag.rpartition("}")[2]: child for child in properties}
    assert (given["buChar"].get("char"), given["buFont"].get("typeface")) == ("•", "Arial")
    assert given["buClr"][0].get("val") == "FF0000"
    assert int(properties.get("indent")) == pytest.approx(-int(properties.get("marL")), abs=2)
    left = box.left / EMU_PER_PIXEL
    assert left == pytest.approx(60, abs=2)
    assert left + int(properties.get("marL")) / EMU_PER_PIXEL == pytest.approx(101, abs=4)


def block_of(text: str, **given: Any) -> Block:
    """A block of one line of 40 px, whose ink is 40 x 240 px at 100, 50."""
    plain: dict[str, Any] = {"bold": False, "italic": False, "color": (0, 0, 0), "opacity": 1, "pieces": ()}
    line = Line(text, 1, 100, 50, 140, 290, 290, 40, 0, "sans", **plain, **given)
    return Block(((line,),), "right" if line.script == "right-to-left" else "left", 0)


def box_of(block: Block) -> Any:
    """The text box of a block alone on a slide, a pixel a point."""
    deck = Presentation()
    shapes = deck.slides.add_slide(deck.slide_layouts[6]).shapes
    text = Recognized((block,), None, (), 0, (400, 400))
    pptx_text.add_text_boxes(shapes, text, Box(0, 0, 400, 400), Frame(0, 0, pptx_text.EMU_PER_POINT))
    return shapes[0]


def test_a_column_is_a_vertical_box_about_the_middle_of_its_ink() -> None:
    box = box_of(block_of("年度总结报告", script="chinese", vertical=True))
    assert box.text_frame._txBody.bodyPr.get("vert") == "eaVert"
    assert (box.left + box.width / 2) / pptx_text.EMU_PER_POINT == pytest.approx(120, abs=0.1)
    assert box.top / pptx_text.EMU_PER_POINT == pytest.approx(48, abs=1)


def test_a_line_from_right_to_left_says_so_and_is_set_at_the_right() -> None:
    properties = box_of(block_of("שלום", script="right-to-left")).text_frame.paragraphs[0]._p.pPr
    assert (properties.get("rtl"), properties.get("algn")) == ("1", "r")


def test_the_report_says_once_what_would_have_to_be_installed() -> None:
    texts = [Recognized((), None, (f"{name}: not read surely (0%)",), hint="install Tesseract") for name in "ab"]
    line = "no text boxes; stays a picture: a: not read surely (0%); b: not read surely (0%); install Tesseract"
    assert pptx_text.report(texts) == line
