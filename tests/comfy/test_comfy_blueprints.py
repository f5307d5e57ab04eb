"""The subgraph blueprints of `subgraphs/`: found by ComfyUI, opened in its front end, and run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from comfy_browser import load, run, screenshot
from comfy_client import Client
from comfy_pictures import slides
from comfy_server import PACK, Server
from finder import REPO

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

POWERPOINT, BY_WORDS = NAMES = ("Image to editable PowerPoint", "Photo to layers by words")

LINKED = """(values) => {
  const [blueprint] = app.graph.nodes;
  const picture = LiteGraph.createNode("LoadImage"), seen = LiteGraph.createNode("PreviewAny");
  app.graph.add(picture);
  app.graph.add(seen);
  picture.widgets[0].value = "example.png";
  picture.connect(0, blueprint, 0);
  blueprint.connect(blueprint.outputs.length - 1, seen, 0);
  for (const [name, value] of Object.entries(values)) blueprint.widgets.find((w) => w.name === name).value = value;
  return app.graphToPrompt().then((prompt) => prompt.output);
}"""


def blueprint(name: str) -> dict[str, Any]:
    graph: dict[str, Any] = json.loads((REPO / "subgraphs" / f"{name}.json").read_text())
    return graph


def test_comfyui_offers_the_blueprints(client: Client) -> None:
    found = client.get_json("/global_subgraphs").values()
    assert {each["name"] for each in found if each["info"]["node_pack"] == f"custom_nodes.{PACK}"} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_blueprint_uses_nodes_and_inputs_that_comfyui_has(page: Page, client: Client, name: str) -> None:
    load(page, blueprint(name))
    known = client.get_json("/object_info")
    for node in page.evaluate(LINKED, {}).values():
        schema = known[node["class_type"]]["input"]
        given = {key.partition(".")[0] for key in node["inputs"]}
        assert set(schema.get("required", {})) <= given, node["class_type"]
        assert given <= {*schema.get("required", {}), *schema.get("optional", {})}, node["class_type"]


def test_a_picture_becomes_a_deck_with_what_is_asked_on_the_node(page: Page, server: Server, tmp_path: Path) -> None:
    load(page, blueprint(POWERPOINT))
    prompt = page.evaluate(
        LINKED, {"text": "pictures", "shapes": "pictures", "layers": 4, "filename_prefix": "layers/blueprint"}
    )
    (deck,) = (node for node in prompt.values() if node["class_type"] == "ExportPPTX")
    assert (deck["inputs"]["text"], deck["inputs"]["shapes"]) == ("pictures", "pictures")
    assert run(page) == "execution_success"
    screenshot(page, "blueprint", tmp_path)
    (written,) = (server.base / "output" / "layers").glob("blueprint_*.pptx")
    (slide,) = slides(written.read_bytes())
    assert slide.names
