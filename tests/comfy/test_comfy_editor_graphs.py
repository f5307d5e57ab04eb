"""The panel of Layer Editor and the graph around it: runs, files, reloads, copies, subgraphs, other pictures."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from comfy_browser import load, run
from comfy_client import Client
from comfy_server import Server
from editor_panel import BOX, DISC, LIMIT, VUE, Panel, difference, names_of_shapes, opened, panel_page
from pptx import Presentation
from psd_tools import PSDImage

if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.fixture(scope="module")
def page(skip_loudly: Callable[[str], None], server: Server) -> Iterator[Page]:
    with panel_page(skip_loudly, server) as opened_page:
        yield opened_page


@pytest.fixture(params=[False, True], ids=["canvas", "nodes-2"])
def panel(page: Page, request: pytest.FixtureRequest) -> Iterator[Panel]:
    """The panel after a run, its node drawn on the canvas, and as HTML."""
    page.evaluate(VUE, request.param)
    yield opened(page)
    page.evaluate(VUE, False)


@pytest.fixture
def plain(page: Page) -> Panel:
    """The panel in one renderer, for what does not depend on it."""
    return opened(page)


def random_step(panel: Panel, chance: random.Random) -> None:
    """One edit of one layer, through what the buttons and fields call."""
    panel.ask("panel.select([panel.items.order[value % panel.items.order.length]])", chance.randrange(10))
    modes = ["normal", "multiply", "screen", "overlay", "soft-light", "luminosity", "difference"]
    values: dict[str, Any] = {
        "dx": chance.randint(-80, 80),
        "dy": chance.randint(-60, 60),
        "rotation": chance.randint(-180, 180),
        "opacity": round(chance.random(), 2),
        "mode": chance.choice(modes),
        "hue": chance.randint(-180, 180),
        "flip_x": chance.random() < 0.5,
        "hidden": chance.random() < 0.2,
    }
    size = round(chance.uniform(0.3, 2), 2)
    values |= {"scale_x": size, "scale_y": size}
    kept = {key: values[key] for key in chance.sample(sorted(values), 3)}
    panel.ask("panel.change(value)", kept)


def test_ten_random_edit_sequences_show_what_the_node_computes(plain: Panel, client: Client) -> None:
    errors = []
    for seed in range(10):
        chance = random.Random(seed)
        plain.ask("panel.commit({edits: {}, order: [], merged: {}, cut: {}})")
        for _ in range(6):
            random_step(plain, chance)
        turned = "[...panel.items.order.slice(1), panel.items.order[0]]"
        plain.ask(f"panel.commit({{...panel.history.present, order: {turned}}})")
        errors.append(difference(plain, client))
    assert max(errors) <= LIMIT, errors


def test_a_reloaded_graph_shows_the_same_and_means_the_same(panel: Panel, client: Client) -> None:
    panel.click(*DISC)
    panel.page.keyboard.press("Shift+ArrowRight")
    before, text = panel.picture(), panel.ask("widget.value")
    saved = panel.page.evaluate("app.graph.serialize()")
    assert "base64" not in json.dumps(saved)
    load(panel.page, saved)
    panel.wait("panel.scene")
    assert panel.ask("widget.value") == text
    assert np.array_equal(panel.picture(), before)
    assert difference(panel, client) <= LIMIT


CACHED = """() => {
  window.cached = [];
  app.api.addEventListener("execution_cached", ({ detail }) => window.cached.push(...detail.nodes));
}"""


def test_the_task_of_a_new_user_takes_six_nodes_no_number_and_one_decomposition(plain: Panel, server: Server) -> None:
    """Move the main object, recolour another one, hide a third, export PowerPoint and Photoshop."""
    page = plain.page
    working = page.evaluate("app.graph.nodes.filter((node) => node.type !== 'MarkdownNote').length")
    assert working == 6
    disc, box, triangle = names_of_shapes(plain)
    plain.drag(DISC, (DISC[0] + 100, DISC[1] + 100))
    plain.click(*BOX)
    page.locator(".qle-color").fill("#8040c0")
    plain.row(triangle).locator(".qle-eye").click()
    page.evaluate(CACHED)
    assert run(page) == "execution_success"
    ids = page.evaluate("Object.fromEntries(app.graph.nodes.map((node) => [node.type, String(node.id)]))")
    assert ids["DecomposeToLayers"] in page.evaluate("window.cached"), "the picture is not taken apart again"
    folder = server.base / "output" / "layers"
    psd, deck = (max(folder.glob(kind), key=lambda path: path.stat().st_mtime) for kind in ("*.psd", "*.pptx"))
    layers = {layer.name: layer for layer in PSDImage.open(psd)}
    assert not layers[triangle].visible
    assert layers[disc].left > 100
    assert np.array(layers[box].topil())[60, 70, 2] > 150, "the box is violet"
    (slide,) = Presentation(str(deck)).slides
    assert [shape.name for shape in slide.shapes if shape._element.nvPicPr.cNvPr.get("hidden")] == [triangle]


def test_two_panels_in_one_graph_are_edited_apart_also_after_copy_and_paste(panel: Panel) -> None:
    disc, _, _ = names_of_shapes(panel)
    panel.click(*DISC)
    panel.page.keyboard.press("ArrowRight")
    panel.page.evaluate(
        """() => { const node = app.graph.nodes.find((one) => one.type === 'LayerEditor');
        app.canvas.copyToClipboard([node]); app.canvas.pasteFromClipboard(); }"""
    )
    other = Panel(panel.page, 1)
    other.wait("panel.scene")
    assert other.edit_of(disc) == {"dx": 1}
    other.ask("panel.select([panel.items.order[1]])")
    other.ask("panel.change({dx: 77})")
    assert panel.edit_of(disc) == {"dx": 1}
    assert other.ask("widget.value") != panel.ask("widget.value")


def test_in_a_subgraph_the_panel_still_fills_and_keeps_its_edits(plain: Panel) -> None:
    page = plain.page
    plain.click(*DISC)
    page.keyboard.press("ArrowRight")
    text = plain.ask("widget.value")
    page.evaluate(
        """() => { const node = app.graph.nodes.find((one) => one.type === 'LayerEditor');
        app.canvas.graph.convertToSubgraph(new Set([node])); }"""
    )
    inner = "app.graph.nodes.find((one) => one.subgraph).subgraph.nodes.find((one) => one.type === 'LayerEditor')"
    widget = f"{inner}.widgets.find((one) => one.panel)"
    assert page.evaluate(f"{widget}.value") == text
    page.evaluate(f"{widget}.panel.scene = null")
    assert run(page) == "execution_success"
    page.wait_for_function(f"Boolean({widget}.panel.scene)")


def test_when_the_picture_changes_edits_are_listed_and_kept_for_when_it_comes_back(plain: Panel) -> None:
    page = plain.page
    disc, _, _ = names_of_shapes(plain)
    plain.click(*DISC)
    page.keyboard.press("Shift+ArrowRight")
    choose = "(name) => { app.graph.nodes.find((one) => one.type === 'LoadImage').widgets[0].value = name; }"
    page.evaluate(choose, "large.png")
    assert run(page) == "execution_success"
    plain.wait("panel.scene.canvas[0] === 2880")
    said = page.locator(".qle-notice").inner_text()
    assert said.startswith(f"1 edit belongs to a layer that is not in this stack: {disc}.")
    assert plain.ask("panel.items.order.every((id) => !panel.shown.edits[id])"), "no other layer got it"
    page.evaluate(choose, "example.png")
    assert run(page) == "execution_success"
    plain.wait("panel.scene.canvas[0] === 480")
    assert plain.edit_of(disc) == {"dx": 10}
    assert not page.locator(".qle-notice").is_visible()


def test_the_pictures_of_a_batch_are_edited_one_by_one(plain: Panel, client: Client) -> None:
    page = plain.page
    page.evaluate(
        """() => {
        const find = (type) => app.graph.nodes.find((one) => one.type === type);
        const load = find("LoadImage"), apart = find("DecomposeToLayers");
        const [batch, second] = ["ImageBatch", "LoadImage"].map((type) => LiteGraph.createNode(type));
        for (const node of [batch, second]) app.graph.add(node);
        second.widgets[0].value = "second.png";
        load.connect(0, batch, 0);
        second.connect(0, batch, 1);
        batch.connect(0, apart, apart.inputs.findIndex(({ name }) => name === "image"));
        }"""
    )
    assert run(page) == "execution_success"
    plain.wait("panel.stacks.length === 2")
    plain.click(*DISC)
    page.keyboard.press("Control+d")
    first = plain.names
    page.get_by_title("The next picture").click()
    plain.wait("panel.number === 1 && panel.scene.ids[0] === panel.stacks[1].layers[0].id")
    plain.click(*DISC)
    page.keyboard.press("Control+d")
    assert not page.locator(".qle-notice").is_visible(), "the first picture's edits are not stale"
    page.get_by_title("The picture before").click()
    plain.wait("panel.number === 0 && panel.scene.ids[0] === panel.stacks[0].layers[0].id")
    assert plain.names == first


def test_edits_that_cannot_be_read_are_said_so_and_kept(plain: Panel) -> None:
    plain.ask("widget.value = value", '{"version": 9}')
    notice = plain.page.locator(".qle-notice")
    assert "version 9" in notice.inner_text()
    assert plain.ask("widget.value") == '{"version": 9}'
    notice.get_by_role("button").click()
    assert plain.ask("widget.value") == ""


def test_previews_that_are_gone_after_a_restart_are_asked_for(plain: Panel, server: Server) -> None:
    page = plain.page
    saved = page.evaluate("app.graph.serialize()")
    for path in (server.base / "temp" / "qil_layer_editor").iterdir():
        path.unlink()
    page.request.post(f"{server.url}/free", data={"unload_models": True, "free_memory": True})  # as a restart does
    load(page, saved)
    page.get_by_text("Run the workflow to fill the panel again").wait_for()
    page.locator(".qle-run").click()
    Panel(page).wait("panel.scene")


def test_an_undo_of_comfyui_comes_back_into_the_panel(plain: Panel) -> None:
    plain.click(*DISC)
    plain.page.keyboard.press("ArrowRight")
    plain.page.wait_for_timeout(200)
    plain.page.evaluate("app.extensionManager.workflow.activeWorkflow.changeTracker.undo()")
    again = Panel(plain.page)
    again.wait("panel.scene && !Object.keys(panel.edits ?? {}).length && widget.value === ''")
