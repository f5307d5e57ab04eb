"""Charts on slides are one unit, and the rule of a footer is part of its text."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmarks.drawn import draw
from benchmarks.judging import shown, things
from qil_core.decompose import Request
from qil_core.decompose.builtin import Builtin
from qil_core.decompose.builtin.step03_ground import Background
from qil_core.decompose.builtin.step07_reading import Texts, no_texts
from qil_core.decompose.builtin.step08_charts import with_charts, with_rules
from qil_core.decompose.builtin.units import SHAPE, Units
from qil_core.decompose.builtin.working import Labels, Working
from qil_core.decompose.run import decompose

SHAPE_PX = 200, 300
GROUND, LINE, BAR = 250, 120, (40, 90, 200)


def lines(*boxes: tuple[int, int, int, int]) -> Labels:
    out = np.zeros(SHAPE_PX, np.int32)
    for left, top, right, bottom in boxes:
        out[top:bottom, left:right] = 1
    return out


AXES = lines((100, 40, 101, 150), (100, 149, 250, 150), (100, 90, 250, 91))
FRAME = lines((100, 40, 101, 150), (250, 40, 251, 150), (100, 40, 251, 41), (100, 149, 251, 150))


def charted(strokes: Labels, texts: Texts) -> tuple[Units, Labels]:
    """What comes of these strokes over two bars of a chart, one of which is a unit."""
    rgba = np.full((*SHAPE_PX, 4), GROUND, np.float32)
    rgba[strokes > 0, :3] = LINE
    labels = np.zeros(SHAPE_PX, np.int32)
    for left in (130, 180):
        rgba[80:149, left : left + 20, :3] = BAR
        labels[80:149, left : left + 20] = 1
    ground = Background(np.full((*SHAPE_PX, 3), GROUND, np.float32), labels > 0, "flat")
    units = Units(labels, np.array([SHAPE, SHAPE], np.int8), labels)
    return with_charts(Working(rgba, 0.0, is_even=True), ground, units, texts, strokes)


def test_axes_grid_bars_and_marks_are_one_unit() -> None:
    marks = lines((85, 88, 95, 94))
    units, others = charted(AXES, replace(no_texts(SHAPE_PX), marks=marks))
    assert len(units) == 2
    places = [(90, 90), (100, 60), (240, 90), (140, 100), (190, 100)]
    assert {int(units.labels[y, x]) for x, y in places} == {1}
    assert not others.any()
    assert units.labels[60, 240] == 0


def test_a_closed_frame_is_no_chart() -> None:
    units, others = charted(FRAME, no_texts(SHAPE_PX))
    assert units.kinds.tolist() == [SHAPE, SHAPE]
    assert (others == FRAME).all()


def test_a_text_in_a_chart_stays_a_text() -> None:
    title = lines((130, 60, 200, 70))
    units, _ = charted(AXES, replace(no_texts(SHAPE_PX), numbers=title, names=("Sales",)))
    assert not units.labels[title > 0].any()


def footer(step: float) -> Labels:
    """The texts (h, w) of a page with a footer and its rule, below which the page is darker by so much."""
    rgba = np.full((*SHAPE_PX, 4), GROUND, np.float32)
    rgba[181:] -= step
    rule = lines((20, 180, 280, 181))
    rgba[rule > 0, :3] = LINE
    texts = replace(no_texts(SHAPE_PX), numbers=lines((20, 186, 60, 192)), names=("Annual meeting",))
    return with_rules(Working(rgba, 0.0, is_even=True), texts, rule).numbers


def test_the_rule_above_a_footer_is_part_of_its_text() -> None:
    assert footer(0)[180, 20:280].all()


def test_the_edge_of_a_bar_is_no_rule_of_a_footer() -> None:
    assert not footer(20)[180].any()


def test_the_chart_of_a_drawn_slide_is_one_layer() -> None:
    true = draw("slides", 2, 1024)
    found, _ = decompose(Builtin(), shown(true), Request(len(true)))
    assert things(found, true)["chart"] > 0.8
