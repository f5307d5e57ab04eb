"""The rule of the automatic layer count, on stacks with known answers."""

from __future__ import annotations

import pytest
import torch

from qil_core.decompose import Decomposed, Request
from qil_core.decompose.automatic import Limits, decompose_automatically, without_repeats
from qil_core.errors import QilError
from qil_core.progress import Progress
from qil_core.stack import LayerStack

RED, GREEN, BLUE = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)


def box(color: tuple[float, float, float], left: int, top: int, right: int, bottom: int) -> torch.Tensor:
    layer = torch.zeros(40, 60, 4)
    layer[top:bottom, left:right] = torch.tensor((*color, 1.0))
    return layer


def stack(**layers: torch.Tensor) -> LayerStack:
    return LayerStack.from_image(torch.stack(list(layers.values())), tuple(layers))


class ByColor:
    """Takes a picture apart into its colours; the whole picture's first answer puts red and green into one layer."""

    label = "By colour"

    def __init__(self) -> None:
        self.calls = 0

    def decompose(self, picture: torch.Tensor, request: Request, progress: Progress) -> Decomposed:
        self.calls += 1
        visible = picture[..., 3:] > 0.5
        red, green, blue = (visible[..., 0] & (picture[..., c] > 0.5) for c in range(3))
        if self.calls == 1:
            named = {"back": visible[..., 0], "warm": red | green, "cold": blue}
        else:
            named = {"red": red, "green": green, "blue": blue}
        layers = {name: picture * where[..., None] for name, where in named.items()}
        return Decomposed(stack(**layers), ())


def scene() -> torch.Tensor:
    picture = torch.full((40, 60, 4), 0.25)
    picture[..., 3] = 1
    for color, left in ((RED, 5), (GREEN, 20), (BLUE, 40)):
        picture[10:30, left : left + 10, :3] = torch.tensor(color)
    return picture


def test_empty_layers_are_dropped() -> None:
    kept = without_repeats(
        stack(back=box(RED, 0, 0, 60, 40), nothing=torch.zeros(40, 60, 4), dot=box(BLUE, 3, 3, 9, 9))
    )
    assert kept.names == ("back", "dot")


def test_of_two_layers_that_are_the_same_the_upper_one_stays() -> None:
    again = box(BLUE, 10, 10, 30, 30)
    again[..., :3] *= 0.99
    kept = without_repeats(stack(back=box(RED, 0, 0, 60, 40), first=box(BLUE, 10, 10, 30, 30), again=again))
    assert kept.names == ("back", "again")


def test_layers_of_one_colour_in_two_places_are_not_the_same() -> None:
    names = without_repeats(stack(left=box(BLUE, 0, 0, 9, 9), right=box(BLUE, 30, 0, 39, 9))).names
    assert names == ("left", "right")


def test_a_layer_with_two_things_is_split_and_one_with_one_thing_is_not() -> None:
    result, report = decompose_automatically(ByColor(), scene(), Request(3), Limits(max_layers=8, depth=1))
    assert result.names == ("back", "warm/red", "warm/green", "cold")
    assert report.layers == 4
    assert report.after.max_error <= 1


def test_depth_zero_splits_nothing() -> None:
    decomposer = ByColor()
    result, _ = decompose_automatically(decomposer, scene(), Request(3), Limits(max_layers=8, depth=0))
    assert result.names == ("back", "warm", "cold")
    assert decomposer.calls == 1


def test_no_split_passes_the_limit() -> None:
    result, _ = decompose_automatically(ByColor(), scene(), Request(3), Limits(max_layers=3, depth=2))
    assert result.names == ("back", "warm", "cold")


def test_a_split_that_would_pass_the_limit_is_not_taken() -> None:
    class ThreeParts(ByColor):
        """The whole picture is a background and one thing; that thing is red, green and blue."""

        def decompose(self, picture: torch.Tensor, request: Request, progress: Progress) -> Decomposed:
            parts = super().decompose(picture, request, progress).stack
            if self.calls > 1:
                return Decomposed(parts, ())
            thing = parts.pixels[1] + parts.pixels[2]
            return Decomposed(stack(back=parts.pixels[0], thing=thing), ())

    whole, _ = decompose_automatically(ThreeParts(), scene(), Request(3), Limits(max_layers=3, depth=1))
    assert whole.names == ("back", "thing"), "three parts and the background are four layers"
    split, _ = decompose_automatically(ThreeParts(), scene(), Request(3), Limits(max_layers=4, depth=1))
    assert split.names == ("back", "thing/red", "thing/green", "thing/blue")


def test_at_the_limit_no_run_is_spent_on_another_split() -> None:
    decomposer = ByColor()
    decompose_automatically(decomposer, scene(), Request(3), Limits(max_layers=3, depth=2))
    assert decomposer.calls == 1


def test_the_first_answer_is_not_asked_for_more_layers_than_the_limit() -> None:
    asked: list[int] = []

    class Counting(ByColor):
        def decompose(self, picture: torch.Tensor, request: Request, progress: Progress) -> Decomposed:
            asked.append(request.layers)
            return super().decompose(picture, request, progress)

    decompose_automatically(Counting(), scene(), Request(7), Limits(max_layers=3, depth=0))
    assert asked == [3]


def test_a_decomposer_that_counts_is_asked_once_for_at_most_the_limit() -> None:
    asked: list[Request] = []

    class Counts(ByColor):
        counts_layers = True

        def decompose(self, picture: torch.Tensor, request: Request, progress: Progress) -> Decomposed:
            asked.append(request)
            return super().decompose(picture, request, progress)

    result, report = decompose_automatically(Counts(), scene(), Request(3), Limits(max_layers=40, depth=2))
    assert asked == [Request(40, at_most=True)]
    assert result.names == ("back", "warm", "cold")
    assert report.notes[-1] == "Automatic: 3 layers stand out."


def test_more_than_ten_layers_are_asked_for_only_as_a_limit() -> None:
    Request(50, at_most=True).check()
    for request in (Request(11), Request(51, at_most=True)):
        with pytest.raises(QilError, match="Layers must be 2 to"):
            request.check()


def test_splitting_ends_although_every_part_can_be_split_again() -> None:
    class Halves:
        label = "Halves"

        def decompose(self, picture: torch.Tensor, request: Request, progress: Progress) -> Decomposed:
            left, right = picture.clone(), picture.clone()
            left[:, picture.shape[1] // 2 :] = 0
            right[:, : picture.shape[1] // 2] = 0
            return Decomposed(stack(left=left, right=right), ())

    result, _ = decompose_automatically(Halves(), scene(), Request(2), Limits(max_layers=50, depth=2))
    assert result.names == ("left", "right/left/left", "right/left/right", "right/right/left", "right/right/right")


@pytest.mark.parametrize("limits", [Limits(max_layers=1), Limits(max_layers=51), Limits(depth=-1), Limits(depth=5)])
def test_limits_out_of_range_are_refused(limits: Limits) -> None:
    with pytest.raises(QilError, match="max_layers must be 2 to 50"):
        decompose_automatically(ByColor(), scene(), Request(3), limits)
