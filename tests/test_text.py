"""Texts that come in and texts that leave."""

from __future__ import annotations

import pytest
import torch

from qil_core.errors import QilError
from qil_core.order import arrange
from qil_core.request import Request, readable
from qil_core.sheet import MAX_CELLS, contact_sheet
from qil_core.stack import LayerStack
from qil_core.text import MAX_PROMPT, MAX_QUOTED, printable, quoted


@pytest.mark.parametrize("text", ["", "plain", "é漢😀👩‍👩‍👧", "two\nlines\twith a tab\r\n", "a\u00a0b", "back\\slash"])
def test_a_text_that_can_be_printed_stays_as_it_is(text: str) -> None:
    assert printable(text) == text


def test_what_cannot_be_printed_is_written_as_an_escape() -> None:
    assert printable("a\ud83db") == r"a\ud83db"
    assert printable("\ud83d\ude00") == r"\ud83d\ude00", "two halves that were never joined"
    assert printable("\x1b[31m\0\x7f\x9b") == r"\x1b[31m\x00\x7f\x9b"
    assert printable(b"\xff.png".decode(errors="surrogateescape")) == r"\udcff.png", "a file name that is no UTF-8"


def test_the_message_of_an_error_is_printable_whatever_it_quotes() -> None:
    with pytest.raises(QilError) as caught:
        arrange(LayerStack(torch.zeros(1, 2, 2, 4), ("sky",)), "0 \ud83d")
    assert str(caught.value).encode()
    caught.match(r"half of a character, \\ud83d at position 2")
    assert str(QilError("\ud800\x1b")) == r"\ud800\x1b"


def test_names_of_layers_are_printable_wherever_they_come_from() -> None:
    stack = LayerStack.from_image(torch.zeros(2, 1, 1, 4), ["\ud83d", "a\0b"])
    assert stack.names == (r"\ud83d", r"a\x00b")


def test_a_message_repeats_only_the_beginning_of_a_long_text() -> None:
    assert quoted("short") == '"short"'
    assert quoted("x" * 100_000) == f'"{"x" * MAX_QUOTED}..."'


def test_a_text_that_is_too_long_is_refused_with_both_lengths() -> None:
    readable("The text", "x" * 10, 10)
    with pytest.raises(QilError, match="The text is 11 characters long, at most 10"):
        readable("The text", "x" * 11, 10)


@pytest.mark.parametrize("field", ["prompt", "negative_prompt"])
def test_a_request_bounds_its_prompts(field: str) -> None:
    Request(**{field: "x" * MAX_PROMPT}).check()
    with pytest.raises(QilError, match="prompt is 20001 characters long"):
        Request(**{field: "x" * (MAX_PROMPT + 1)}).check()


@pytest.mark.parametrize("letter", ["x", "i", "漢", "\u200b"])
def test_a_name_of_many_letters_is_cut_in_a_few_steps(letter: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import ImageDraw

    measured: list[int] = []
    measure = ImageDraw.ImageDraw.textlength

    def counting(self: ImageDraw.ImageDraw, text: str, *rest: object) -> float:
        measured.append(len(text))
        return measure(self, text, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(ImageDraw.ImageDraw, "textlength", counting)
    contact_sheet(LayerStack(torch.zeros(1, 8, 8, 4), (letter * 8000,)))
    assert len(measured) < 30
    assert max(measured) < 300


def test_a_sheet_of_very_many_layers_shows_the_first_ones_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import ImageDraw

    drawn: list[str] = []
    monkeypatch.setattr(ImageDraw.ImageDraw, "text", lambda self, at, text, *rest: drawn.append(text))
    contact_sheet(LayerStack.from_image(torch.zeros(MAX_CELLS + 5, 1, 1, 4)))
    assert len(drawn) == 2 * (MAX_CELLS + 1)
    assert drawn[-1] == "1 x 1 px, 100 of 105 layers"
