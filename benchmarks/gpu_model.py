"""The full-size transformer and VAE with random weights: stock diffusers against ours, same weights, one run.

python -m benchmarks gpu_model      (needs a GPU with 60 GB and 64 GB of host memory)

Speed and memory do not depend on what the weights are, so none are needed. A step is what happens between two calls
of the scheduler: the prompt's and the negative prompt's pass, and the guidance.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from qil_core.model import denoise, modulation, vae
from qil_core.model.attention import rotary, use_joint_attention
from qil_core.model.first_block import FirstBlockCache
from qil_core.model.machine import Machine
from qil_core.model.plan import weigh
from qil_core.model.streaming import StreamedBlocks, spread

TRUE = {
    "patch_size": 2,
    "in_channels": 64,
    "out_channels": 16,
    "num_layers": 60,
    "attention_head_dim": 128,
    "num_attention_heads": 24,
    "joint_attention_dim": 3584,
    "axes_dims_rope": (16, 56, 56),
    "use_additional_t_cond": True,
    "use_layer3d_rope": True,
}
STEPS, WORDS, LAYERS = 50, 300, 4
TERAFLOP = {640: 414.0, 1024: 1588.0}
"""Work of a step with both passes and 4 layers."""
GROUP_OFFLOAD_GB = 81.7
"""What diffusers' group offload of the stock transformer moves a step: all blocks, once a pass."""


@dataclass
class Case:
    """One size of picture: its work, start latents, and what stock diffusers did with them."""

    side: int
    work: denoise.Problem
    start: Tensor
    stock: float = 0.0
    truth: Tensor | None = None


def make_transformer(config: dict[str, Any], device: torch.device, dtype: torch.dtype) -> Any:
    from diffusers import QwenImageTransformer2DModel

    build: Any = QwenImageTransformer2DModel
    with torch.device("meta"):
        model = build(**config).to(dtype)
    model = model.to_empty(device=device).eval()
    generator = torch.Generator(device).manual_seed(0)
    for name, weight in model.named_parameters():
        weight.requires_grad_(False).normal_(0, 0.02, generator=generator)
        if "norm" in name:
            weight.fill_(1)
    model.pos_embed = type(model.pos_embed)(theta=10000, axes_dim=list(config["axes_dims_rope"]), scale_rope=True)
    return model


def make_case(side: int, width: int, device: torch.device, dtype: torch.dtype) -> Case:
    rows = side // 16
    generator = torch.Generator(device).manual_seed(1)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, device=device, dtype=dtype)

    prompts = [random(1, WORDS, width), random(1, 6, width)]
    work = denoise.Problem(prompts, random(1, rows * rows, 64), rows, rows, LAYERS + 1, denoise.Guidance())
    return Case(side, work, denoise.noise(work, 16, 0))


def stock_step(model: Any, case: Case, timestep: Tensor) -> Tensor:
    """One step as QwenImageLayeredPipeline does it."""
    work, latents = case.work, case.start
    given = torch.cat([latents, work.image], dim=1)
    more = {
        "timestep": timestep.expand(1).to(latents.dtype) / 1000,
        "img_shapes": [work.shapes],
        "additional_t_cond": torch.zeros(1, dtype=torch.long, device=latents.device),
        "return_dict": False,
    }
    outputs = [model(given, prompt, None, **more)[0][:, : latents.shape[1]] for prompt in work.prompts]
    return denoise.guide(outputs, work.guidance)


def our_step(model: Any, blocks: Any, case: Case, timestep: Tensor, real: bool = False) -> Callable[[], Tensor]:
    device, prompts = case.start.device, case.work.prompts
    tables = [rotary(model, case.work.shapes, prompt.shape[1], device, real) for prompt in prompts]

    def step() -> Tensor:
        temb = denoise.condition(model, timestep, case.start)
        predictions = denoise.predict(model, FirstBlockCache(blocks), case.start, case.work, temb, tables)
        return denoise.guide(predictions, case.work.guidance)

    return step


def synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def per_step(step: Callable[[], object], turns: int = 3, warm: int = 2) -> float:
    """Median seconds of `turns` steps, after `warm` that are not counted."""
    times = []
    for _ in range(turns + warm):
        synchronize()
        start = time.perf_counter()
        step()
        synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times[warm:])


def peak(step: Callable[[], object]) -> float:
    """GiB of device memory at the most during a step; 0 without a GPU."""
    if not torch.cuda.is_available():
        return 0.0
    torch.cuda.reset_peak_memory_stats()
    step()
    synchronize()
    return torch.cuda.max_memory_allocated() / 2**30


def tell(name: str, case: Case, step: Callable[[], Tensor]) -> None:
    """Time a step, and compare its speed, memory and result with stock."""
    begun = time.perf_counter()
    result = step()
    synchronize()
    first = time.perf_counter() - begun
    seconds, memory = per_step(step), peak(step)
    if case.truth is None:
        case.truth, case.stock = result, seconds
    off = float((result.float() - case.truth.float()).norm() / case.truth.float().norm())
    rate = TERAFLOP.get(case.side, 0) / seconds
    print(f"  {case.side} {name}: {seconds:.3f} s a step (x{case.stock / seconds:.2f}), {rate:.0f} TFLOP/s,")
    print(f"      peak {memory:.1f} GiB, first step {first:.1f} s, relative difference to stock {off:.1e}")


def run() -> None:
    """At full size, where there is a GPU."""
    if not torch.cuda.is_available():
        print("  needs a GPU with 60 GB")
        return
    device = torch.device("cuda")
    a, b = (torch.randn(8192, 8192, device=device, dtype=torch.bfloat16) for _ in range(2))
    limit = 2 * 8192**3 / per_step(lambda: a @ b, turns=9) / 1e12
    print(f"  a large bf16 product runs at {limit:.0f} TFLOP/s: a step at 640 takes {414 / limit:.2f} s at the least")
    measure(TRUE, (640, 1024), device, torch.bfloat16, ("_native_cudnn",), compiled=True)


@torch.inference_mode()
def measure(
    config: dict[str, Any],
    sides: tuple[int, ...],
    device: torch.device,
    dtype: torch.dtype,
    backends: tuple[str, ...],
    compiled: bool,
) -> None:
    """Stock, ours eager, ours with each attention backend, streamed, compiled, and the VAE."""
    model = make_transformer(config, device, dtype)
    cases = [make_case(side, config["joint_attention_dim"], device, dtype) for side in sides]
    timestep = torch.tensor(711.0, device=device)
    whole = weigh(model)
    for case in cases:
        tell("stock", case, lambda case=case: stock_step(model, case, timestep))  # type: ignore[misc]
    use_table(model, cases[0], timestep)
    use_joint_attention(model)
    rows = (module.rows.nbytes for module in model.modules() if isinstance(module, modulation.StoredModulation))
    ours = weigh(model) + sum(rows)
    print(f"  weights {ours / 2**30:.1f} GiB with a table of {STEPS} steps: {ours / whole:.3f} of stock")
    for name in ("", *backends):
        if name:
            model.set_attention_backend(name)
        for case in cases:
            tell(f"ours {name or 'eager'}", case, our_step(model, model.transformer_blocks, case, timestep))
    for resident in (0, len(model.transformer_blocks) // 2):
        stream(model, cases, timestep, resident, device)
    if compiled:
        model.to(device).compile_repeated_blocks(fullgraph=True)
        for case in cases:
            tell("ours compiled", case, our_step(model, model.transformer_blocks, case, timestep, real=True))
    for side in sides:
        decode(side, device, dtype)


def use_table(model: Any, case: Case, timestep: Tensor) -> None:
    conditions = [denoise.condition(model, timestep, case.work.image) for _ in range(STEPS)]
    tables = modulation.Modulation(model)
    seconds = per_step(lambda: tables.make("", tables.layers, conditions, lambda i: None), turns=1, warm=0)
    tables.use("", timestep.device)
    print(f"  modulation table made in {seconds:.2f} s")


def stream(model: Any, cases: list[Case], timestep: Tensor, resident: int, device: torch.device) -> None:
    """Blocks from pinned host memory, both passes while a block is there."""
    model.transformer_blocks.to("cpu")
    begun = time.perf_counter()
    stay = spread(len(model.transformer_blocks), resident)
    for i in stay:
        model.transformer_blocks[i].to(device)
    blocks = StreamedBlocks(list(model.transformer_blocks), Machine(device), stay)
    print(f"  packed into host memory in {time.perf_counter() - begun:.1f} s; {resident} blocks stay on the device")
    for case in cases:
        step = our_step(model, blocks, case, timestep)
        step()
        before = blocks.moved
        step()
        moved = (blocks.moved - before) / 1e9
        print(f"  {moved:.1f} GB moved a step, {moved / GROUP_OFFLOAD_GB:.3f} of stock group offload")
        tell(f"ours streamed, {resident} blocks stay", case, step)


def decode(side: int, device: torch.device, dtype: torch.dtype) -> None:
    """Four layers through the VAE of the true size, stock and ours."""
    from diffusers import AutoencoderKLQwenImage

    build: Any = AutoencoderKLQwenImage
    model = build(input_channels=4).to(device, dtype).eval()
    latents = torch.randn(LAYERS, 16, 1, side // 8, side // 8, device=device, dtype=dtype)
    stock, stock_peak = per_step(lambda: model.decode(latents).sample), peak(lambda: model.decode(latents).sample)
    vae.for_single_frames(model)
    ours, our_peak = per_step(lambda: vae.decode(model, latents)), peak(lambda: vae.decode(model, latents))
    print(f"  {side} VAE decode of {LAYERS} layers: ours {ours:.3f} s, stock {stock:.3f} s: x{stock / ours:.2f}")
    print(f"      peak {our_peak:.1f} GiB against {stock_peak:.1f} GiB")
