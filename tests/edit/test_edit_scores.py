"""Small scores of benchmark `editing`, frozen: a threshold of colors, changes or matte cannot move unnoticed.

They are measured on six scenes at a tenth of the benchmark's pixels; five per cent of slack are for other versions of
torch and OpenCV. A change for the better is welcome: lower the figure then.
"""

from __future__ import annotations

import statistics

import pytest

from benchmarks import editing
from benchmarks.fake_editors import FakeEditor
from benchmarks.scenes import draw
from qil_core.edit.run import edit_layer
from qil_core.stack import LayerStack

SLACK = 1.05
SIDE, EDITED = 128, 160
FROZEN_ALPHA = 0.04330
FROZEN_WHITE = 0.02830
FROZEN_SPILL = 0.01240
"""Mean errors of alpha, of colours on white, and of colours along the key in soft edges; measured in November 2026."""

SCENES = (
    *(("text", "flat"), ("strokes", "flat"), ("strokes", "photo")),
    *(("shadows", "flat"), ("shapes", "photo"), ("poster", "flat")),
)


@pytest.fixture
def layers(same_letters: None, monkeypatch: pytest.MonkeyPatch) -> list[tuple[LayerStack, int]]:
    """Every layer of the scenes but the bottom ones."""
    monkeypatch.setattr(editing, "EDITED", EDITED)
    stacks = [draw(content, background, 0, SIDE) for content, background in SCENES]
    return [(stack, index) for stack in stacks for index in range(1, len(stack))]


def mean(rows: list[dict[str, float]], name: str) -> float:
    return statistics.fmean(row[name] for row in rows)


def test_layers_that_an_editor_turned_come_back_as_well_as_ever(layers: list[tuple[LayerStack, int]]) -> None:
    rows = [editing.reshaped_row(stack, index) for stack, index in layers]
    assert mean(rows, "alpha") <= SLACK * FROZEN_ALPHA
    assert mean(rows, "on white") <= SLACK * FROZEN_WHITE


def test_layers_in_other_colours_keep_their_edges_as_well_as_ever(layers: list[tuple[LayerStack, int]]) -> None:
    rows = [editing.recoloured_row(stack, index) for stack, index in layers]
    assert mean(rows, "auto") <= 1e-4
    assert statistics.fmean(abs(row["spill auto"]) for row in rows) <= SLACK * FROZEN_SPILL


@pytest.mark.parametrize("name", list(editing.WAVERING)[:-1])
def test_answers_that_only_waver_change_no_layer(layers: list[tuple[LayerStack, int]], name: str) -> None:
    for stack, index in layers:
        editor = FakeEditor(editing.WAVERING[name], EDITED)
        (done,), _ = edit_layer(editor, stack, index, editing.REQUEST)
        assert (done.pixels[index] == stack.pixels[index]).all(), f"{stack.names[index]}, {index}"
