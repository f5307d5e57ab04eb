"""The words of layers: which are read, in which order, and how they become a name."""

from __future__ import annotations

import math

import numpy as np
import pytest
from drawings import SIDE, mask, words
from PIL import Image, ImageDraw, ImageFont

from qil_core import ocr
from qil_core.naming.words import MAX_NAME, Floats, beginning, in_order, short, words_of

needs_reader = pytest.mark.skipif(
    bool(ocr.missing()), reason=f"NOT CHECKED: the extra `text` lacks {ocr.missing()}, so nothing is read"
)


def layer(alpha: Floats, color: tuple[float, float, float] = (0.1, 0.1, 0.3)) -> Floats:
    """A layer (SIDE, SIDE, 4) of one colour."""
    pixels = np.empty((*alpha.shape, 4), np.float32)
    pixels[..., :3], pixels[..., 3] = color, alpha
    return pixels


def read(pixels: Floats) -> str:
    reader = ocr.reader()
    assert reader is not None
    return words_of(pixels, reader)


def on_arc(text: str, radius: float, under: bool) -> Floats:
    """Letters on an arc (SIDE, SIDE): over the middle of its circle, or under it."""
    sheet, font = Image.new("L", (SIDE, SIDE)), ImageFont.load_default(size=30)
    for i, letter in enumerate(text):
        angle = (i - (len(text) - 1) / 2) * 22 / radius
        tile = Image.new("L", (60, 60))
        ImageDraw.Draw(tile).text((30, 30), letter, fill=255, font=font, anchor="mm")
        turned = tile.rotate(math.degrees(angle if under else -angle), Image.Resampling.BICUBIC)
        x = SIDE / 2 + radius * math.sin(angle)
        y = SIDE / 2 + (1 if under else -1) * radius * math.cos(angle)
        sheet.paste(turned, (round(x) - 30, round(y) - 30), turned)
    return np.asarray(sheet, np.float32) / 255


@needs_reader
@pytest.mark.parametrize("color", [(0.1, 0.1, 0.3), (0.95, 0.9, 0.2), (1.0, 1.0, 1.0)])
def test_the_words_of_a_text_layer_are_read_whatever_its_colour(color: tuple[float, float, float]) -> None:
    assert read(layer(words("Afterglow", 20, 30, 50), color)) == "Afterglow"


@needs_reader
def test_lines_are_read_from_top_to_foot() -> None:
    alpha = words("Open the", 30, 60, 44) + words("window", 40, 140, 44)
    assert read(layer(alpha)) == "Open the window"


@needs_reader
def test_words_on_a_label_are_read_by_their_colours() -> None:
    pixels = layer(mask("ellipse", 30, 110, 290, 210), (0.1, 0.3, 0.8))
    pixels[..., :3] += (np.float32([1, 1, 1]) - pixels[..., :3]) * words("SALE", 95, 125, 50)[..., None]
    assert read(pixels[100:220, 20:300]) == "SALE"


@needs_reader
@pytest.mark.parametrize("under", [False, True])
def test_words_on_an_arc_are_read(under: bool) -> None:
    assert read(layer(on_arc("Unflustered", 110, under))).lower() == "unflustered"


@needs_reader
def test_what_is_no_text_has_no_words() -> None:
    assert read(layer(mask("ellipse", 60, 60, 260, 260))) == ""
    assert read(layer(np.zeros((SIDE, SIDE), np.float32))) == ""


@needs_reader
def test_a_thing_with_small_words_on_it_is_not_called_by_them() -> None:
    thing = mask("ellipse", 20, 100, 300, 300) + words("Ltd", 20, 20, 26)
    assert read(layer(thing)) == ""


class Sure(ocr.Reader):
    """A reader that finds these boxes, left, top, right and bottom, and reads in each what is given with it."""

    def __init__(self, *lines: tuple[tuple[int, int, int, int], str]) -> None:
        self.lines = lines

    def find(self, picture: ocr.Picture) -> list[ocr.Corners]:
        return [corners(*box) for box, _ in self.lines]

    def read(self, picture: ocr.Picture, at: ocr.Corners) -> ocr.Words:
        return ocr.Words(next(text for box, text in self.lines if np.array_equal(corners(*box), at)), 1.0)


def corners(left: int, top: int, right: int, bottom: int) -> ocr.Corners:
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float32)


def test_a_line_in_another_script_does_not_hide_what_is_read_beside_it() -> None:
    upper, lower = mask("rectangle", 0, 0, 300, 40), mask("rectangle", 0, 60, 300, 100)
    reader = Sure(((24, 24, 325, 65), ""), ((24, 84, 325, 125), "图层分解"))
    assert words_of(layer(upper + lower), reader, curved=False) == "图层分解"
    assert words_of(layer(upper + lower), Sure(((24, 24, 325, 65), "")), curved=False) == ""


def test_boxes_are_in_order_of_rows_and_then_from_left_to_right() -> None:
    boxes = [corners(100, 52, 180, 70), corners(0, 50, 90, 70), corners(10, 0, 90, 20)]
    assert [box[0].tolist() for box in in_order(boxes)] == [[10, 0], [0, 50], [100, 52]]


def test_names_are_short_and_have_no_slashes_and_nothing_that_cannot_be_printed() -> None:
    assert short(["Annual meeting", "12/03"]) == "Annual meeting 12 03"
    assert short(["bell\x07 and\u202e turn"]) == "bell and turn"
    assert short(["Layers are useful only when they stay whole"]) == "Layers are useful only when…"
    assert len(short(["x" * 200])) == MAX_NAME + 1
    assert short(["?!"]) == ""
    assert short(["• Costs stay low"]) == "Costs stay low"


def test_a_line_that_the_reader_reads_in_part_ends_with_its_last_whole_word() -> None:
    long = corners(0, 0, 400, 20)
    assert beginning("Revenue grew by 18 perce", long) == "Revenue grew by 18…"
    assert beginning("Revenue", corners(0, 0, 100, 20)) == "Revenue"
    assert short([beginning("Revenue grew by 18 perce", long), "in all teams"]) == "Revenue grew by 18…"
