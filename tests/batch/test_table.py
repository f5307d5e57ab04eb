"""The table on the disk that holds all pictures of a run."""

from __future__ import annotations

import tracemalloc

from qil_core.batch.job import Job
from qil_core.batch.table import Table


def test_jobs_come_in_order_while_others_are_settled() -> None:
    table = Table()
    for i in range(250):
        table.add(Job(0, f"{i}.png", f"{i}"))
    seen = []
    for job in table.pending():
        seen.append(job.position)
        table.settle(job)
    assert seen == list(range(250))
    assert table.count_pending() == 0


def test_folders_that_windows_takes_for_one_are_two() -> None:
    table = Table()
    for name in ("Ä", "ä", "ä", "a\udcff", "A\udcff"):
        table.add(Job(0, name, name))
    assert [job.folder for job in table.pending()] == ["Ä", "ä (2)", "ä (3)", "a\udcff", "A\udcff (2)"]


def test_found_paths_are_sorted_on_the_disk() -> None:
    found = [("b", 1), ("a\udcff", 2), ("a", None)]
    assert list(Table().in_order(found)) == [("a", None), ("a\udcff", 2), ("b", 1)]


def test_many_jobs_take_no_memory() -> None:
    table = Table()
    tracemalloc.start()
    for i in range(20_000):
        table.add(Job(0, f"/a/folder/with/pictures/{i}.png", f"{i}", state="1-2"))
    for job in table.pending():
        table.settle(job, {"folder": job.folder, "input": job.input, "status": "ok", "error": ""})
    for _ in table.lines():
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2e6
