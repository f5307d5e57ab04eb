"""Lines that belong together: blocks of paragraphs.

1. `blocks`: lines of one style that stand below each other, evenly and in one column, are one block; and so are
   columns of ideographs that stand beside each other, the rightmost first.
2. `_alignment`: left, right or centred, by which of the lines' sides or middles agree.
3. `_paragraphs`: a line goes on where the one above had no room for its first word, and it has no bullet and begins
   no sentence.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np

from .fonts import is_wide
from .style import Line

Alignment = Literal["left", "center", "right"]

MAX_SIZES = 1.15
"""How many times as large as another a line may be that is set alike: measured sizes are up to a twentieth off, and
another family moves them by less than this."""

MAX_COLOR = 24
"""How far, in 1/255, the colours of its lines may be apart."""

MAX_WORD_GAP, MAX_RISE = 1.0, 0.1
"""How far, in font sizes, two words of one row may be apart, and one may stand higher than the other: the widest single
space, that of Courier New, leaves 0.75."""

MIN_LEADING, MAX_LEADING = 0.9, 2.6
"""From baseline to baseline in font sizes: text has 1.0 to 1.6, lists of single lines up to two and a half."""

MAX_UNEVEN = 0.15
"""How far leadings of one block may be apart, in font sizes."""

MAX_OFF = 0.4
"""How far, in font sizes, sides or middles of lines that are aligned may be apart: round letters begin later."""


@dataclass(frozen=True)
class Block:
    """Paragraphs of lines from top to foot, set alike; of columns from right to left. Pixels of the upright layer.

    leading: from baseline to baseline, or from column to column; 0 of a single line.
    """

    paragraphs: tuple[tuple[Line, ...], ...]
    alignment: Alignment
    leading: float

    @property
    def vertical(self) -> bool:
        """Whether its lines are columns, which run from top to foot."""
        return self.paragraphs[0][0].vertical

    @property
    def lines(self) -> list[Line]:
        """All lines in their order."""
        return [line for paragraph in self.paragraphs for line in paragraph]

    @property
    def text(self) -> str:
        """The words, a line a paragraph."""
        return "\n".join(map(joined, self.paragraphs))


def joined(paragraph: tuple[Line, ...]) -> str:
    """The words of a paragraph on one line; between ideographs no space is put."""
    text = paragraph[0].text
    for line in paragraph[1:]:
        close = is_wide(text[-1]) and is_wide(line.text[0])
        text += line.text if close else f" {line.text}"
    return text


def blocks(lines: list[Line]) -> list[Block]:
    """Blocks in the order of reading: from top to foot, beside each other in the direction of the script."""
    stacks: list[list[Line]] = []
    for line in sorted((line for line in lines if not line.vertical), key=lambda line: line.baseline):
        above = [stack for stack in reversed(stacks) if _is_above(stack[-1], line)]
        stack = next((stack for stack in above[:1] if _goes_on(stack, line)), None)
        if stack is None:
            stacks.append([line])
        else:
            stack.append(line)
    columns = _stacks_of_columns([line for line in lines if line.vertical])
    return _in_reading_order([*map(_block, stacks), *map(_block_of_columns, columns)])


def _stacks_of_columns(lines: list[Line]) -> list[list[Line]]:
    """Columns that are read one after the other, each list from right to left."""
    stacks: list[list[Line]] = []
    for line in sorted(lines, key=lambda line: -line.right):
        stack = next((stack for stack in stacks if _is_next_column(stack, line)), None)
        if stack is None:
            stacks.append([line])
        else:
            stack.append(line)
    return stacks


def _is_next_column(stack: list[Line], line: Line) -> bool:
    """Whether a column is the next one, to the left, of columns that begin at one height."""
    before = stack[-1]
    step = _middle(before) - _middle(line)
    even = len(stack) < 2 or abs(step - _middle(stack[-2]) + _middle(before)) <= MAX_UNEVEN * line.size
    near = MIN_LEADING * line.size <= step <= MAX_LEADING * line.size and abs(before.top - line.top) <= line.size / 2
    return even and near and _alike(before, line)


def _middle(column: Line) -> float:
    return (column.left + column.right) / 2


def _block_of_columns(lines: list[Line]) -> Block:
    """A column goes on in the next one where it is as long as the longest, but for half a letter."""
    foot = max(line.bottom for line in lines)
    paragraphs = [[lines[0]]]
    for before, line in pairwise(lines):
        if before.bottom > foot - line.size / 2:
            paragraphs[-1].append(line)
        else:
            paragraphs.append([line])
    steps = [_middle(before) - _middle(line) for before, line in pairwise(lines)]
    return Block(tuple(map(tuple, paragraphs)), "left", float(np.mean(steps)) if steps else 0.0)


def of_one_size(one: Line, other: Line) -> bool:
    """Whether two lines may be set in one size."""
    return max(one.size, other.size) <= MAX_SIZES * min(one.size, other.size)


def goes_on_in_row(left: Line, line: Line) -> bool:
    """Whether a line is the next part, to the right, of the row that another one is in."""
    apart = (line.left - left.right) / left.size
    level = abs(line.baseline - left.baseline) <= MAX_RISE * left.size
    plain = left.script == line.script == "latin" and not line.bulleted and not left.vertical and not line.vertical
    near = plain and level and 0 < apart <= MAX_WORD_GAP
    return near and of_one_size(left, line) and _color_off(left, line) <= MAX_COLOR


def _is_above(above: Line, line: Line) -> bool:
    """Whether two lines share columns and the first is the higher one."""
    return above.baseline < line.bottom - line.size / 2 and min(above.right, line.right) > max(above.left, line.left)


def _goes_on(stack: list[Line], line: Line) -> bool:
    """Whether a line is the next one of a stack of lines."""
    above = stack[-1]
    size = (above.size + line.size) / 2
    leading = (line.baseline - above.baseline) / size
    even = len(stack) < 2 or abs(leading - (above.baseline - stack[-2].baseline) / size) <= MAX_UNEVEN
    return (
        _alike(above, line)
        and even
        and MIN_LEADING <= leading <= MAX_LEADING
        and _alignment([*stack, line]) is not None
    )


def _alike(one: Line, other: Line) -> bool:
    """Whether two lines are set alike."""
    return (
        of_one_size(one, other)
        and (one.family, one.bold, one.italic) == (other.family, other.bold, other.italic)
        and _color_off(one, other) <= MAX_COLOR
    )


def _color_off(one: Line, other: Line) -> int:
    return max(abs(a - b) for a, b in zip(one.color, other.color, strict=True))


def _alignment(lines: list[Line]) -> Alignment | None:
    """What agrees best among the lines: left sides, middles or right sides; None where nothing does."""
    size = float(np.mean([line.size for line in lines]))
    spans: dict[Alignment, float] = {
        "left": float(np.ptp([line.left for line in lines])),
        "center": float(np.ptp([(line.left + line.right) / 2 for line in lines])),
        "right": float(np.ptp([line.right for line in lines])),
    }
    order = list(spans)[:: -1 if lines[0].script == "right-to-left" else 1]
    best = min(spans, key=lambda side: (round(spans[side] / size, 1), order.index(side)))
    return best if spans[best] <= MAX_OFF * size else None


def _block(lines: list[Line]) -> Block:
    steps = [below.baseline - above.baseline for above, below in pairwise(lines)]
    side: Alignment = "right" if lines[0].script == "right-to-left" else "left"
    alignment = (_alignment(lines) or side) if len(lines) > 1 else side
    if alignment != "left":
        lines = [replace(line, bullet=None) for line in lines]  # a sign hangs left of lines that begin in one column
    return Block(_paragraphs(lines), alignment, float(np.mean(steps)) if steps else 0.0)


def _paragraphs(lines: list[Line]) -> tuple[tuple[Line, ...], ...]:
    """The lines by paragraph."""
    room = max(line.right - line.left for line in lines)
    paragraphs = [[lines[0]]]
    for above, line in pairwise(lines):
        was_full = above.right - above.left + _first_word(line) > room
        if was_full and not line.bulleted and not _begins_sentence(above, line):
            paragraphs[-1].append(line)
        else:
            paragraphs.append([line])
    return tuple(map(tuple, paragraphs))


def _first_word(line: Line) -> float:
    """Width in pixels of a line's first word and the space before it; of an ideograph one em."""
    if is_wide(line.text[0]):
        return line.size
    share = (len(line.text.split()[0]) + 1) / len(line.text)
    return share * (line.right - line.left)


def _begins_sentence(above: Line, line: Line) -> bool:
    """Whether a line begins with a capital, though the one above has no mark that asks for more."""
    return line.text[0].isupper() and not above.text.endswith((",", "-", "&"))


def _in_reading_order(found: list[Block]) -> list[Block]:
    """From top to foot; blocks whose first lines stand in one row in the direction of the script."""
    rows: list[list[Block]] = []
    for block in sorted(found, key=_beginning):
        first = block.lines[0]
        if rows and abs(_beginning(rows[-1][0]) - _beginning(block)) <= MAX_OFF * first.size:
            rows[-1].append(block)
        else:
            rows.append([block])
    return [block for row in rows for block in sorted(row, key=_along)]


def _beginning(block: Block) -> float:
    """Height of a block's first baseline; of columns their top, at which they begin together whatever their size."""
    first = block.lines[0]
    return first.top if first.vertical else first.baseline


def _along(block: Block) -> float:
    """Where a block begins along its row."""
    first = block.lines[0]
    return -first.right if first.vertical or first.script == "right-to-left" else first.left
