"""The third visit: compiled blocks, stock and ours, and what makes them compile anew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from qil_core.model.machine import Machine
from qil_core.model.parts import Parts
from qil_core.model.pipeline import LayeredModel
from qil_core.model.plan import ALL, LOSSY, STREAMED

from .gpu_model_bench import (
    Bench,
    against_stock,
    case_for,
    our_step,
    released,
    stock_step,
    timed_step,
)
from .gpu_model_calls import whole_call
from .gpu_model_results import Numbers, OutOfTime, Row, Section
from .gpu_model_weights import Watched, make_parts, make_transformer


def stock(bench: Bench) -> Iterator[Row]:
    """A stock step at the first side, as it is and compiled."""
    yield from stock_at(bench, bench.scale.sides[:1])


def larger(bench: Bench) -> Iterator[Row]:
    """The same at the other sides, when the others are done."""
    yield from stock_at(bench, bench.scale.sides[1:])


def stock_at(bench: Bench, sides: Sequence[int]) -> Iterator[Row]:
    """A stock step, as it is and compiled."""
    model = make_transformer(bench.scale.transformer, bench.device, bench.scale.dtype)
    layers = bench.scale.layers[0]

    def eager(side: int) -> Numbers:
        case = case_for(bench, side, layers)
        numbers, result = timed_step(bench, partial(stock_step, model, case), case)
        bench.truths[side, layers] = result.cpu(), numbers["s a step"]
        return numbers

    def compiled(side: int) -> Numbers:
        case = case_for(bench, side, layers)
        model.compile_repeated_blocks(fullgraph=True)
        try:
            return against_stock(bench, partial(stock_step, model, case), case) | graphs()
        finally:
            for block in model.transformer_blocks:
                block._compiled_call_impl = None  # as nn.Module has it before compile()

    for side in sides:
        yield f"{side} px, {layers} layers", partial(eager, side)
        yield f"{side} px, {layers} layers, compiled", partial(compiled, side)


def ours(bench: Bench) -> Iterator[Row]:
    """Our steps compiled, calls in which sizes change, and compiled blocks that travel or are packed."""
    parts = make_parts(bench.scale, bench.device)
    layers = bench.scale.layers[0]
    side, *others = bench.scale.sides
    yield f"{side} px, {layers} layers, compiled", partial(step, bench, parts, ALL, side)
    yield "compiled, one call after another", partial(changing, bench, parts)
    for mode in (STREAMED, next(iter(LOSSY))):
        yield f"{side} px, {layers} layers, compiled, {mode}", partial(step, bench, parts, mode, side)
    for other in others:
        yield f"{other} px, {layers} layers, compiled", partial(step, bench, parts, ALL, other)


def step(bench: Bench, parts: Parts, mode: str, side: int) -> Numbers:
    """A step whose blocks are compiled."""
    case = case_for(bench, side, bench.scale.layers[0])
    free = 0 if mode == STREAMED else None
    with released(LayeredModel(parts, bench.device, mode, free, Machine(bench.device))) as runtime:
        runtime.tune(compile=True)
        return against_stock(bench, our_step(runtime, case, real=True), case) | graphs()


def changing(bench: Bench, parts: Parts) -> Numbers:
    """Compiled calls whose sizes change one after another: seconds of each one's first step, and graphs so far."""
    side, layers, steps = bench.scale.sides[0], bench.scale.layers, bench.scale.steps
    calls = {
        "first call": {},
        "other aspect": {"height": side // 2},
        "third aspect": {"height": side * 3 // 2},
        "other layers": {"layers": layers[1]},
        "other steps": {"steps": steps + 1},
        "same again": {},
    }
    found: Numbers = {}
    with released(LayeredModel(parts, bench.device, ALL, machine=Watched(bench.device))) as model:
        model.tune(compile=True)
        try:
            for name, changed in calls.items():
                numbers = whole_call(bench, model, **{"side": side, "layers": layers[0], **changed})
                found |= {f"{name}: {key}": numbers[key] for key in ("first step s", "s a step")}
                found[f"{name}: graphs"] = graphs()["graphs"]
        except OutOfTime as error:  # the calls before it have told something
            found["stopped"] = str(error)
    return found


def graphs() -> Numbers:
    """How many graphs were compiled since the reset, and how many compilations that was in all."""
    from torch._dynamo.utils import counters

    return {"graphs": counters["stats"]["unique_graphs"], "frames": counters["frames"]["total"]}


SECTIONS: dict[str, Section] = {"stock compiled": stock, "ours compiled": ours, "larger": larger}
