"""The metrics of the fonts that editable text is set in."""

from __future__ import annotations

import pytest

from qil_core.typography import fonts


@pytest.mark.parametrize(
    ("text", "script"),
    [("Two offices", "latin"), ("收入同比增长", "chinese"), ("売上は二割", "japanese"), ("모든 지역", "korean")],
)
def test_the_letters_tell_the_script(text: str, script: str) -> None:
    assert fonts.script_of(text) == script


def test_arabic_and_hebrew_run_from_right_to_left_even_with_a_number() -> None:
    assert fonts.script_of("مرحبا 12") == "right-to-left"
    assert fonts.script_of("שלום") == "right-to-left"


def test_advances_are_those_of_the_metric_tables() -> None:
    assert fonts.advance("i", "sans") == 0.222
    assert fonts.advance("W", "serif", bold=True) == 1.0
    assert fonts.advance("i", "mono") == fonts.advance("W", "mono") == 0.6
    assert fonts.advance("増", "serif") == 1


def test_an_accented_letter_is_as_wide_as_its_letter_and_higher() -> None:
    assert fonts.advance("é", "sans") == fonts.advance("e", "sans")
    assert fonts.reach("É", "sans")[0] > fonts.reach("E", "sans")[0]


def test_a_line_reaches_as_far_as_its_letters_do() -> None:
    assert fonts.reach("nose", "sans")[0] < fonts.reach("House", "sans")[0]
    assert fonts.reach("house", "sans")[1] > -0.05
    assert fonts.reach("gape", "sans")[1] < -0.2
