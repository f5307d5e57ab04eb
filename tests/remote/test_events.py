"""Progress: what a websocket tells is shown, and nothing that it tells does harm."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from fake_comfy import GRAPH, serving
from run_shell import Shell

from qil_core.remote.events import Watch
from qil_core.remote.pool import Attempt, Pool
from qil_core.remote.server import Server
from qil_core.remote.workflow import Workflow


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_each_node_counts_alike() -> None:
    watch = Watch(4)
    assert watch.fraction() == 0
    watch.take("execution_start", {})
    watch.take("execution_cached", {"nodes": ["1"]})
    watch.take("executing", {"node": "2"})
    assert (watch.running, watch.node, watch.fraction()) == (True, "2", 0.25)
    watch.take("progress", {"value": 5, "max": 10})
    assert watch.fraction() == 0.375
    watch.take("executing", {"node": "3"})
    assert watch.fraction() == 0.5
    assert not watch.ended.is_set()
    watch.take("execution_success", {})
    assert watch.ended.is_set()


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("progress", {"value": "x", "max": None}),
        ("progress", {"value": 1, "max": 0}),
        ("progress", {"value": 5, "max": -1}),
        ("progress", {"value": float("nan"), "max": 1}),
        ("progress", {"value": 10**400, "max": 1}),
        ("executing", {"node": ["list"]}),
        ("execution_cached", {"nodes": "all"}),
        ("execution_cached", {"nodes": list(range(1000))}),
        ("unheard_of", {}),
    ],
)
def test_no_event_leads_out_of_0_to_1(kind: str, data: dict[str, Any]) -> None:
    watch = Watch(2)
    for _ in range(3):
        watch.take(kind, data)
        assert 0 <= watch.fraction() <= 1


def test_bars_on_a_terminal_name_the_job_and_the_node_that_runs(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.pictures(2)
    monkeypatch.setattr(sys, "stderr", screen := Terminal())
    with serving(seconds=0.7) as comfy:
        assert shell.run("--server", comfy.url, "--each", f"1.image={shell.folder}/photos/*") == 0
    for text in ("jobs:", "p0", "p1", "25%, Work v1.5", "0%, waiting for its turn", "2/2"):
        assert text in screen.getvalue()


def test_a_server_with_other_peoples_prompts_is_busier(tmp_path: Path) -> None:
    servers = [Server(f"http://127.0.0.1:{port}", Event()) for port in (1, 2)]
    pool = Pool(Workflow(GRAPH, tmp_path / "w.json"), servers, tmp_path)
    busy, idle = pool.lines
    busy.server.events.queued = 3
    assert (busy.load(), idle.load()) == (3, 0)
    assert pool._is_least_busy(idle)
    assert not pool._is_least_busy(busy)
    idle.down_since = 1.0
    assert pool._is_least_busy(busy)
    idle.down_since = None
    idle.attempts = [Attempt(None), Attempt(None)]  # type: ignore[arg-type]  # only counted
    assert pool._is_least_busy(busy), "the other one has no place left"
