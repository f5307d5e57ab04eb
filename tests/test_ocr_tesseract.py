"""Lines that the first reader does not know, read by Tesseract."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from installed_fonts import font_file
from PIL import Image, ImageDraw, ImageFont

from qil_core import ocr, ocr_tesseract
from qil_core.errors import QilError
from qil_core.ocr_tesseract import Tesseract, Word, Words, right_to_left, spaced

READS = ocr_tesseract.tesseract()
FONTS = {"kor": "Noto Sans CJK KR", "ara": "DejaVu Sans", "heb": "DejaVu Sans"}


def needs(language: str) -> pytest.MarkDecorator:
    lacks = READS is None or language not in READS.languages or not font_file(FONTS[language])
    return pytest.mark.skipif(
        lacks, reason=f"NOT CHECKED: Tesseract, its data for {language} or {FONTS[language]} is missing"
    )


def line_of(text: str, language: str, size: int = 64) -> ocr.Picture:
    """A line of text in black on white."""
    font = ImageFont.truetype(font_file(FONTS[language]), size)
    image = Image.new("RGB", (int(font.getlength(text)) + 40, 2 * size), "white")
    ImageDraw.Draw(image).text((20, int(1.4 * size)), text, fill="black", font=font, anchor="ls")
    return np.array(image)


@needs("kor")
def test_korean_is_read_with_the_spaces_that_the_ink_has() -> None:
    assert READS is not None
    (words,) = READS.read([line_of("모든 지역이 목표를 달성했습니다", "kor")])
    assert words == ("모든 지역이 목표를 달성했습니다", pytest.approx(0.93, abs=0.06))


@needs("ara")
def test_arabic_is_read_in_the_order_in_which_it_is_said() -> None:
    assert READS is not None
    assert READS.read([line_of("مكتبان جديدان في لشبونة", "ara")])[0].text == "مكتبان جديدان في لشبونة"


@needs("heb")
def test_a_latin_name_in_a_hebrew_line_keeps_its_place() -> None:
    assert READS is not None
    assert READS.read([line_of("חברת Northwind", "heb")])[0].text == "חברת Northwind"


@needs("kor")
def test_light_letters_on_a_dark_page_are_read_too() -> None:
    assert READS is not None
    assert READS.read([255 - line_of("고객 만족도 조사", "kor")])[0].text == "고객 만족도 조사"


def asked(monkeypatch: pytest.MonkeyPatch, answers: dict[str, list[Words]]) -> list[tuple[str, int]]:
    """Tesseract with these answers; what it is asked: language and number of lines."""
    calls: list[tuple[str, int]] = []

    def read_in(self: Tesseract, language: str, lines: list[Any]) -> list[Words]:
        calls.append((language, len(lines)))
        return answers[language][: len(lines)]

    monkeypatch.setattr(Tesseract, "_read_in", read_in)
    return calls


BLANK = np.full((96, 200, 3), 255, np.uint8)


def test_a_line_that_was_read_surely_is_not_read_in_the_next_language(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"kor": [Words("하나", 0.95), Words("", 0.0)], "ara": [Words("واحد", 0.9)]}
    calls = asked(monkeypatch, answers)
    found = Tesseract("tesseract", ("kor", "ara")).read([BLANK, BLANK])
    assert [words.text for words in found] == ["하나", "واحد"]
    assert calls == [("kor", 2), ("ara", 1)]


def test_of_two_languages_that_are_nearly_as_sure_the_first_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    asked(monkeypatch, {"kor": [Words("내부용", 0.75)], "ara": [Words("عام", 0.81)]})
    assert Tesseract("tesseract", ("kor", "ara")).read([BLANK]) == [("내부용", 0.75)]


def test_latin_words_beside_each_other_stay_in_their_order() -> None:
    words = [
        Word("Blue", 10, 40, 90),
        Word("River", 50, 90, 90),
        Word("חברת", 100, 140, 90),
        Word("שלום", 150, 190, 90),
    ]
    assert right_to_left(words) == "שלום חברת Blue River"


def test_a_narrow_gap_between_syllables_is_no_space() -> None:
    line = np.full((40, 200), 255, np.uint8)
    for left in (0, 34, 80):
        line[5:35, left : left + 30] = 0
    words = [Word("가", 0, 30, 90), Word("나", 34, 64, 90), Word("다", 80, 110, 90)]
    assert spaced(words, line) == "가나 다"


def test_a_line_without_a_letter_of_the_language_is_no_reading() -> None:
    assert ocr_tesseract._words([Word("Plan", 0, 30, 96)], BLANK[..., 0], "kor") == ("", 0.0)


def test_a_program_that_fails_is_named_with_what_it_said(tmp_path: Path) -> None:
    program = tmp_path / "tesseract"
    program.write_text("#!/bin/sh\necho no data >&2\nexit 3\n")
    program.chmod(0o755)
    with pytest.raises(QilError, match=r"Tesseract \(.*tesseract\) failed: no data\. Repair or remove it"):
        Tesseract(str(program), ("kor",)).read([BLANK])


def test_a_program_that_hangs_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocr_tesseract, "START_SECONDS", 0.2)
    monkeypatch.setattr(ocr_tesseract, "LINE_SECONDS", 0)
    program = tmp_path / "tesseract"
    program.write_text("#!/bin/sh\nexec sleep 20\n")
    program.chmod(0o755)
    with pytest.raises(QilError, match="gave no answer within 0 s"):
        Tesseract(str(program), ("kor",)).read([BLANK])


def test_without_the_program_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocr_tesseract, "_found", [])
    monkeypatch.setattr(ocr_tesseract.shutil, "which", lambda name: None)
    monkeypatch.setattr(ocr_tesseract, "_windows_programs", lambda: iter(()))
    assert ocr_tesseract.tesseract() is None


def test_a_program_without_data_of_these_languages_is_of_no_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocr_tesseract, "_found", [])
    monkeypatch.setattr(ocr_tesseract.shutil, "which", lambda name: "tesseract")
    monkeypatch.setattr(ocr_tesseract, "_run", lambda command, seconds: "List of available languages:\neng\nosd\n")
    assert ocr_tesseract.tesseract() is None


def test_on_windows_the_usual_folder_is_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROGRAMFILES", str(tmp_path))
    monkeypatch.delenv("LOCALAPPDATA", raising=False)
    assert list(ocr_tesseract._windows_programs()) == [tmp_path / "Tesseract-OCR" / "tesseract.exe"]
