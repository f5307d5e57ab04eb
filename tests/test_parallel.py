"""Pieces of work on threads: what every worker may count on, what nobody else may notice, and how it ends."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from qil_core.composite import composite
from qil_core.exact import make_exact, recomposition
from qil_core.metrics import measure
from qil_core.parallel import each, worker_count
from qil_core.recolor import HueTurn, mean_lightness, recolor
from qil_core.restore import restore
from qil_core.stack import LayerStack, quantized, to_bytes
from qil_core.transform import Placement, transform

CPU = torch.device("cpu")


class Interrupted(BaseException):
    """As ComfyUI's interrupt, which `except Exception` lets through."""


@pytest.fixture(params=[2, 3])
def workers(request: pytest.FixtureRequest) -> Iterator[int]:
    """So many threads for torch, and so for the pool, whatever machine this is."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def in_thread(ask: Callable[[], object]) -> object:
    """What a thread that begins now answers."""
    answers: list[object] = []
    thread = threading.Thread(target=lambda: answers.append(ask()))
    thread.start()
    thread.join()
    return answers[0]


def test_results_come_in_the_order_of_the_items(workers: int) -> None:
    def slow_first(item: int) -> int:
        time.sleep(0.02 if item == 0 else 0)
        return item * item

    assert each(range(9), slow_first, CPU) == [item * item for item in range(9)]
    assert each([], slow_first, CPU) == []


def test_a_worker_computes_on_one_core_and_everybody_else_on_as_many_as_before(workers: int) -> None:
    everyone = threading.Barrier(workers)  # so that every worker of the pool answers

    def threads(_: int) -> int:
        everyone.wait(10)
        (torch.rand(1 << 18) * 2).sum()
        return torch.get_num_threads()

    assert each(range(workers), threads, CPU) == [1] * workers
    assert torch.get_num_threads() == workers
    assert in_thread(torch.get_num_threads) == workers


def test_as_many_items_are_in_work_as_there_are_workers(workers: int) -> None:
    running, most, lock = 0, 0, threading.Lock()

    def watched(_: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.005)
        with lock:
            running -= 1

    each(range(20), watched, CPU)
    assert most == workers


def test_inference_and_gradient_modes_are_those_of_the_caller(workers: int) -> None:
    def modes(_: int) -> tuple[bool, bool]:
        return torch.is_inference_mode_enabled(), torch.is_grad_enabled()

    with torch.inference_mode():
        assert each(range(4), modes, CPU) == [(True, False)] * 4
    with torch.no_grad():
        assert each(range(4), modes, CPU) == [(False, False)] * 4
    assert each(range(4), modes, CPU) == [(False, True)] * 4


def test_progress_is_reported_by_the_calling_thread_alone(workers: int) -> None:
    reports: list[tuple[int, float, str]] = []

    def progress(fraction: float, what: str) -> None:
        reports.append((threading.get_ident(), fraction, what))

    each(range(4), lambda item: item, CPU, progress, "counting")
    assert reports == [(threading.get_ident(), done / 4, "counting") for done in range(4)]


@pytest.mark.parametrize("kind", [Interrupted, ValueError])
def test_an_interrupt_ends_the_work_at_once_and_leaves_nothing_running(workers: int, kind: type[BaseException]) -> None:
    begun: list[int] = []
    ended: list[int] = []

    def slow(item: int) -> None:
        begun.append(item)
        time.sleep(0.02)
        ended.append(item)

    def progress(fraction: float, what: str) -> None:
        if fraction > 0:
            raise kind("stop")

    with pytest.raises(kind, match="stop"):
        each(range(100), slow, CPU, progress)
    assert sorted(begun) == sorted(ended)
    assert len(begun) <= 4 * workers
    seen = len(begun)
    time.sleep(0.05)
    assert len(begun) == seen, "what was not begun is dropped"
    assert each(range(3), lambda item: item, CPU) == [0, 1, 2], "the pool works on"


def test_an_error_of_an_item_comes_out_and_ends_the_work(workers: int) -> None:
    begun: list[int] = []

    def work(item: int) -> None:
        begun.append(item)
        if item == 1:
            raise ZeroDivisionError("item 1")
        time.sleep(0.005)

    with pytest.raises(ZeroDivisionError, match="item 1"):
        each(range(100), work, CPU)
    assert len(begun) < 100


def test_work_inside_work_is_done_by_the_same_worker(workers: int) -> None:
    def outer(_: int) -> bool:
        inner = each(range(5), lambda _: threading.get_ident(), CPU)
        return worker_count() == 1 and set(inner) == {threading.get_ident()}

    assert each(range(8), outer, CPU) == [True] * 8


def test_several_threads_may_use_the_pool_at_once(workers: int) -> None:
    answers: dict[int, list[int]] = {}

    def call(of: int) -> None:
        answers[of] = each(range(30), lambda item: item + of, CPU)

    callers = [threading.Thread(target=call, args=(of,)) for of in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(10)
    assert answers == {of: list(range(of, of + 30)) for of in range(4)}


def test_on_another_device_the_caller_does_one_item_after_the_other(workers: int) -> None:
    assert set(each(range(5), lambda _: threading.get_ident(), torch.device("meta"))) == {threading.get_ident()}


FORKED = """
import os, torch
from qil_core.parallel import each
torch.set_num_threads(2)
assert each(range(4), lambda item: item, torch.device("cpu")) == [0, 1, 2, 3]
child = os.fork()
if not child:
    os._exit(0 if each(range(4), lambda item: item, torch.device("cpu")) == [0, 1, 2, 3] else 1)
assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.skipif(not hasattr(sys, "getdlopenflags"), reason="NOT CHECKED: no fork on this system")
def test_a_forked_process_has_threads_of_its_own() -> None:
    subprocess.run([sys.executable, "-c", FORKED], check=True, timeout=60)


def wide(layers: int, side: int, seed: int = 0) -> LayerStack:
    """Noise, in several bands."""
    pixels = torch.rand(layers, side, side, 4, generator=torch.Generator().manual_seed(seed))
    pixels[..., 3] = (pixels[..., 3] * 2 - 0.5).clamp(0, 1)
    pixels[0, ..., 3] = 1
    return LayerStack.from_image(pixels)


STACK, SMALL = wide(3, 700), wide(3, 64)
TARGET = wide(1, 700, 1).pixels[0]
BANDED: dict[str, Callable[[], object]] = {
    "composite": lambda: composite(STACK),
    "composite in linear light": lambda: composite(STACK, linear=True),
    "composite with modes": lambda: composite(STACK, ["normal", "hue", "soft-light"]),
    "make_exact": lambda: make_exact(STACK, TARGET).pixels,
    "recomposition": lambda: recomposition(STACK, TARGET),
    "restore": lambda: restore(SMALL, TARGET).pixels,
    "transform": lambda: transform(STACK, 1, Placement(rotation=17, scale_x=0.8)).pixels,
    "recolor": lambda: recolor(STACK, 1, HueTurn(40)).pixels,
    "mean_lightness": lambda: mean_lightness(STACK.pixels[1]),
    "quantized": lambda: quantized(STACK.pixels),
    "to_bytes": lambda: to_bytes(STACK.pixels),
    "measure": lambda: measure(STACK, wide(3, 700, 2)),
}


@pytest.mark.parametrize("name", BANDED)
def test_results_have_the_same_bits_with_any_number_of_threads(name: str) -> None:
    before, found = torch.get_num_threads(), []
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        with torch.inference_mode():  # as ComfyUI runs nodes
            found.append(BANDED[name]())
    torch.set_num_threads(before)
    serial, *parallel = found
    assert all(torch.equal(one, serial) if isinstance(one, Tensor) else one == serial for one in parallel)
