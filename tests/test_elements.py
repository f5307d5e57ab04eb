"""A plan in words: lines that say which layers are wanted and where they lie."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from qil_core.elements import MAX_ELEMENTS, Element, cut_to, from_values, parse_elements
from qil_core.errors import QilError
from qil_core.request import MAX_TOTAL, Request
from qil_core.stack import Box


def test_a_line_is_an_element_and_blank_lines_are_none() -> None:
    assert parse_elements("girl\n\n  headline   text \r\n") == (Element("girl"), Element("headline text"))
    assert parse_elements("") == parse_elements(" \n\t") == ()


@pytest.mark.parametrize(
    "line",
    [
        "the red car at 120,40,380,300",
        "the red car at 120, 40, 380, 300",
        "the red car AT 120 ,40 ,380,300 ",
        "the red car at 120\uff0c40\uff0c380\uff0c300",
    ],
)
def test_a_box_stands_at_the_end_of_its_line(line: str) -> None:
    assert parse_elements(line) == (Element("the red car", Box(120, 40, 380, 300)),)


@pytest.mark.parametrize("words", ["a clock at 12", "a cat at home", "boat 3,4", "a 3,5 inch disk", "at", "look at me"])
def test_words_that_only_look_like_a_box_are_words(words: str) -> None:
    assert parse_elements(words) == (Element(words),)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ('headline "SALE 50%"', "SALE 50%"),
        ("headline “SALE 50%”", "SALE 50%"),
        ("headline „SALE 50%“", "SALE 50%"),
        ("标题「减价」", "减价"),
        ('"SALE" above "50%"', "SALE 50%"),
        ('a 5" nail', ""),
        ('"meet at 12,30 today" in red', "meet at 12,30 today"),
    ],
)
def test_words_in_quotes_are_a_text(line: str, text: str) -> None:
    assert parse_elements(line) == (Element(line, None, text),)


def test_a_quoted_text_alone_names_its_layer_and_may_have_a_box() -> None:
    assert parse_elements('"SALE 50%" at 0,0,9,9') == (Element("SALE 50%", Box(0, 0, 9, 9), "SALE 50%"),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("girl\ncar at 1,2,3", r"line 2: .*car at 1,2,3.* has a box that cannot be read: write \"at\" and four"),
        ("car at 1,2,3,4,5", "line 1: .* cannot be read"),
        ("car at 1 2 3 4", "line 1: .* cannot be read"),
        ("car at 1.5,2,3,4", "line 1: .* cannot be read"),
        ("car at 1,2,3,x", "line 1: .* cannot be read"),
        ("car at 9,", "line 1: .* cannot be read"),
        ("car at 1,2,3,4000000", "line 1: .* cannot be read"),
        ("car at 30,2,30,4", "line 1: .*30,2,30,4, is empty: write left, top, right, bottom"),
        ("car at 1,9,3,4", "line 1: .* is empty"),
        ("at 1,2,3,4", "line 1: .* has no words: say what it is"),
        ("girl\n\x1b[31m", r"line 2: .*\\x1b\[31m.* cannot be shown"),
        ("girl\n\ud83d", "line 2: .* cannot be shown"),
        ("x" * 401, "line 1: An element is named by 1 to 400 characters"),
        ("girl\ncat\ngirl", 'The element "girl" stands twice'),
        ("\n".join(f"thing {i}" for i in range(50)), "50 elements are asked for, at most 49"),
        ("x\n" * 20_000, "40000 characters long, at most 20000"),
    ],
)
def test_what_cannot_be_meant_is_an_error_that_names_the_line(text: str, message: str) -> None:
    with pytest.raises(QilError, match=message) as caught:
        parse_elements(text)
    assert str(caught.value).encode()


def test_two_things_of_one_name_are_told_apart_by_their_boxes() -> None:
    assert len(parse_elements("car at 0,0,9,9\ncar at 9,0,18,9\ncar")) == 3


def test_with_what_lies_below_there_are_never_more_layers_than_a_request_may_have() -> None:
    assert MAX_ELEMENTS + 1 == MAX_TOTAL


def test_boxes_are_cut_to_the_area_and_counted_from_its_corner() -> None:
    elements = parse_elements("girl\ncar at -5,20,200,60")
    assert cut_to(elements, Box(10, 10, 100, 50)) == (Element("girl"), Element("car", Box(0, 10, 90, 40)))


def test_a_box_wholly_outside_is_refused() -> None:
    with pytest.raises(QilError, match='box of "car", 100,0,120,9, lies outside of what is taken apart, 0,0,100,50'):
        cut_to(parse_elements("car at 100,0,120,9"), Box(0, 0, 100, 50))


def test_a_report_gives_the_same_elements_back() -> None:
    elements = parse_elements('girl\ncar at 1,2,3,4\n"SALE"')
    values = json.loads(json.dumps(asdict(Request(elements=elements))))["elements"]
    assert from_values(values) == elements


@pytest.mark.parametrize(
    "element",
    [
        Element(""),
        Element(7),  # type: ignore[arg-type]
        Element("car", Box(0, 0, 0, 9)),
        Element("car", Box(0, 0, 1.5, 9)),  # type: ignore[arg-type]
        Element("car", Box(0, 0, 10**9, 9)),
        Element("car", (0, 0, 1)),  # type: ignore[arg-type]
    ],
)
def test_a_request_checks_its_elements_wherever_they_come_from(element: Element) -> None:
    with pytest.raises(QilError):
        Request(elements=(element,)).check()
