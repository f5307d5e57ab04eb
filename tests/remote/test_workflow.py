"""A workflow file, its form, and the nodes that slots name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fake_comfy import GRAPH

from qil_core.errors import QilError
from qil_core.remote.workflow import Slot, Workflow, load_workflow

ROOT = Path(__file__).resolve().parents[2]


def made(**nodes: str) -> Workflow:
    """A workflow of nodes by id with titles."""
    graph: Any = {key: {"class_type": "Any", "inputs": {}, "_meta": {"title": title}} for key, title in nodes.items()}
    return Workflow(graph, Path("w.json"))


def loaded(path: Path, data: Any) -> Workflow:
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return load_workflow(path, lambda ui: None)


def test_a_slot_is_found_by_id_and_by_title() -> None:
    workflow = Workflow(GRAPH, Path("w.json"))
    assert workflow.slot("1.image") == workflow.slot("Your picture.image") == Slot("1", "image")


def test_titles_and_inputs_may_have_dots() -> None:
    workflow = Workflow(GRAPH, Path("w.json"))
    assert workflow.slot("Work v1.5.how.count") == Slot("2", "how.count")


def test_nodes_of_subgraphs_have_ids_with_colons() -> None:
    graph: Any = {"12:5": {"class_type": "Any", "inputs": {}}}
    assert Workflow(graph, Path("w.json")).slot("12:5.seed") == Slot("12:5", "seed")


def test_an_id_goes_before_a_title() -> None:
    assert made(**{"3": "Load", "5": "3"}).slot("3.seed") == Slot("3", "seed")


def test_an_unknown_title_is_answered_with_the_titles_there_are() -> None:
    with pytest.raises(QilError, match=r'"Pictur.image" names no node of w.json. It has: 1 \(Picture\), 2 \(Save\)'):
        made(**{"1": "Picture", "2": "Save"}).slot("Pictur.image")


def test_a_title_of_several_nodes_is_answered_with_their_ids() -> None:
    with pytest.raises(QilError, match='2 nodes are titled "Picture": use an id instead: 1, 7'):
        made(**{"1": "Picture", "7": "Picture"}).slot("Picture.image")


def test_a_slot_without_an_input_is_named() -> None:
    with pytest.raises(QilError, match="names no input"):
        made(**{"1": "Picture"}).slot("Picture")


def test_the_editors_own_form_says_how_to_export_it_and_where_the_other_one_is() -> None:
    path = ROOT / "workflows" / "Decompose to PPTX.json"
    with pytest.raises(QilError, match=r"Export \(API\).*api/decompose_to_pptx.json is there already"):
        load_workflow(path, lambda ui: None)


def test_a_server_that_converts_makes_the_editors_form_run_and_the_packages_known(tmp_path: Path) -> None:
    node = {"id": 1, "type": "Rare", "properties": {"cnr_id": "rare-pack"}}
    inner = {"nodes": [{"type": "Inner", "properties": {"aux_id": "who/inner"}}]}
    path = tmp_path / "ui.json"
    path.write_text(json.dumps({"nodes": [node], "links": [], "definitions": {"subgraphs": [inner]}}))
    workflow = load_workflow(path, lambda ui: GRAPH)
    assert workflow.graph == GRAPH
    assert [workflow.package(name) for name in ("Rare", "Inner", "Work")] == ["rare-pack", "who/inner", ""]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("{", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ([], "holds no workflow"),
        ({}, "holds no nodes"),
        ({"1": {"inputs": {}}}, "no node with a class_type"),
        ({"1": {"class_type": "A", "inputs": []}}, "no node with a class_type"),
        ({"1": 5}, "no node with a class_type"),
        ('{"1": {"class_type": "A", "inputs": {"x": NaN}}}', "cannot be sent as JSON"),
        ('{"1": {"class_type": "A", "inputs": {"x": "\\ud83d"}}}', "cannot be sent as JSON"),
    ],
)
def test_what_is_no_workflow_is_named(tmp_path: Path, data: Any, message: str) -> None:
    with pytest.raises(QilError, match=message):
        loaded(tmp_path / "w.json", data)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(QilError, match="cannot be read"):
        load_workflow(tmp_path / "none.json", lambda ui: None)


def test_titles_do_not_change_the_hash_and_values_do() -> None:
    graph: Any = json.loads(json.dumps(GRAPH))
    graph["1"]["_meta"]["title"] = "Another"
    assert Workflow(graph, Path("a")).digest() == Workflow(GRAPH, Path("b")).digest()
    graph["2"]["inputs"]["seed"] = 8
    assert Workflow(graph, Path("a")).digest() != Workflow(GRAPH, Path("b")).digest()
