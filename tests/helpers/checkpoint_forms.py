"""The tiny checkpoint's weights written in the forms that other tools give them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from qil_core.checkpoints.folders import SHIPPED, Files
from qil_core.checkpoints.stored import Readers
from qil_core.model.storage import StoredEmbedding, StoredLinear

State = dict[str, Tensor]
WEIGHTS = {
    "transformer": "diffusion_pytorch_model.safetensors",
    "vae": "diffusion_pytorch_model.safetensors",
    "text_encoder": "model.safetensors",
}
QUERY = "transformer_blocks.1.attn.to_q"


def single_files(tiny: Path, configs: Path) -> Files:
    """The tiny checkpoint's files as single ones, and its configurations where the published ones lie for true ones."""
    for name in WEIGHTS:
        shutil.copy(tiny / name / "config.json", configs / f"{name}.json")
    shutil.copy(tiny / "scheduler" / "scheduler_config.json", configs / "scheduler.json")
    shutil.copy(SHIPPED / "image_processor.json", configs)
    shutil.copy(SHIPPED / "generation.json", configs)
    single = {name: tiny / name / file for name, file in WEIGHTS.items()}
    return Files(**single, tokenizer=tiny / "tokenizer", configs=configs)


def state(tiny: Path, part: str) -> State:
    return load_file(tiny / part / WEIGHTS[part])


def values(opened: Readers) -> State:
    return {name: weight() for name, weight in opened.items()}


def unpacked(module: torch.nn.Module) -> State:
    """A module's state dict with the weights of layers that keep them packed as numbers under their usual names."""
    found = {name: tensor for name, tensor in module.state_dict().items() if ".stored" not in name}
    for name, child in module.named_modules():
        if isinstance(child, (StoredLinear, StoredEmbedding)):
            found[f"{name}.weight"] = child.weight
    return found


def assert_same(found: State, expected: State) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype, name
        assert torch.equal(found[name], tensor), name


def saved(path: Path, tensors: State, **metadata: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    copies = {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()}
    save_file(copies, path, metadata or None)
    return path


def quantised(weight: Tensor, scale: Tensor) -> Tensor:
    return (weight / scale).to(torch.float8_e4m3fn)


def scaled_fp8(tensors: State, spelling: str, per_row: bool) -> tuple[State, State]:
    """What a scaled fp8 file holds, and what has to come out of it."""
    stored: State = {}
    expected = {name: tensor.bfloat16() for name, tensor in tensors.items()}
    for name, tensor in tensors.items():
        if tensor.ndim != 2 or not name.endswith(".weight"):
            stored[name] = tensor.bfloat16()
            continue
        largest = tensor.abs().amax(1, keepdim=True) if per_row else tensor.abs().amax()
        scale = largest / 448
        stored[name] = quantised(tensor, scale)
        stored[name.removesuffix("weight") + spelling] = scale
        expected[name] = (stored[name].float() * scale).bfloat16()
        assert (expected[name].float() - tensor).abs().max() <= tensor.abs().max() / 16
    return stored, expected


def write_gguf(path: Path, tensors: State, kind: str = "Q8_0") -> Path:
    import gguf

    writer = gguf.GGUFWriter(path, "qwen_image")
    for name, tensor in tensors.items():
        array = tensor.float().numpy()
        fits = tensor.ndim == 2 and tensor.shape[1] % 32 == 0
        type_ = gguf.GGMLQuantizationType[kind if fits else "F32"]
        writer.add_tensor(name, gguf.quantize(array, type_), raw_dtype=type_)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def to_wan(tensors: State) -> State:
    """Written the other way round than layouts.py: a table of diffusers' modules, one by one."""
    inner = {"norm1": "residual.0", "conv1": "residual.2", "norm2": "residual.3", "conv2": "residual.6"}
    inner["conv_shortcut"] = "shortcut"
    modules = {"quant_conv": "conv1", "post_quant_conv": "conv2"}
    for side in ("encoder", "decoder"):
        modules |= {f"{side}.conv_in": f"{side}.conv1", f"{side}.norm_out": f"{side}.head.0"}
        modules |= {f"{side}.conv_out": f"{side}.head.2"}
        modules |= {f"{side}.mid_block.attentions.0.{m}": f"{side}.middle.1.{m}" for m in ("norm", "to_qkv", "proj")}
        for ours, theirs in ((0, 0), (1, 2)):
            modules |= {f"{side}.mid_block.resnets.{ours}.{a}": f"{side}.middle.{theirs}.{b}" for a, b in inner.items()}
    resampled = ("resample.1", "time_conv")
    for i in range(20):
        modules |= {f"encoder.down_blocks.{i}.{a}": f"encoder.downsamples.{i}.{b}" for a, b in inner.items()}
        modules |= {f"encoder.down_blocks.{i}.{a}": f"encoder.downsamples.{i}.{a}" for a in resampled}
    per_block = 1 + max(int(n.split(".")[4]) for n in tensors if n.startswith("decoder.up_blocks.0.resnets."))
    for block in range(4):
        base = block * (per_block + 1)
        for layer in range(per_block):
            place = f"decoder.up_blocks.{block}.resnets.{layer}"
            modules |= {f"{place}.{a}": f"decoder.upsamples.{base + layer}.{b}" for a, b in inner.items()}
        place = f"decoder.up_blocks.{block}.upsamplers.0"
        modules |= {f"{place}.{a}": f"decoder.upsamples.{base + per_block}.{a}" for a in resampled}
    return {f"{modules[name.rpartition('.')[0]]}.{name.rpartition('.')[2]}": t for name, t in tensors.items()}


def llama_name(name: str) -> str:
    table = {
        "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",
        "self_attn.o_proj": "attn_output", "post_attention_layernorm": "ffn_norm", "input_layernorm": "attn_norm",
        "model.layers": "blk", "self_attn.": "attn_", "_proj": "", "mlp.": "ffn_",
    }  # fmt: skip
    for old, new in table.items():
        name = name.replace(old, new)
    return name


def lora_pair(seed: int = 0, rank: int = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(32, rank, generator=generator), torch.randn(rank, 32, generator=generator)


NAMINGS = {
    "bare": f"{QUERY}.lora_B.weight",
    "diffusion_model": f"diffusion_model.{QUERY}.lora_B.weight",
    "transformer": f"transformer.{QUERY}.lora_B.weight",
    "peft": f"base_model.model.{QUERY}.lora_B.weight",
    "named adapter": f"{QUERY}.lora_B.default.weight",
    "lora_up": f"diffusion_model.{QUERY}.lora_up.weight",
    "bare lora_up": f"{QUERY}.lora_up.weight",
    "older diffusers": f"transformer.{QUERY}.lora.up.weight",
    "kohya": f"lora_unet_{QUERY.replace('.', '_')}.lora_up.weight",
}


def lora_file(path: Path, up_name: str, seed: int = 0, alpha: float | None = None) -> Path:
    up, down = lora_pair(seed)
    down_name = up_name.replace("lora_B", "lora_A").replace("lora_up", "lora_down").replace("lora.up", "lora.down")
    tensors = {up_name: up, down_name: down}
    if alpha is not None:
        tensors[re.sub(r"\.lora[_.].*", ".alpha", up_name)] = torch.tensor(alpha)
    return saved(path, tensors)
