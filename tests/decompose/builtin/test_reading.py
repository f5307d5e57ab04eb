"""Texts that are read become whole layers, named by their words."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from drawings import SIDE, Floats, mask, paint, words
from torch import Tensor

from qil_core import ocr
from qil_core.decompose import Request
from qil_core.decompose.builtin import Builtin
from qil_core.decompose.builtin.step01_look import working_copy
from qil_core.decompose.builtin.step07_reading import Texts, over_contrast, read_texts
from qil_core.naming import named
from qil_core.progress import silent
from qil_core.stack import LayerStack

INK, PAPER, RED, WHITE = (25, 25, 45), (235, 228, 210), (210, 50, 40), (250, 250, 250)

needs_reader = pytest.mark.skipif(
    bool(ocr.missing()), reason=f"NOT CHECKED: the extra `text` lacks {ocr.missing()}, so nothing is read"
)


class Dictated(ocr.Reader):
    """A reader that finds the boxes that it is told to, and reads in them what it is told to."""

    def __init__(self, *lines: tuple[tuple[int, int, int, int], str, float]) -> None:
        self.label = "a friend"
        self.lines = lines

    def find(self, picture: ocr.Picture) -> list[ocr.Corners]:
        return [np.array([[a, b], [c, b], [c, d], [a, d]], np.float32) for (a, b, c, d), _, _ in self.lines]

    def read(self, picture: ocr.Picture, corners: ocr.Corners) -> ocr.Words:
        left, top = corners[0]
        return next(ocr.Words(text, score) for (a, b, *_), text, score in self.lines if (a, b) == (left, top))


@pytest.fixture
def dictate(monkeypatch: pytest.MonkeyPatch):  # noqa: ANN201 - a function of a function
    def use(*lines: tuple[tuple[int, int, int, int], str, float]) -> None:
        monkeypatch.setattr(ocr, "reader", lambda: Dictated(*lines))

    return use


def painted(*shapes: tuple[Floats, tuple[int, int, int]]) -> Tensor:
    """An opaque picture (SIDE, SIDE, 4) of shapes on a page."""
    canvas = np.full((SIDE, SIDE, 3), PAPER, np.float32)
    return torch.cat([paint(canvas, *shapes), torch.ones(SIDE, SIDE, 1)], dim=-1)


def texts_of(picture: Tensor) -> Texts:
    return read_texts(working_copy(picture.numpy()))


def layers_of(picture: Tensor, layers: int) -> LayerStack:
    done = Builtin().decompose(picture, Request(layers=layers), silent)
    return named(done.stack, done.kinds)


def overlap(found: np.ndarray, truth: Floats) -> float:
    return float((found & (truth > 0.5)).sum() / (found | (truth > 0.5)).sum())


TITLE, SUBTITLE = words("Afterglow", 20, 30, 50), words("music by the sea", 40, 110, 22)
TITLE_BOX, SUBTITLE_BOX = (14, 34, 260, 92), (34, 108, 220, 140)
FIRST, SECOND = words("Open the", 30, 150, 40), words("window", 40, 196, 40)
FIRST_BOX, SECOND_BOX = (24, 150, 220, 196), (34, 196, 200, 242)


# with the extra


@needs_reader
def test_a_title_and_a_line_below_are_two_layers_named_by_their_words() -> None:
    stack = layers_of(painted((TITLE, INK), (SUBTITLE, RED)), 3)
    assert sorted(stack.names) == ["Afterglow", "background", "music by the sea"]
    for name, truth in (("Afterglow", TITLE), ("music by the sea", SUBTITLE)):
        alpha = stack.pixels[stack.names.index(name), ..., 3].numpy()
        assert overlap(alpha > 0.5, truth) > 0.9


@needs_reader
def test_the_report_names_the_reader() -> None:
    notes = Builtin().decompose(painted((TITLE, INK)), Request(2), silent).notes
    assert notes[-1].startswith("Text: read with rapidocr ")


@needs_reader
def test_chinese_is_read_where_there_is_a_font_to_draw_it() -> None:
    from benchmarks.canvas import CJK, fonts

    if not fonts(CJK):
        pytest.skip("NOT CHECKED: no font with Chinese characters is here")
    from PIL import Image, ImageDraw, ImageFont

    sheet = Image.new("L", (SIDE, SIDE), 0)
    ImageDraw.Draw(sheet).text((30, 120), "图层分解", fill=255, font=ImageFont.truetype(str(fonts(CJK)[0]), 56))
    letters = np.asarray(sheet, np.float32) / 255
    texts = texts_of(painted((letters, INK)))
    assert texts.names == ("图层分解",)
    assert overlap(texts.numbers == 1, letters) > 0.85


# whoever reads


def test_lines_of_one_style_and_place_are_one_text(dictate) -> None:  # noqa: ANN001
    dictate((FIRST_BOX, "Open the", 1), (SECOND_BOX, "window", 1), (TITLE_BOX, "Afterglow", 1))
    texts = texts_of(painted((FIRST, INK), (SECOND, INK), (TITLE, RED)))
    assert set(texts.names) == {"Open the window", "Afterglow"}
    number = 1 + texts.names.index("Open the window")
    assert overlap(texts.numbers == number, FIRST + SECOND) > 0.93


def test_the_dots_before_the_items_of_a_list_belong_to_it(dictate) -> None:  # noqa: ANN001
    tops = (60, 120, 180)
    dots = [mask("ellipse", 20, y + 12, 30, y + 22) for y in tops]
    items = [words(f"Item {name}", 44, y, 28) for name, y in zip("abc", tops, strict=True)]
    dictate(*(((40, y, 130, y + 38), "Item", 1) for y in tops))
    texts = texts_of(painted(*((dot, RED) for dot in dots), *((item, INK) for item in items)))
    assert texts.names == ("Item Item Item",)
    assert overlap(texts.numbers == 1, np.asarray(sum(dots) + sum(items))) > 0.9


def test_what_the_reader_is_not_sure_of_and_single_letters_are_no_text(dictate) -> None:  # noqa: ANN001
    picture = painted((TITLE, INK), (mask("ellipse", 100, 180, 220, 300), RED))
    dictate((TITLE_BOX, "Aflerqlcw", 0.6), ((90, 170, 230, 310), "O", 0.99))
    texts = texts_of(picture)
    assert texts.names == ()
    assert texts.note == "Text: a friend found none."


def test_a_long_line_in_which_no_letter_is_known_is_in_another_script(dictate) -> None:  # noqa: ANN001
    dictate((TITLE_BOX, "", 0.0))
    texts = texts_of(painted((TITLE, INK)))
    assert texts.names == ("",)
    assert overlap(texts.numbers == 1, TITLE) > 0.9


def test_small_numbers_stay_with_their_chart_and_large_ones_are_text(dictate) -> None:  # noqa: ANN001
    small, large = words("2019", 40, 270, 12), words("2019", 30, 60, 80)
    dictate(((36, 269, 76, 284), "2019", 1), ((24, 66, 240, 146), "2019", 1))
    texts = texts_of(painted((small, INK), (large, INK)))
    assert texts.names == ("2019",)
    assert overlap(texts.numbers == 1, large) > 0.9
    assert texts.marks.max() == 1
    assert (texts.marks > 0)[269:284, 36:76].any()


def test_words_on_a_small_thing_are_part_of_it_and_those_on_the_page_are_not(dictate) -> None:  # noqa: ANN001
    badge, free = mask("rectangle", 180, 200, 300, 280), words("FREE", 196, 220, 36)
    dictate(((190, 222, 292, 262), "FREE", 1), (TITLE_BOX, "Afterglow", 1))
    texts = texts_of(painted((badge, RED), (free, WHITE), (TITLE, INK)))
    regions = (badge > 0.5).astype(np.int32)
    regions[free > 0.5] = 2
    assert texts.on_things(regions).names == ("Afterglow",)
    assert texts.on_things(regions).covering(regions).tolist() == [False, False, True]


def test_a_text_that_was_read_never_shares_a_layer_with_something_else(dictate) -> None:  # noqa: ANN001
    dictate((TITLE_BOX, "Afterglow", 1))
    things = [
        (mask("ellipse", x, 180, x + 60, 260), color) for x, color in ((20, RED), (120, INK), (220, (30, 120, 60)))
    ]
    stack = layers_of(painted((TITLE, INK), *things), 3)
    alpha = stack.pixels[stack.names.index("Afterglow"), ..., 3].numpy()
    assert overlap(alpha > 0.5, TITLE) > 0.93


def test_two_texts_that_begin_alike_have_two_names(dictate) -> None:  # noqa: ANN001
    again = words("Afterglow", 20, 200, 50)
    dictate((TITLE_BOX, "Afterglow", 1), ((14, 204, 260, 262), "Afterglow", 1))
    assert layers_of(painted((TITLE, INK), (again, RED)), 3).names[1:] == ("Afterglow", "Afterglow 2")


def test_clear_parts_look_unlike_what_is_written_on_them() -> None:
    for color, paper in ((0.05, 255), (0.95, 0)):
        picture = np.zeros((40, 40, 4), np.float32)
        picture[10:30, 10:30] = (color, color, color, 1)
        shown = over_contrast(working_copy(picture))
        assert shown[2, 2].tolist() == [paper] * 3
        assert np.abs(shown[20, 20] - color * 255).max() < 1


# without


@pytest.mark.usefixtures("nobody_reads")
def test_without_a_reader_texts_are_found_by_their_shape_and_the_report_says_what_is_missing() -> None:
    done = Builtin().decompose(painted((TITLE, INK)), Request(2), silent)
    assert named(done.stack, done.kinds).names == ("background", "text")
    assert overlap(done.stack.pixels[1, ..., 3].numpy() > 0.5, TITLE) > 0.9
    assert done.notes[-1].startswith("Text: found by its shape alone, since rapidocr is missing. To have it read, run")


@pytest.mark.usefixtures("nobody_reads")
def test_leaves_of_one_colour_are_no_text() -> None:
    places = ((40, 60, 1.0), (84, 70, 1.6), (60, 100, 0.7), (110, 104, 1.2), (100, 40, 0.8))
    leaf = (
        (0, 0, 34, 8, 6, 20),
        (0, 10, 8, 0, 16, 12),
        (0, 0, 30, 4, 30, 8),
        (0, 0, 20, 20, 4, 24),
        (0, 14, 36, 0, 20, 20),
    )
    leaves = [
        mask("polygon", *(start + size * c for start, c in zip([x, y] * 3, corners, strict=True)))
        for (x, y, size), corners in zip(places, leaf, strict=True)
    ]
    assert not any(name.startswith("text") for name in layers_of(painted(*((leaf, INK) for leaf in leaves)), 4).names)
