"""Work on CPU tensors in parallel: whole pieces (bands of rows, layers) on threads, each piece on one core.

torch splits every operation over its threads and waits at its end for the slowest of them. Beside another busy
process that wait is a time slice of the operating system, and a picture takes hundreds of operations. Here the unit
of parallel work is the piece instead, so that a thread which has to wait holds up nobody:

1. `each` gives the pieces to a pool of as many threads as torch would use, and waits for them in order.
2. `_start_worker` lets each of these threads use one OpenMP thread. OpenMP keeps that number for every thread by
   itself (OpenMP 5.0, section 2.4, nthreads-var), so torch stays as fast as it was for everybody else in the process.
   torch.set_num_threads would not do: it also sets the number for every thread that begins later.
3. `_with_modes_of_caller` carries inference mode and gradient mode over, which torch keeps thread by thread.

The pieces do not depend on the number of threads, so results have the same bits on every machine.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, TypeVar

import torch

from .progress import Progress, silent

Item = TypeVar("Item")
Result = TypeVar("Result")

_thread = threading.local()


def each(
    items: Iterable[Item],
    work: Callable[[Item], Result],
    device: torch.device,
    progress: Progress = silent,
    what: str = "",
) -> list[Result]:
    """work(item) of every item, in the items' order. On a CPU they run at the same time, elsewhere one by one.

    device: where the tensors are that `work` reads and writes. No two items may write to the same place. As many
    items are in work as there are threads, so memory stays bounded. progress is called with `what` by the calling
    thread alone, before the first item and after each. When it or an item raises, the items that were not begun are
    dropped, those that were are waited for, and the exception goes on to the caller.
    """
    todo = list(items)
    threads = worker_count() if device.type == "cpu" else 1
    if threads == 1 or not todo:
        return _in_turn(todo, work, progress, what)
    return _on_threads(_pool(threads, os.getpid()), todo, work, progress, what)


def worker_count() -> int:
    """How many items are worked on at the same time: torch's threads in this thread; one in a worker of the pool."""
    return 1 if getattr(_thread, "is_worker", False) else torch.get_num_threads()


def _in_turn(items: Sequence[Item], work: Callable[[Item], Result], progress: Progress, what: str) -> list[Result]:
    results = []
    for done, item in enumerate(items):
        progress(done / len(items), what)
        results.append(work(item))
    return results


def _on_threads(
    pool: ThreadPoolExecutor, items: Sequence[Item], work: Callable[[Item], Result], progress: Progress, what: str
) -> list[Result]:
    carried = _with_modes_of_caller(work)
    futures = [pool.submit(carried, item) for item in items]
    try:
        return _in_turn(futures, lambda future: future.result(), progress, what)
    finally:  # nothing may write to the caller's tensors after the return
        wait([future for future in futures if not future.cancel()])


def _with_modes_of_caller(work: Callable[[Item], Result]) -> Callable[[Item], Result]:
    inference, gradients = torch.is_inference_mode_enabled(), torch.is_grad_enabled()

    def carried(item: Item) -> Result:
        with torch.inference_mode(inference), torch.set_grad_enabled(gradients):
            return work(item)

    return carried


@functools.lru_cache(maxsize=1)
def _pool(threads: int, process: int) -> ThreadPoolExecutor:
    """The threads of this process (a forked one has none of its parent's); other ones when their number changes."""
    from threadpoolctl import ThreadpoolController

    return ThreadPoolExecutor(threads, "qil", _start_worker, (ThreadpoolController(),))


def _start_worker(libraries: Any) -> None:
    """Mark this thread as a worker, whose own calls of `each` run in turn, and let it use one OpenMP thread."""
    _thread.is_worker = True
    torch.get_num_threads()  # torch sets a thread's number at its first use, so that has to come before ours
    libraries.limit(limits=1, user_api="openmp")
