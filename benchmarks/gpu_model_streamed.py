"""The second visit: weights that travel or are packed, against diffusers' group offload, on cards of several sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch

from qil_core.checkpoints.gguf_codes import TYPES, Type
from qil_core.checkpoints.stored import Stored
from qil_core.model.machine import HOST
from qil_core.model.parts import Parts
from qil_core.model.pipeline import LayeredModel
from qil_core.model.plan import ALL, STREAMED, weigh
from qil_core.model.storage import FORMATS, Format

from .gpu_model_bench import (
    GB,
    GIB,
    Bench,
    against_stock,
    case_for,
    our_step,
    released,
    stock_step,
    timed_step,
)
from .gpu_model_calls import caption, whole_call
from .gpu_model_results import Numbers, Row, Section
from .gpu_model_weights import Watched, make_parts, make_transformer

TAKEN = GIB * 4 // 5
"""Bytes of a card that others have: the desktop, and CUDA itself."""

ROUNDS = 20
"""How often a streamed step is compared with the resident one."""

FEW = 6
"""Tokens of a caption on a small card, where weights move for every one of them."""

SUPER_BLOCK = 256
"""Weights of the longest run that a GGUF type packs together."""

SMALL = 256
"""Side of a picture whose blocks compute faster than they travel, so that a race would show."""

PINNED_SHARES = (1.0, 0.5, 0.0)
"""Of the blocks, how many are kept in pinned memory."""

LOSSY_CARDS = {f"{form} storage (lossy)": size * GIB for form, size in (("fp8", 24), ("int8", 24), ("nf4", 12))}
"""The smallest usual cards for storage in fewer bits, in bytes."""


def offload(bench: Bench) -> Iterator[Row]:
    """Stock diffusers on the device, and with its group offload: a block at a time, and with a stream beside."""
    model = make_transformer(bench.scale.transformer, bench.device, bench.scale.dtype)
    side, layers = bench.scale.sides[0], bench.scale.layers[0]
    case = case_for(bench, side, layers)

    def resident() -> Numbers:
        numbers, result = timed_step(bench, partial(stock_step, model, case), case)
        bench.truths[side, layers] = result.cpu(), numbers["s a step"]
        return numbers

    def grouped() -> Numbers:
        stream = bench.device.type == "cuda"
        more: dict[str, Any] = {"use_stream": stream, "record_stream": stream, "non_blocking": stream}
        preparing = bench.once(
            lambda: model.enable_group_offload(
                bench.device, HOST, offload_type="block_level", num_blocks_per_group=1, **more
            )
        )
        moved = len(case.work.prompts) * weigh(model.transformer_blocks) / GB
        found = against_stock(bench, partial(stock_step, model, case), case, turns=2)
        if stream:  # by torch's own allocator; what we pin is counted by Watched
            found["pinned GiB"] = torch.cuda.host_memory_stats().get("allocated_bytes.current", 0) / GIB
        return {**found, "GB moved a step": moved, "preparing s": preparing}

    yield f"stock on the device, {side} px, {layers} layers", resident
    yield f"stock group offload, {side} px, {layers} layers", grouped


def streamed(bench: Bench) -> Iterator[Row]:
    """Our steps with no block on the device, equality with resident blocks, cards of several sizes, fewer bits."""
    parts = make_parts(bench.scale, bench.device)
    side, layers = bench.scale.sides[0], bench.scale.layers[0]
    small = min(SMALL, side)
    for share in PINNED_SHARES:
        yield f"{side} px, {layers} layers, {share:.0%} pinned", partial(step, bench, parts, side, layers, share)
    for each, share in ((small, 1.0), (small, 0.0), (side, 1.0)):
        yield f"equality, {each} px, {share:.0%} pinned", partial(equality, bench, parts, each, layers, share)
    for size in bench.scale.limits:
        yield f"auto, {size / GIB:.0f} GB", partial(call, bench, parts, "auto", size)
        yield f"auto, {size / GIB:.0f} GB, caption", partial(written, bench, parts, size)
    for mode, size in LOSSY_CARDS.items():
        yield f"{mode}, {size / GIB:.0f} GB", partial(lossy, bench, parts, mode, size)
    for other in bench.scale.sides[1:]:
        yield f"{other} px, {layers} layers, all pinned", partial(step, bench, parts, other, layers, 1.0)
    most = max(bench.scale.layers)
    yield f"{side} px, {most} layers, all pinned", partial(step, bench, parts, side, most, 1.0)


def streaming(bench: Bench, parts: Parts, share: float) -> LayeredModel:
    """A runtime of which no block stays on the device, and this share of them in pinned memory."""
    block = weigh(parts.transformer.transformer_blocks[0])
    pinnable = round(share * (len(parts.transformer.transformer_blocks) + 2) * block)
    return LayeredModel(parts, bench.device, STREAMED, free=0, machine=Watched(bench.device, pinnable))


def step(bench: Bench, parts: Parts, side: int, layers: int, share: float) -> Numbers:
    """Seconds and bytes of a streamed step."""
    case = case_for(bench, side, layers)
    with released(streaming(bench, parts, share)) as runtime:
        again = our_step(runtime, case)
        found = against_stock(bench, again, case)
        blocks = runtime.placement.streamed
        assert blocks is not None
        before = blocks.moved
        again()
        return found | {"GB moved a step": (blocks.moved - before) / GB, "pinned GiB": blocks.pinned / GIB}


def equality(bench: Bench, parts: Parts, side: int, layers: int, share: float) -> Numbers:
    """How many of ROUNDS streamed steps are the resident one to the bit."""
    case = case_for(bench, side, layers)
    with released(LayeredModel(parts, bench.device, ALL)) as resident:
        truth = our_step(resident, case)().cpu()
    with released(streaming(bench, parts, share)) as runtime:
        again = our_step(runtime, case)
        return {"rounds": ROUNDS, "equal": sum(torch.equal(again().cpu(), truth) for _ in range(ROUNDS))}


def call(bench: Bench, parts: Parts, mode: str, size: int) -> Numbers:
    """A whole call on a card of this size."""
    with card(bench, parts, mode, size) as model:
        return whole_call(bench, model, bench.scale.sides[0], bench.scale.layers[0])


def written(bench: Bench, parts: Parts, size: int) -> Numbers:
    """A few tokens of a caption on a card of this size."""
    with card(bench, parts, "auto", size) as model:
        return caption(bench, model, min(FEW, bench.scale.caption))


@contextmanager
def card(bench: Bench, parts: Parts, mode: str, size: int) -> Iterator[LayeredModel]:
    """A runtime on a card of this size: torch gets no more memory than that."""
    bench.limit(size - TAKEN)
    with released(LayeredModel(parts, bench.device, mode, size - TAKEN, Watched(bench.device))) as model:
        yield model


def lossy(bench: Bench, parts: Parts, mode: str, size: int) -> Numbers:
    """A whole call with storage in fewer bits, and how far a step is from the stock one."""
    found = call(bench, parts, mode, size)
    side, layers = bench.scale.sides[0], bench.scale.layers[0]
    case = case_for(bench, side, layers)
    with card(bench, parts, mode, size) as runtime:
        compared = against_stock(bench, our_step(runtime, case), case, turns=1)
    return found | {name: compared[name] for name in ("relative difference",) if name in compared}


def unpacking(bench: Bench) -> Iterator[Row]:
    """How long a large weight of a block takes to be unpacked, in every form that files and lossy modes have."""
    config = bench.scale.transformer
    width = max(SUPER_BLOCK, config["num_attention_heads"] * config["attention_head_dim"])
    rows = 4 * width

    @torch.inference_mode()
    def unpacked(make: Callable[[], Stored]) -> Numbers:
        stored = make()
        seconds = bench.seconds(lambda: stored.to(bench.scale.dtype), turns=9)
        read = sum(tensor.nbytes for tensor in stored.tensors)
        return {"ms": seconds * 1e3, "read GB/s": read / seconds / GB, "weights": rows * width, **bench.memory()}

    def packed(form: Format) -> Stored:
        return form.pack(torch.randn(rows, width, device=bench.device, dtype=bench.scale.dtype))

    def gguf(kind: Type) -> Stored:
        size = width // kind.weights * kind.bytes
        codes = torch.randint(0, 256, (rows, size), dtype=torch.uint8, device=bench.device)
        tables = (torch.tensor(kind.table, device=bench.device),) if kind.table else ()
        return Stored((codes, *tables), kind.unpack)

    for name, form in FORMATS.items():
        yield name, partial(unpacked, partial(packed, form))
    for name, kind in TYPES.items():
        yield name, partial(unpacked, partial(gguf, kind))


SECTIONS: dict[str, Section] = {"unpacking": unpacking, "offload": offload, "streamed": streamed}
