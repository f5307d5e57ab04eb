"""While a node works: progress, and an end when the user asks for it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from comfy_client import Client
from comfy_graphs import node, taken_apart


def test_progress_rises_to_the_end(client: Client) -> None:
    graph = taken_apart("second.png", layers=9) | {"see": node("PreviewAny", source=["decompose", 3])}  # not remembered
    fractions = client.succeed(graph).progress("decompose")
    assert len(set(fractions)) >= 3  # ComfyUI passes on only some of what comes in quick succession
    assert all(a <= b for a, b in pairwise(fractions))
    assert fractions[-1] == 1


def test_progress_of_a_batch_counts_all_pictures(client: Client) -> None:
    graph = taken_apart("second.png", layers=6) | {"see": node("PreviewAny", source=["decompose", 3])}  # not remembered
    graph["twice"] = node("RepeatImageBatch", image=["picture", 0], amount=2)
    graph["decompose"]["inputs"]["image"] = ["twice", 0]
    fractions = client.succeed(graph).progress("decompose")
    assert all(a <= b for a, b in pairwise(fractions))
    assert any(0 < fraction <= 0.5 for fraction in fractions)
    assert fractions[-1] == 1


def test_an_interrupted_decomposition_stops_and_the_server_goes_on(client: Client) -> None:
    def interrupt(kind: str, data: dict[str, Any]) -> None:
        if kind == "progress" and data["node"] == "decompose":
            client.post("/interrupt", {})

    see = {"see": node("PreviewAny", source=["decompose", 3])}
    run = client.run(taken_apart("large.png", layers=9) | see, on_event=interrupt)  # which nothing remembers
    assert run.end == "execution_interrupted"
    assert run.events[-1][1]["node_id"] == "decompose"
    assert run.progress("decompose")[-1] < 1
    assert client.run(taken_apart("example.png", layers=3) | see).end == "execution_success"


def test_the_history_of_a_run_has_what_the_websocket_said(client: Client) -> None:
    graph = taken_apart("second.png") | {"see": node("PreviewAny", source=["decompose", 1])}
    run = client.succeed(graph)
    history = client.history(run)
    assert history["outputs"] == {"see": run.output("see")}
    assert history["status"]["status_str"] == "success"
