"""Lines that become blocks and paragraphs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from qil_core.typography.bullets import Bullet
from qil_core.typography.paragraphs import blocks, goes_on_in_row
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


def column(text: str, left: float, top: float = 10, size: float = 20, **given: Any) -> Line:
    """A column of ideographs."""
    foot = top + len(text) * size
    return replace(line(text, left, foot, size, size, script="chinese", vertical=True, **given), top=top, bottom=foot)


def test_columns_are_read_from_right_to_left_and_a_full_one_goes_on() -> None:
    (block,) = blocks([column("所有数据", 40), column("本页的数", 70)])
    assert (block.text, block.vertical, block.leading) == ("本页的数所有数据", True, 30)


def test_a_short_column_ends_its_paragraph_and_another_size_its_block() -> None:
    found = blocks([column("数字", 70), column("所有数据", 40), column("总结", 140, size=40)])
    assert [block.text for block in found] == ["总结", "数字\n所有数据"]


def test_beside_each_other_lines_from_right_to_left_are_read_so() -> None:
    left, right = (line(text, x, 50, script="right-to-left") for text, x in (("שתיים", 10), ("אחת", 400)))
    assert texts(left, right) == ["אחת", "שתיים"]


def test_the_next_words_of_a_row_go_on_over_one_space_but_not_into_another_column() -> None:
    first = line("Energy", 10, 50, 100)
    assert goes_on_in_row(first, line("use by", 122, 51, 90))
    assert not goes_on_in_row(first, line("use by", 150, 50, 90))
    assert not goes_on_in_row(first, line("use by", 122, 56, 90))
    assert not goes_on_in_row(first, line("use by", 122, 50, 90, bulleted=True))


def test_lines_that_are_not_aligned_at_the_left_keep_their_bullets_as_pictures() -> None:
    dot = Bullet("•", 2, 1.0, (0, 0, 0), 5)
    wide, slim = line("Wide", 10, 50, bullet=dot, bulleted=True), line("Slim", 60, 78, 100, bullet=dot, bulleted=True)
    assert [each.bullet for each in blocks([wide, slim])[0].lines] == [None, None]
    assert blocks([wide])[0].lines[0].bullet == dot
