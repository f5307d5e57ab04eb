"""Every input of every node gets what is wrong: see attack.py, which does it in ComfyUI's own Python."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from comfy_graphs import NODES
from finder import Checkout

ATTACK = Path(__file__).with_name("attack.py")
NEED_WEIGHTS = {
    f"{node} {i}" for node, which in (("LoadLayeredModel", range(1, 7)), ("LoadEditModel", range(3))) for i in which
}
"""Settings of the loaders whose model files are not there: folder, files, download, of two layered models and one."""


@pytest.fixture(scope="module")
def seen(checkout: Checkout) -> dict[str, Any]:
    """What every case came to, counted, and the cases that went wrong."""
    command = [checkout.python, "-W", "ignore", ATTACK, checkout.folder]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr[-4000:]
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("SEEN "))
    return dict(json.loads(line.removeprefix("SEEN ")))


def test_every_node_is_attacked(seen: dict[str, Any]) -> None:
    assert set(seen["nodes"]) == NODES
    assert sum(seen["counts"].values()) > 250 * len(NODES)


def test_every_node_works_with_the_values_that_are_right(seen: dict[str, Any]) -> None:
    """Otherwise an attack on one input would say nothing."""
    failed = {name: text for name, (kind, text, _) in seen["healthy"].items() if kind != "success"}
    assert set(failed) == NEED_WEIGHTS, failed


def test_whatever_comes_in_is_refused_in_validation_or_a_clear_error_or_works(seen: dict[str, Any]) -> None:
    assert not seen["faults"], "\n".join(seen["faults"][:40])
