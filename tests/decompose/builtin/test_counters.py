"""What shows through the letters of a text that was read is none of the text's layer."""

from __future__ import annotations

import numpy as np

from qil_core.decompose.builtin.step08_units import _with_open_counters

ROWS, COLUMNS = np.mgrid[:60, :80]
FROM_MIDDLE = np.hypot(ROWS - 30, COLUMNS - 30)
RING = (FROM_MIDDLE < 20) & (FROM_MIDDLE > 12)
TEXT, THING = 2, 1


def test_the_counter_of_a_letter_is_what_lies_around_the_text() -> None:
    labels = np.where(FROM_MIDDLE < 20, TEXT, np.where(COLUMNS < 70, THING, 0)).astype(np.int32)
    opened = _with_open_counters(labels, RING)
    assert (opened[FROM_MIDDLE < 12] == THING).all()
    assert (opened[RING] == TEXT).all()


def test_the_blurred_edge_inside_a_letter_stays_the_letters() -> None:
    edge = (FROM_MIDDLE <= 12) & (FROM_MIDDLE > 10.5)
    labels = np.where(RING | edge, TEXT, THING).astype(np.int32)
    assert np.array_equal(_with_open_counters(labels, RING), labels)


def test_without_text_nothing_changes() -> None:
    labels = np.full(RING.shape, THING, np.int32)
    assert np.array_equal(_with_open_counters(labels, np.zeros(RING.shape, bool)), labels)
