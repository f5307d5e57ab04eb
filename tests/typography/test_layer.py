"""The text of a layer, from pixels that Pillow drew."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from qil_core import ocr
from qil_core.errors import QilError
from qil_core.typography import layer
from qil_core.typography.layer import Recognized, needed_reader, recognize

needs_reader = pytest.mark.skipif(
    bool(ocr.missing()), reason=f"NOT CHECKED: the extra `text` lacks {ocr.missing()}, so nothing is read"
)

BLUE = (20, 60, 160)


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
def test_the_dot_of_a_list_is_no_letter() -> None:
    image = drawn(("offices opened", 100, 80, 36))
    ImageDraw.Draw(image).ellipse([60, 95, 74, 109], fill=(200, 30, 30, 255))
    found = read(image)
    assert found.text == "offices opened"
    assert found.rest is not None
    assert float(found.rest[102, 67, 3]) == 1


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
