"""Whatever JSON a server answers with, it becomes a value or an error for people, never a crash."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from fake_comfy import GRAPH
from hypothesis import given, settings
from hypothesis import strategies as st

from qil_core.errors import QilError
from qil_core.remote.events import Watch
from qil_core.remote.outputs import _names, outputs_of
from qil_core.remote.prompt import _check_success, _refusal
from qil_core.remote.record import Record
from qil_core.remote.schema import DYNAMIC, brought, inputs_of, typed
from qil_core.remote.server import _ids
from qil_core.remote.workflow import Workflow, load_workflow

KEYS = st.sampled_from(
    [
        *["input", "required", "optional", "options", "key", "inputs", "min", "max", "default", "accept", "value"],
        *["image_upload", "outputs", "images", "filename", "subfolder", "type", "status", "status_str", "messages"],
        *["node_errors", "error", "errors", "message", "details", "node", "nodes", "prompt_id", "path", "name"],
        *["class_type", "_meta", "title", "definitions", "subgraphs", "properties", "cnr_id", "exception_message"],
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
JSON = st.recursive(
    SCALARS | st.sampled_from(["COMBO", DYNAMIC, "INT", "execution_error"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)
OPTIONS = st.fixed_dictionaries({}, optional=dict.fromkeys(("options", "min", "max", "default", "multiselect"), JSON))
SPEC = st.tuples(st.sampled_from(["COMBO", DYNAMIC, "INT", "FLOAT", "STRING"]) | JSON, OPTIONS | JSON).map(list)


@settings(max_examples=300)
@given(st.dictionaries(st.text(max_size=3), SPEC, max_size=3), JSON)
def test_schemas(specs: Any, value: Any) -> None:
    info = {"input": {"required": specs}}
    for name, given_input in inputs_of(info, {}).items():
        with suppress(QilError):
            typed(given_input, value, name)
        brought(info, {}, name)


@given(JSON)
def test_schemas_of_any_form(info: Any) -> None:
    inputs_of({"input": info}, {})


@given(JSON)
def test_history_entries(data: Any) -> None:
    entry = data if isinstance(data, dict) else {"outputs": data, "status": data}
    assert len(_names(outputs_of(entry))) == len(outputs_of(entry))
    with suppress(QilError):
        _check_success(entry, GRAPH)


@given(JSON)
def test_refusals_and_queues(data: Any) -> None:
    assert isinstance(_refusal({"node_errors": data, "error": data}, GRAPH), str)
    assert isinstance(_refusal(data, GRAPH), str)
    list(_ids(data))


@given(st.sampled_from(["progress", "executing", "execution_cached"]), JSON)
def test_events(kind: str, data: Any) -> None:
    watch = Watch(3)
    watch.take(kind, data if isinstance(data, dict) else {"value": data, "max": data, "node": data, "nodes": data})
    assert 0 <= watch.fraction() <= 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile")


@given(JSON)
def test_workflow_files_in_either_form(folder: Path, data: Any) -> None:
    path = folder / "w.json"
    ui = {"nodes": [], "definitions": {"subgraphs": data}}
    for form in (data, {"nodes": [data], "definitions": data}, ui, {"1": data}):
        path.write_text(json.dumps(form))
        with suppress(QilError):
            workflow = load_workflow(path, lambda ui: GRAPH)
            workflow.slot("1.x")
            workflow.seeds(workflow.graph)


@given(JSON)
def test_manifests(folder: Path, data: Any) -> None:
    row = data if isinstance(data, dict) else {"status": "ok", "key": "k", "outputs": data}
    (folder / "manifest.jsonl").write_text(json.dumps(row) + "\n")
    Record(folder, Workflow(GRAPH, Path("w"))).close()
