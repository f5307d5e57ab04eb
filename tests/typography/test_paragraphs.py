"""Lines that become blocks and paragraphs."""

from __future__ import annotations

from typing import Any

from qil_core.typography.paragraphs import blocks
from qil_core.typography.style import Line


def line(text: str, left: float, baseline: float, width: float = 200, size: float = 20, **given: Any) -> Line:
    """A plain dark line of text."""
    values: dict[str, Any] = {
        "spacing": 0,
        "family": "sans",
        "script": "latin",
        "bold": False,
        "italic": False,
        "color": (10, 10, 10),
        "opacity": 1.0,
        "pieces": (),
        **given,
    }
    top, bottom = baseline - 0.7 * size, baseline + 0.2 * size
    return Line(text, 1.0, left, top, left + width, bottom, baseline, size, **values)


def texts(*lines: Line) -> list[str]:
    return [block.text for block in blocks(list(lines))]


def test_lines_below_each_other_are_one_block() -> None:
    (block,) = blocks([line("First of all", 10, 50), line("Second", 10, 78, 120)])
    assert (block.alignment, block.leading) == ("left", 28)


def test_a_line_that_had_no_room_for_the_next_word_goes_on() -> None:
    assert texts(line("the pilot ends in", 10, 50), line("september", 10, 78, 110)) == ["the pilot ends in september"]


def test_ideographs_go_on_without_a_space() -> None:
    lines = line("收入同比增长", 10, 50, 120), line("百分之十八", 10, 78, 100)
    assert texts(*lines) == ["收入同比增长百分之十八"]


def test_a_short_line_ends_its_paragraph() -> None:
    lines = line("a long line of words", 10, 50), line("goes on", 10, 78, 50), line("another line", 10, 106)
    assert texts(*lines) == ["a long line of words goes on\nanother line"]


def test_a_bullet_begins_a_paragraph_though_the_line_above_is_full() -> None:
    first, second = line("成本低于计划", 10, 50, bulleted=True), line("成本低于收入", 10, 78, bulleted=True)
    assert texts(first, second, line("各地区", 10, 106, 60)) == ["成本低于计划\n成本低于收入各地区"]


def test_centred_and_right_aligned_lines_are_told_apart() -> None:
    assert blocks([line("Wide", 10, 50, 200), line("Slim", 60, 78, 100)])[0].alignment == "center"
    assert blocks([line("Wide", 10, 50, 200), line("Slim", 110, 78, 100)])[0].alignment == "right"


def test_another_size_colour_weight_or_gap_begins_a_block() -> None:
    first = line("Title", 10, 50)
    for other in (
        line("text", 10, 80, size=30),
        line("text", 10, 78, color=(200, 10, 10)),
        line("text", 10, 78, bold=True),
        line("text", 10, 150),
        line("text", 90, 78, 500),
    ):
        assert len(blocks([first, other])) == 2


def test_two_columns_are_two_blocks_left_before_right() -> None:
    right = [line("c", 400, 50), line("d", 400, 78)]
    left = [line("a", 10, 50), line("b", 10, 78)]
    assert [block.lines[0].text for block in blocks(right + left)] == ["a", "c"]


def test_a_lone_line_from_right_to_left_is_set_at_the_right() -> None:
    assert blocks([line("שלום", 10, 50, script="right-to-left")])[0].alignment == "right"


def test_a_block_never_jumps_over_a_line_between_its_own() -> None:
    between = line("and", 60, 78, 80, color=(200, 10, 10))
    assert len(blocks([line("Wide", 10, 50), between, line("Wild", 10, 92)])) == 3
