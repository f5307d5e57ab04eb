"""Finding and reading lines of text with the optional extra `text`."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from qil_core import ocr

needs_reader = pytest.mark.skipif(
    bool(ocr.missing()), reason=f"NOT CHECKED: the extra `text` lacks {ocr.missing()}, so nothing is read"
)


def page(*lines: tuple[str, int, int, int], turned: int = 0) -> ocr.Picture:
    """Lines of words, each at x and y in a size, dark on a light page of 480 x 320."""
    image = Image.new("RGB", (480, 320), (240, 235, 220))
    for words, x, y, size in lines:
        ImageDraw.Draw(image).text((x, y), words, fill=(20, 30, 60), font=ImageFont.load_default(size=size))
    return np.array(image.rotate(turned, fillcolor=(240, 235, 220)))


def reader() -> ocr.Reader:
    found = ocr.reader()
    assert found is not None
    return found


@needs_reader
def test_a_line_is_found_where_it_stands_and_read() -> None:
    picture = page(("Summer Sale", 60, 120, 48))
    (box,) = reader().find(picture)
    assert box.min(0) == pytest.approx([60, 125], abs=15)
    assert reader().read(picture, box) == ("Summer Sale", pytest.approx(1, abs=0.1))


@needs_reader
def test_turned_words_are_read_as_if_they_stood_upright() -> None:
    picture = page(("Read more inside", 100, 140, 36), turned=12)
    (box,) = reader().find(picture)
    assert reader().read(picture, box).text.replace(" ", "") == "Readmoreinside"


@needs_reader
def test_of_a_long_line_the_beginning_is_read() -> None:
    picture = page(("Pictures are taken apart into layers, line by line and word by word", 10, 150, 14))
    assert reader().read(picture, reader().find(picture)[0]).text.startswith("Pictures are")


@needs_reader
def test_an_empty_page_and_a_tiny_one_have_no_lines() -> None:
    assert reader().find(page()) == []
    assert reader().find(np.zeros((4, 900, 3), np.uint8)) == []


@needs_reader
def test_there_is_one_reader_for_all_threads_and_it_answers_each_as_alone() -> None:
    pictures = [page((words, 40, 100, 44)) for words in ("First", "Second", "Third", "Fourth")]

    def work(picture: ocr.Picture) -> tuple[int, str]:
        mine = reader()
        return id(mine), mine.read(picture, mine.find(picture)[0]).text

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(work, pictures))
    assert {who for who, _ in answers} == {id(reader())}
    assert [text for _, text in answers] == ["First", "Second", "Third", "Fourth"]


@needs_reader
def test_a_new_reader_opens_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: Any) -> None:
        raise AssertionError(f"a connection was opened to {given[1:]}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(ocr, "_reader", None)
    picture = page(("Offline", 60, 120, 48))
    assert reader().read(picture, reader().find(picture)[0]).text == "Offline"


@needs_reader
def test_it_uses_no_more_threads_than_torch_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocr, "_reader", None)
    monkeypatch.setattr(ocr, "worker_count", lambda: 1)
    alone = reader()
    alone.read(page(), np.array([[0, 0], [90, 0], [90, 30], [0, 30]], np.float32))
    options = alone._engine.text_rec.session.session.get_session_options()  # type: ignore[attr-defined]
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)


def test_what_is_missing_is_said_and_then_there_is_no_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocr, "_reader", None)
    monkeypatch.setattr(ocr.util, "find_spec", lambda name: None)
    assert ocr.missing() == "rapidocr and onnxruntime"
    assert ocr.reader() is None


def test_a_wheel_without_its_models_is_no_reader_for_they_would_be_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocr, "_reader", None)
    monkeypatch.setattr(ocr.util, "find_spec", lambda name: object())
    monkeypatch.setattr(ocr, "_models", lambda: {"det": None, "rec": None})
    assert ocr.missing() == "the models of rapidocr's wheel"
    assert ocr.reader() is None


def test_a_box_is_straightened_to_a_line_of_one_height() -> None:
    picture = page()
    picture[100:140, 200:360] = (200, 0, 0)
    box = np.array([[200, 100], [360, 100], [360, 140], [200, 140]], np.float32)
    line = ocr.straightened(picture, box)
    assert line.shape == (ocr.READ_HEIGHT_PX, 4 * ocr.READ_HEIGHT_PX, 3)
    assert np.abs(line[8:-8, 8:-8].astype(int) - (200, 0, 0)).max() == 0


def test_a_line_that_runs_downwards_is_turned() -> None:
    picture = page()
    picture[40:100, 200:240] = (200, 0, 0)  # the first quarter of the line
    box = np.array([[200, 40], [240, 40], [240, 280], [200, 280]], np.float32)
    line = ocr.straightened(picture, box)
    assert line.shape[1] == 6 * ocr.READ_HEIGHT_PX
    assert (line[24, 20] == (200, 0, 0)).all()
    assert (line[24, -20] == (240, 235, 220)).all()


class Found:
    """What RapidOCR answers about one line."""

    def __init__(self, text: str, score: float) -> None:
        self.txts, self.scores = (text,), (score,)


class Second:
    """A second reader that counts its lines."""

    languages = ("kor",)

    def __init__(self, *words: ocr.Words) -> None:
        self.words, self.lines = words, 0

    def read(self, lines: list[ocr.Picture]) -> list[ocr.Words]:
        self.lines += len(lines)
        return list(self.words[: len(lines)])


BOXES = [np.array([[0, y], [200, y], [200, y + 40], [0, y + 40]], np.float32) for y in (10, 80)]


def read_with(second: Any, *first: tuple[str, float]) -> list[ocr.Words]:
    answers = iter(first)
    engine = lambda *given, **ways: Found(*next(answers))  # noqa: E731
    return ocr.Reader(engine, "fake", second).read_all(page(), BOXES[: len(first)])


def test_only_lines_that_are_not_sure_are_read_again() -> None:
    second = Second(ocr.Words("하나", 0.9))
    assert read_with(second, ("sure words", 0.99), ("", 0.0)) == [("sure words", 0.99), ("하나", 0.9)]
    assert second.lines == 1


def test_a_sure_reading_that_is_too_short_for_its_line_is_read_again() -> None:
    assert read_with(Second(ocr.Words("2026년 4분기", 0.93)), ("2026", 0.97))[0].text == "2026년 4분기"


def test_a_second_reading_that_is_unsure_changes_nothing() -> None:
    assert read_with(Second(ocr.Words("하나", 0.6)), ("maybe this", 0.7)) == [("maybe this", 0.7)]


def test_a_reader_names_the_languages_that_it_lacks() -> None:
    alone = ocr.Reader(lambda: None, "fake")
    assert alone.lacks.startswith("lines in Hangul, Arabic, Hebrew are not read: install Tesseract")
    assert ocr.Reader(lambda: None, "fake", Second()).lacks.startswith("lines in Arabic, Hebrew")  # type: ignore[arg-type]
