"""Names of whole stacks: what is there, unique, short, and nothing that somebody gave is changed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from drawings import SIDE, Floats, mask, words

from qil_core import ocr
from qil_core.naming import GLOW, MAX_READ_LAYERS, PANEL, SHAPE, STROKES, TEXT, THING, named, nameless, numbered
from qil_core.stack import LayerStack

needs_reader = pytest.mark.skipif(
    bool(ocr.missing()), reason=f"NOT CHECKED: the extra `text` lacks {ocr.missing()}, so nothing is read"
)

RED, BLUE, INK = (0.82, 0.2, 0.16), (0.1, 0.3, 0.8), (0.1, 0.1, 0.18)
DISC, CARD = mask("ellipse", 40, 40, 140, 140), mask("rounded_rectangle", 20, 180, 300, 280, radius=24)
ALL = np.ones((SIDE, SIDE), np.float32)


def stack(*layers: tuple[Floats, tuple[float, float, float]]) -> LayerStack:
    """Layers of one colour each, without names."""
    pixels = torch.empty(len(layers), SIDE, SIDE, 4)
    for layer, (alpha, color) in zip(pixels, layers, strict=True):
        layer[..., :3], layer[..., 3] = torch.tensor(color), torch.from_numpy(alpha)
    return nameless(pixels)


@pytest.mark.usefixtures("nobody_reads")
def test_flat_shapes_are_called_by_colour_and_form() -> None:
    found = named(stack((ALL, (1, 1, 1)), (DISC, RED), (CARD, BLUE)))
    assert found.names == ("background", "red circle", "blue rounded rectangle")


@pytest.mark.usefixtures("nobody_reads")
def test_names_that_come_again_are_numbered_and_given_ones_are_never_changed() -> None:
    given = LayerStack(stack((ALL, RED), (DISC, RED), (CARD, BLUE), (DISC, RED)).pixels, ("", "", "red circle", ""))
    assert named(given).names == ("background", "red circle 2", "red circle", "red circle 3")
    twice = LayerStack(given.pixels, ("leaf", "leaf", "tree", "leaf"))
    assert named(twice) is twice, "a person may call two things alike"


@pytest.mark.usefixtures("nobody_reads")
def test_the_pixels_are_not_touched() -> None:
    before = stack((ALL, RED), (DISC, BLUE))
    assert torch.equal(named(before).pixels, before.pixels)


@pytest.mark.usefixtures("nobody_reads")
def test_what_says_nothing_keeps_its_number_or_its_kind() -> None:
    torch.manual_seed(0)
    noise = torch.rand(4, SIDE, SIDE, 4)
    noise[..., 3] = torch.from_numpy(mask("polygon", 20, 20, 300, 20, 60, 60, 20, 300))
    noise[3] = 0
    assert named(nameless(noise)).names == ("layer 1", "layer 2", "layer 3", "layer 4")
    kinds = (THING, THING, TEXT, SHAPE)
    assert named(nameless(noise), kinds).names == ("thing 0", "thing 1", "text", "shape")


@pytest.mark.usefixtures("nobody_reads")
def test_a_box_of_many_colours_is_a_picture() -> None:
    torch.manual_seed(0)
    noise = torch.rand(1, SIDE, SIDE, 4)
    noise[..., 3] = torch.from_numpy(CARD)
    assert named(nameless(noise)).names == ("picture",)


@pytest.mark.usefixtures("nobody_reads")
def test_kinds_that_are_known_are_said_with_their_colour() -> None:
    kinds = ("background", GLOW, PANEL, STROKES, STROKES)
    line = mask("polygon", 20, 20, 300, 180, 303, 184, 23, 24)
    glow = mask("ellipse", 100, 100, 200, 200) * np.float32(0.4)
    layers = stack((ALL, BLUE), (glow, RED), (CARD * np.float32(0.5), INK), (DISC + CARD, INK), (line, RED))
    found = named(layers, kinds).names
    assert found[1:4] == ("red glow", "dark blue panel", "dark blue strokes")
    assert found[4] == "red line"


@pytest.mark.usefixtures("nobody_reads")
def test_without_a_reader_a_text_is_called_text() -> None:
    assert named(stack((words("Afterglow", 20, 30, 50), INK)), (TEXT,)).names == ("text",)


@needs_reader
def test_text_layers_are_called_by_their_words() -> None:
    layers = stack(
        (ALL, (1, 1, 1)), (words("Afterglow", 20, 30, 50), INK), (DISC, RED), (words("Hello", 40, 200, 60), RED)
    )
    assert named(layers).names == ("background", "Afterglow", "red circle", "Hello")
    assert named(layers).names == named(layers).names


@needs_reader
def test_shapes_that_a_decomposer_knows_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocr, "reader", lambda: pytest.fail("read a shape"))
    assert named(stack((DISC, RED)), (SHAPE,)).names == ("red circle",)


def test_no_more_layers_are_read_than_the_limit_says(monkeypatch: pytest.MonkeyPatch) -> None:
    class Counting(ocr.Reader):
        found = 0

        def __init__(self) -> None: ...

        def find(self, picture: ocr.Picture) -> list[ocr.Corners]:
            Counting.found += 1
            return []

    monkeypatch.setattr(ocr, "reader", Counting)
    small = torch.zeros(MAX_READ_LAYERS + 10, 40, 40, 4)
    small[:, 10:30, 10:30] = 1
    small[:, 12:28, 12:28] = 0
    named(nameless(small))
    assert MAX_READ_LAYERS <= Counting.found <= 4 * MAX_READ_LAYERS


@pytest.mark.usefixtures("nobody_reads")
def test_naming_can_be_stopped_before_each_layer() -> None:
    seen: list[float] = []

    def stop(fraction: float, what: str) -> None:
        seen.append(fraction)
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        named(stack((ALL, RED), (DISC, BLUE), (CARD, RED)), progress=stop)
    assert seen == [0, 1 / 3]


def test_given_names_are_numbered_where_one_comes_again_or_is_the_backgrounds() -> None:
    assert numbered(["girl", "", "girl", "background", ""]) == ("girl", "", "girl 2", "background 2", "")
