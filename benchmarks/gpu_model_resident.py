"""The first visit: everything on the device. Stock steps and ours, attention backends, VAE, text encoder, Edit."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch

from qil_core.edit_request import EditRequest
from qil_core.errors import QilError
from qil_core.model import devices, vae, words
from qil_core.model.editing import EditModel
from qil_core.model.machine import HostBuffer, Machine
from qil_core.model.models import EDIT_2511
from qil_core.model.pipeline import LayeredModel
from qil_core.model.plan import ALL
from qil_core.model.sources import ATTENTION
from qil_core.request import Request

from .gpu_model_bench import (
    GB,
    GIB,
    TERA,
    Bench,
    against_stock,
    case_for,
    off,
    our_step,
    released,
    stock_step,
    timed_step,
    untuned,
)
from .gpu_model_calls import Watch, caption, picture, prompt, told, until_enough, whole_call
from .gpu_model_results import Numbers, Row, Section
from .gpu_model_weights import Watched, make_parts, make_transformer, make_vae

PRODUCT = 8192
"""Rows and columns of the matrices whose product tells how fast the device can be."""

COPIED = GIB
"""Bytes of a copy that tells how fast the way to the device is."""

USUAL_STEPS = 50
"""Steps of the schedule whose modulation table is made."""

EDIT_SIDE = 1024
"""Side of the square with as many pixels as Qwen-Image-Edit makes."""

ALWAYS, NEVER = 1e-9, 1e9
"""Thresholds of the first-block cache at which all steps are computed, and none after the first."""


def sizes(bench: Bench) -> list[tuple[int, int]]:
    """Side and layers of the steps that are measured: all numbers of layers at the first side, then the other sides."""
    scale = bench.scale
    first = [(scale.sides[0], layers) for layers in scale.layers]
    return first + [(side, scale.layers[0]) for side in scale.sides[1:]]


def speeds(bench: Bench) -> Iterator[Row]:
    """What the device and the way to it can do at the most."""
    side = PRODUCT if bench.device.type != "cpu" else 256
    size = COPIED if bench.device.type != "cpu" else 1 << 20

    def product() -> Numbers:
        a, b = (torch.randn(side, side, device=bench.device, dtype=bench.scale.dtype) for _ in range(2))
        return {"TFLOP/s": 2 * side**3 / bench.seconds(lambda: a @ b, turns=9) / TERA}

    def copies() -> Numbers:
        machine, there = Machine(bench.device), torch.empty(size, dtype=torch.uint8, device=bench.device)
        plain, other = torch.ones(size, dtype=torch.uint8), torch.ones(size, dtype=torch.uint8)
        made: list[HostBuffer] = []
        pinning = bench.once(lambda: made.append(HostBuffer(size, machine)))
        ways: dict[str, Any] = {
            "plain memory to the device": lambda: there.copy_(plain),
            "pinned memory to the device": lambda: there.copy_(made[0].bytes, non_blocking=True),
            "plain memory to pinned": lambda: made[0].bytes.copy_(plain),
            "plain memory to plain": lambda: other.copy_(plain),
            "device to plain memory": lambda: plain.copy_(there),
        }
        found = {f"{name} GB/s": size / bench.seconds(way, turns=5) / GB for name, way in ways.items()}
        return {"is pinned": made[0].is_pinned, "pinning GB/s": size / pinning / GB, **found}

    yield "large product", product
    yield "copies", copies


def stock(bench: Bench) -> Iterator[Row]:
    """Steps of stock diffusers; what comes later is compared with them."""
    model = make_transformer(bench.scale.transformer, bench.device, bench.scale.dtype)

    def step(side: int, layers: int) -> Numbers:
        case = case_for(bench, side, layers)
        numbers, result = timed_step(bench, partial(stock_step, model, case), case)
        bench.truths[side, layers] = result.cpu(), numbers["s a step"]
        return numbers

    for side, layers in sizes(bench):
        yield f"{side} px, {layers} layers", partial(step, side, layers)


def ours(bench: Bench) -> Iterator[Row]:
    """The same steps, attention backends, the first-block cache, whole calls, and the text encoder."""
    runtime = LayeredModel(make_parts(bench.scale, bench.device), bench.device, ALL, machine=Watched(bench.device))
    side, layers = bench.scale.sides[0], bench.scale.layers[0]
    for each in sizes(bench):
        yield f"{each[0]} px, {each[1]} layers", partial(step, bench, runtime, *each)
    yield "whole call", partial(whole, bench, runtime, side, layers)
    yield f"modulation table of {USUAL_STEPS} steps", partial(table, bench, runtime)
    yield "caption", partial(caption, bench, runtime, bench.scale.caption)
    yield "embedding", partial(embedding, bench, runtime)
    yield "first-block cache, all steps computed", partial(whole, bench, runtime, side, layers, ALWAYS)
    yield "first-block cache, only the first step computed", partial(whole, bench, runtime, side, layers, NEVER)
    for backend in ATTENTION[1:]:
        for other in bench.scale.sides:
            yield f"{other} px, {layers} layers, {backend}", partial(step, bench, runtime, other, layers, backend)


def step(bench: Bench, runtime: LayeredModel, side: int, layers: int, backend: str = "default") -> Numbers:
    """A step of ours with an attention backend of diffusers."""
    case = case_for(bench, side, layers)
    with untuned(runtime):
        try:
            runtime.tune(backend)
        except QilError as error:
            return {"not here": str(error)}
        return against_stock(bench, our_step(runtime, case), case)


def whole(bench: Bench, runtime: LayeredModel, side: int, layers: int, reuse: float = 0.0) -> Numbers:
    """A whole call with the first-block cache at a threshold."""
    with untuned(runtime):
        runtime.tune(reuse=reuse)
        return whole_call(bench, runtime, side, layers)


def table(bench: Bench, runtime: LayeredModel) -> Numbers:
    """How long the modulation table of a usual schedule takes, its layers' weights coming from host memory."""
    side, layers = bench.scale.sides[0], bench.scale.layers[0]
    request = Request(layers, prompt=prompt(bench.scale.words), resolution=side, steps=USUAL_STEPS)
    watch = Watch(bench, runtime, "step 1 ")
    until_enough(lambda: runtime.layers(picture(side, side), request, watch))
    return told(bench, runtime, watch)


@torch.inference_mode()
def embedding(bench: Bench, runtime: LayeredModel) -> Numbers:
    """Seconds of bringing the text encoder and embedding a prompt, and of the prompt alone."""
    parts = runtime.parts

    def embed() -> object:
        with runtime.placement.words() as encoder:
            return words.embed(parts.tokenizer, encoder, [prompt(bench.scale.words)], bench.device)

    return {"first s": bench.once(embed), "s": bench.seconds(embed), **bench.memory()}


def coding(bench: Bench) -> Iterator[Row]:
    """The VAE, stock and ours: layers decoded, a picture encoded."""
    scale, count = bench.scale, bench.scale.layers[0]

    @torch.inference_mode()
    def code(side: int, ours: bool) -> Numbers:
        model = make_vae(scale.vae, bench.device, scale.dtype)
        random = torch.Generator(bench.device).manual_seed(3)
        shape = (count, 16, 1, side // 8, side // 8)
        latents = torch.randn(shape, generator=random, device=bench.device, dtype=scale.dtype)
        pixels = torch.rand(1, 4, side, side, generator=random, device=bench.device).to(scale.dtype) * 2 - 1
        if ours:
            vae.for_single_frames(model)
            decode, encode = (lambda: vae.decode(model, latents)), (lambda: vae.encode(model, pixels))
        else:
            decode, encode = (lambda: stock_decode(model, latents)), (lambda: model.encode(pixels[:, :, None]))
        first, times = bench.once(decode), {"decode s": bench.seconds(decode)}
        devices.forget_peak(bench.device)
        result = decode()
        found = {**times, **bench.memory(), "first decode s": first, "encode s": bench.seconds(encode)}
        return found | compared(side, result)

    def compared(side: int, result: torch.Tensor) -> Numbers:
        truth = bench.truths.setdefault((side, 0), (result.float().cpu(), 0.0))[0]
        return off(result, truth)

    for side in scale.sides:
        yield f"{side} px, {count} layers, stock", partial(code, side, False)
        yield f"{side} px, {count} layers, ours", partial(code, side, True)


def stock_decode(model: Any, latents: torch.Tensor) -> torch.Tensor:
    """Pixels (N, 4, H, W) as the stock pipeline has them."""
    mean, std = (
        torch.tensor(values).view(1, -1, 1, 1, 1).to(latents)
        for values in (model.config.latents_mean, model.config.latents_std)
    )
    return model.decode(latents / (1.0 / std) + mean).sample[:, :, 0]


def edit(bench: Bench) -> Iterator[Row]:
    """Qwen-Image-Edit-2511 with one picture: a stock step, and a whole call of ours."""
    config = bench.scale.transformer | dict(EDIT_2511.settings["transformer"])
    side = EDIT_SIDE if bench.device.type != "cpu" else bench.scale.sides[0]

    def stock_one() -> Numbers:
        case = case_for(bench, side, 1, frames=1)
        model = make_transformer(config, bench.device, bench.scale.dtype)
        return timed_step(bench, partial(stock_step, model, case), case)[0]

    def call() -> Numbers:
        with released(EditModel(parts, bench.device, ALL, machine=Watched(bench.device))) as model:
            watch = Watch(bench, model)
            request = EditRequest(prompt(bench.scale.words), steps=bench.scale.steps)
            return told(bench, model, watch, model.edit([picture(side, side, 3)], request, watch)[1])

    yield f"stock, {side} px", stock_one
    parts = make_parts(bench.scale, bench.device, EDIT_2511)
    yield "whole call, one picture", call


SECTIONS: dict[str, Section] = {"speeds": speeds, "stock": stock, "ours": ours, "coding": coding, "edit": edit}
