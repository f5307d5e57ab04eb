"""The unit tests of the panel's own code, run by node, and that both sides arrange layers alike."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from qil_core.editor.items import arrange_items
from qil_core.editor.state import Edit, Edits, edits_text

pytestmark = pytest.mark.slow
NODE = shutil.which("node")
HERE = Path(__file__).parent
PARTS = sorted((HERE.parents[1] / "web").rglob("*.js"))
MOST_LINES = 400


@pytest.fixture(autouse=True)
def with_node() -> None:
    if not NODE:
        pytest.skip("!!! The panel's code is NOT TESTED: there is no node (20 or newer) on the PATH")


def test_the_unit_tests_of_the_panel_pass() -> None:
    files = sorted(map(str, HERE.glob("*.test.mjs")))
    done = subprocess.run([str(NODE), "--test", *files], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-6000:]
    assert "fail 0" in done.stdout


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_every_part_is_small_and_can_be_read(part: Path) -> None:
    assert len(part.read_text().splitlines()) <= MOST_LINES
    assert subprocess.run([str(NODE), "--check", str(part)], capture_output=True).returncode == 0


def random_edits(chance: random.Random, ids: list[str]) -> Edits:
    """Edits that name layers which are there, duplicates of them, merges, and layers that are gone."""
    names = [*ids, f"{ids[0]}~2", f"{ids[1]}.2", "f" * 16, "m1", "m2"]
    some = lambda least=0: tuple(chance.sample(names, chance.randint(least, 5)))  # noqa: E731
    merged = {name: some(2) for name in ("m1", "m2") if chance.random() < 0.6}
    return Edits({layer: Edit(dx=1.0) for layer in some()}, some(), merged)


def test_the_panel_and_the_node_arrange_layers_alike(tmp_path: Path) -> None:
    chance = random.Random(0)
    ids = [f"{i:016x}" for i in range(4)]
    cases = [random_edits(chance, ids) for _ in range(300)]
    code = """
        import { arrange, parseState } from "%s";
        const { ids, texts } = JSON.parse(process.argv[1]);
        console.log(JSON.stringify(texts.map((text) => arrange(parseState(text), ids))));
    """
    given = json.dumps({"ids": ids, "texts": [edits_text(case) for case in cases]})
    module = (HERE.parents[1] / "web" / "editor" / "state.js").as_uri()
    command = [str(NODE), "--input-type=module", "-e", code % module, given]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    for case, there in zip(cases, found, strict=True):
        wanted = arrange_items(case, ids)
        assert tuple(there["order"]) == wanted.order
        assert set(there["stale"]) == set(wanted.stale)
        assert {name: tuple(parts) for name, parts in there["merged"].items()} == wanted.merged
