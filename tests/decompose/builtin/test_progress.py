"""The built-in decomposer reports often, and stops where it is asked to."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import Tensor

from benchmarks.scenes import draw
from qil_core.composite import composite
from qil_core.decompose import Request
from qil_core.decompose.automatic import Limits, decompose_automatically
from qil_core.decompose.builtin import Builtin
from qil_core.decompose.run import decompose

LOOPS = {
    "comparing colours": 24,
    "fitting a background of degree 0": 4,
    "fitting a background of degree 3": 4,
    "finding regions": 4,
    "measuring regions": 20,
    "sorting them into layers": 1,
    "finding what covers what": 3,
    "completing shapes": 5,
    "completing layers": 5,
    "cutting out the layers": 2,
    "making the layers exact": 2,
    "measuring": 4,
}
"""The least number of reports of each kind: what takes long reports from inside its loops."""


def picture(side: int) -> Tensor:
    return composite(draw("poster", "flat", 0, side))[..., :3]


def heard(side: int) -> list[tuple[float, str]]:
    """All reports of one decomposition."""
    said: list[tuple[float, str]] = []
    decompose(Builtin(), picture(side), Request(6), lambda fraction, what: said.append((fraction, what)))
    return said


def test_every_long_loop_reports_from_inside() -> None:
    counts = Counter(what for _, what in heard(640))
    assert {what: counts[what] for what, least in LOOPS.items() if counts[what] < least} == {}


def test_a_larger_picture_is_cut_out_and_made_exact_in_more_bands() -> None:
    small, large = (Counter(what for _, what in heard(side)) for side in (320, 1280))
    for what in ("cutting out the layers", "making the layers exact", "measuring"):
        assert large[what] > 3 * small[what]


def test_the_fraction_never_falls_and_ends_at_one() -> None:
    fractions = [fraction for fraction, _ in heard(320)]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0, 1)


class Stop(BaseException):
    """ComfyUI's interrupt is no Exception either."""


def test_what_progress_raises_comes_out_at_any_call() -> None:
    total = len(heard(128))
    assert total > 200
    for last in sorted({0, 1, total - 1, *range(0, total, total // 8)}):
        calls = 0

        def stop(fraction: float, what: str) -> None:
            nonlocal calls
            if calls == last:  # noqa: B023
                raise Stop(what)
            calls += 1

        with pytest.raises(Stop):
            decompose(Builtin(), picture(128), Request(6), stop)
        assert calls == last, "nothing goes on after the stop"


class SplitAgain(Builtin):
    """As a model, whose layers the automatic count splits again."""

    counts_layers = False


def test_the_automatic_count_reports_and_stops_to_its_end() -> None:
    said: list[str] = []
    decompose_automatically(
        SplitAgain(),
        picture(128),
        Request(3),
        Limits(6, 1),
        lambda fraction, what: said.append(f"{fraction:.3f} {what}"),
    )
    assert [float(text.split()[0]) for text in said] == sorted(float(text.split()[0]) for text in said)
    assert said[-1].endswith("measuring")

    def stop(fraction: float, what: str) -> None:
        if what == "measuring" and fraction > 0.94:
            raise Stop

    with pytest.raises(Stop):
        decompose_automatically(SplitAgain(), torch.rand(40, 40, 3), Request(3), Limits(6, 0), stop)
