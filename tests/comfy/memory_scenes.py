"""Run by test_comfy_memory.py in ComfyUI's Python, inside one process: our model beside ComfyUI's memory manager.

There is no GPU, so "cpu:0" stands for one: torch computes there as on "cpu", but takes it for another device. What is
brought there is a copy, what leaves is the original again, and ComfyUI makes room for it. A card of a few megabytes
beside its working memory is pretended by what ComfyUI is told to be free. Prints what was seen, as JSON.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import importlib.util
import json
import os
import sys
import tempfile
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

REPO = Path(__file__).resolve().parents[2]
CARD = "cpu:0"


def start(checkout: str) -> None:
    """ComfyUI's modules importable, for a machine without a GPU; our package under a name of its own."""
    sys.path.insert(0, checkout)
    sys.path.append(str(REPO / "tests" / "helpers"))
    sys.argv = [sys.argv[0], "--cpu"]
    import comfy.options

    comfy.options.enable_args_parsing()
    spec = importlib.util.spec_from_file_location("pack", REPO / "__init__.py", submodule_search_locations=[str(REPO)])
    assert spec is not None
    sys.modules["pack"] = importlib.util.module_from_spec(spec)


parser = argparse.ArgumentParser()
parser.add_argument("checkout")
parser.add_argument("scenes", nargs="*")
arguments = parser.parse_args()
start(arguments.checkout)

import comfy.model_management as management  # noqa: E402
import torch  # noqa: E402
from comfy.model_patcher import ModelPatcher  # noqa: E402

memory = importlib.import_module("pack.nodes.memory")
pipeline = importlib.import_module("pack.qil_core.model.pipeline")
placement = importlib.import_module("pack.qil_core.model.plan")
streaming = importlib.import_module("pack.qil_core.model.streaming")
parts_of = importlib.import_module("pack.qil_core.model.parts")
Request = importlib.import_module("pack.qil_core.request").Request
silent = importlib.import_module("pack.qil_core.progress").silent

PICTURE = torch.rand(64, 64, 4, generator=torch.Generator().manual_seed(1))
ASKED = Request(layers=2, steps=2, prompt="a red disc on white", seed=7, resolution=64)
OTHER = replace(ASKED, prompt="a blue disc on white")
MODES = (placement.ALL, placement.LEAVES, placement.STREAMED)
TIGHT = (4 << 20) + 100_000
"""Room for an Other, but not for ours beside it."""


class Other(ModelPatcher):
    """A model of ComfyUI's own kind, 4 MB."""

    def __init__(self, device: torch.device) -> None:
        super().__init__(torch.nn.Linear(1024, 1024, bias=False), device, torch.device("cpu"))


class Stubborn(Other):
    """One whose eviction fails."""

    def detach(self, unpatch_all: bool = True) -> Any:
        if unpatch_all:
            raise RuntimeError("stuck")
        return super().detach(unpatch_all)


class Card:
    """Tells ComfyUI what is free on a pretended card, of `room` bytes beside what it and we keep for working."""

    def __init__(self, room: int) -> None:
        self.device = torch.device(CARD)
        self.size = placement.working(placement.USUAL_TOKENS) + management.extra_reserved_memory() + room
        self.models: list[Any] = []
        self.others: list[ModelPatcher] = []
        self.asked: list[str] = []
        management.get_free_memory = self.free

    def free(self, device: Any = None, torch_free_too: bool = False) -> Any:
        used = sum(model.placement.held for model in self.models) + sum(other.loaded_size() for other in self.others)
        left = self.size - used
        return (left, 0) if torch_free_too else left

    def model(self, mode: str = placement.ALL) -> Any:
        """A model that lives in ComfyUI's memory, as Load Layered Model makes it."""
        made = model(mode, self.device)
        self.models.append(made)
        return made

    def other(self, kind: type[Other] = Other) -> Other:
        made = kind(self.device)
        self.others.append(made)
        management.load_models_gpu([made])
        return made


FOLDER: list[Path] = []
WANT: list[torch.Tensor] = []
"""What our model gives without ComfyUI's memory manager."""


def load() -> Any:
    return parts_of.load(parts_of.Files.of_folder(FOLDER[0]), torch.float32)


def model(mode: str, device: torch.device) -> Any:
    return pipeline.LayeredModel(load(), device, mode, machine=memory.SharedMachine(device))


def run(of: Any, progress: Callable[[float, str], None] = silent, asked: Any = ASKED) -> torch.Tensor:
    return of.layers(PICTURE, asked, progress)[0]


def listed() -> list[str]:
    """Names of what ComfyUI has loaded."""
    return [entry.model.model.__class__.__name__ for entry in management.current_loaded_models]


def evict(device: Any = CARD) -> None:
    management.free_memory(1e30, torch.device(device))


def pointers(of: Any) -> list[int]:
    parts = of.parts.transformer, of.parts.text_encoder, of.parts.vae
    return [tensor.data_ptr() for part in parts for tensor in streaming.weights(part) if not tensor.is_meta]


def without_comfyui() -> torch.Tensor:
    """What the model gives without ComfyUI's memory manager.

    Of copied weights: in the mapped file they are aligned otherwise, which can change the last bit on a CPU.
    """
    parts = load()
    for part in (parts.transformer, parts.text_encoder, parts.vae, *parts.modulation.layers):
        for tensor in streaming.weights(part):
            tensor.data = tensor.data.clone()
    return run(pipeline.LayeredModel(parts, torch.device("cpu")))


def evicted_and_brought_back(mode: str) -> dict[str, Any]:
    ours = Card(64 << 20).model(mode)
    want, before = WANT[0], pointers(ours)
    first = run(ours)
    seen: dict[str, Any] = {"listed": listed(), "held": ours.placement.held, "first": torch.equal(first, want)}
    evict()
    seen |= {
        "listed_after": listed(),
        "held_after": ours.placement.held,
        "streamed_after": ours.placement.streamed and ours.placement.streamed.held,
    }
    seen["home"] = sum(a == b for a, b in zip(pointers(ours), before, strict=True)) / len(before)
    again = run(ours)
    seen |= {"again": torch.equal(again, want), "listed_again": listed(), "held_again": ours.placement.held}
    return seen


def whole_eviction_for_a_little() -> dict[str, Any]:
    """One byte is wanted: all of ours goes, none stays half."""
    card = Card(64 << 20)
    ours = card.model()
    run(ours)
    management.free_memory(card.free() + 1, card.device)
    return {"listed": listed(), "held": ours.placement.held}


def others_and_ours_take_turns() -> dict[str, Any]:
    card = Card(TIGHT)
    ours, other = card.model(), card.other()
    seen: dict[str, Any] = {"first": listed(), "other_first": other.loaded_size()}
    run(ours)
    seen |= {"after_ours": listed(), "other_after_ours": other.loaded_size()}
    management.load_models_gpu([other], memory_required=card.size)
    seen |= {"after_other": listed(), "held": ours.placement.held, "other_again": other.loaded_size()}
    seen["equal"] = torch.equal(run(ours), WANT[0])
    seen["at_last"] = listed()
    return seen


def two_of_ours_take_turns() -> dict[str, Any]:
    card = Card(500_000)
    two = [card.model(), card.model(placement.LEAVES)]
    want = WANT[0]
    turns = []
    for turn in range(4):
        equal = torch.equal(run(two[turn % 2]), want)
        turns.append([equal, len(listed()), two[turn % 2].placement.held > 0, two[1 - turn % 2].placement.held])
    return {"turns": turns}


def alive() -> list[int]:
    """Tensors, their bytes, models that ComfyUI lists, and finalizers."""
    gc.collect()
    tensors = [thing for thing in gc.get_objects() if isinstance(thing, torch.Tensor)]
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors}
    finalizers = len(weakref.finalize._registry)  # type: ignore[attr-defined]
    return [len(tensors), sum(storages.values()), len(management.current_loaded_models), finalizers]


def resident_bytes() -> int:
    """What the process takes of the machine's memory; 0 where there is no /proc."""
    status = Path("/proc/self/statm")
    return int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if status.exists() else 0


def twenty_runs(mode: str) -> dict[str, Any]:
    card = Card(64 << 20)
    ours, other = card.model(mode), card.other()
    asked = replace(ASKED, steps=1)
    counts, resident = [], []
    for turn in range(26):
        run(ours, asked=asked)
        counts.append(alive())
        if turn % 4 == 3:
            evict()
        if turn % 4 == 1:
            management.load_models_gpu([other])
        resident.append(resident_bytes())
    return {"early": counts[5], "late": counts[25], "growth": resident[25] - resident[5]}


class Stop(BaseException):
    """As ComfyUI's interrupt is."""


def stop_at(beginning: str) -> Callable[[float, str], None]:
    def progress(_: float, what: str) -> None:
        if what.startswith(beginning):
            raise Stop

    return progress


def stopped(mode: str) -> dict[str, Any]:
    """Interrupts at every stage, and errors in the middle of the text encoder and of the transformer."""
    ours = Card(64 << 20).model(mode)
    seen = {}
    for at in ("describing", "preparing", "step 1", "step 2", "decoding"):
        asked = replace(ASKED, prompt="") if at == "describing" else ASKED
        ours.parts.modulation._tables.clear()  # so that "preparing" comes again
        seen[at] = after_stop(ours, stop_at(at), asked)
    inside = {"layer": ours.parts.text_encoder.model.language_model.layers[1]}
    inside["block"] = ours.parts.transformer.transformer_blocks[1]
    for at, module in inside.items():
        hook = module.register_forward_pre_hook(raise_stop)
        seen[at] = after_stop(ours, silent, OTHER, hook.remove)
    return seen


def raise_stop(*_: Any) -> None:
    raise Stop


def after_stop(ours: Any, progress: Any, asked: Any, mend: Callable[[], None] = lambda: None) -> dict[str, Any]:
    seen: dict[str, Any] = {"stopped": False}
    try:
        run(ours, progress, asked)
    except Stop:
        seen["stopped"] = True
    mend()
    seen["listed"] = listed()
    evict()
    layers = ours.parts.text_encoder.model.language_model.layers
    seen |= {"after": listed(), "held": ours.placement.held, "layers": f"{type(layers).__name__} {len(layers)}"}
    return seen | {"equal": torch.equal(run(ours), WANT[0])}


def room_that_cannot_be_made(mode: str) -> dict[str, Any]:
    """Another model's eviction fails in the middle of our run."""
    card = Card(64 << 20)
    ours = card.model(mode)
    run(ours)
    stubborn = card.other(Stubborn)
    card.size -= 64 << 20
    try:
        run(ours)
        error = ""
    except RuntimeError as stuck:
        error = str(stuck)
    seen = {"error": error, "held": ours.placement.held, "listed": listed()}
    management.current_loaded_models.clear()
    card.others.remove(stubborn)
    seen["again"] = torch.equal(run(ours), WANT[0])
    seen["listed_again"] = listed()
    return seen


def forgotten() -> dict[str, Any]:
    """The model is dropped, as when its node's output leaves ComfyUI's cache; no garbage collection."""
    ours = Card(64 << 20).model()
    run(ours)
    gc.collect()
    gc.disable()
    tenant = weakref.ref(ours.placement.machine.tenant)
    before = listed()
    management.get_free_memory.__self__.models.clear()
    del ours
    gc.enable()
    return {"before": before, "after": listed(), "tenant": tenant() is not None}


def plan_is_made_after_others_left() -> dict[str, Any]:
    card = Card(TIGHT)
    other, ours = card.other(), card.model("auto")
    early = ours.placement._plan is not None
    run(ours)
    return {"early": early, "mode": ours.placement.plan.mode, "other": other.loaded_size()}


def plan_on_a_small_card(room: int) -> dict[str, Any]:
    ours = Card(room).model("auto")
    equal = torch.equal(run(ours), WANT[0])
    return {"mode": ours.placement.plan.mode, "equal": equal, "listed": listed()}


def asked_for() -> dict[str, Any]:
    """Bytes beside the working memory, call by call."""
    card = Card(64 << 20)
    ours = card.model(placement.LEAVES)
    parts = ours.parts
    weight = {name: placement.weigh(getattr(parts, name)) for name in ("transformer", "text_encoder", "vae")}
    asked: list[int] = []
    machine = ours.placement.machine
    real = machine.make_room

    def make_room(of: Any, wanted: int) -> int:
        asked.append(wanted)
        return int(real(of, wanted))

    machine.make_room = make_room
    run(ours)
    first = list(asked)
    asked.clear()
    run(ours)
    weight["tables"] = 2 * max(placement.weigh(pair) for pair in parts.modulation.layers)
    beside = {"less": placement.WORKING, "more": placement.working(placement.USUAL_TOKENS)}
    return {"weight": weight, "beside": beside, "first": first, "second": asked}


def comfyuis_own_numbers() -> dict[str, Any]:
    """Weights that comfy-kitchen quantises, unpacked by it and by our reader: relative difference, by format."""
    import json as text

    from comfy_kitchen.tensor import TensorCoreMXFP8Layout, TensorCoreNVFP4Layout, TensorWiseINT8Layout
    from safetensors.torch import save_file

    readers = importlib.import_module("pack.qil_core.checkpoints.readers")
    weight = torch.randn(192, 512, generator=torch.Generator().manual_seed(0), dtype=torch.float32).bfloat16()
    turned = {"convrot": True, "convrot_groupsize": 256}
    forms: dict[str, tuple[Any, dict[str, Any], dict[str, Any]]] = {
        "int8_tensorwise": (TensorWiseINT8Layout, {"is_weight": True}, {}),
        "int8_tensorwise convrot": (TensorWiseINT8Layout, {"is_weight": True, "per_channel": True, **turned}, turned),
        "mxfp8": (TensorCoreMXFP8Layout, {}, {}),
        "nvfp4": (TensorCoreNVFP4Layout, {"scale": "recalculate"}, {}),
    }
    seen = {}
    for name, (layout, how, more) in forms.items():
        if name == "nvfp4":
            how = {"scale": weight.abs().amax().float() / (448 * 6)}
        codes, given = layout.quantize(weight, **how)
        file = {"a.weight": codes.view(torch.uint8) if name == "nvfp4" else codes}
        blocks = getattr(given, "block_scale", None)
        file["a.weight_scale"] = (given.scale if blocks is None else blocks).clone()
        if blocks is not None:
            file["a.weight_scale_2"] = given.scale.clone()
        if name == "mxfp8":
            file["a.weight_scale"] = file["a.weight_scale"].view(torch.uint8)
        about = text.dumps({"format": name.split()[0], **more}).encode()
        file["a.comfy_quant"] = torch.tensor(list(about), dtype=torch.uint8)
        path = FOLDER[0] / f"{name}.safetensors"
        save_file({key: tensor.contiguous() for key, tensor in file.items()}, path)
        ours, theirs = readers.open_readers(path)["a.weight"](), layout.dequantize(codes, given)
        seen[name] = float((ours.float() - theirs.float()).norm() / theirs.float().norm())
    return seen


def kept() -> dict[str, Any]:
    """Load Layered Model with one memory mode, then with another: the graph's output of the first still lives."""
    from comfy.model_patcher import is_model_patcher_output

    node = importlib.import_module("pack.nodes.load").LoadLayeredModel
    opened: list[str] = []
    real = Path.open
    Path.open = lambda self, *given, **named: opened.append(self.name) or real(self, *given, **named)  # type: ignore
    choice = {"source": "diffusers folder", "folder": str(FOLDER[0]), "loras": "", "attention": "default"}
    choice |= {"compile": False, "first_block_cache": 0.0}
    outputs, counts = [], []
    for mode in (placement.ALL, placement.STREAMED):
        outputs.append(node.execute(source={**choice, "memory": mode}).args[0])
        counts.append(len(opened))
        opened.clear()
    Path.open = real  # type: ignore[method-assign]
    first, second = outputs
    return {
        "opened": counts,
        "one copy": first.model.parts is second.model.parts,
        "rated": [is_model_patcher_output(output) for output in outputs],
        "memory": [output.model.settings.memory for output in outputs],
    }


def pinned() -> dict[str, Any]:
    """What may be pinned beside ComfyUI's own, and who pins; nothing of it needs a GPU."""
    machine = importlib.import_module("pack.qil_core.model.machine")
    shared = memory.SharedMachine(torch.device("cuda:0"))
    real = management.MAX_PINNED_MEMORY, management.TOTAL_PINNED_MEMORY, management.pin_memory, management.unpin_memory
    calls: list[str] = []
    seen: dict[str, Any] = {"may": []}
    for most, now in ((1000, 400), (1000, 2000), (-1, 0), (1 << 60, 0)):
        management.MAX_PINNED_MEMORY, management.TOTAL_PINNED_MEMORY = most, now
        seen["may"].append(shared.pinnable())
    seen["share"] = machine.PIN_SHARE * shared.free_ram() / seen["may"].pop()
    management.pin_memory = lambda buffer: calls.append(f"pin {buffer.nbytes}") or True
    management.unpin_memory = lambda buffer: calls.append(f"unpin {buffer.nbytes}")
    buffer = machine.HostBuffer(432, shared)
    seen["is pinned"] = buffer.is_pinned
    del buffer
    management.pin_memory = lambda buffer: False
    seen["refused"] = machine.HostBuffer(432, shared).is_pinned
    management.MAX_PINNED_MEMORY, management.TOTAL_PINNED_MEMORY = real[:2]
    management.pin_memory, management.unpin_memory = real[2:]
    errors = (torch.OutOfMemoryError("x"), RuntimeError("cannot pin"), MemoryError())
    return seen | {"calls": calls, "oom": [shared.is_oom(error) for error in errors]}


def on_a_cpu() -> dict[str, Any]:
    cpu = torch.device("cpu")
    ours = model("auto", cpu)
    want = run(pipeline.LayeredModel(load(), cpu))
    seen: dict[str, Any] = {"first": torch.equal(run(ours), want), "mode": ours.placement.plan.mode, "listed": listed()}
    evict(cpu)
    return seen | {"after": listed(), "again": torch.equal(run(ours), want), "listed_again": listed()}


SCENES: dict[str, Callable[[], dict[str, Any]]] = {
    **{f"evicted {mode}": lambda mode=mode: evicted_and_brought_back(mode) for mode in MODES},
    "a little": whole_eviction_for_a_little,
    "others": others_and_ours_take_turns,
    "two": two_of_ours_take_turns,
    **{f"twenty {mode}": lambda mode=mode: twenty_runs(mode) for mode in (placement.ALL, placement.STREAMED)},
    **{f"stopped {mode}": lambda mode=mode: stopped(mode) for mode in (placement.LEAVES, placement.STREAMED)},
    **{
        f"stuck {mode}": lambda mode=mode: room_that_cannot_be_made(mode)
        for mode in (placement.ALL, placement.STREAMED)
    },
    "forgotten": forgotten,
    "plan": plan_is_made_after_others_left,
    "small": lambda: plan_on_a_small_card(0),
    "asked": asked_for,
    "cpu": on_a_cpu,
    "kept": kept,
    "pinned": pinned,
    "formats": comfyuis_own_numbers,
}


def main() -> None:
    import tiny_model

    real = management.get_free_memory
    with tempfile.TemporaryDirectory() as place, torch.inference_mode():
        FOLDER.append(tiny_model.build(Path(place)))
        WANT.append(without_comfyui())
        seen = {}
        for name in arguments.scenes or SCENES:
            seen[name] = SCENES[name]()
            management.get_free_memory = real
            management.current_loaded_models.clear()
            gc.collect()
    print("SEEN " + json.dumps(seen))


if __name__ == "__main__":
    main()
