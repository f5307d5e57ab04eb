"""Pictures of the layers while they form: what they show, when, and that they change nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

pytest.importorskip("diffusers")

import tiny_model

from qil_core.checkpoints.folders import Files
from qil_core.decompose.qwen import Qwen
from qil_core.model import denoise, vae
from qil_core.model.parts import Parts, load
from qil_core.model.pipeline import LayeredModel
from qil_core.model.plan import ALL, LEAVES, STREAMED
from qil_core.model.runtime import foreseen, worth_a_look
from qil_core.progress import GAP, side_by_side, silent
from qil_core.request import Request

CPU = torch.device("cpu")
ASKED = Request(layers=2, steps=4, prompt="a red disc on white", seed=7, resolution=160)
"""Smaller than people may ask for: these tests are about what happens, not how it looks."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model.build(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def parts(folder: Path) -> Parts:
    return load(Files.of_folder(folder), torch.float32)


@pytest.fixture(scope="module")
def picture() -> Tensor:
    """60 x 80 pixels of coarse noise with alpha; the model sees it as 192 x 128 pixels or so."""
    small = torch.rand(1, 4, 6, 8, generator=torch.Generator().manual_seed(1))
    return F.interpolate(small, scale_factor=10)[0].permute(1, 2, 0).contiguous()


class Album:
    """A Preview that keeps every picture."""

    def __init__(self) -> None:
        self.pictures: list[Tensor] = []

    def __call__(self, make: Callable[[], Tensor]) -> None:
        self.pictures.append(make())


@pytest.mark.parametrize("mode", [ALL, LEAVES, STREAMED])
def test_layers_have_the_same_bits_with_and_without_previews(folder: Path, picture: Tensor, mode: str) -> None:
    unwatched = LayeredModel(load(Files.of_folder(folder), torch.float32), CPU, mode, free=0)
    watched = LayeredModel(load(Files.of_folder(folder), torch.float32), CPU, mode, free=0)
    album = Album()
    want, _ = unwatched.layers(picture, ASKED, silent)
    got, _ = watched.layers(picture, ASKED, silent, album)
    assert len(album.pictures) == 3
    assert torch.equal(got, want)


def test_a_preview_is_the_layers_at_a_quarter_of_their_size(parts: Parts, picture: Tensor) -> None:
    album = Album()
    layers, _ = LayeredModel(parts, CPU).layers(picture, ASKED, silent, album)
    count, height, width, _ = layers.shape
    assert [tuple(seen.shape) for seen in album.pictures] == 3 * [(count, height // 4, width // 4, 4)]
    assert all(seen.min() >= 0 and seen.max() <= 1 for seen in album.pictures)
    assert not torch.equal(album.pictures[0], album.pictures[-1])


def test_what_is_shown_is_x_minus_sigma_times_the_velocity(
    parts: Parts, picture: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    velocities, decoded = _keep(monkeypatch, denoise, "guide"), _keep(monkeypatch, vae, "decode", argument=1)
    starts = _keep(monkeypatch, denoise, "noise")
    LayeredModel(parts, CPU).layers(picture, ASKED, silent, Album())
    sigma = float(parts.scheduler.sigmas[0])
    rows, columns = (2 * side for side in decoded[0].shape[-2:])
    clean = denoise.unpack(starts[0] - sigma * velocities[0], rows, columns)[1:]
    want = F.avg_pool2d(clean[:, :, 0], 4)
    assert (decoded[0][:, :, 0] - want).abs().max() < 1e-4


def _keep(patch: pytest.MonkeyPatch, owner: Any, name: str, argument: int | None = None) -> list[Tensor]:
    """What a function of a module gives, or one of its arguments, call by call."""
    kept: list[Tensor] = []
    original = getattr(owner, name)

    def keeping(*given: Any) -> Tensor:
        result = original(*given)
        kept.append(result if argument is None else given[argument])
        return result

    patch.setattr(owner, name, keeping)
    return kept


def test_a_straight_line_is_foreseen_to_its_end() -> None:
    clean, velocity = torch.randn(3, 5), torch.randn(3, 5)
    at = [clean + sigma * velocity for sigma in (0.9, 0.7)]
    assert torch.allclose(foreseen(*at, torch.tensor([0.9, 0.7])), clean, atol=1e-5)


@pytest.mark.parametrize(
    ("steps", "looks"), [(1, []), (4, [1, 2, 3]), (20, [1, *range(2, 20, 2)]), (50, [1, *range(5, 50, 5)])]
)
def test_pictures_come_after_the_first_step_and_then_every_tenth(steps: int, looks: list[int]) -> None:
    assert [step for step in range(steps) if worth_a_look(step, steps)] == looks


def test_nothing_is_decoded_for_a_listener_that_does_not_look(
    parts: Parts, picture: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = _keep(monkeypatch, vae, "decode")
    offers: list[Callable[[], Tensor]] = []
    LayeredModel(parts, CPU).layers(picture, ASKED, silent, offers.append)
    assert len(offers) == 3
    assert len(decoded) == 1


def test_an_error_of_a_listener_is_not_hidden_and_the_model_works_again(parts: Parts, picture: Tensor) -> None:
    def broken(make: Callable[[], Tensor]) -> None:
        raise RuntimeError("the window is gone")

    model = LayeredModel(parts, CPU, STREAMED, free=0)
    with pytest.raises(RuntimeError, match="the window is gone"):
        model.layers(picture, ASKED, silent, broken)
    again, _ = model.layers(picture, ASKED, silent)
    fresh, _ = LayeredModel(parts, CPU).layers(picture, ASKED, silent)
    assert torch.equal(again, fresh)


def test_a_decomposer_shows_its_layers_to_its_listener(parts: Parts, picture: Tensor) -> None:
    album = Album()
    Qwen(LayeredModel(parts, CPU), album).decompose(picture, ASKED, silent)
    assert len(album.pictures) == 3


def test_layers_stand_side_by_side_on_a_checkerboard() -> None:
    layers = torch.zeros(2, 16, 24, 4)
    layers[1] = torch.tensor([1.0, 0.0, 0.0, 1.0])
    shown = side_by_side(layers)
    assert shown.shape == (16, 24 + GAP + 24, 3)
    assert torch.equal(shown[:, -24:], layers[1, ..., :3])
    assert shown[0, 0].tolist() == pytest.approx([0.78] * 3)
    assert shown[0, 8].tolist() == pytest.approx([0.92] * 3)


def test_many_layers_stand_in_two_rows() -> None:
    layers = torch.ones(7, 8, 8, 4) * torch.linspace(0, 1, 7).view(7, 1, 1, 1)
    layers[..., 3] = 1
    shown = side_by_side(layers)
    assert shown.shape == (2 * 8 + GAP, 4 * 8 + 3 * GAP, 3)
    centres = [shown[4 + row * (8 + GAP), 4 + column * (8 + GAP), 0] for row in range(2) for column in range(4)]
    assert torch.allclose(torch.stack(centres[:7]), torch.linspace(0, 1, 7))
