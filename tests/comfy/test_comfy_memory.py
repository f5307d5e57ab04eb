"""Our model beside ComfyUI's memory manager: see memory_scenes.py, which plays it in ComfyUI's own Python."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
from finder import Checkout

SCENES = Path(__file__).with_name("memory_scenes.py")
OURS, OTHER = "QwenImageLayered", "Linear"
OTHERS_SIZE = 4 << 20
ALL, LEAVES, STREAMED = "all on the GPU", "text encoder leaves", "streamed"


@pytest.fixture(scope="module")
def seen(checkout: Checkout, skip_loudly: Callable[[str], NoReturn]) -> dict[str, Any]:
    """What every scene saw, by its name."""
    found = subprocess.run([checkout.python, "-c", "import diffusers, accelerate"], capture_output=True)
    if found.returncode:
        skip_loudly("Memory tests in ComfyUI SKIPPED: its Python has no diffusers and accelerate (requirements.txt)")
    command = [checkout.python, "-W", "ignore", SCENES, checkout.folder]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-4000:]
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("SEEN "))
    return dict(json.loads(line.removeprefix("SEEN ")))


@pytest.mark.parametrize("mode", [ALL, LEAVES, STREAMED])
def test_after_a_run_comfyui_knows_our_model_and_how_much_it_holds(seen: dict[str, Any], mode: str) -> None:
    scene = seen[f"evicted {mode}"]
    assert scene["listed"] == [OURS]
    assert scene["held"] > 300_000
    assert scene["first"], "the same bits as without ComfyUI's memory manager"


@pytest.mark.parametrize("mode", [ALL, LEAVES, STREAMED])
def test_evicted_it_holds_nothing_and_comes_back_with_the_same_bits(seen: dict[str, Any], mode: str) -> None:
    scene = seen[f"evicted {mode}"]
    assert scene["listed_after"] == []
    assert scene["held_after"] == 0
    assert not scene["streamed_after"]
    assert scene["home"] == 1, "every weight is where it came from"
    assert scene["again"]
    assert scene["listed_again"] == [OURS]
    assert scene["held_again"] > 300_000


def test_a_little_memory_that_is_wanted_evicts_all_of_it(seen: dict[str, Any]) -> None:
    assert seen["a little"] == {"listed": [], "held": 0}


def test_others_are_unloaded_for_ours_and_ours_for_others(seen: dict[str, Any]) -> None:
    scene = seen["others"]
    assert (scene["first"], scene["other_first"]) == ([OTHER], OTHERS_SIZE)
    assert scene["after_ours"][0] == OURS
    assert scene["other_after_ours"] == 0
    assert (scene["after_other"], scene["other_again"]) == ([OTHER], OTHERS_SIZE)
    assert scene["held"] == 0
    assert scene["equal"]
    assert scene["at_last"][0] == OURS


def test_two_of_our_models_take_turns_on_a_card_that_holds_one(seen: dict[str, Any]) -> None:
    for equal, listed, held, held_by_the_other in seen["two"]["turns"]:
        assert equal
        assert (listed, held, held_by_the_other) == (1, True, 0)


@pytest.mark.parametrize("mode", [ALL, STREAMED])
def test_twenty_runs_with_evictions_between_them_leave_nothing_behind(seen: dict[str, Any], mode: str) -> None:
    scene = seen[f"twenty {mode}"]
    assert scene["late"] == scene["early"], "tensors, their bytes, models in ComfyUI's list, finalizers"
    assert scene["late"][2] <= 2
    assert scene["growth"] < 16 << 20, "a leak of what comes and goes, 4 MB and more a turn, would be 80 MB and more"


@pytest.mark.parametrize("at", ["describing", "preparing", "step 1", "step 2", "decoding", "layer", "block"])
@pytest.mark.parametrize("mode", [LEAVES, STREAMED])
def test_stopped_anywhere_it_is_still_known_can_be_evicted_and_works(seen: dict[str, Any], mode: str, at: str) -> None:
    want = {"stopped": True, "listed": [OURS], "after": [], "held": 0, "layers": "ModuleList 2", "equal": True}
    assert seen[f"stopped {mode}"][at] == want


@pytest.mark.parametrize("mode", [ALL, STREAMED])
def test_when_room_cannot_be_made_nothing_is_held_unknown_to_comfyui(seen: dict[str, Any], mode: str) -> None:
    scene = seen[f"stuck {mode}"]
    assert scene["error"] == "stuck", "the error is not hidden"
    assert scene["held"] == 0
    assert OURS not in scene["listed"]
    assert scene["again"]
    assert scene["listed_again"] == [OURS]


def test_a_model_that_is_dropped_leaves_the_list_without_garbage_collection(seen: dict[str, Any]) -> None:
    assert seen["forgotten"] == {"before": [OURS], "after": [], "tenant": False}


def test_the_memory_mode_is_chosen_at_first_use_after_others_were_unloaded(seen: dict[str, Any]) -> None:
    assert seen["plan"] == {"early": False, "mode": ALL, "other": 0}


def test_a_card_that_is_too_small_streams(seen: dict[str, Any]) -> None:
    assert seen["small"] == {"mode": STREAMED, "equal": True, "listed": [OURS]}


def test_room_is_asked_for_before_every_stage_and_only_for_what_is_not_there(seen: dict[str, Any]) -> None:
    scene = seen["asked"]
    weight, less, more = scene["weight"], scene["beside"]["less"], scene["beside"]["more"]
    prompts, picture, time, tables, blocks, decoding = scene["first"]
    assert prompts == weight["text_encoder"] + less, "both texts pass it together"
    assert (picture, decoding) == (weight["vae"] + less, less)
    assert weight["tables"] + less <= tables < weight["tables"] + less + 4096, "slots for two blocks' modulation"
    assert time + blocks == weight["transformer"] + less + more
    assert scene["second"] == [more, less]


def test_we_compute_in_the_type_in_which_comfyui_would(seen: dict[str, Any]) -> None:
    assert seen["types"] == {"cpu": "torch.float32", "bf16": "torch.bfloat16", "told fp8": "torch.bfloat16"}


def test_on_a_cpu_it_is_listed_and_evicted_too_and_nothing_is_moved(seen: dict[str, Any]) -> None:
    scene = seen["cpu"]
    assert (scene["first"], scene["mode"], scene["listed"]) == (True, ALL, [OURS])
    assert (scene["after"], scene["again"], scene["listed_again"]) == ([], True, [OURS])


def test_a_changed_memory_setting_loads_nothing_and_the_output_is_rated_as_a_model(seen: dict[str, Any]) -> None:
    scene = seen["kept"]
    read, again = scene["opened"]
    assert (read > 5, again) == (True, 0)
    assert (scene["one copy"], scene["rated"], scene["memory"]) == (True, [True, True], [ALL, STREAMED])


def test_host_memory_is_pinned_by_comfyui_within_its_own_share_and_ours(seen: dict[str, Any]) -> None:
    scene = seen["pinned"]
    assert scene["may"] == [600, 0, 0]
    assert scene["share"] == pytest.approx(1, rel=0.2), "of what is free, which changes while it is asked"
    assert scene["calls"] == ["pin 432", "unpin 432"]
    assert (scene["is pinned"], scene["refused"]) == (True, False)
    assert scene["oom"] == [True, False, False], "a failure to pin is none of the device's memory"


@pytest.mark.parametrize("form", ["int8_tensorwise", "int8_tensorwise convrot", "mxfp8", "nvfp4"])
def test_quantised_weights_are_the_numbers_that_comfyui_unpacks(seen: dict[str, Any], form: str) -> None:
    assert seen["formats"][form] <= (0.006 if form == "nvfp4" else 0), "ComfyUI multiplies NVFP4 scales in bfloat16"
