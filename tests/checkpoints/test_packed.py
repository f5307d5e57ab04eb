"""Quantised weights stay packed: what they become, how many bytes they take, and that layers compute with them."""

from __future__ import annotations

import json
import mmap
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoint_forms import (
    QUERY,
    State,
    llama_name,
    lora_file,
    lora_pair,
    saved,
    scaled_fp8,
    state,
    unpacked,
    write_gguf,
)
from torch import Tensor, nn

from qil_core.checkpoints.folders import Files
from qil_core.checkpoints.lora import with_loras
from qil_core.checkpoints.packed import hadamard
from qil_core.checkpoints.readers import open_readers
from qil_core.checkpoints.stored import Weight
from qil_core.errors import QilError
from qil_core.model.modulation import is_modulation
from qil_core.model.parts import load
from qil_core.model.storage import StoredEmbedding, StoredLinear
from qil_core.model.streaming import weights

ROWS, COLUMNS = 96, 256


@pytest.fixture
def weight() -> Tensor:
    return torch.randn(ROWS, COLUMNS, generator=torch.Generator().manual_seed(0))


# The formats of ComfyUI's files, written here by their definitions


def settings(**entries: Any) -> Tensor:
    return torch.tensor(list(json.dumps(entries).encode()), dtype=torch.uint8)


def int8(weight: Tensor, per_row: bool) -> State:
    scale = weight.abs().amax(1, keepdim=True) / 127 if per_row else weight.abs().amax() / 127
    return {"a.weight": (weight / scale).round().to(torch.int8), "a.weight_scale": scale}


def tiled(scales: Tensor) -> Tensor:
    """Scales (rows, columns) where cuBLAS looks for them, one by one: its manual, "1D block scaling factors layout"."""
    rows, columns = -(-scales.shape[0] // 128), -(-scales.shape[1] // 4)
    flat = torch.zeros(rows * columns * 512, dtype=scales.dtype)
    for row in range(scales.shape[0]):
        for column in range(scales.shape[1]):
            tile = (row // 128) * columns + column // 4
            flat[tile * 512 + (row % 32) * 16 + (row % 128) // 32 * 4 + column % 4] = scales[row, column]
    return flat.view(rows * 128, columns * 4)


def mxfp8(weight: Tensor) -> tuple[State, Tensor]:
    groups = weight.view(ROWS, -1, 32)
    exponents = (groups.abs().amax(2).log2().floor() - 8).int()
    codes = (groups / torch.exp2(exponents.float())[..., None]).clamp(-448, 448).to(torch.float8_e4m3fn)
    back = (codes.float() * torch.exp2(exponents.float())[..., None]).view(ROWS, COLUMNS)
    file = {"a.weight": codes.view(ROWS, COLUMNS), "a.weight_scale": tiled((exponents + 127).to(torch.uint8))}
    return file | {"a.comfy_quant": settings(format="mxfp8")}, back


def nvfp4(weight: Tensor) -> tuple[State, Tensor]:
    values = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6])
    whole = weight.abs().amax() / (448 * 6)
    groups = weight.view(ROWS, -1, 16)
    scales = (groups.abs().amax(2) / 6 / whole).to(torch.float8_e4m3fn)
    steps = (scales.float() * whole)[..., None]
    nearest = ((groups / steps).abs()[..., None] - values).abs().argmin(3)
    back = (values[nearest] * groups.sign() * steps).view(ROWS, COLUMNS)
    codes = (nearest + 8 * (groups < 0)).view(ROWS, -1).to(torch.uint8)
    file = {"a.weight": codes[:, ::2] << 4 | codes[:, 1::2], "a.weight_scale": tiled(scales.view(torch.uint8))}
    file |= {"a.weight_scale_2": whole, "a.comfy_quant": settings(format="nvfp4")}
    return file, back


def opened(path: Path, tensors: State, **metadata: str) -> Weight:
    return open_readers(saved(path / "a.safetensors", tensors, **metadata))["a.weight"]


@pytest.mark.parametrize("per_row", [False, True])
@pytest.mark.parametrize("in_header", [False, True])
def test_int8_is_multiplied_out(weight: Tensor, tmp_path: Path, per_row: bool, in_header: bool) -> None:
    file = int8(weight, per_row)
    want = (file["a.weight"].float() * file["a.weight_scale"]).bfloat16()
    about = {"format": "int8_tensorwise"}
    if in_header:
        text = json.dumps({"layers": {"model.diffusion_model.a": about}})
        named = {f"model.diffusion_model.{name}": tensor for name, tensor in file.items()}
        found = opened(tmp_path, named, _quantization_metadata=text)
    else:
        found = opened(tmp_path, file | {"a.comfy_quant": settings(**about)})
    assert torch.equal(found(), want)
    assert found.dtype == "INT8"


@pytest.mark.parametrize("size", [16, 64, 256])
@pytest.mark.parametrize("inside", [False, True])
def test_a_weight_that_convrot_turned_is_turned_back(weight: Tensor, tmp_path: Path, size: int, inside: bool) -> None:
    turned = (weight.view(ROWS, -1, size) @ hadamard(size)).view(ROWS, COLUMNS)
    named: dict[str, Any] = {"convrot": True} | ({"convrot_groupsize": size} if size != 256 else {})
    about = {"format": "int8_tensorwise"} | ({"params": named} if inside else named)
    found = opened(tmp_path, int8(turned, per_row=True) | {"a.comfy_quant": settings(**about)})()
    assert (found.float() - weight).norm() / weight.norm() < 0.01


@pytest.mark.parametrize("size", [4, 16, 64, 256])
def test_the_hadamard_matrix_undoes_itself_and_has_one_row_sum(size: int) -> None:
    found = hadamard(size)
    assert torch.allclose(found @ found, torch.eye(size), atol=1e-6)
    assert torch.equal(found, found.T)
    assert found.sum(1).unique().numel() == 1, "a regular one"


@pytest.mark.parametrize("form", [mxfp8, nvfp4])
def test_blocks_with_a_scale_each_are_multiplied_out(
    weight: Tensor, tmp_path: Path, form: Callable[[Tensor], tuple[State, Tensor]]
) -> None:
    file, want = form(weight)
    found = opened(tmp_path, file)
    assert found.shape == (ROWS, COLUMNS)
    assert torch.equal(found(), want.bfloat16())
    assert (found().float() - weight).norm() / weight.norm() < 0.1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"a.comfy_quant": settings(format="convrot_w4a4")}, "as convrot_w4a4, which cannot.*Native Layered Model"),
        ({"a.comfy_quant": settings(format="mxfp8")}, r"the parts of weight a\.weight do not fit mxfp8"),
        ({"a.comfy_quant": torch.tensor([123, 1], dtype=torch.uint8)}, "does not say how it is quantised"),
        ({"a.qweight": torch.ones(2)}, "AWQ or GPTQ.*Native Layered Model"),
    ],
)
def test_formats_that_are_not_documented_name_the_node_that_may_help(
    weight: Tensor, tmp_path: Path, change: State, message: str
) -> None:
    with pytest.raises(QilError, match=message):
        opened(tmp_path, int8(weight, per_row=True) | change)


# Whole files


def scaled(tiny: Path, tmp_path: Path) -> Path:
    return saved(tmp_path / "fp8.safetensors", scaled_fp8(state(tiny, "transformer"), "scale_weight", False)[0])


def plain(tiny: Path, tmp_path: Path) -> Path:
    fp8 = {n: t.to(torch.float8_e4m3fn) if t.ndim == 2 else t for n, t in state(tiny, "transformer").items()}
    return saved(tmp_path / "plain.safetensors", fp8)


def gguf(tiny: Path, tmp_path: Path) -> Path:
    return write_gguf(tmp_path / "q8.gguf", state(tiny, "transformer"))


def half(tiny: Path, tmp_path: Path) -> Path:
    return saved(tmp_path / "half.safetensors", {n: t.half() for n, t in state(tiny, "transformer").items()})


FORMS = {form.__name__: form for form in (scaled, plain, gguf, half)}


@pytest.mark.parametrize("form", FORMS)
def test_layers_of_a_quantised_file_compute_what_its_unpacked_weights_do(
    tiny: Path, files: Files, tmp_path: Path, form: str
) -> None:
    """To the bit: the very weights that a plain file would have had, aligned in memory as what is unpacked."""
    path = FORMS[form](tiny, tmp_path)
    values = {name: weight().float() for name, weight in open_readers(path).items()}
    whole = load(replace(files, transformer=saved(tmp_path / "whole.safetensors", values)), torch.float32)
    for tensor in weights(nn.ModuleList([whole.transformer, *whole.modulation.layers])):
        tensor.data = tensor.data.clone()
    ours = load(replace(files, transformer=path), torch.float32)
    for name, tensor in unpacked(ours.transformer).items():
        assert torch.equal(tensor.float(), values[name]), name
    x = torch.randn(7, 64, generator=torch.Generator().manual_seed(0))
    assert isinstance(ours.transformer.img_in, StoredLinear)
    assert torch.equal(ours.transformer.img_in(x), whole.transformer.img_in(x))
    temb = torch.randn(1, 32, generator=torch.Generator().manual_seed(1))
    layer = ours.modulation.layers[1]["img_mod"]
    assert isinstance(layer[1], StoredLinear)
    assert torch.equal(layer(temb), whole.modulation.layers[1]["img_mod"](temb))


@pytest.mark.parametrize("form", ["scaled", "plain", "gguf"])
def test_a_quantised_transformer_takes_hardly_more_memory_than_its_file(
    tiny: Path, files: Files, tmp_path: Path, form: str
) -> None:
    path = FORMS[form](tiny, tmp_path)
    loaded = load(replace(files, transformer=path), torch.bfloat16)
    modules = [loaded.transformer, *loaded.modulation.layers]
    taken = sum(tensor.nbytes for module in modules for tensor in weights(module))
    assert taken <= 1.15 * path.stat().st_size


def test_codes_stay_in_the_mapped_file(
    tiny: Path, files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    maps: list[tuple[int, int]] = []
    real = mmap.mmap

    def mapping(*given: Any, **named: Any) -> mmap.mmap:
        made = real(*given, **named)
        start = torch.frombuffer(made, dtype=torch.uint8).data_ptr()
        maps.append((start, start + len(made)))
        return made

    monkeypatch.setattr("qil_core.checkpoints.stored.mmap.mmap", mapping)
    loaded = load(replace(files, transformer=gguf(tiny, tmp_path)), torch.bfloat16)
    layers = [module for module in loaded.transformer.modules() if isinstance(module, StoredLinear)]
    assert len(layers) > 20
    for layer in layers:
        address = layer.stored.tensors[0].data_ptr()
        assert any(start <= address < end for start, end in maps)


def test_a_lora_on_a_quantised_weight_leaves_it_quantised(tiny: Path, tmp_path: Path) -> None:
    readers = open_readers(gguf(tiny, tmp_path))
    lora = lora_file(tmp_path / "lora.safetensors", f"{QUERY}.lora_B.weight")
    found = with_loras(readers, [(lora, 0.5)])[f"{QUERY}.weight"]
    up, down = lora_pair()
    assert torch.equal(found(), readers[f"{QUERY}.weight"]() + 0.5 * (up @ down))
    codes, *halves = found.stored().tensors
    assert codes.nbytes == readers[f"{QUERY}.weight"].stored().tensors[0].nbytes
    assert [tensor.nbytes for tensor in halves] == [up.nbytes, down.nbytes]
    layer = StoredLinear(found.stored(), None, (32, 32))
    x = torch.randn(3, 32)
    assert torch.equal(layer(x), torch.nn.functional.linear(x, found()))


@pytest.mark.parametrize("form", ["gguf", "fp8", "half"])
def test_a_quantised_table_of_words_unpacks_the_rows_that_are_asked_for(tmp_path: Path, form: str) -> None:
    table = torch.randn(50, 64, generator=torch.Generator().manual_seed(0))
    kinds = {"fp8": torch.float8_e4m3fn, "half": torch.float16}
    if form == "gguf":
        path = write_gguf(tmp_path / "a.gguf", {"a.weight": table})
    else:
        path = saved(tmp_path / "a.safetensors", {"a.weight": table.to(kinds[form])})
    stored = open_readers(path)["a.weight"]
    layer = StoredEmbedding(stored.stored(), torch.float32)
    ids = torch.tensor([[3, 3, 49], [0, 1, 2]])
    assert torch.equal(layer(ids), stored()[ids].float())
    assert layer.stored.tensors[0].nbytes < (2.1 if form == "half" else 1.1) * table.numel()


def test_types_of_gguf_that_are_not_unpacked_here_are_named(tmp_path: Path) -> None:
    import gguf as package
    import numpy as np

    writer = package.GGUFWriter(tmp_path / "a.gguf", "qwen_image")
    kind = package.GGMLQuantizationType.IQ2_XS
    bytes_a_block = package.GGML_QUANT_SIZES[kind][1]
    writer.add_tensor("a.weight", np.zeros((4, bytes_a_block), np.uint8), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(QilError, match=re.escape("a.gguf: weight a.weight is quantised as IQ2_XS, which cannot")):
        open_readers(tmp_path / "a.gguf")


def test_nothing_of_modulation_is_lost_when_a_file_is_quantised(tiny: Path, files: Files, tmp_path: Path) -> None:
    loaded = load(replace(files, transformer=gguf(tiny, tmp_path)), torch.bfloat16)
    names = [name for name in state(tiny, "transformer") if is_modulation(name)]
    assert len(names) == 2 * 2 * len(loaded.modulation.layers)


# The text encoder's vision part in a file of its own


def vision_file(path: Path, tensors: State, fused: bool) -> Path:
    """An mmproj file as llama.cpp's converter writes it; fused: queries, keys and values as one."""
    found: State = {}
    for name, tensor in tensors.items():
        if name == "visual.patch_embed.proj.weight":
            found |= {"v.patch_embd.weight": tensor[:, :, 0], "v.patch_embd.weight.1": tensor[:, :, 1]}
            continue
        table = {
            "visual.merger.ln_q": "v.post_ln", "visual.merger.mlp": "mm", "visual.blocks": "v.blk", "norm": "ln",
            "attn.proj": "attn_out", "attn.qkv": "attn_qkv", "mlp.": "ffn_", "_proj": "",
        }  # fmt: skip
        for old, new in table.items():
            name = name.replace(old, new)
        if "attn_qkv" in name and not fused:
            found |= {name.replace("qkv", part): piece for part, piece in zip("qkv", tensor.chunk(3), strict=True)}
        else:
            found[name] = tensor
    return write_gguf(path, found, "F16")


@pytest.mark.parametrize("fused", [False, True])
def test_a_gguf_text_encoder_sees_with_the_mmproj_file_beside_it(
    tiny: Path, files: Files, tmp_path: Path, fused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qil_core.checkpoints.recognize.WIDTH", 32)
    tensors = state(tiny, "text_encoder")
    seeing = {name: tensor.half().float() for name, tensor in tensors.items() if name.startswith("visual")}
    blind = {llama_name(name): tensor for name, tensor in tensors.items() if name not in seeing}
    alone = replace(files, text_encoder=write_gguf(tmp_path / "qwen2.5-vl-Q8_0.gguf", blind))
    (note,) = load(alone, torch.float32).notes
    assert note == (
        "The text encoder's file lacks the vision part: no automatic captions. "
        "Its mmproj file (.gguf) is used when it lies beside it."
    )
    vision_file(tmp_path / "a-mmproj-of-another.gguf", {n: t for n, t in seeing.items() if "ln_q" not in n}, fused)
    vision_file(tmp_path / "qwen2.5-vl-mmproj-F16.gguf", seeing, fused)
    ours = load(alone, torch.float32)
    assert ours.can_caption
    assert ours.notes == ()
    found = {name: tensor.float() for name, tensor in unpacked(ours.text_encoder.model.visual).items()}
    assert found.keys() == {name.removeprefix("visual.") for name in seeing}
    for name, tensor in seeing.items():
        assert torch.equal(found[name.removeprefix("visual.")], tensor), name


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_0", "F16"])
@pytest.mark.parametrize("rows", [1, 3, 1000])
def test_unpacking_in_pieces_gives_what_unpacking_at_once_gives(tmp_path: Path, kind: str, rows: int) -> None:
    table = torch.randn(rows, 96, generator=torch.Generator().manual_seed(0))
    stored = open_readers(write_gguf(tmp_path / "a.gguf", {"a.weight": table}, kind))["a.weight"].stored()
    for dtype in (torch.bfloat16, torch.float32):
        assert stored.to(dtype).dtype == dtype
        assert torch.equal(stored.to(dtype), stored.value.to(dtype))


@pytest.mark.parametrize("form", FORMS)
def test_packed_layers_can_be_compiled_whole(tiny: Path, tmp_path: Path, form: str) -> None:
    """Traced on the meta device, which takes the way of a GPU; a graph break would be an error."""
    stored = open_readers(FORMS[form](tiny, tmp_path))["img_in.weight"].stored()
    layer = StoredLinear(stored, None, (32, 64)).to("meta")
    compiled = torch.compile(layer, backend="eager", fullgraph=True)
    with torch.inference_mode():
        assert compiled(torch.randn(3, 64, device="meta")).shape == (3, 32)
    torch._dynamo.reset()
