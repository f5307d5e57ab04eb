"""Qwen-Image-Layered-Control on a tiny checkpoint: a pass for each named element, and a whole stack of them."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

pytest.importorskip("diffusers")

import tiny_model
from stock import Spy, stock_pipeline

from qil_core.checkpoints.folders import Files
from qil_core.cli import main
from qil_core.composite import composite
from qil_core.decompose import Request
from qil_core.decompose.layered_control import LayeredControl, explained
from qil_core.decompose.recursive import split
from qil_core.decompose.run import decompose
from qil_core.elements import parse_elements
from qil_core.errors import QilError
from qil_core.model import control, denoise, vae
from qil_core.model.control import ControlModel
from qil_core.model.models import CONTROL, LAYERED, Model
from qil_core.model.parts import Parts, load
from qil_core.model.pipeline import LayeredModel
from qil_core.model.runtime import Run, bucket, fit
from qil_core.progress import silent
from qil_core.stack import LayerStack

CPU = torch.device("cpu")
ASKED = Request(steps=2, seed=7, elements=parse_elements("girl\nred hat"))


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model.build(tmp_path_factory.mktemp("models") / "Qwen-Image-Layered-Control")


@pytest.fixture
def parts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Parts:
    """The model's parts; it sees about 128 x 128 pixels where 640 x 640 are asked for."""
    monkeypatch.setattr(control, "fit", lambda picture, _: fit(picture, 128))
    return load(Files.of_folder(folder), torch.float32, models=(CONTROL,))


@pytest.fixture
def picture() -> Tensor:
    """60 x 80 pixels of coarse noise."""
    cells = torch.rand(1, 3, 6, 8, generator=torch.Generator().manual_seed(1))
    return torch.nn.functional.interpolate(cells, scale_factor=10)[0].permute(1, 2, 0).contiguous()


class Ready:
    """In a ControlModel's place: layers (h, w, 4) that are known, by their prompts."""

    def __init__(self, layers: dict[str, Tensor]) -> None:
        self.layers = layers
        self.asked: list[str] = []

    def elements(self, picture: Tensor, prompts: list[str], *_: Any) -> tuple[Tensor, Run]:
        self.asked += prompts
        return torch.stack([self.layers[prompt] for prompt in prompts]), Run()


def disc(side: int, x: float, y: float, radius: float, color: tuple[float, float, float]) -> Tensor:
    """A disc of a colour, as a layer (side, side, 4) with antialiased alpha; positions in shares of the side."""
    grid = (torch.arange(side) + 0.5) / side
    distance = ((grid[None] - x) ** 2 + (grid[:, None] - y) ** 2).sqrt()
    alpha = ((radius - distance) * side + 0.5).clamp(0, 1)
    return torch.cat([torch.tensor(color).expand(side, side, 3), alpha[..., None]], 2)


BLUE, RED, SAND = (0.1, 0.3, 0.8), (0.8, 0.2, 0.1), (0.9, 0.85, 0.7)


def scene(side: int) -> LayerStack:
    """A blue disc and a red one that lies on its edge, on sand."""
    sand = torch.cat([torch.tensor(SAND).expand(side, side, 3), torch.ones(side, side, 1)], 2)
    layers = [sand, disc(side, 0.4, 0.5, 0.2, BLUE), disc(side, 0.6, 0.5, 0.15, RED)]
    return LayerStack(torch.stack(layers), ("sand", "blue disc", "red disc"))


def ready(side: int = 64) -> LayeredControl:
    """A decomposer whose model knows the scene's discs."""
    _, blue, red = scene(side).pixels
    return LayeredControl(Ready({"blue disc": blue, "red disc": red, "nothing": blue * 0}))  # type: ignore[arg-type]


def asked(text: str) -> Request:
    return Request(elements=parse_elements(text))


# The model


def by_hand(stock: Any, picture: Tensor, prompt: str, request: Request) -> Tensor:
    """The element's latents (1, tokens, 64), over the stock transformer.

    Written after DiffSynth-Studio's example Qwen-Image-Layered-Control.py and what it calls: one frame beside the
    picture; sigmas of set_timesteps_qwen_image; plain guidance.
    """
    width, height = bucket(picture.shape[1], picture.shape[0], 128)
    image = Image.fromarray(np.uint8((picture * 255).round().numpy())).convert("RGBA")
    pixels = torch.from_numpy(np.array(image.resize((width, height), Image.Resampling.LANCZOS))).float() / 127.5 - 1
    seen = stock._encode_vae_image(pixels.permute(2, 0, 1)[None, :, None], None)
    rows, columns = height // 16, width // 16
    condition = stock._pack_latents(seen.permute(0, 2, 1, 3, 4), 1, 16, 2 * rows, 2 * columns, 1)
    noise = torch.randn(1, 1, 16, 2 * rows, 2 * columns, generator=torch.Generator().manual_seed(request.seed))
    x = stock._pack_latents(noise, 1, 16, 2 * rows, 2 * columns, 1)
    prompts = [stock.encode_prompt(prompt=text, device=CPU)[0] for text in (prompt, request.negative_prompt)]
    mu = 0.5 + (rows * columns - 256) * (0.9 - 0.5) / (8192 - 256)
    sigmas = np.linspace(1, 0, request.steps + 1)[:-1]
    sigmas = math.exp(mu) / (math.exp(mu) + (1 / sigmas - 1))
    sigmas = 1 - (1 - sigmas) * (1 - 0.02) / (1 - sigmas[-1])
    for here, there in pairwise([*sigmas.tolist(), 0.0]):
        positive, negative = (
            stock.transformer(
                hidden_states=torch.cat([x, condition], 1),
                timestep=torch.tensor([here], dtype=torch.float32),
                encoder_hidden_states=words,
                img_shapes=[[(1, rows, columns), (1, rows, columns)]],
                additional_t_cond=torch.zeros(1, dtype=torch.long),
                return_dict=False,
            )[0][:, : x.shape[1]]
            for words in prompts
        )
        x = x + (there - here) * (negative + request.true_cfg_scale * (positive - negative))
    return x


def test_an_elements_latents_are_those_of_its_authors_pipeline(
    folder: Path, parts: Parts, picture: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = replace(ASKED, steps=4, cfg_normalize=False)
    whole = load(Files.of_folder(folder), torch.float32, models=(CONTROL,))
    with torch.inference_mode():
        want = by_hand(stock_pipeline(folder, whole), picture, "red hat", request)
    seen: list[Tensor] = []
    original = denoise.denoise
    monkeypatch.setattr(denoise, "denoise", lambda *given: seen.append(original(*given)) or seen[-1])
    opaque = torch.cat([picture, torch.ones_like(picture[..., :1])], 2)
    ControlModel(parts, CPU).elements(opaque, ["red hat"], request, silent)
    assert (seen[0] - want).abs().max() < 1e-4 * want.abs().max()


def test_each_element_has_a_pass_of_its_own_and_all_share_the_picture_and_one_reading(
    parts: Parts, picture: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = ControlModel(parts, CPU)
    passes, encoded = Spy(monkeypatch, denoise, "predict"), Spy(monkeypatch, vae, "encode")
    read = Spy(monkeypatch, parts.text_encoder.model.language_model.layers[0], "forward")
    steps: list[str] = []
    decomposer = LayeredControl(model)
    decompose(decomposer, picture, ASKED, lambda _, what: steps.append(what))
    assert (passes.calls, encoded.calls, read.calls) == (2 * 2, 1, 3)
    assert [what for what in steps if ": step" in what] == [
        "girl: step 1 of 2", "girl: step 2 of 2", "red hat: step 1 of 2", "red hat: step 2 of 2",
    ]  # fmt: skip
    decompose(decomposer, picture, replace(ASKED, elements=parse_elements("cat\ngirl")))
    assert (passes.calls, encoded.calls, read.calls) == (4 * 2, 1, 4), "only the cat is new to the text encoder"


def test_what_an_element_gives_does_not_depend_on_the_others(parts: Parts, picture: Tensor) -> None:
    opaque = torch.cat([picture, torch.ones_like(picture[..., :1])], 2)
    model = ControlModel(parts, CPU)
    both, _ = model.elements(opaque, ["girl", "red hat"], ASKED, silent)
    alone, _ = model.elements(opaque, ["red hat"], ASKED, silent)
    assert both.shape == (2, *reversed(bucket(80, 60, 128)), 4)
    assert torch.equal(both[1], alone[0])
    assert not torch.equal(both[0], both[1])


def test_heun_and_no_guidance_work_here_too(parts: Parts, picture: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    opaque = torch.cat([picture, torch.ones_like(picture[..., :1])], 2)
    passes = Spy(monkeypatch, denoise, "predict")
    request = replace(ASKED, steps=3, true_cfg_scale=1.0, sampler="heun")
    ControlModel(parts, CPU).elements(opaque, ["girl"], request, silent)
    assert passes.calls == 5


def test_the_text_encoder_has_no_eyes_and_no_voice_in_memory(parts: Parts) -> None:
    names = [name for name, _ in parts.text_encoder.named_parameters()]
    assert names
    assert not [name for name in names if "visual" in name or "lm_head" in name]


def test_a_single_step_is_refused_since_the_schedule_ends_above_0(parts: Parts, picture: Tensor) -> None:
    with pytest.raises(QilError, match="needs 2 steps at the least, got 1"):
        decompose(LayeredControl(ControlModel(parts, CPU)), picture, replace(ASKED, steps=1))


# The stack


def test_elements_become_layers_at_the_pictures_size_bottom_first_and_exact(parts: Parts, picture: Tensor) -> None:
    stack, report = decompose(LayeredControl(ControlModel(parts, CPU)), picture, ASKED)
    assert stack.names == ("background", "girl", "red hat")
    assert stack.pixels.shape == (3, 60, 80, 4)
    assert report.after.max_error <= 1
    assert report.prompt == "girl\nred hat"
    assert report.made["elements"][0] == {"name": "girl", "box": None, "text": ""}
    assert "Prompt: girl; red hat" in str(report)


@pytest.mark.parametrize("side", [64, 200], ids=["enlarged", "as large as the picture"])
def test_what_lies_below_is_completed_and_shares_are_told(side: int) -> None:
    true = scene(200)
    stack, report = decompose(ready(side), composite(true)[..., :3], asked("blue disc\nred disc"))
    assert stack.names == ("background", "blue disc", "red disc")
    hidden = true.pixels[1:, ..., 3].amax(0) > 0.99
    off = (stack.pixels[0, ..., :3] - torch.tensor(SAND)).abs().amax(-1)
    assert off[hidden].max() < 0.03, "the sand goes on under the discs"
    assert (stack.pixels[0, ..., 3] == 1).all()
    assert (stack.pixels[1:, ..., 3] - true.pixels[1:, ..., 3]).abs().mean() < 0.004
    assert report.after.max_error <= 1
    assert "Share of the picture: blue disc 12.6%, red disc 7.1%." in str(report)
    assert "empty" not in str(report)


@pytest.mark.parametrize("side", [64, 200], ids=["enlarged", "as large as the picture"])
def test_alpha_that_wavers_hides_nothing_of_the_ground(side: int) -> None:
    """As a model gives it: 2 % of noise in the alpha of every layer."""
    decomposer, true = ready(side), scene(200)
    noise = 0.02 * torch.randn(side, side, generator=torch.Generator().manual_seed(0))
    for layer in decomposer.model.layers.values():  # type: ignore[attr-defined]
        layer[..., 3] = (layer[..., 3] + noise).clamp(0, 1)
    stack, _ = decompose(decomposer, composite(true)[..., :3], asked("blue disc\nred disc"))
    hidden = true.pixels[1:, ..., 3].amax(0) > 0.99
    assert (stack.pixels[0, ..., :3] - torch.tensor(SAND)).abs().amax(-1)[hidden].max() < 0.04


def test_the_last_line_lies_on_top() -> None:
    true = composite(scene(200))[..., :3]
    upper, _ = decompose(ready(), true, asked("blue disc\nred disc"))
    lower, _ = decompose(ready(), true, asked("red disc\nblue disc"))
    assert upper.names[-1] == "red disc"
    assert lower.names[-1] == "blue disc"
    y, x = 100, 105  # where both discs are: red is seen
    assert torch.allclose(upper.pixels[2, y, x], torch.tensor([*RED, 1.0]), atol=0.02)


def test_an_element_that_came_back_empty_is_in_the_report() -> None:
    stack, report = decompose(ready(), composite(scene(200))[..., :3], asked("blue disc\nnothing"))
    assert len(stack) == 3
    assert "nothing 0.0%." in str(report)
    assert 'Came back empty: "nothing". Name it otherwise, in English, or leave it out.' in str(report)


def test_a_box_keeps_what_lies_in_it_and_one_pass_serves_two_boxes() -> None:
    decomposer = ready()
    wanted = asked("blue disc at 0,0,80,200\nblue disc at 80,0,200,200")
    stack, report = decompose(decomposer, composite(scene(200))[..., :3], wanted)
    assert decomposer.model.asked == ["blue disc"]  # type: ignore[attr-defined]
    assert stack.names == ("background", "blue disc", "blue disc 2")
    left, right = stack.pixels[1, ..., 3], stack.pixels[2, ..., 3]
    assert left[100, 80:].max() == right[100, :80].max() == 0
    assert left[:, 88:].max() == right[:, :72].max() == 0, "at edges beside the border what is missing is made up for"
    assert left[100, 60] == 1
    assert right[100, 82] == 1
    assert report.after.max_error <= 1


def test_a_text_that_stands_alone_is_called_one_for_the_model() -> None:
    text = scene(64).pixels[1]
    model = Ready({"Text 'SALE'": text, 'a "SALE" sign': text})
    stack, _ = decompose(LayeredControl(model), composite(scene(200))[..., :3], asked('"SALE"\na "SALE" sign'))  # type: ignore[arg-type]
    assert model.asked == ["Text 'SALE'", 'a "SALE" sign']
    assert stack.names == ("background", "SALE", 'a "SALE" sign')


def test_a_cut_out_stays_exact_and_its_clear_part_colours_nothing() -> None:
    """The discs lie on a sand-coloured disc whose edge they cross; around it everything is clear, and black."""
    plate = disc(200, 0.4, 0.4, 0.25, SAND)
    plate[..., :3] *= (plate[..., 3:] > 0).float()
    true = torch.stack([plate, *scene(200).pixels[1:]])
    stack, report = decompose(ready(), composite(LayerStack(true, ("a", "b", "c"))), asked("blue disc\nred disc"))
    assert report.after.max_error <= 1
    hidden = (true[1, ..., 3] > 0.99) & (true[0, ..., 3] > 0.99)
    assert (stack.pixels[0, ..., :3] - torch.tensor(SAND)).abs().amax(-1)[hidden].max() < 0.05


def test_without_elements_it_says_what_to_write_and_a_prompt_is_not_ignored_in_silence() -> None:
    picture = composite(scene(100))[..., :3]
    with pytest.raises(QilError, match='write one a line under "elements"'):
        decompose(ready(), picture, Request(prompt="a disc"))
    _, report = decompose(ready(), picture, replace(asked("blue disc"), prompt="a disc"))
    assert "The prompt was not used: every element is its own." in str(report)


def test_a_layer_is_split_into_the_elements_that_are_named() -> None:
    stack = LayerStack(torch.stack([torch.ones(120, 120, 4), composite(scene(120))]), ("paper", "card"))
    parts, _ = split(ready(), stack, 1, asked("blue disc"))
    assert parts.names == ("paper", "card/background", "card/blue disc")


def test_shares_are_told_of_the_stack_as_it_is() -> None:
    layers = torch.zeros(2, 10, 10, 4)
    layers[0], layers[1, :5] = 1, 0.5
    assert explained(LayerStack(layers, ("background", "half"))) == ["Share of the picture: half 25.0%."]


# Which model it is


@pytest.mark.parametrize(
    ("name", "refused"),
    [
        ("Qwen-Image-Layered-Control", LAYERED),
        ("qwen_image_layered_control_fp8", LAYERED),
        ("Qwen-Image-Layered", CONTROL),
        ("qwen_image_layered_bf16", CONTROL),
        ("mine", None),
    ],
)
def test_a_file_is_refused_as_the_model_that_it_is_not_called(
    folder: Path, tmp_path: Path, name: str, refused: Model | None
) -> None:
    (tmp_path / name).symlink_to(folder, target_is_directory=True)
    for model in (LAYERED, CONTROL):
        if model is refused:
            with pytest.raises(QilError, match=f"which makes .*; chosen was {model.label}, .* rename this one"):
                load(Files.of_folder(tmp_path / name), torch.float32, models=(model,))
        else:
            assert load(Files.of_folder(tmp_path / name), torch.float32, models=(model,)).model is model


def test_the_layered_model_has_all_its_frames_still(folder: Path, tmp_path: Path, picture: Tensor) -> None:
    (tmp_path / "plain").symlink_to(folder, target_is_directory=True)
    parts = load(Files.of_folder(tmp_path / "plain"), torch.float32)
    opaque = torch.cat([picture, torch.ones_like(picture[..., :1])], 2)
    layers, _ = LayeredModel(parts, CPU).layers(opaque, Request(layers=2, steps=1, prompt="a", resolution=640), silent)
    assert len(layers) == 2


@pytest.mark.slow
def test_the_command_line_makes_the_elements_and_repeats_them_from_the_report(folder: Path, tmp_path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 48, 3), np.uint8)).save(tmp_path / "x.png")
    model = ["--device", "cpu", "--model", str(folder)]
    given = ["--decomposer", "control", "--elements", "girl at 0,0,24,40", "--elements", "hat", "--steps", "2"]
    asked = ["batch", str(tmp_path / "x.png"), "--format", "png", "--engine", "local", *model]
    assert main([*asked, "-o", str(tmp_path / "one"), *given]) == 0
    report = tmp_path / "one" / "x" / "report.json"
    assert main([*asked, "-o", str(tmp_path / "two"), "--from-report", str(report)]) == 0
    first, second = (sorted((tmp_path / name / "x" / "layers").glob("*.png")) for name in ("one", "two"))
    assert len(first) == 3
    for a, b in zip(first, second, strict=True):
        assert np.array_equal(np.array(Image.open(a)), np.array(Image.open(b)))
