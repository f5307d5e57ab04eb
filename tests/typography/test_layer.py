"""The text of a layer, from pixels that Pillow drew."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from installed_fonts import font_file
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from qil_core import ocr
from qil_core.errors import QilError
from qil_core.ocr_tesseract import Words, tesseract
from qil_core.typography import fonts, layer, style
from qil_core.typography.layer import Recognized, needed_reader, recognize

needs_reader = pytest.mark.skipif(
    bool(ocr.missing()), reason=f"NOT CHECKED: the extra `text` lacks {ocr.missing()}, so nothing is read"
)

BLUE = (20, 60, 160)


def needs_font(name: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not font_file(name), reason=f"NOT CHECKED: the font {name} is missing")


def needs_language(language: str) -> pytest.MarkDecorator:
    has = tesseract()
    lacks = bool(ocr.missing()) or has is None or language not in has.languages
    return pytest.mark.skipif(lacks, reason=f"NOT CHECKED: Tesseract or its data for {language} is missing")


def drawn_in(name: str, text: str, size: int) -> Image.Image:
    """A layer with one line of a font in blue."""
    font = ImageFont.truetype(font_file(name), size)
    mask = Image.new("L", (int(font.getlength(text)) + 80, 3 * size))
    ImageDraw.Draw(mask).text((40, 2 * size), text, fill=255, font=font, anchor="ls")
    image = Image.new("RGBA", mask.size, BLUE)
    image.putalpha(mask)
    return image


def drawn(*lines: tuple[str, int, int, int], turned: float = 0, size: tuple[int, int] = (560, 220)) -> Image.Image:
    """A layer with lines of words in blue, each at x and y in a size."""
    mask = Image.new("L", size)
    for words, x, y, pixels in lines:
        ImageDraw.Draw(mask).text((x, y), words, fill=255, font=ImageFont.load_default(size=pixels))
    image = Image.new("RGBA", size, BLUE)
    image.putalpha(mask.rotate(turned, Image.Resampling.BICUBIC))
    return image


def pixels(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.asarray(image, np.float32) / 255)


def read(image: Image.Image) -> Recognized:
    return recognize(pixels(image), needed_reader())


@needs_reader
def test_words_colour_size_and_place_are_found() -> None:
    found = read(drawn(("Summer Sale Today", 40, 60, 48)))
    (line,) = found.blocks[0].lines
    assert (line.text, line.color, line.family, line.bold) == ("Summer Sale Today", BLUE, "sans", False)
    assert line.size == pytest.approx(48, rel=0.08)
    assert line.left == pytest.approx(43, abs=3)
    assert (found.rest, found.unsure) == (None, ())


@needs_reader
def test_letters_of_a_condensed_face_are_smaller_instead_of_running_into_each_other() -> None:
    wide = drawn(("Summer Sale Today", 40, 60, 64), size=(760, 220))
    (line,) = read(wide.resize((wide.width * 65 // 100, wide.height))).blocks[0].lines
    letters = len(line.text) - 1
    assert line.spacing == pytest.approx(-style.MAX_TIGHTER * line.size)
    natural = fonts.ink_width(line.text, line.family, line.bold) * line.size
    assert natural + letters * line.spacing == pytest.approx(line.right - line.left, rel=0.01)


@needs_reader
def test_lines_of_a_caption_are_one_block() -> None:
    found = read(drawn(("pictures taken apart", 40, 40, 30), ("into layers", 40, 76, 30)))
    assert found.text == "pictures taken apart into layers"
    assert found.blocks[0].leading == pytest.approx(36, abs=1)


@needs_reader
def test_turned_words_keep_their_angle() -> None:
    found = read(drawn(("Read more inside", 100, 80, 40), turned=9))
    assert found.text == "Read more inside"
    assert found.degrees == pytest.approx(-9, abs=1)


@needs_reader
def test_what_is_not_text_is_the_rest_of_the_layer() -> None:
    image = drawn(("Costs stay low", 140, 80, 36))
    ImageDraw.Draw(image).rectangle([20, 20, 60, 180], fill=(200, 30, 30, 255))
    found = read(image)
    assert found.text == "Costs stay low"
    assert found.rest is not None
    assert float(found.rest[20:181, 20:61, 3].min()) == 1
    assert float(found.rest[:, 130:, 3].max()) < 0.1


@needs_reader
def test_the_dot_of_a_list_is_no_letter_but_a_sign_in_its_own_colour() -> None:
    image = drawn(("offices opened", 100, 80, 36))
    ImageDraw.Draw(image).ellipse([60, 95, 70, 105], fill=(200, 30, 30, 255))
    found = read(image)
    assert (found.text, found.rest) == ("offices opened", None)
    bullet = found.blocks[0].lines[0].bullet
    assert bullet is not None
    assert (bullet.sign, bullet.color, round(bullet.left)) == ("•", (200, 30, 30), 60)


@needs_reader
def test_a_bullet_that_no_sign_looks_like_stays_a_picture_in_its_place() -> None:
    image = drawn(("offices opened", 100, 80, 36))
    ImageDraw.Draw(image).polygon([60, 108, 66, 95, 72, 108], fill=(200, 30, 30, 255))
    found = read(image)
    assert (found.text, found.blocks[0].lines[0].bulleted) == ("offices opened", True)
    assert found.rest is not None
    assert float(found.rest[104, 66, 3]) == 1
    assert float(found.rest[:, 90:, 3].max()) < 0.1


@needs_reader
def test_a_full_picture_is_no_text_though_words_are_painted_in_it() -> None:
    image = Image.new("RGBA", (560, 220), (250, 250, 250, 255))
    ImageDraw.Draw(image).text((60, 60), "Painted words", fill=BLUE, font=ImageFont.load_default(size=40))
    assert read(image).blocks == ()


@needs_reader
def test_letters_in_many_colours_stay_a_picture_and_the_reason_says_so() -> None:
    layers = pixels(drawn(("Rainbow letters", 40, 60, 48)))
    layers[..., 0] = torch.linspace(0, 1, layers.shape[1])
    found = recognize(layers, needed_reader())
    assert found.blocks == ()
    assert found.unsure == ('"Rainbow letters": in many colours',)


def test_without_a_reader_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer, "reader", lambda: None)
    monkeypatch.setattr(layer, "missing", lambda: "rapidocr")
    with pytest.raises(QilError, match=r"extra `text`, and rapidocr is missing: run install\.py --text"):
        needed_reader()


@needs_reader
def test_specks_of_noise_beside_letters_neither_make_them_larger_nor_stay_behind() -> None:
    image = drawn(("warmer than usual", 60, 80, 40))
    clean = read(image).blocks[0].lines[0]
    for x, y in ((100, 76), (200, 130), (260, 132), (330, 78)):
        image.putpixel((x, y), (*BLUE, 255))
    found = read(image)
    assert found.blocks[0].lines[0].size == pytest.approx(clean.size, rel=0.01)
    assert found.rest is None


@needs_reader
def test_every_line_that_is_found_and_stays_a_picture_has_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    words = needed_reader()
    monkeypatch.setattr(type(words), "read_all", lambda self, picture, boxes: [Words("", 0.0) for _ in boxes])
    found = recognize(pixels(drawn(("Summer Sale", 40, 60, 48))), words)
    (reason,) = found.unsure
    assert reason.startswith("a line of ")
    assert reason.endswith(": not read surely (0%)")


@needs_reader
def test_what_would_have_to_be_installed_is_said_where_a_line_was_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    words = needed_reader()
    monkeypatch.setattr(words, "_second", None)
    sure = recognize(pixels(drawn(("Summer Sale", 40, 60, 48))), words)
    monkeypatch.setattr(type(words), "read_all", lambda self, picture, boxes: [Words("", 0.0) for _ in boxes])
    unsure = recognize(pixels(drawn(("Summer Sale", 40, 60, 48))), words)
    assert (sure.hint, unsure.hint.startswith("lines in Hangul, Arabic, Hebrew are not read: install")) == ("", True)


@needs_font("DejaVu Sans")
@needs_language("heb")
def test_hebrew_is_set_from_right_to_left_with_its_words_as_they_are_said() -> None:
    text = "שני משרדים חדשים בליסבון"
    found = read(drawn_in("DejaVu Sans", text, 40))
    (line,) = found.blocks[0].lines
    assert (line.text, line.script, found.blocks[0].alignment) == (text, "right-to-left", "right")
    assert (line.size, line.spacing) == (pytest.approx(40, rel=0.08), 0)


@needs_font("DejaVu Sans")
@needs_language("ara")
def test_the_dots_of_arabic_letters_go_with_them() -> None:
    found = read(drawn_in("DejaVu Sans", "مكتبان جديدان في لشبونة", 44))
    assert (found.text, found.rest) == ("مكتبان جديدان في لشبونة", None)


@needs_font("Noto Sans CJK KR")
@needs_language("kor")
def test_korean_is_text() -> None:
    (line,) = read(drawn_in("Noto Sans CJK KR", "고객 만족도 조사", 40)).blocks[0].lines
    assert (line.text, line.script) == ("고객 만족도 조사", "korean")
    assert line.size == pytest.approx(40, rel=0.08)


@needs_reader
@needs_font("Noto Sans CJK SC")
def test_a_column_of_ideographs_is_read_from_top_to_foot() -> None:
    mask = Image.new("L", (120, 420))
    font = ImageFont.truetype(font_file("Noto Sans CJK SC"), 56)
    for number, letter in enumerate("年度总结报告"):
        ImageDraw.Draw(mask).text((60, 60 + 60 * number), letter, fill=255, font=font, anchor="mm")
    image = Image.new("RGBA", mask.size, BLUE)
    image.putalpha(mask)
    (block,) = read(image).blocks
    assert (block.text, block.vertical, block.lines[0].script) == ("年度总结报告", True, "chinese")
    assert block.lines[0].size == pytest.approx(58, abs=3)


@needs_reader
def test_lines_that_are_set_so_close_that_their_boxes_overlap_are_all_text() -> None:
    found = read(drawn(("Summer", 40, 10, 60), ("and", 150, 60, 60), ("Winter", 60, 110, 60)))
    assert sorted(found.text.split()) == ["Summer", "Winter", "and"]
