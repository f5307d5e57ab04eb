"""Serifs by the feet of stems, and spaces by the gaps between words."""

from __future__ import annotations

import numpy as np
import pytest

from qil_core.typography.ink import Floats
from qil_core.typography.serifs import MIN_SERIF_FOOT, foot_ratio
from qil_core.typography.word_gaps import respaced, word_edges


def stems(foot: int) -> Floats:
    """A word of four letters "l", 6 px wide and 60 high, with feet that reach out to both sides."""
    alpha = np.zeros((80, 160), np.float32)
    for left in (20, 55, 90, 125):
        alpha[10:70, left : left + 6] = 1
        alpha[66:70, left - foot : left + 6 + foot] = 1
    return alpha


def test_feet_that_are_wider_than_stems_are_serifs() -> None:
    assert foot_ratio("llll", stems(4)) == pytest.approx(14 / 6, abs=0.1)
    bare = foot_ratio("llll", stems(0))
    assert bare == pytest.approx(1, abs=0.05)
    assert bare < MIN_SERIF_FOOT


def test_letters_that_touch_or_have_no_stems_tell_nothing() -> None:
    assert foot_ratio("lll", stems(4)) is None
    assert foot_ratio("oooo", stems(4)) is None


def words(*spans: tuple[int, int]) -> Floats:
    alpha = np.zeros((40, spans[-1][1] + 10), np.float32)
    for left, right in spans:
        alpha[10:30, left:right] = 1
    return alpha


def test_words_end_at_the_widest_gaps() -> None:
    edges = word_edges(words((5, 40), (60, 90)), 2)
    assert edges is not None
    assert edges.tolist() == [5, 40, 60, 90]


def test_a_gap_with_room_for_two_spaces_has_two() -> None:
    # at 40 px a space of Arial is 11 px wide, and letters have 2.4 px of their own at each side
    alpha = words((0, 60), (76, 130), (157, 160), (187, 260))
    assert respaced("Annual meeting | March", alpha, "sans", 40) == "Annual meeting  |  March"


def test_justified_words_keep_single_spaces() -> None:
    assert respaced("one two three", words((0, 60), (90, 150), (180, 240)), "sans", 40) == "one two three"
