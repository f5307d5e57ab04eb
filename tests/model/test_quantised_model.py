"""The whole model from quantised files: what it would give of the same weights in plain files, on every path."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

pytest.importorskip("diffusers")

import tiny_model
from checkpoint_forms import (
    QUERY,
    State,
    llama_name,
    lora_file,
    saved,
    scaled_fp8,
    single_files,
    state,
    values,
    write_gguf,
)

from qil_core.checkpoints import lora
from qil_core.checkpoints.folders import Files
from qil_core.checkpoints.lora import with_loras
from qil_core.checkpoints.readers import open_readers
from qil_core.model.parts import load
from qil_core.model.pipeline import LayeredModel
from qil_core.model.plan import ALL, LEAVES, STREAMED
from qil_core.model.streaming import weights
from qil_core.progress import silent
from qil_core.request import Request

CARD = torch.device("cpu:0")
"""torch computes there as on "cpu", but takes it for another device: what is brought there is a copy."""
ASKED = Request(layers=1, steps=2, prompt="", resolution=128, seed=3)
PICTURE = torch.rand(12, 12, 4, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def files(tmp_path: Path) -> Files:
    tiny = tiny_model.build(tmp_path / "tiny")
    (tmp_path / "configs").mkdir()
    return single_files(tiny, tmp_path / "configs")


def fp8(path: Path, tensors: State) -> Path:
    return saved(path.with_suffix(".safetensors"), scaled_fp8(tensors, "scale_weight", per_row=True)[0])


def q8(path: Path, tensors: State) -> Path:
    return write_gguf(path.with_suffix(".gguf"), tensors)


def fp16(path: Path, tensors: State) -> Path:
    return saved(path.with_suffix(".safetensors"), {name: tensor.half() for name, tensor in tensors.items()})


def aligned(files: Files) -> LayeredModel:
    """Everything on the device, of copied weights: a matrix product differs in the last bit in other alignments."""
    parts = load(files, torch.float32)
    modules = (parts.transformer, parts.text_encoder, parts.vae, *parts.modulation.layers)
    for tensor in (tensor for module in modules for tensor in weights(module)):
        tensor.data = tensor.data.clone()
    return LayeredModel(parts, torch.device("cpu"), ALL)


@pytest.mark.parametrize("form", [fp8, q8, fp16])
def test_a_quantised_model_captions_and_makes_layers_as_its_unpacked_weights_do(
    files: Files, tmp_path: Path, form: Callable[[Path, State], Path]
) -> None:
    tiny = files.tokenizer.parent
    quantised, plain = files, files
    for part in ("transformer", "text_encoder"):
        if part == "text_encoder" and form is q8:
            continue  # its names are llama.cpp's, its vision part is a file of its own: see test_packed
        path = form(tmp_path / part, state(tiny, part))
        same = saved(
            tmp_path / f"plain-{part}.safetensors", {n: t.float() for n, t in values(open_readers(path)).items()}
        )
        quantised, plain = replace(quantised, **{part: path}), replace(plain, **{part: same})
    want, said = aligned(plain).layers(PICTURE, ASKED, silent)
    assert said.prompt
    for mode in (ALL, LEAVES, STREAMED):
        got, run = LayeredModel(load(quantised, torch.float32), CARD, mode, free=0).layers(PICTURE, ASKED, silent)
        assert run.prompt == said.prompt, mode
        assert torch.equal(got, want), mode


def test_a_gguf_text_encoder_embeds_as_its_unpacked_weights_do(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qil_core.checkpoints.recognize.WIDTH", 32)
    tensors = {n: t for n, t in state(files.tokenizer.parent, "text_encoder").items() if not n.startswith("visual")}
    path = q8(tmp_path / "text", {llama_name(name): tensor for name, tensor in tensors.items()})
    same = saved(tmp_path / "plain.safetensors", values(open_readers(path)))
    asked = replace(ASKED, prompt="a disc")
    want, _ = aligned(replace(files, text_encoder=same)).layers(PICTURE, asked, silent)
    for mode in (ALL, STREAMED):
        model = LayeredModel(load(replace(files, text_encoder=path), torch.float32), CARD, mode, free=0)
        assert torch.equal(model.layers(PICTURE, asked, silent)[0], want), mode


@pytest.mark.parametrize("form", [fp8, None])
def test_loras_change_the_same_when_weights_stay_packed(
    files: Files, tmp_path: Path, form: Callable[[Path, State], Path] | None
) -> None:
    if form:
        files = replace(files, transformer=form(tmp_path / "packed", state(files.tokenizer.parent, "transformer")))
    loras = ((lora_file(tmp_path / "lora.safetensors", f"{QUERY}.lora_B.weight", alpha=2.0), 0.5),)
    merged = values(with_loras(open_readers(files.transformer), loras))
    plain = saved(tmp_path / "merged.safetensors", {name: tensor.float() for name, tensor in merged.items()})
    asked = replace(ASKED, prompt="a disc")
    want, _ = aligned(replace(files, transformer=plain)).layers(PICTURE, asked, silent)
    without, _ = aligned(files).layers(PICTURE, asked, silent)
    assert not torch.equal(want, without)
    for mode in (ALL, STREAMED):
        model = LayeredModel(load(replace(files, loras=loras), torch.float32), CARD, mode, free=0)
        assert torch.equal(model.layers(PICTURE, asked, silent)[0], want), mode


def test_a_lora_on_plain_weights_is_merged_once_where_they_stay_and_takes_no_more(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    merged: list[int] = []
    merge = lora._merged
    monkeypatch.setattr(lora, "_merged", lambda *given, **named: merged.append(1) or merge(*given, **named))
    loras = ((lora_file(tmp_path / "lora.safetensors", f"{QUERY}.lora_B.weight"), 1.0),)
    asked = replace(ASKED, prompt="a disc")
    counts, held = [], []
    for mode in (ALL, STREAMED):
        model = LayeredModel(load(replace(files, loras=loras), torch.float32), CARD, mode, free=0)
        merged.clear()
        for _ in range(2):
            model.layers(PICTURE, asked, silent)
        counts.append(len(merged))
        held.append(model.placement.held)
        model.placement.release()
        assert model.placement.held == 0
        assert not any(getattr(layer, "settled", None) is not None for layer in model.parts.transformer.modules())
    assert counts == [1, 2 * asked.steps * 2], "once; or in every step and for both prompts"
    plain = LayeredModel(load(files, torch.float32), CARD, ALL)
    plain.layers(PICTURE, asked, silent)
    assert held[0] == plain.placement.held
