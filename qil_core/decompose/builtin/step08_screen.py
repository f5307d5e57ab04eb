"""Step 8 for screens (`find_screen`): panels with all that lies on them become the units, in place of regions.

On an app's screen, cards, tables and bars are rectangles of a few flat colours on one ground, and what lies on a card
belongs to it, whatever its colours are.
1. `_filled`: what covers the ground, its holes closed, falls into pieces: those that reach the picture's border are
   bars, or several of them, and rectangles on the ground are cards (`_is_panel`), with all that is in them.
2. `_bars`: thin rules part bars of one colour, such as a sidebar and a toolbar.
3. `_on_bar`: fields and buttons, the panels on a bar, are units of their own, and so is a menu, whose items form rows
   or columns (`_is_list`). Anything else on a bar, as a title, is part of it.
4. `screen_panels`: a picture is a screen where there are so many panels that they cover most of it.
Rules, frames and sparklines (step 2) belong to the panel that they lie on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from .areas import compact
from .fill import nearest_label
from .shapes import grown
from .step03_ground import Background
from .step07_reading import Texts
from .units import SHAPE, TEXT, Units
from .working import Labels, Mask, Working

MIN_CARDS = 2
"""Fewer rectangles on the ground are no screen."""

MIN_PANELS = 3
"""Cards and bars together."""

MIN_COVER = 0.4
"""Share of the picture that they cover at least: most of a slide is ground."""

MIN_CARD = 0.005
"""Share of the picture that a card covers at least: less is an icon."""

MIN_BAR = 0.01
"""Share of the picture that a bar covers at least."""

MIN_ON_BAR = 0.002
"""The same for a field or button on a bar."""

MIN_FILL = 0.93
"""Share of its box that a panel fills: a rectangle with round corners, without those of an ellipse (0.79)."""

MAX_BARS = 4
"""Into how many bars rules part an area at most, one for each side of the picture: more are rows of a table."""

MIN_RULE = 0.12
"""Length of a rule as a share of the picture's longer side, as of strokes."""

RULE_GAP_PX = 9
"""Largest gap in a rule, in working pixels: what crosses it and what JPEG leaves."""

MIN_LIST = 3
"""Rows or columns of the shortest menu."""

COLUMN_GAP = 1.5
"""Clear distance of two columns of a menu at the least, in heights of its items: words in one line have 0.3."""

TOUCH_PX = 2
"""How far apart, in working pixels, pieces of one item may lie: its blurred edge is between them."""


EDGE_PX = 4
"""Width, in working pixels, of a bar's edge with its frame and blur, which is no part of what lies on the bar."""


class Screen(NamedTuple):
    """units: of a screen. clear: (h, w), where strokes lie on none of its panels."""

    units: Units
    clear: Mask


class ScreenPanels(NamedTuple):
    """The cards and the bars of a screen: masks (h, w)."""

    cards: list[Mask]
    bars: list[Mask]


def find_screen(
    work: Working, background: Background, units: Units, regions: Labels, texts: Texts, strokes: Labels
) -> Screen | None:
    """The units of a screen, from those of any picture; None where the picture is none.

    regions, strokes: (h, w), 0 where there are none.
    """
    panels = screen_panels(work, background, regions, texts, strokes)
    return _drawn(units, panels, regions, texts, strokes) if panels else None


def screen_panels(
    work: Working, background: Background, regions: Labels, texts: Texts, strokes: Labels
) -> ScreenPanels | None:
    """The cards and bars of a screen; None where the picture is none."""
    if not (work.is_even and background.has_formula):
        return None
    covered = (regions > 0) | (texts.numbers > 0) | (strokes > 0)
    things = list(_pieces(_filled(covered)))
    cards = [piece for piece in things if not _on_border(piece) and _is_panel(piece, covered, MIN_CARD)]
    outer = [piece for piece in things if _on_border(piece) and piece.mean() > MIN_BAR]
    bars = [bar for piece in outer for bar in _bars(piece, regions, strokes)]
    both = cards + bars
    if len(cards) < MIN_CARDS or len(both) < MIN_PANELS or np.mean(np.sum(both, axis=0)) < MIN_COVER:
        return None
    return ScreenPanels(cards, bars)


def _drawn(units: Units, panels: ScreenPanels, regions: Labels, texts: Texts, strokes: Labels) -> Screen:
    """The units with panels, and what lies on bars, as units of their own."""
    labels, count = units.labels.copy(), len(units)
    kinds = list(units.kinds)
    found = [(card, SHAPE) for card in panels.cards]
    for bar in panels.bars:
        found += [(bar, SHAPE), *_on_bar(bar, _carried(bar, regions, texts, strokes))]
    for number, (mask, kind) in enumerate(found, count):
        labels[mask] = number
        kinds.append(kind)
    kept = np.union1d(0, labels)
    pieces = compact(_paired(units.pieces, texts.numbers, strokes))
    screen = Units(np.searchsorted(kept, labels).astype(np.int32), np.array(kinds, np.int8)[kept], pieces)
    return Screen(screen, ~np.any([mask for mask, _ in found], axis=0))


def _paired(first: Labels, *others: Labels) -> Labels:
    """A map (h, w) whose numbers differ where those of any of the maps do; the last one that has one counts."""
    out = first
    for other in others:
        out = np.where(other > 0, other + int(out.max()), out)
    return out.astype(np.int32)


def _filled(mask: Mask) -> Mask:
    """A mask (h, w) with its holes closed."""
    import cv2

    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(cv2.drawContours(np.zeros(mask.shape, np.uint8), outlines, -1, 1, cv2.FILLED) > 0)


def _pieces(mask: Mask) -> Iterator[Mask]:
    """The connected pieces of a mask."""
    import cv2

    count, numbers = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    return (numbers == number for number in range(1, count))


def _on_border(piece: Mask) -> bool:
    return bool(piece[[0, -1]].any() or piece[:, [0, -1]].any())


def _is_panel(piece: Mask, covered: Mask, least: float) -> bool:
    """Whether a piece (h, w) is a rectangle that covers at least this share of the picture."""
    rows, columns = np.flatnonzero(piece.any(1)), np.flatnonzero(piece.any(0))
    box = (rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1)
    return bool(piece.mean() > least and piece.sum() > MIN_FILL * box)


def _bars(piece: Mask, regions: Labels, strokes: Labels) -> list[Mask]:
    """The bars of a piece that reaches the border: its large regions, parted by rules, with what lies on each."""
    sizes = np.bincount(regions[piece], minlength=1)
    sizes[0] = 0
    carriers = [regions == number for number in np.flatnonzero(sizes > MIN_BAR * piece.size)]
    carriers = [carrier for carrier in carriers if _on_border(carrier)]
    marks = np.zeros(piece.shape, np.int32)
    for carrier in carriers:
        for part in _parted(_filled(carrier & piece), strokes > 0):
            marks[part] = marks.max() + 1
    if not marks.any():
        return [piece]
    nearest = nearest_label(marks)
    return [piece & (nearest == number) for number in range(1, int(marks.max()) + 1)]


def _parted(area: Mask, strokes: Mask) -> list[Mask]:
    """An area (h, w) in as many parts as rules make of it, or as it is where these would be too many."""
    parts = [part for part in _pieces(area & ~_rules(strokes)) if part.mean() > MIN_BAR and _on_border(part)]
    return parts if 0 < len(parts) <= MAX_BARS else [area]


def _rules(strokes: Mask) -> Mask:
    """The straight lines along the picture's sides in a mask (h, w), their gaps closed."""
    import cv2

    length, out = round(MIN_RULE * max(strokes.shape)) | 1, np.zeros(strokes.shape, bool)
    for along in ((1, 0), (0, 1)):
        short, long_ = (
            np.ones((side if along[1] else 1, side if along[0] else 1), np.uint8) for side in (RULE_GAP_PX, length)
        )
        lines = cv2.morphologyEx(strokes.astype(np.uint8), cv2.MORPH_CLOSE, short)
        lines = cv2.morphologyEx(lines, cv2.MORPH_OPEN, long_)
        out |= np.asarray(cv2.dilate(lines, short)) > 0
    return out


def _carried(bar: Mask, regions: Labels, texts: Texts, strokes: Labels) -> Mask:
    """What lies on a bar (h, w)."""
    own = int(np.bincount(regions[bar]).argmax())
    lines = (strokes > 0) & ~_rules(strokes > 0)
    inner = ~grown(~bar, EDGE_PX)
    return inner & (((regions != own) & ~_rules(strokes > 0)) | (texts.numbers > 0) | lines)


def _on_bar(bar: Mask, carried: Mask) -> list[tuple[Mask, int]]:
    """The panels on a bar, each with its kind, and its menu where it has one."""
    pieces = list(_pieces(_filled(grown(carried, TOUCH_PX) & bar)))
    panels = [piece for piece in pieces if _is_panel(piece, carried, MIN_ON_BAR)]
    items = [piece for piece in pieces if not any(piece is panel for panel in panels)]
    found = [(_filled(panel & carried), SHAPE) for panel in panels]
    if items and _is_list(items):
        found.append((np.any(items, axis=0) & carried, TEXT))
    return found


def _is_list(items: list[Mask]) -> bool:
    """Whether items (h, w) form rows, or columns, of a menu."""
    whole = np.any(items, axis=0)
    rows, columns = _runs(whole.any(1), 1), _runs(whole.any(0), 1)
    height = float(np.median([end - start for start, end in rows]))
    wide = _runs(whole.any(0), COLUMN_GAP * height)
    return max(len(rows), len(wide) if columns else 0) >= MIN_LIST


def _runs(line: Mask, gap: float) -> list[tuple[int, int]]:
    """From where to where the true values of a line (n,) go, gaps shorter than this closed."""
    runs: list[tuple[int, int]] = []
    for at in np.flatnonzero(line).tolist():
        if runs and at - runs[-1][1] < gap:
            runs[-1] = (runs[-1][0], at + 1)
        else:
            runs.append((at, at + 1))
    return runs
