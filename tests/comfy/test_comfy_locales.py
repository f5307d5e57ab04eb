"""ComfyUI in other languages: what it is sent, and what people see in both renderers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from comfy_browser import FIT, READY, front_end, load, missing
from comfy_client import Client
from comfy_graphs import node, saved, stack_of, still
from comfy_server import PACK, Server
from translations import LANGUAGES, catalogue, comfy_files, english_of, nodes

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.slow
SETTINGS = "([key, value]) => app.extensionManager.setting.set(key, value)"
WORDS = {
    "zh": ("分解为图层", "数量方式", "自动", "最多图层数"),
    "zh-TW": ("分解為圖層", "數量方式", "自動", "最多圖層數"),
    "ja": ("レイヤーに分解", "枚数の決め方", "自動", "最大レイヤー数"),
}
"""In each language: the node's title, an input, a choice of it, and an input that comes with the choice."""

SHOWN = """() => {
  app.graph.clear();
  const node = LiteGraph.createNode("DecomposeToLayers");
  app.graph.add(node);
  const of = (name) => node.widgets.find((widget) => widget.name === name);
  of("count").value = "auto";
  const choice = of("count").options.getOptionLabel?.("auto") ?? "auto";
  return [node.title, of("count").label, choice, of("count.max_layers").label, of("count.max_layers").tooltip];
}"""
NOTE = "app.graph.nodes.find((node) => node.type === 'MarkdownNote').widgets[0].value"
ALIASES = "app.graph.nodes[0].constructor.nodeData.search_aliases"


@pytest.fixture(scope="module")
def page(skip_loudly: Callable[[str], None], server: Server) -> Iterator[Page]:
    if lack := missing():
        skip_loudly(f"ComfyUI browser tests SKIPPED: {lack}")
    with front_end(server) as opened:
        yield opened
        opened.request.post(f"{server.url}/api/settings", data={"Comfy.Locale": "en", "Comfy.VueNodes.Enabled": False})


def open_in(page: Page, server: Server, language: str, vue: bool = False) -> None:
    page.request.post(f"{server.url}/api/settings", data={"Comfy.Locale": language, "Comfy.VueNodes.Enabled": vue})
    page.goto(server.url)
    page.wait_for_function(f"{READY} && app.graph.nodes.length && app.extensionManager.workflow.activeWorkflow")


def test_the_kept_texts_of_the_nodes_are_those_of_the_schemas(client: Client) -> None:
    """If not: python tests/helpers/translations.py ADDRESS, and translate what is new (docs/translating.md)."""
    assert english_of(client.get_json("/object_info"), PACK) == nodes()


@pytest.mark.parametrize("language", LANGUAGES)
def test_comfyui_serves_the_translations(client: Client, language: str) -> None:
    served: dict[str, Any] = client.get_json("/i18n")[language]
    made = comfy_files(nodes(), catalogue(language))
    assert {key: served["nodeDefs"][key] for key in made["nodeDefs.json"]} == made["nodeDefs.json"]
    assert served["nodeCategories"]["layers"] == made["main.json"]["nodeCategories"]["layers"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_node_is_in_the_language_with_its_choices_and_inner_inputs(page: Page, server: Server, language: str) -> None:
    open_in(page, server, language)
    *words, tooltip = page.evaluate(SHOWN)
    assert tuple(words) == WORDS[language]
    assert tooltip == catalogue(language)["Never more layers than this."]
    assert {"cutout", catalogue(language)["cutout"]} <= set(page.evaluate(ALIASES))


def test_english_is_as_the_schemas_have_it(page: Page, server: Server) -> None:
    open_in(page, server, "en")
    assert page.evaluate(SHOWN) == [
        "Decompose to Layers",
        "count",
        "auto",
        "max_layers",
        "Never more layers than this.",
    ]


@pytest.mark.parametrize("vue", [False, True], ids=["canvas", "nodes-2"])
def test_people_read_the_panel_and_the_nodes_in_their_language(page: Page, server: Server, vue: bool) -> None:
    open_in(page, server, "zh", vue)
    page.evaluate(SHOWN)
    page.evaluate("app.graph.add(Object.assign(LiteGraph.createNode('LayerEditor'), { pos: [700, 0] }))")
    page.evaluate(FIT)
    page.get_by_text("请先运行一次工作流").wait_for()
    assert page.locator(".qle-run").inner_text() == "运行"
    assert page.get_by_title("合并所选图层").count() == 1
    if vue:
        for word in WORDS["zh"]:
            page.get_by_text(word, exact=True).first.wait_for()
    else:  # drawn on the canvas, but for the text boxes
        assert page.get_by_placeholder("提示词", exact=True).count() == 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_workflow_of_ours_is_opened_in_the_language(page: Page, server: Server, language: str) -> None:
    open_in(page, server, language)
    workflow = saved("edit_one_layer")
    known = catalogue(language)
    load(page, workflow)
    assert page.evaluate("app.graph.groups.map((group) => group.title)") == [
        known[g["title"]] for g in workflow["groups"]
    ]
    (note,) = (node["widgets_values"][0] for node in workflow["nodes"] if node["type"] == "MarkdownNote")
    assert page.evaluate(NOTE) == known[note]


def test_a_workflow_whose_note_was_changed_is_left_alone(page: Page, server: Server) -> None:
    open_in(page, server, "zh")
    workflow = saved("edit_one_layer")
    (note,) = (node for node in workflow["nodes"] if node["type"] == "MarkdownNote")
    note["widgets_values"][0] = "Mine."
    load(page, workflow)
    assert page.evaluate("app.graph.groups.map((group) => group.title)") == [g["title"] for g in workflow["groups"]]
    assert page.evaluate(NOTE) == "Mine."


def test_a_change_of_language_reaches_the_panel_without_a_reload(page: Page, server: Server) -> None:
    """The titles of nodes, ComfyUI's own too, may stay in the language before until the page is loaded again."""
    open_in(page, server, "en")
    load(page, {"version": 0.4, "nodes": [{"id": 1, "type": "LayerEditor", "pos": [0, 0]}], "links": []})
    page.get_by_text("Run the workflow once").wait_for()
    page.evaluate(SETTINGS, ["Comfy.Locale", "ja"])
    page.get_by_text("ワークフローを一度実行してください").wait_for()


def test_an_error_ends_with_the_code_of_the_part_that_refused(client: Client) -> None:
    graph = {**stack_of("example.png"), "wrong": node("TransformLayer", layers=["stack", 0], **still() | {"index": 9})}
    graph["see"] = node("PreviewImage", images=["wrong", 0])
    run = client.run(graph)
    assert run.end == "execution_error"
    assert run.error.endswith("[QIL-LAYERS]")


def test_a_translated_choice_is_sent_in_english(page: Page, server: Server) -> None:
    open_in(page, server, "ja")
    page.evaluate(SHOWN)
    prompt = page.evaluate("async () => (await app.graphToPrompt()).output")
    (sent,) = prompt.values()
    assert sent["inputs"]["count"] == "auto"
    assert sent["inputs"]["sampling"] == "default"
