"""The ruler's judgements by use: the truth has no faults, and each fault shows where it should."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.drawn import draw
from benchmarks.drawn_scores import Case, judged, save_sheet
from benchmarks.judging import best_match, film, moved_error, off_beneath, shown, things, traces, with_moved
from qil_core.stack import LayerStack

SIDE = 480


@pytest.fixture(scope="module")
def true() -> LayerStack:
    return draw("slides", 0, SIDE)


def changed(stack: LayerStack, index: int, channels: slice, values: torch.Tensor) -> LayerStack:
    pixels = stack.pixels.clone()
    pixels[index, ..., channels] = values
    return LayerStack(pixels, stack.names)


def test_the_truth_itself_has_no_faults(true: LayerStack) -> None:
    assert moved_error(true, true) == 0
    assert traces(true, true) == 0
    assert set(things(true, true).values()) == {1.0}
    assert off_beneath(true, true, "title") == 0
    assert film(true) < 0.005


def test_a_picture_in_one_layer_moves_nothing(true: LayerStack) -> None:
    flat = LayerStack(torch.cat([shown(true), torch.ones_like(true.pixels[0, ..., :1])], -1)[None], ("all",))
    assert best_match(flat, true.pixels[1, ..., 3]) is None
    assert moved_error(flat, true) > 60
    assert off_beneath(flat, true, "title") > 0.5
    assert max(things(flat, true).values()) < 0.3


def test_an_outline_that_stays_below_is_a_trace_and_an_error_after_a_move(true: LayerStack) -> None:
    title = true.pixels[true.names.index("title")]
    rim = (title[..., 3:] > 0.05) & (title[..., 3:] < 0.95)
    etched = changed(true, 0, slice(0, 3), torch.where(rim, title[..., :3], true.pixels[0, ..., :3]))
    assert traces(etched, true) > 0.02
    assert off_beneath(etched, true, "title") > 0.2
    assert moved_error(etched, true) > 1


def test_haze_around_a_layer_is_film(true: LayerStack) -> None:
    hazy = changed(true, 2, slice(3, 4), true.pixels[2, ..., 3:].clamp(min=0.05))
    assert film(hazy) > 0.02


def test_a_title_in_two_layers_is_scored_by_its_larger_part(true: LayerStack) -> None:
    i = true.names.index("title")
    left = true.pixels[i].clone()
    columns = left[..., 3].sum(0).nonzero()[:, 0]
    middle = int(columns.float().mean())
    left[:, middle:, 3] = 0
    right = true.pixels[i] - left
    right[..., :3] = left[..., :3]
    split = LayerStack(torch.cat([true.pixels, right[None]]), (*true.names, "part"))
    split.pixels[i] = left
    assert 0.4 < things(split, true)["title"] < 0.75
    assert things(split, true)["chart"] == 1


def test_a_moved_layer_is_moved_and_the_others_are_not(true: LayerStack) -> None:
    moved = with_moved(true, 2, 10)
    assert torch.equal(moved.pixels[2, :, 10:], true.pixels[2, :, :-10])
    assert not moved.pixels[2, :, :10].any()
    assert torch.equal(moved.pixels[3], true.pixels[3])
    assert torch.equal(with_moved(true, 2, -10).pixels[2, :, :-10], true.pixels[2, :, 10:])


def test_every_figure_is_measured_and_the_sheet_is_written(true: LayerStack, tmp_path: Path) -> None:
    pairs: list[tuple[torch.Tensor, torch.Tensor]] = []
    row = judged(Case("slides", shown(true), true), pairs)
    assert row["max error"] <= 1
    assert 0 <= row["things"] <= 1
    assert 0 <= row["title"] <= 1
    assert row["moved /255"] > 0
    save_sheet(pairs, tmp_path / "deep" / "moved.png")
    assert (tmp_path / "deep" / "moved.png").stat().st_size > 1000
