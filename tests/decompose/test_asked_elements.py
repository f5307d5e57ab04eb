"""Elements on their way to the decomposer: boxes in its own pixels, and nobody's are ignored."""

from __future__ import annotations

import argparse

import pytest
import torch
from torch import Tensor

from qil_core.cli import decompose as command
from qil_core.decompose import Decomposed, Request, registry, run
from qil_core.decompose.asked import Asked
from qil_core.decompose.automatic import Limits, decompose_automatically
from qil_core.decompose.recursive import split
from qil_core.decompose.run import decompose
from qil_core.elements import Element, parse_elements
from qil_core.errors import QilError
from qil_core.progress import Progress
from qil_core.stack import Box, LayerStack


class Listener:
    """The picture and an empty layer for each element; keeps what it was asked."""

    label = "Listener"
    takes_elements = True

    def __init__(self) -> None:
        self.asked: list[tuple[Element, ...]] = []

    def decompose(self, picture: Tensor, request: Request, progress: Progress) -> Decomposed:
        self.asked.append(request.elements)
        empty = [torch.zeros_like(picture) for _ in request.elements]
        return Decomposed(
            LayerStack(torch.stack([picture, *empty]), ("rest", *(each.name for each in request.elements))), ()
        )


class Deaf(Listener):
    """One that cannot be told."""

    label = "Deaf"
    takes_elements = False


PLAN = Request(elements=parse_elements("girl\ncar at 10,10,60,90"))


def test_a_decomposer_gets_the_elements_with_boxes_inside_of_the_picture() -> None:
    listener = Listener()
    stack, report = decompose(listener, torch.rand(40, 50, 3), PLAN)
    assert stack.names == ("rest", "girl", "car")
    assert listener.asked == [(Element("girl"), Element("car", Box(10, 10, 50, 40)))]
    assert report.made["elements"][1] == {"name": "car", "box": Box(10, 10, 60, 90), "text": ""}, "as it was asked"


def test_a_decomposer_that_cannot_be_told_refuses_and_says_who_can(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(QilError, match="Deaf cannot be told which elements become layers: leave the elements out"):
        decompose(Deaf(), torch.rand(40, 50, 3), PLAN)
    entry = registry.Entry("mine", "Mine", (), lambda values, place: Listener(), takes_elements=True)
    monkeypatch.setattr(registry, "DECOMPOSERS", (*registry.DECOMPOSERS, entry))
    with pytest.raises(QilError, match=r'or load a decomposer that can: .*"Mine"'):
        run.check_takes(Deaf(), PLAN)


def test_the_list_of_decomposers_says_the_same_as_they_do() -> None:
    assert registry.entry("builtin").takes_elements
    assert Asked.takes_elements


def test_elements_and_an_automatic_count_contradict_each_other() -> None:
    with pytest.raises(QilError, match="elements say how many layers there are"):
        decompose_automatically(Listener(), torch.rand(40, 50, 3), PLAN, Limits())


def test_boxes_of_a_split_are_in_pixels_of_the_whole_canvas() -> None:
    canvas = torch.zeros(2, 100, 100, 4)
    canvas[0] = 1
    canvas[1, 30:90, 20:80] = torch.rand(60, 60, 4).clamp(min=0.1)
    listener = Listener()
    split(listener, LayerStack(canvas, ("back", "crowd")), 1, Request(elements=parse_elements("man at 10,40,50,60")))
    assert listener.asked == [(Element("man", Box(0, 10, 30, 30)),)]


def test_a_box_outside_of_what_the_layer_shows_is_refused() -> None:
    canvas = torch.zeros(1, 100, 100, 4)
    canvas[0, 30:90, 20:80] = 1
    with pytest.raises(QilError, match='box of "man", 0,0,20,20, lies outside of what is taken apart, 20,30,80,90'):
        split(Listener(), LayerStack(canvas, ("crowd",)), 0, Request(elements=parse_elements("man at 0,0,20,20")))


def test_the_command_line_takes_an_element_an_option_or_a_line() -> None:
    parser = argparse.ArgumentParser()
    command.add_options(parser)
    given = ["--elements", "girl", "--elements", "car at 1,2,3,4\nsky"]
    request, _ = command.asked(parser.parse_args(given))
    assert request.elements == (Element("girl"), Element("car", Box(1, 2, 3, 4)), Element("sky"))
