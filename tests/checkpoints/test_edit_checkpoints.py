"""Every form in which people have Qwen-Image-Edit's files loads as the edition that it is, and no other model does."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoint_forms import (
    QUERY,
    State,
    assert_same,
    lora_file,
    saved,
    scaled_fp8,
    single_files,
    state,
    to_wan,
    unpacked,
    write_gguf,
)
from tiny_model import EDIT as BASE
from tiny_model import build, build_edit
from torch import Tensor

from qil_core.checkpoints.folders import SHIPPED, Files
from qil_core.edit_request import EditRequest
from qil_core.errors import QilError
from qil_core.model import editing, parts
from qil_core.model.editing import EditModel
from qil_core.model.models import EDIT, EDIT_2509, EDIT_2511, EDITIONS, TIMESTEP_ZERO, Model
from qil_core.model.modulation import is_modulation
from qil_core.model.parts import Parts, load
from qil_core.progress import silent

MARK = {TIMESTEP_ZERO: torch.empty(0)}
COMFYUI = "qwen_image_edit_2511_bf16.safetensors"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_edit(tmp_path_factory.mktemp("checkpoints") / "tiny", zero_cond_t=True)


@pytest.fixture(scope="module")
def layered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("checkpoints") / "layered")


@pytest.fixture(scope="module")
def files(tiny: Path, layered: Path, tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Single files; what lies where the published configurations lie is the layered model's, as it is there."""
    configs = tmp_path_factory.mktemp("configs")
    single = single_files(tiny, configs)
    for name in ("transformer", "vae"):
        shutil.copy(layered / name / "config.json", configs / f"{name}.json")
    shutil.copy(SHIPPED / "scheduler.json", configs)
    named = saved(configs / COMFYUI, state(tiny, "transformer") | MARK)
    return replace(single, transformer=named)


def loaded(files: Files, models: tuple[Model, ...] = EDITIONS) -> Parts:
    return load(files, torch.float32, models=models)


def public(module: Any) -> dict[str, Any]:
    """A diffusers configuration without diffusers' own remarks."""
    return {key: value for key, value in module.config.items() if not key.startswith("_")}


def weights(of: Parts, name: str) -> State:
    """As float32, whatever they are stored as."""
    return {key: tensor.float() for key, tensor in unpacked(getattr(of, name)).items()}


def edited(of: Parts, monkeypatch: pytest.MonkeyPatch) -> tuple[Tensor, list[str]]:
    monkeypatch.setattr(editing, "RESOLUTION", 64)
    picture = torch.rand(40, 40, 3, generator=torch.Generator().manual_seed(1))
    result, run = EditModel(of, torch.device("cpu")).edit([picture], EditRequest("brighter", steps=2), silent)
    return result, run.notes


# What belongs to what


def test_single_files_are_the_folder(tiny: Path, files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    single, whole = loaded(files), loaded(Files.of_folder(tiny))
    assert single.model is whole.model is EDIT_2511
    for name in ("transformer", "vae", "text_encoder"):
        assert_same(weights(single, name), weights(whole, name))
    config = dict(single.transformer.config)
    assert config.items() >= {"zero_cond_t": True, "use_additional_t_cond": False, "use_layer3d_rope": False}.items()
    assert public(single.scheduler) == public(whole.scheduler)
    assert torch.equal(edited(single, monkeypatch)[0], edited(whole, monkeypatch)[0])


def test_settings_make_the_shipped_configurations_the_published_ones() -> None:
    from diffusers import AutoencoderKLQwenImage, QwenImageTransformer2DModel

    nowhere = Path("nowhere")
    true = Files(nowhere, nowhere, nowhere, nowhere)
    transformer: Any = parts._empty(QwenImageTransformer2DModel, true.config("transformer", EDIT_2511.settings))
    plain: Any = parts._empty(QwenImageTransformer2DModel, {"zero_cond_t": True, "axes_dims_rope": [16, 56, 56]})
    assert public(transformer) == public(plain)
    coder: Any = parts._empty(AutoencoderKLQwenImage, true.config("vae", EDIT.settings))
    assert coder.encoder.conv_in.weight.shape[1] == coder.decoder.conv_out.weight.shape[0] == 3
    published = {
        "base_shift": 0.5,
        "max_shift": 0.9,
        "base_image_seq_len": 256,
        "max_image_seq_len": 8192,
        "shift": 1.0,
    }
    published |= {"shift_terminal": 0.02, "time_shift_type": "exponential", "use_dynamic_shifting": True}
    assert dict(parts.load_scheduler(true, EDIT).config).items() >= published.items()


@pytest.mark.parametrize(
    ("name", "mark", "model"),
    [
        ("qwen_image_edit_fp8_e4m3fn.safetensors", {}, EDIT),
        ("Qwen-Image-Edit-2509.safetensors", {}, EDIT_2509),
        ("Qwen-Image-Edit-2511.safetensors", {}, EDIT_2511),
        ("my_finetune.safetensors", MARK, EDIT_2511),
        ("qwen_image_edit_2509_merge.safetensors", MARK, EDIT_2511),
    ],
)
def test_a_file_says_its_edition_by_comfyuis_mark_or_by_its_name(
    tiny: Path, files: Files, tmp_path: Path, name: str, mark: State, model: Model
) -> None:
    path = saved(tmp_path / name, state(tiny, "transformer") | mark)
    found = loaded(replace(files, transformer=path))
    assert found.model is model
    assert found.transformer.zero_cond_t == (model is EDIT_2511)


def test_a_file_that_says_nothing_needs_an_edition_and_then_is_it(tiny: Path, files: Files, tmp_path: Path) -> None:
    path = saved(tmp_path / "qwen_image_bf16.safetensors", state(tiny, "transformer"))
    with pytest.raises(
        QilError, match=r"qwen_image_bf16.safetensors has no edition .* choose its edition: Qwen-Image-Ed"
    ):
        loaded(replace(files, transformer=path))
    for model in EDITIONS:
        found = loaded(replace(files, transformer=path), (model,))
        assert found.model is model
        assert found.transformer.zero_cond_t == (model is EDIT_2511)


def test_a_folder_says_its_edition_by_its_own_settings(tiny: Path, tmp_path: Path) -> None:
    assert loaded(Files.of_folder(build_edit(tmp_path / "a", BASE))).model is EDIT
    plus = build_edit(tmp_path / "b")
    assert loaded(Files.of_folder(plus)).model is EDIT_2509
    index = json.loads((plus / "model_index.json").read_text())
    (plus / "model_index.json").write_text(json.dumps(index | {"_class_name": "QwenImagePipeline"}))
    with pytest.raises(
        QilError, match="belongs to a QwenImagePipeline, and its weights do not tell it from plain Qwen"
    ):
        loaded(Files.of_folder(plus))
    (plus / "model_index.json").unlink()
    assert loaded(Files.of_folder(plus.rename(tmp_path / "Qwen-Image-Edit-2509"))).model is EDIT_2509


# Forms


@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
def test_scaled_fp8_is_multiplied_out(tiny: Path, files: Files, tmp_path: Path, prefix: str) -> None:
    stored, expected = scaled_fp8(state(tiny, "transformer"), "scale_weight", per_row=False)
    named = {prefix + name: tensor for name, tensor in (stored | MARK).items()}
    found = loaded(replace(files, transformer=saved(tmp_path / COMFYUI, named)))
    assert found.model is EDIT_2511
    assert_same(weights(found, "transformer"), {k: t.float() for k, t in expected.items() if not is_modulation(k)})


def test_gguf_is_within_its_steps(tiny: Path, files: Files, tmp_path: Path) -> None:
    exact = state(tiny, "transformer")
    found = loaded(replace(files, transformer=write_gguf(tmp_path / "qwen-image-edit-2511-Q8_0.gguf", exact)))
    assert found.transformer.zero_cond_t
    for name, tensor in weights(found, "transformer").items():
        assert (tensor - exact[name]).abs().max() <= 0.57 * exact[name].abs().max() / 127, name


def test_the_vae_in_wans_layout_is_the_same_vae(tiny: Path, files: Files, tmp_path: Path) -> None:
    path = saved(tmp_path / "qwen_image_vae.safetensors", to_wan(state(tiny, "vae")))
    assert_same(weights(loaded(replace(files, vae=path)), "vae"), weights(loaded(files), "vae"))


def test_a_lora_is_merged_and_told(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = lora_file(tmp_path / "style.safetensors", f"{QUERY}.lora_B.weight")
    plain, _ = edited(loaded(Files.of_folder(tiny)), monkeypatch)
    off, _ = edited(loaded(Files.of_folder(tiny, ((path, 0.0),))), monkeypatch)
    on, notes = edited(loaded(Files.of_folder(tiny, ((path, 1.0),))), monkeypatch)
    assert torch.equal(off, plain)
    assert not torch.equal(on, plain)
    assert "LoRA style.safetensors changes 1 weights." in notes


# The text encoder


def test_what_only_writes_words_is_not_loaded(files: Files, tmp_path: Path, tiny: Path) -> None:
    mute = {key: tensor for key, tensor in state(tiny, "text_encoder").items() if not key.startswith("lm_head")}
    path = saved(tmp_path / "mute.safetensors", mute)
    both = [loaded(replace(files, text_encoder=other)) for other in (files.text_encoder, path)]
    assert_same(*(weights(one, "text_encoder") for one in both))
    assert all(one.notes == () and not one.can_caption for one in both)


def test_a_text_encoder_without_eyes_is_refused(
    files: Files, tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qil_core.checkpoints.recognize.WIDTH", 32)
    blind = {key: tensor for key, tensor in state(tiny, "text_encoder").items() if "visual" not in key}
    path = saved(tmp_path / "blind.safetensors", blind)
    with pytest.raises(
        QilError, match=r"blind.safetensors lacks the vision part.* Use a complete file, such as qwen_2.5"
    ):
        loaded(replace(files, text_encoder=path))


# One model for another


def test_an_edit_model_is_no_layered_model_and_the_other_way_round(tiny: Path, layered: Path) -> None:
    edit, other = Files.of_folder(tiny), Files.of_folder(layered)
    with pytest.raises(
        QilError, match=r"is a Qwen-Image-Layered transformer; expected a plain Qwen-Image or Qwen-Image-E"
    ):
        loaded(other)
    with pytest.raises(
        QilError, match=r"is a plain Qwen-Image or Qwen-Image-Edit transformer; expected a Qwen-Image-Lay"
    ):
        load(edit, torch.float32)
    with pytest.raises(QilError, match=r"is a Qwen-Image-Layered VAE \(4 channels\); expected .* qwen_image_vae.saf"):
        loaded(replace(edit, vae=other.vae))
    with pytest.raises(QilError, match=r"3 channels, no alpha\); expected a Qwen-Image-Layered VAE"):
        load(replace(other, vae=edit.vae), torch.float32)
