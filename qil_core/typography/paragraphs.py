"""Lines that belong together: blocks of paragraphs.

1. `blocks`: lines of one style that stand below each other, evenly and in one column, are one block.
2. `_alignment`: left, right or centred, by which of the lines' sides or middles agree.
3. `_paragraphs`: a line goes on where the one above had no room for its first word, and it has no bullet and begins
   no sentence.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from .fonts import is_wide
from .style import Line

Alignment = Literal["left", "center", "right"]

MAX_SIZES = 1.15
"""How many times as large as another a line of the same block may be: measured sizes are up to a twentieth off."""

MAX_COLOR = 24
"""How far, in 1/255, the colours of its lines may be apart."""

MIN_LEADING, MAX_LEADING = 0.9, 2.6
"""From baseline to baseline in font sizes: text has 1.0 to 1.6, lists of single lines up to two and a half."""

MAX_UNEVEN = 0.15
"""How far leadings of one block may be apart, in font sizes."""

MAX_OFF = 0.4
"""How far, in font sizes, sides or middles of lines that are aligned may be apart: round letters begin later."""


@dataclass(frozen=True)
class Block:
    """Paragraphs of lines from top to foot, set alike. Lengths in pixels of the upright layer.

    leading: from baseline to baseline; 0 of a single line. turn: degrees clockwise that the layer is turned by.
    """

    paragraphs: tuple[tuple[Line, ...], ...]
    alignment: Alignment
    leading: float

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
    for line in sorted(lines, key=lambda line: line.baseline):
        above = [stack for stack in reversed(stacks) if _is_above(stack[-1], line)]
        stack = next((stack for stack in above[:1] if _goes_on(stack, line)), None)
        if stack is None:
            stacks.append([line])
        else:
            stack.append(line)
    return _in_reading_order([_block(stack) for stack in stacks])


def _is_above(above: Line, line: Line) -> bool:
    """Whether two lines share columns and the first is the higher one."""
    return above.baseline < line.bottom - line.size / 2 and min(above.right, line.right) > max(above.left, line.left)


def _goes_on(stack: list[Line], line: Line) -> bool:
    """Whether a line is the next one of a stack of lines."""
    above = stack[-1]
    size = (above.size + line.size) / 2
    leading = (line.baseline - above.baseline) / size
    alike = (
        max(above.size, line.size) <= MAX_SIZES * min(above.size, line.size)
        and (above.family, above.bold, above.italic) == (line.family, line.bold, line.italic)
        and max(abs(a - b) for a, b in zip(above.color, line.color, strict=True)) <= MAX_COLOR
    )
    even = len(stack) < 2 or abs(leading - (above.baseline - stack[-2].baseline) / size) <= MAX_UNEVEN
    return alike and even and MIN_LEADING <= leading <= MAX_LEADING and _alignment([*stack, line]) is not None


def _alignment(lines: list[Line]) -> Alignment | None:
    """What agrees best among the lines: left sides, middles or right sides; None where nothing does."""
    size = float(np.mean([line.size for line in lines]))
    spans: dict[Alignment, float] = {
        "left": float(np.ptp([line.left for line in lines])),
        "center": float(np.ptp([(line.left + line.right) / 2 for line in lines])),
        "right": float(np.ptp([line.right for line in lines])),
    }
    best = min(spans, key=lambda side: (round(spans[side] / size, 1), list(spans).index(side)))
    return best if spans[best] <= MAX_OFF * size else None


def _block(lines: list[Line]) -> Block:
    steps = [below.baseline - above.baseline for above, below in pairwise(lines)]
    side: Alignment = "right" if lines[0].script == "right-to-left" else "left"
    alignment = (_alignment(lines) or side) if len(lines) > 1 else side
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
    """From top to foot; blocks whose first lines stand in one row from left to right."""
    rows: list[list[Block]] = []
    for block in sorted(found, key=lambda block: block.lines[0].baseline):
        first = block.lines[0]
        if rows and abs(rows[-1][0].lines[0].baseline - first.baseline) <= MAX_OFF * first.size:
            rows[-1].append(block)
        else:
            rows.append([block])
    return [block for row in rows for block in sorted(row, key=lambda block: block.lines[0].left)]
