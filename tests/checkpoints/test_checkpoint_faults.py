"""Every file that is broken or belongs elsewhere gives a message that names it."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from checkpoint_forms import QUERY, State, saved, scaled_fp8, state, to_wan, values, write_gguf

from qil_core.checkpoints.folders import Files
from qil_core.checkpoints.lora import with_loras
from qil_core.checkpoints.readers import open_readers
from qil_core.checkpoints.recognize import Kind, expect, recognize
from qil_core.errors import QilError
from qil_core.model.parts import load

# Wrong and broken files


def plain_qwen(tensors: State) -> State:
    return {name: tensor for name, tensor in tensors.items() if "addition_t" not in name}


def rgb_vae(tensors: State) -> State:
    three = dict(tensors)
    three["encoder.conv_in.weight"] = three["encoder.conv_in.weight"][:, :3]
    three["decoder.conv_out.weight"] = three["decoder.conv_out.weight"][:3]
    return three


ONE = torch.ones(2, 2)
OTHERS: dict[str, State] = {
    "a Flux transformer": {"model.diffusion_model.double_blocks.0.img_attn.qkv.weight": ONE},
    "a Wan transformer": {"blocks.0.cross_attn.q.weight": ONE},
    "a Stable Diffusion or SDXL model": {"model.diffusion_model.input_blocks.0.0.weight": ONE},
    "a ControlNet": {"controlnet_blocks.0.weight": ONE},
    "the vision part (mmproj) of a GGUF text encoder": {"v.blk.0.attn_q.weight": ONE},
    "another text encoder": {"model.layers.0.self_attn.q_proj.weight": ONE},
    "a LoRA": {f"{QUERY}.lora_A.weight": ONE},
    "another model's VAE": {"first_stage_model.encoder.conv_in.weight": torch.ones(8, 3, 3, 3)},
    "of a kind that is not known here (it has weights such as some.weight)": {"some.weight": ONE},
    "of a kind that is not known here (it has weights such as none)": {},
}


@pytest.mark.parametrize("what", OTHERS)
def test_another_models_file_is_named_for_what_it_is(tmp_path: Path, what: str) -> None:
    path = saved(tmp_path / "other.safetensors", OTHERS[what])
    with pytest.raises(QilError) as raised:
        expect(open_readers(path), Kind.LAYERED_TRANSFORMER, path)
    assert str(raised.value) == (
        f"{path} is {what}; expected a Qwen-Image-Layered transformer, "
        "such as qwen_image_layered_bf16.safetensors, in models/diffusion_models."
    )


def test_files_in_each_others_places_are_named(tiny: Path, files: Files, tmp_path: Path) -> None:
    plain = saved(tmp_path / "plain.safetensors", plain_qwen(state(tiny, "transformer")))
    three = rgb_vae(state(tiny, "vae"))
    swaps = {
        "a plain Qwen-Image or Qwen-Image-Edit transformer; expected a Qwen": {"transformer": plain},
        "a Qwen2.5-VL text encoder; expected a Qwen-Image-Layered tr": {"transformer": files.text_encoder},
        "a Qwen-Image-Layered transformer; expected a Qwen-Image-Layered VAE": {"vae": files.transformer},
        "3 channels, no alpha); expected": {"vae": saved(tmp_path / "three.safetensors", three)},
        "3 channels, no alpha); expected a": {"vae": saved(tmp_path / "wan.safetensors", to_wan(three))},
        "a Qwen-Image-Layered VAE (4 channels); expected a Qwen2.5-VL": {"text_encoder": files.vae},
        "a Qwen-Image-Layered VAE (4 channels); expected a LoRA": {"loras": ((files.vae, 1.0),)},
    }
    for message, changed in swaps.items():
        with pytest.raises(QilError, match=re.escape(message)):
            load(replace(files, **changed), torch.float32)  # type: ignore[arg-type]


def test_weights_of_other_sizes_or_kinds_are_listed(tiny: Path, files: Files, tmp_path: Path) -> None:
    odd = {"img_in.bias": torch.ones(7), "txt_in.bias": torch.ones(32, dtype=torch.int8)}
    path = saved(tmp_path / "odd.safetensors", state(tiny, "transformer") | odd)
    with pytest.raises(QilError, match=r"img_in.bias is F32 \[7\], expected numbers of \[32\]; txt_in.bias is I8 "):
        load(replace(files, transformer=path), torch.float32)


LORAS: dict[str, State] = {
    "fits no weight of this model. Its keys are such as blocks.0.x.lora_A.weight": {"blocks.0.x.lora_A.weight": ONE},
    "is a LoKr": {f"{QUERY}.lokr_w1": ONE},
    "is a LoHa": {f"{QUERY}.hada_w1_a": ONE},
    "is a DoRA": {f"{QUERY}.lora_A.weight": ONE, f"{QUERY}.dora_scale": ONE},
    "is incomplete: for": {f"{QUERY}.lora_A.weight": ONE},
    "was made for another model": {f"{QUERY}.lora_A.weight": ONE, f"{QUERY}.lora_B.weight": ONE},
    "changes transformer_blocks.1.attn.to_q.weight twice": {
        f"{QUERY}.lora_A.weight": ONE,
        f"diffusion_model.{QUERY}.lora_down.weight": ONE,
    },
}


@pytest.mark.parametrize("message", LORAS)
def test_a_lora_that_cannot_be_merged_is_refused(tiny: Path, tmp_path: Path, message: str) -> None:
    path = saved(tmp_path / "lora.safetensors", LORAS[message])
    with pytest.raises(QilError, match=re.escape(message)):
        with_loras(open_readers(tiny / "transformer"), [(path, 1.0)])


BROKEN: dict[str, tuple[str, bytes]] = {
    "is empty (0 bytes)": ("a.safetensors", b""),
    "is no safetensors file": ("a.safetensors", b"nonsense" * 100),
    "is cut off: its header alone has 5000 bytes, the file has 28": (
        "a.safetensors", (5000).to_bytes(8, "little") + b"{" + b" " * 19,
    ),
    "is no safetensors file: it does not start": ("a.safetensors", (10**15).to_bytes(8, "little") + b"{" * 50),
    "is incomplete or damaged": ("a.safetensors", (50).to_bytes(8, "little") + b"{" * 50),
    "is a pickle": ("a.pth", b"PK\x03\x04" + b"\0" * 50),
    "in safetensors or GGUF form: it is a PyTorch pickle": ("a.safetensors", b"PK\x03\x04" + b"\0" * 50),
    "it is a web page": ("a.safetensors", b"<!DOCTYPE html><html>"),
    "it is a Git LFS pointer": ("a.safetensors", b"version https://git-lfs.github.com/spec/v1\noid sha256:0"),
    "is a GGUF file: its name": ("a.safetensors", b"GGUF\3\0\0\0" + b"\0" * 16),
    "neither GGUF nor named .safetensors": ("a.gguf", b"nonsense" * 100),
    "is incomplete or damaged (it ends": ("a.gguf", b"GGUF\3\0\0\0" + b"\1" + b"\0" * 15 + b"\xff" * 50),
}  # fmt: skip


@pytest.mark.parametrize("message", BROKEN)
def test_a_broken_file_is_named_with_what_is_wrong(tmp_path: Path, message: str) -> None:
    name, content = BROKEN[message]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(QilError, match=re.escape(message)) as raised:
        open_readers(tmp_path / name)
    assert str(tmp_path / name) in str(raised.value)


def test_missing_files_and_folders_of_pickles_are_named(tmp_path: Path) -> None:
    with pytest.raises(QilError, match="does not exist"):
        open_readers(tmp_path / "nothing.safetensors")
    (tmp_path / "model.bin").write_bytes(b"x")
    with pytest.raises(QilError, match=r"no \.safetensors file, only pickles, which are never loaded"):
        open_readers(tmp_path)
    with pytest.raises(QilError, match="it has no transformer, text_encoder, vae, tokenizer folder"):
        Files.of_folder(tmp_path)
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../secret.safetensors"}}')
    with pytest.raises(QilError, match="which is not in its folder"):
        open_readers(tmp_path)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"a.weight": ONE, "a.weight_scale_2": ONE}, "quantised as NVFP4 of another layout.*node Native Layered Model"),
        ({"a.weight": ONE.to(torch.int8), "a.weight_scale": ONE[0]}, r"weight a\.weight is I8 \[2, 2\] with a scale"),
        ({"a.weight": ONE.to(torch.float8_e4m3fn), "a.weight_scale": ONE}, r"with a scale F32 \[2, 2\]; only fp8"),
        ({"a.qweight": ONE.to(torch.int32), "a.scales": ONE}, r"quantised as 4-bit integers \(AWQ or GPTQ\), which"),
        ({"b.weight_scale": ONE}, r"a scale without its weight b\.weight"),
    ],
)
def test_other_quantisations_are_refused(tmp_path: Path, extra: State, message: str) -> None:
    with pytest.raises(QilError, match=message):
        open_readers(saved(tmp_path / "a.safetensors", extra))


def as_nunchaku_lite(tensors: State, target: str) -> State:
    """One layer as diffusers' SVDQW4A4Linear stores it (quantizers/nunchaku/utils.py): rank 32, groups of 64."""
    rows, columns = tensors.pop(f"{target}.weight").shape
    return tensors | {
        f"{target}.qweight": torch.zeros(rows, columns // 2, dtype=torch.int8),
        f"{target}.wscales": torch.ones(max(1, columns // 64), rows),
        f"{target}.smooth_factor": torch.ones(columns),
        f"{target}.proj_down": torch.zeros(columns, 32),
        f"{target}.proj_up": torch.zeros(rows, 32),
    }


@pytest.mark.parametrize("form", ["folder", "file"])
def test_svdquant_is_refused_and_the_message_says_what_it_needs_and_what_to_use(
    tiny: Path, files: Files, tmp_path: Path, form: str
) -> None:
    from diffusers import NunchakuLiteQuantizationConfig

    tensors = as_nunchaku_lite(state(tiny, "transformer"), QUERY)
    asked = {"precision": "int4", "group_size": 64, "rank": 32, "targets": [QUERY]}
    method = NunchakuLiteQuantizationConfig(compute_dtype="bfloat16", svdq_w4a4=asked).quant_method
    path = tmp_path / "transformer"
    if form == "folder":
        shutil.copytree(tiny / "transformer", path)
        config = json.loads((path / "config.json").read_text())
        config["quantization_config"] = {"quant_method": method, "compute_dtype": "bfloat16", "svdq_w4a4": asked}
        (path / "config.json").write_text(json.dumps(config))
        saved(path / "diffusion_pytorch_model.safetensors", tensors)
    else:
        path = saved(tmp_path / "svdq-int4_r32-qwen-image-layered.safetensors", tensors)
    with pytest.raises(QilError) as raised:
        load(replace(files, transformer=path), torch.float32)
    assert str(raised.value) == (
        f"{path} is quantised as SVDQuant for Nunchaku (4 bits, computed by CUDA kernels alone that are downloaded as "
        "programs), which cannot be read here. Use bf16, fp8 or GGUF; or load it with ComfyUI's own nodes, where those "
        "can, and give their model to the node Native Layered Model."
    )


@pytest.mark.parametrize("part", ["transformer", "vae"])
def test_a_folder_that_asks_for_a_quantisers_programs_is_refused_by_that_name(
    tiny: Path, tmp_path: Path, part: str
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny, folder)
    config = json.loads((folder / part / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "torchao", "quant_type": {"default": {"_type": "Int8"}}}
    (folder / part / "config.json").write_text(json.dumps(config))
    with pytest.raises(QilError, match=f"{part}.* is quantised as torchao, which cannot be read here. Use bf16, fp8"):
        load(Files.of_folder(folder), torch.float32)


def open_and_read(path: Path) -> None:
    """Opening and reading everything may end in a QilError that names the file; in no other error."""
    message = str(path)
    try:
        opened = open_readers(path)
        recognize(opened)
        values(opened)
    except QilError as error:
        message = str(error)
    assert str(path) in message


def mutants(whole: bytes, header: int, count: int) -> list[bytes]:
    chance = random.Random(0)
    made = [whole[: chance.randrange(len(whole))] for _ in range(count // 4)]
    for _ in range(count - len(made)):
        broken = bytearray(whole)
        for _ in range(chance.choice([1, 1, 2, 8])):
            broken[chance.randrange(header)] = chance.choice([chance.randrange(256), *b'"{}[]:,-09Fe'])
        made.append(bytes(broken))
    return made


def test_200_broken_safetensors_headers_give_a_message_or_a_valid_mapping(tiny: Path, tmp_path: Path) -> None:
    stored, _ = scaled_fp8(dict(list(state(tiny, "transformer").items())[:12]), "scale_weight", False)
    whole = saved(tmp_path / "whole.safetensors", stored, format="pt").read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    for i, content in enumerate(mutants(whole, header, 200)):
        path = tmp_path / f"{i}.safetensors"
        path.write_bytes(content)
        open_and_read(path)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # flipped bits may make it infinite
def test_200_broken_gguf_headers_give_a_message_or_a_valid_mapping(tiny: Path, tmp_path: Path) -> None:
    some = dict(list(state(tiny, "transformer").items())[:12])
    whole = write_gguf(tmp_path / "whole.gguf", some).read_bytes()
    for i, content in enumerate(mutants(whole, 900, 200)):
        path = tmp_path / f"{i}.gguf"
        path.write_bytes(content)
        open_and_read(path)


@pytest.mark.skipif(sys.platform == "win32", reason="a file of zeros would fill the disk")
def test_a_file_larger_than_memory_opens(tmp_path: Path) -> None:
    size = 4 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    entry = {"dtype": "BF16", "shape": [size // 2], "data_offsets": [0, size]}
    header = json.dumps({"large": entry}).encode()
    path = tmp_path / "large.safetensors"
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        try:
            file.truncate(8 + len(header) + size)
        except OSError:
            pytest.skip("this file system has no sparse files of this size")
    assert open_readers(path)["large"]()[-1] == 0
    path.unlink()
