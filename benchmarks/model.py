"""The model's runtime on a CPU: stock diffusers against ours, same weights, one run. No weights are needed.

What is arithmetic (weights, bytes a step) is counted on the true sizes; what is time is measured on one block and on
the VAE of the true width.
"""

from __future__ import annotations

from typing import Any

import torch

from qil_core.model import denoise, modulation, vae
from qil_core.model.attention import rotary, use_joint_attention

from .gpu_model import GROUP_OFFLOAD_GB, LAYERS, STEPS, TRUE, make_case, make_transformer
from .timing import in_turns

SIDE = 640
CPU = torch.device("cpu")


def run() -> None:
    count_weights()
    with torch.inference_mode():
        decode()
        block()


def count_weights() -> None:
    """Bytes of the true transformer in bf16, with and without its modulation layers, and what a step moves."""
    from diffusers import QwenImageTransformer2DModel

    build: Any = QwenImageTransformer2DModel
    with torch.device("meta"):
        model = build(**TRUE)
    sizes = {name: weight.numel() * 2 for name, weight in model.named_parameters()}
    whole = sum(sizes.values())
    dropped = sum(size for name, size in sizes.items() if modulation.is_modulation(name))
    width = TRUE["num_attention_heads"] * TRUE["attention_head_dim"]  # type: ignore[operator]
    table = STEPS * TRUE["num_layers"] * 2 * 6 * width * 2  # type: ignore[operator]
    ours = whole - dropped + table
    print(f"  transformer in bf16: ours {ours / 1e9:.1f} GB, stock {whole / 1e9:.1f} GB: {ours / whole:.3f}")
    blocks = {name: size for name, size in sizes.items() if name.startswith("transformer_blocks.")}
    moved = sum(size for name, size in blocks.items() if not modulation.is_modulation(name))
    stock = 2 * sum(blocks.values())
    print(
        f"  streamed a step with guidance: ours {moved / 1e9:.1f} GB, stock {stock / 1e9:.1f} GB: {moved / stock:.3f}"
    )
    assert abs(stock / 1e9 - GROUP_OFFLOAD_GB) < 0.2


def decode() -> None:
    """Four layers at 640 through the VAE of the true width, float32."""
    from diffusers import AutoencoderKLQwenImage

    torch.manual_seed(0)
    build: Any = AutoencoderKLQwenImage
    stock, ours = build(input_channels=4).eval(), build(input_channels=4).eval()
    ours.load_state_dict(stock.state_dict())
    vae.for_single_frames(ours)
    latents = torch.randn(LAYERS, 16, 1, SIDE // 8, SIDE // 8)
    mean, std = (torch.tensor(v).view(1, -1, 1, 1, 1) for v in (stock.config.latents_mean, stock.config.latents_std))
    scaled = latents / (1.0 / std) + mean
    results: list[torch.Tensor] = []
    times = in_turns(
        lambda: results.append(vae.decode(ours, latents)),
        lambda: results.append(stock.decode(scaled).sample[:, :, 0]),
        turns=1,
        warm=False,
    )
    off = float((results[0] - results[1]).abs().max())
    print(f"  VAE decode of {LAYERS} layers at {SIDE}, float32: {times}, difference {off:.1e}")


def block() -> None:
    """One block of the true width at 640 with 4 layers, one pass, bf16."""
    config = {**TRUE, "num_layers": 1}
    model = make_transformer(config, CPU, torch.bfloat16)
    case = make_case(SIDE, 3584, CPU, torch.bfloat16)
    tokens = torch.cat([case.start, case.work.image], dim=1)
    image, text = model.img_in(tokens), model.txt_in(model.txt_norm(case.work.prompts[0]))
    temb = denoise.condition(model, torch.tensor(711.0), case.start)
    stock_table = model.pos_embed([case.work.shapes], max_txt_seq_len=text.shape[1], device=CPU)
    stock = model.transformer_blocks[0]
    other = make_transformer(config, CPU, torch.bfloat16)
    other.load_state_dict(model.state_dict())
    use_joint_attention(other)
    tables = modulation.Modulation(other)
    tables.make("", tables.layers, [temb], lambda i: None)
    tables.use("", CPU)
    our_table = rotary(other, case.work.shapes, text.shape[1], CPU)

    def run_block(which: Any, table: Any) -> Any:
        return which(image, text, None, temb, table)

    ours = other.transformer_blocks[0]
    times = in_turns(lambda: run_block(ours, our_table), lambda: run_block(stock, stock_table), turns=2)
    same = torch.equal(run_block(ours, our_table)[1], run_block(stock, stock_table)[1])
    size = f"{image.shape[1]} + {text.shape[1]} tokens"
    print(f"  one block at {SIDE}, {LAYERS} layers, {size}, bf16: {times}, equal bits: {same}")
