"""Every form in which people have the model's files gives the same weights and the same numbers."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoint_forms import (
    NAMINGS,
    QUERY,
    assert_same,
    llama_name,
    lora_file,
    lora_pair,
    saved,
    scaled_fp8,
    state,
    to_wan,
    values,
    write_gguf,
)
from torch import Tensor

from qil_core.checkpoints import readers
from qil_core.checkpoints.folders import SHIPPED, Files, read_json
from qil_core.checkpoints.layouts import text_encoder_names, vae_names
from qil_core.checkpoints.lora import open_lora, with_loras
from qil_core.checkpoints.readers import open_readers
from qil_core.checkpoints.recognize import Kind, recognize
from qil_core.checkpoints.stored import Stored, Weight
from qil_core.errors import QilError
from qil_core.model import modulation, parts, vae
from qil_core.model.parts import load

# Whole checkpoints


def with_modulation(loaded: parts.Parts) -> Any:
    """The transformer with its modulation layers in it, so that it can be called as diffusers' own."""
    for block, layers in zip(loaded.transformer.transformer_blocks, loaded.modulation.layers, strict=True):
        for stream in modulation.STREAMS:
            setattr(block, stream, layers[stream])
    return loaded.transformer


def run_transformer(transformer: Any) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    with torch.inference_mode():
        return transformer(
            hidden_states=torch.randn(1, 12, 64, generator=generator),
            encoder_hidden_states=torch.randn(1, 5, 32, generator=generator),
            timestep=torch.tensor([0.7]),
            img_shapes=[[(1, 2, 2)] * 3],
            encoder_hidden_states_mask=None,
            additional_t_cond=torch.zeros(1, dtype=torch.long),
        ).sample


def test_a_diffusers_folder_computes_what_diffusers_computes(tiny: Path) -> None:
    from diffusers import AutoencoderKLQwenImage, QwenImageTransformer2DModel
    from transformers import Qwen2_5_VLForConditionalGeneration

    loaded = load(Files.of_folder(tiny), torch.float32)
    theirs = QwenImageTransformer2DModel.from_pretrained(tiny / "transformer")
    torch.testing.assert_close(run_transformer(with_modulation(loaded)), run_transformer(theirs), rtol=1e-5, atol=1e-6)

    pixels = torch.rand(1, 4, 32, 32, generator=torch.Generator().manual_seed(2)) * 2 - 1
    their_vae = AutoencoderKLQwenImage.from_pretrained(tiny / "vae")
    with torch.inference_mode():
        mean = their_vae.encode(pixels[:, :, None]).latent_dist.mode()
        expected = (mean - torch.tensor(their_vae.config.latents_mean).view(1, -1, 1, 1, 1)) / torch.tensor(
            their_vae.config.latents_std
        ).view(1, -1, 1, 1, 1)
        torch.testing.assert_close(vae.encode(loaded.vae, pixels), expected, rtol=1e-4, atol=1e-5)

    ids = torch.arange(6, 40)[None]
    their_text = Qwen2_5_VLForConditionalGeneration.from_pretrained(tiny / "text_encoder").eval()
    with torch.inference_mode():
        ours, other = (m(ids, output_hidden_states=True) for m in (loaded.text_encoder, their_text))
    torch.testing.assert_close(ours.hidden_states[-1], other.hidden_states[-1], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(ours.logits, other.logits, rtol=1e-5, atol=1e-6)
    assert loaded.can_caption
    assert loaded.notes == ()


def test_the_vision_part_sees_what_transformers_sees(tiny: Path) -> None:
    import numpy as np
    from PIL import Image
    from transformers import Qwen2_5_VLForConditionalGeneration

    loaded = load(Files.of_folder(tiny), torch.float32)
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8))
    patches = loaded.image_processor(images=[picture], return_tensors="pt")
    their_text = Qwen2_5_VLForConditionalGeneration.from_pretrained(tiny / "text_encoder").eval()
    arguments = (patches["pixel_values"], patches["image_grid_thw"])
    with torch.inference_mode():
        ours, other = (m.model.visual(*arguments) for m in (loaded.text_encoder, their_text))
    torch.testing.assert_close(ours[0], other[0], rtol=1e-5, atol=1e-6)


def test_modulation_layers_are_no_part_of_the_transformer(tiny: Path) -> None:
    loaded = load(Files.of_folder(tiny), torch.bfloat16)
    assert not any(map(modulation.is_modulation, loaded.transformer.state_dict()))
    assert loaded.transformer.txt_norm.weight.dtype == torch.bfloat16
    weight = loaded.modulation.layers[1]["txt_mod"][1].weight
    assert torch.equal(weight, state(tiny, "transformer")["transformer_blocks.1.txt_mod.1.weight"])


def test_single_files_load_like_the_folder(tiny: Path, files: Files) -> None:
    loaded = load(files, torch.float32)
    whole = load(Files.of_folder(tiny), torch.float32)
    for name in ("transformer", "vae", "text_encoder"):
        ours, theirs = getattr(loaded, name).state_dict(), getattr(whole, name).state_dict()
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    assert dict(loaded.scheduler.config) == dict(whole.scheduler.config)


def test_everything_is_checked_before_the_first_weight_is_read(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    real = readers._stored

    def spy(path: Path, mapped: Any, name: str, *where: Any) -> Any:
        read.append(name)
        return real(path, mapped, name, *where)

    monkeypatch.setattr(readers, "_stored", spy)
    broken = state(files.tokenizer.parent, "vae")
    broken.pop("quant_conv.bias")
    with pytest.raises(QilError, match=r"lacks 1 of \d+ weights: quant_conv\.bias"):
        load(replace(files, vae=saved(tmp_path / "vae.safetensors", broken)), torch.float32)
    assert read == []
    load(files, torch.float32)
    assert read


def test_the_progress_rises_and_may_stop_the_loading(files: Files) -> None:
    told: list[float] = []
    load(files, torch.float32, lambda fraction, what: told.append(fraction))
    assert told == sorted(told)
    assert told[-1] == 1.0

    class Stopped(BaseException):
        pass

    def stop(fraction: float, what: str) -> None:
        if fraction > 0.3:
            raise Stopped

    with pytest.raises(Stopped):
        load(files, torch.float32, stop)


def test_the_shipped_configurations_are_the_true_model() -> None:
    from diffusers import AutoencoderKLQwenImage, QwenImageTransformer2DModel
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    def empty(kind: Any, name: str) -> Any:
        return parts._empty(kind, read_json(SHIPPED / name))

    transformer = empty(QwenImageTransformer2DModel, "transformer.json")
    config = Qwen2_5_VLConfig(**read_json(SHIPPED / "text_encoder.json"))
    text = parts._empty(Qwen2_5_VLForConditionalGeneration, {"config": config})
    sizes = [sum(p.numel() for p in module.parameters()) for module in (transformer, text)]
    assert [round(size / 1e9, 2) for size in sizes] == [20.43, 8.29]
    assert all(p.is_meta for module in (transformer, text) for p in module.parameters())
    assert not any(buffer.is_meta for buffer in text.buffers())
    assert transformer.pos_embed.pos_freqs.device.type == "cpu"
    defaults = dict(AutoencoderKLQwenImage().config)
    assert {k: v for k, v in dict(empty(AutoencoderKLQwenImage, "vae.json").config).items() if v != defaults[k]} == {
        "input_channels": 4
    }


# Forms of the transformer


@pytest.mark.parametrize("prefix", ["", "model.diffusion_model.", "diffusion_model.", "transformer."])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float16])
def test_a_single_file_gives_its_very_weights(tiny: Path, tmp_path: Path, prefix: str, dtype: torch.dtype) -> None:
    expected = {name: tensor.to(dtype) for name, tensor in state(tiny, "transformer").items()}
    path = saved(tmp_path / "one.safetensors", {prefix + name: tensor for name, tensor in expected.items()})
    opened = open_readers(path)
    assert recognize(opened) is Kind.LAYERED_TRANSFORMER
    assert_same(values(opened), expected)


def test_plain_fp8_becomes_bfloat16(tiny: Path, tmp_path: Path) -> None:
    stored = {name: tensor.to(torch.float8_e4m3fn) for name, tensor in state(tiny, "transformer").items()}
    opened = open_readers(saved(tmp_path / "fp8.safetensors", stored))
    assert_same(values(opened), {name: tensor.bfloat16() for name, tensor in stored.items()})


@pytest.mark.parametrize("spelling", ["scale_weight", "weight_scale"])
@pytest.mark.parametrize("per_row", [False, True])
def test_scaled_fp8_is_multiplied_out(tiny: Path, files: Files, tmp_path: Path, spelling: str, per_row: bool) -> None:
    stored, expected = scaled_fp8(state(tiny, "transformer"), spelling, per_row)
    blob = torch.tensor(list(b'{"format": "float8_e4m3fn"}'), dtype=torch.uint8)
    extras = {"scaled_fp8": torch.zeros(2, dtype=torch.float8_e4m3fn), "img_in.input_scale": torch.ones(())}
    extras |= {"img_in.scale_input": torch.ones(()), "img_in.comfy_quant": blob}
    file = {f"model.diffusion_model.{name}": tensor for name, tensor in (stored | extras).items()}
    path = saved(tmp_path / "scaled.safetensors", file)
    assert_same(values(open_readers(path)), expected)
    loaded = load(replace(files, transformer=path), torch.float32)
    assert torch.equal(loaded.transformer.img_in.weight, expected["img_in.weight"])


def test_gguf_is_exact_where_it_stores_floats(tiny: Path, tmp_path: Path) -> None:
    expected = state(tiny, "transformer")
    for kind, dtype in (("F32", torch.float32), ("F16", torch.float16), ("BF16", torch.bfloat16)):
        opened = open_readers(write_gguf(tmp_path / f"{kind}.gguf", expected, kind))
        rounded = {n: t.to(dtype) if t.ndim == 2 and t.shape[1] % 32 == 0 else t for n, t in expected.items()}
        assert_same(values(opened), rounded)


def test_gguf_q8_is_within_half_a_step(tiny: Path, files: Files, tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "q8.gguf", state(tiny, "transformer"))
    found = values(open_readers(path))
    for name, tensor in state(tiny, "transformer").items():
        if tensor.ndim == 1:
            assert torch.equal(found[name], tensor), name
            continue
        error, blocks = (found[name] - tensor).reshape(-1, 32), tensor.reshape(-1, 32)
        step = blocks.abs().amax(1, keepdim=True) / 127
        limit = 0.5 * step + 127 * step * 2**-11  # the step itself is stored in half precision
        assert (error.abs() <= limit + 1e-8).all(), name
    loaded = load(replace(files, transformer=path), torch.float32)
    assert torch.equal(loaded.transformer.img_in.weight, found["img_in.weight"])


def test_shards_are_one_checkpoint(tiny: Path, tmp_path: Path) -> None:
    expected = state(tiny, "transformer")
    names = sorted(expected)
    for i in range(2):
        saved(tmp_path / f"shard-{i}.safetensors", {name: expected[name] for name in names[i::2]})
    index = {"weight_map": {name: f"shard-{i % 2}.safetensors" for i, name in enumerate(names)}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert_same(values(open_readers(tmp_path)), expected)
    (tmp_path / "shard-1.safetensors").unlink()
    with pytest.raises(QilError, match=r"shard-1\.safetensors is missing"):
        open_readers(tmp_path)


# The VAE in Wan's layout


@pytest.mark.parametrize("prefix", ["", "vae.", "first_stage_model."])
def test_a_vae_in_wans_layout_is_the_same_vae(tiny: Path, files: Files, tmp_path: Path, prefix: str) -> None:
    expected = state(tiny, "vae")
    path = saved(tmp_path / "vae.safetensors", {prefix + name: t for name, t in to_wan(expected).items()})
    assert recognize(open_readers(path)) is Kind.LAYERED_VAE
    assert_same(values(vae_names(open_readers(path))), expected)
    ours = load(replace(files, vae=path), torch.float32).vae.state_dict()
    theirs = load(files, torch.float32).vae.state_dict()
    assert_same(ours, theirs)


def test_the_true_vae_converts_back_from_wans_layout() -> None:
    from diffusers import AutoencoderKLQwenImage

    module = parts._empty(AutoencoderKLQwenImage, read_json(SHIPPED / "vae.json"))
    wan = {
        name: Weight(tuple(t.shape), "F32", lambda t=t: Stored((t,))) for name, t in to_wan(module.state_dict()).items()
    }
    assert {name: weight.shape for name, weight in vae_names(wan).items()} == {
        name: tuple(tensor.shape) for name, tensor in module.state_dict().items()
    }


# The text encoder's names


RENAMED: dict[str, Callable[[str], str]] = {
    "ComfyUI": lambda name: name,
    "ComfyUI, head inside": lambda name: name.replace("lm_head", "model.lm_head"),
    "transformers": lambda name: re.sub("^model", "model.language_model", name).replace("visual", "model.visual", 1),
    "older transformers": lambda name: re.sub("^(model|lm_head)", r"language_model.\1", name),
}


@pytest.mark.parametrize("naming", RENAMED)
def test_every_naming_of_the_text_encoder_loads(tiny: Path, files: Files, tmp_path: Path, naming: str) -> None:
    renamed = {RENAMED[naming](name): tensor for name, tensor in state(tiny, "text_encoder").items()}
    path = saved(tmp_path / "text.safetensors", renamed)
    ours = load(replace(files, text_encoder=path), torch.float32)
    assert ours.can_caption
    assert_same(ours.text_encoder.state_dict(), load(files, torch.float32).text_encoder.state_dict())


def test_a_text_encoder_without_eyes_encodes_and_says_that_it_cannot_caption(
    tiny: Path, files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blind = {name: t for name, t in state(tiny, "text_encoder").items() if not name.startswith(("visual", "lm_head"))}
    monkeypatch.setattr("qil_core.checkpoints.recognize.WIDTH", 32)
    path = saved(tmp_path / "text.safetensors", blind)
    ours, whole = load(replace(files, text_encoder=path), torch.float32), load(files, torch.float32)
    assert not ours.can_caption
    assert ours.notes == ("The text encoder's file lacks the vision part and lm_head: no automatic captions.",)
    ids = torch.arange(6, 40)[None]
    with torch.inference_mode():
        found, expected = (m.text_encoder(ids, output_hidden_states=True) for m in (ours, whole))
    assert torch.equal(found.hidden_states[-1], expected.hidden_states[-1])


def test_llama_cpps_names_are_known(tiny: Path) -> None:
    text = {name: tensor for name, tensor in state(tiny, "text_encoder").items() if not name.startswith("visual")}
    wanted = [RENAMED["transformers"](name) for name in text]
    stored = {llama_name(name): Weight(tuple(t.shape), "F32", lambda t=t: Stored((t,))) for name, t in text.items()}
    assert {"blk.1.attn_q.bias", "blk.0.ffn_gate.weight", "blk.0.ffn_norm.weight", "output.weight"} < stored.keys()
    found = values(text_encoder_names(stored, wanted))
    assert_same(found, {RENAMED["transformers"](name): tensor for name, tensor in text.items()})


def test_a_tokenizer_of_loose_files_like_comfyuis_works(tiny: Path, tmp_path: Path) -> None:
    whole = parts.load_tokenizer(tiny / "tokenizer")
    stored = json.loads((tiny / "tokenizer" / "tokenizer.json").read_text(encoding="utf-8"))
    (tmp_path / "vocab.json").write_text(json.dumps(stored["model"]["vocab"]), encoding="utf-8")
    merges = [" ".join(pair) if isinstance(pair, list) else pair for pair in stored["model"]["merges"]]
    (tmp_path / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]), encoding="utf-8")
    added = {str(token["id"]): {k: v for k, v in token.items() if k != "id"} for token in stored["added_tokens"]}
    settings = {"added_tokens_decoder": added, "tokenizer_class": "Qwen2Tokenizer", "pad_token": "<|endoftext|>"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    text = "<|im_start|>user\nDescribe the color, 42 shapes.<|im_end|>"
    assert parts.load_tokenizer(tmp_path)(text).input_ids == whole(text).input_ids


def test_a_folder_that_brings_its_own_program_never_has_it_run(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, mark = tmp_path / "tokenizer", tmp_path / "it_ran"
    shutil.copytree(tiny / "tokenizer", folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    settings |= {"tokenizer_class": "Evil", "auto_map": {"AutoTokenizer": ["evil.Evil", "evil.Evil"]}}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    (folder / "evil.py").write_text(f"open({str(mark)!r}, 'w').close()\nclass Evil: pass\n", encoding="utf-8")
    monkeypatch.setattr("builtins.input", lambda *question: "y")  # transformers asks where nothing was decided
    with contextlib.suppress(QilError):
        parts.load_tokenizer(folder)
    assert not mark.exists()


# LoRAs


@pytest.mark.parametrize("naming", NAMINGS)
@pytest.mark.parametrize("alpha", [None, 2.0])
def test_a_lora_of_any_naming_is_merged(tiny: Path, tmp_path: Path, naming: str, alpha: float | None) -> None:
    before = open_readers(tiny / "transformer")
    path = lora_file(tmp_path / "lora.safetensors", NAMINGS[naming], alpha=alpha)
    after = with_loras(before, [(path, 0.5)])
    up, down = lora_pair()
    expected = values(before)
    expected[f"{QUERY}.weight"] = expected[f"{QUERY}.weight"] + 0.5 * ((up @ down) * ((alpha or 4) / 4))
    assert_same(values(after), expected)
    assert open_lora(path, before).note == "LoRA lora.safetensors changes 1 weights."


def test_loras_add_up_in_full_precision_before_they_are_rounded_once(tiny: Path, tmp_path: Path) -> None:
    half = {name: tensor.bfloat16() for name, tensor in state(tiny, "transformer").items()}
    before = open_readers(saved(tmp_path / "bf16.safetensors", half))
    paths = [lora_file(tmp_path / f"{i}.safetensors", NAMINGS["bare"], seed=i) for i in range(3)]
    after = with_loras(before, [(path, 0.1) for path in paths])[f"{QUERY}.weight"]()
    exact = half[f"{QUERY}.weight"].float() + sum(0.1 * (up @ down) for up, down in map(lora_pair, range(3)))
    assert after.dtype == torch.bfloat16
    assert torch.equal(after, exact.bfloat16())


def test_a_lora_on_modulation_reaches_the_reader_of_the_tables(tiny: Path, files: Files, tmp_path: Path) -> None:
    name = "transformer_blocks.0.img_mod.1"
    pair = {f"{name}.lora_B.weight": torch.ones(192, 1), f"{name}.lora_A.weight": torch.ones(1, 32)}
    path = saved(tmp_path / "mod.safetensors", pair | {"text_encoder.q.lora_A.weight": torch.ones(1, 1)})
    loaded = load(replace(files, loras=((path, 2.0),)), torch.float32)
    weight = loaded.modulation.layers[0]["img_mod"][1].weight
    assert torch.equal(weight, state(tiny, "transformer")[f"{name}.weight"] + 2)
    assert loaded.notes == (
        "LoRA mod.safetensors changes 1 weights; 1 of its keys have no place here, such as "
        "text_encoder.q.lora_A.weight.",
    )


def test_a_lora_that_diffusers_wrote_is_merged_as_diffusers_does(tiny: Path, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    from diffusers import QwenImageTransformer2DModel

    theirs = QwenImageTransformer2DModel.from_pretrained(tiny / "transformer")
    settings = {"lora_alpha": 12, "target_modules": ["to_q", "to_add_out"], "init_lora_weights": False}
    theirs.add_adapter(peft.LoraConfig(r=4, **settings))
    theirs.save_lora_adapter(tmp_path)
    theirs.fuse_lora()
    theirs.unload_lora()
    ours = with_loras(open_readers(tiny / "transformer"), [(next(tmp_path.glob("*.safetensors")), 1.0)])
    for name, tensor in theirs.state_dict().items():
        torch.testing.assert_close(ours[name](), tensor, rtol=1e-5, atol=1e-6)
