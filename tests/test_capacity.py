"""The capacity page says what its formulas give."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.capacity import ASSUMED, MEASURED, PAGE, gpu_seconds, page, passes


@pytest.mark.parametrize(("resolution", "teraflop"), [(640, 207), (1024, 794)])
def test_the_models_work_is_what_was_counted_in_it(resolution: int, teraflop: float) -> None:
    assert passes(resolution, 4) / 1e12 == pytest.approx(teraflop, rel=0.002)


def test_the_page_is_that_of_the_figures_in_the_code() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(MEASURED, ASSUMED)


def test_a_gpu_that_is_used_twice_as_well_halves_the_steps() -> None:
    gpu = replace(ASSUMED.gpus[0], bytes_s=1e30)
    assert gpu_seconds(gpu, ASSUMED) == pytest.approx(2 * gpu_seconds(gpu, replace(ASSUMED, use=2 * ASSUMED.use)))
