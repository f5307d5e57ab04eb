"""The panel of Layer Editor in ComfyUI's own front end, in both renderers, with a real mouse and real keys."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from comfy_browser import BROWSERS, front_end, load, missing, run, screenshot
from comfy_client import Client
from comfy_graphs import find, saving
from comfy_pictures import CENTRES
from comfy_server import Server
from editor_panel import Panel, opened
from PIL import Image

if TYPE_CHECKING:
    from playwright.sync_api import Page

DISC, BOX, TRIANGLE = CENTRES
"""Points (x, y) inside the shapes of the example picture."""

VUE = "(on) => app.ui.settings.setSettingValueAsync('Comfy.VueNodes.Enabled', on)"
LIMIT = 2.0
"""Of 255, in any channel of colours times alpha, and in alpha."""

QUEUED = """() => { window.queued = 0; app.api.addEventListener('promptQueued', () => window.queued++); }"""


@pytest.fixture(scope="module")
def page(skip_loudly: Callable[[str], None], server: Server) -> Iterator[Page]:
    if lack := missing():
        skip_loudly(f"Layer Editor's browser tests SKIPPED: {lack} ({', '.join(BROWSERS)})")
    with front_end(server) as opened_page:
        opened_page.evaluate(QUEUED)
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


def names_of_shapes(panel: Panel) -> tuple[str, str, str]:
    """The names of the disc, the box and the triangle."""
    found = [panel.ask("panel.names[panel.scene.at(panel.shown, panel.items, value)[0]]", point) for point in CENTRES]
    return found[0], found[1], found[2]


def difference(panel: Panel, client: Client) -> float:
    """Between what the panel shows and what the node gives for the API form of the same graph, in steps of 8 bits."""
    graph = panel.page.evaluate("app.graphToPrompt().then((prompt) => prompt.output)")
    editor = find(graph, "LayerEditor")
    graph = {key: value for key, value in graph.items() if not value["class_type"].startswith("Export")}
    graph["alpha"] = {"class_type": "MaskToImage", "inputs": {"mask": [editor, 3]}}
    run = client.succeed(saving(graph, image=[editor, 2], mask=["alpha", 0]))
    (image,), (mask,) = client.pictures(run, "image").astype(float), client.pictures(run, "mask").astype(float)
    shown, alpha = panel.picture(), 255 - mask[..., :1]
    colors = np.abs(shown[..., :3] * shown[..., 3:] - image * alpha).max() / 255
    return float(max(colors, np.abs(shown[..., 3:] - alpha).max())) - 1  # Save Image cuts off, it does not round


def test_before_the_first_run_the_panel_says_what_to_do_and_can_do_it(page: Page) -> None:
    load(page, {"version": 0.4, "nodes": [], "links": [], "groups": [], "config": {}, "extra": {}})
    page.evaluate("app.graph.add(LiteGraph.createNode('LayerEditor'))")
    page.get_by_text("Run the workflow once").wait_for()
    assert page.locator(".qle-run").is_visible()


def test_a_drag_moves_what_is_under_the_pointer_without_queueing(panel: Panel, client: Client) -> None:
    disc, _, _ = names_of_shapes(panel)
    before = panel.page.evaluate("window.queued")
    panel.page.keyboard.down("Control")  # no snapping
    panel.drag(DISC, (DISC[0] + 100, DISC[1] + 30))
    panel.page.keyboard.up("Control")
    edit = panel.edit_of(disc)
    assert abs(edit["dx"] - 100) <= 1
    assert abs(edit["dy"] - 30) <= 1
    assert panel.page.evaluate("window.queued") == before
    assert difference(panel, client) <= LIMIT


def test_the_edges_of_layers_snap(panel: Panel) -> None:
    disc, _, _ = names_of_shapes(panel)
    panel.drag(DISC, (DISC[0] - 58, DISC[1]))
    left, *_ = panel.ask("panel.scene.boundsOf(panel.shown, panel.items, value)", panel.id(disc))
    assert left == 0, "its left edge is at the canvas's"


def test_a_click_picks_and_a_second_click_picks_what_lies_below(panel: Panel) -> None:
    _, box, _ = names_of_shapes(panel)
    panel.click(*BOX)
    assert panel.selected == [box]
    panel.click(*BOX)
    assert panel.selected == [panel.names[0]], "the paper"
    assert panel.edits == {}


def test_the_background_stays_until_it_is_picked(panel: Panel) -> None:
    panel.click(*BOX)
    panel.drag((20, 20), (60, 60))
    assert panel.edits == {}


def test_handles_scale_and_rotate(panel: Panel, client: Client) -> None:
    _, box, _ = names_of_shapes(panel)
    panel.click(*BOX)
    corner = panel.handle("corner")
    panel.drag(corner, (corner[0] - 40, corner[1] - 40))
    edit = panel.edit_of(box)
    assert edit["scale_x"] == edit["scale_y"] < 0.85
    assert difference(panel, client) <= LIMIT
    round_handle = panel.handle("round")
    panel.page.keyboard.down("Shift")
    panel.drag(round_handle, (round_handle[0] + 60, round_handle[1] + 30))
    panel.page.keyboard.up("Shift")
    assert panel.edit_of(box)["rotation"] % 15 == 0
    assert panel.edit_of(box)["rotation"] > 0
    assert difference(panel, client) <= LIMIT


def test_keys_move_hide_and_undo_and_do_not_reach_the_graph(panel: Panel) -> None:
    disc, _, _ = names_of_shapes(panel)
    nodes = panel.page.evaluate("app.graph.nodes.length")
    panel.click(*DISC)
    keyboard = panel.page.keyboard
    keyboard.press("ArrowRight")
    keyboard.press("Shift+ArrowDown")
    assert panel.edit_of(disc) == {"dx": 1, "dy": 10}
    keyboard.press("Delete")
    assert panel.edit_of(disc)["hidden"] is True
    keyboard.press("Control+z")
    assert panel.edit_of(disc) == {"dx": 1, "dy": 10}
    keyboard.press("Control+z")
    assert panel.edits == {}
    keyboard.press("Control+Shift+z")
    keyboard.press("Control+Shift+z")
    assert panel.edit_of(disc)["hidden"] is True
    panel.page.wait_for_timeout(300)
    assert panel.page.evaluate("app.graph.nodes.length") == nodes


def test_escape_takes_a_drag_back(panel: Panel) -> None:
    panel.drag(DISC, (DISC[0] + 50, DISC[1]), let_go=False)
    panel.page.keyboard.press("Escape")
    panel.page.mouse.up()
    assert panel.edits == {}


def test_a_layer_is_renamed_in_chinese_by_a_double_click(panel: Panel) -> None:
    disc, _, _ = names_of_shapes(panel)
    key = panel.id(disc)
    panel.row(disc).locator(".qle-name").dblclick()
    panel.page.keyboard.insert_text("女孩/头发")
    panel.page.keyboard.press("Enter")
    assert panel.edits[key] == {"name": "女孩\\/头发"}, "a slash that is typed belongs to the name"
    assert panel.row("头发").is_visible()


def test_the_eye_and_the_lock_of_the_list(panel: Panel, client: Client) -> None:
    disc, box, _ = names_of_shapes(panel)
    panel.row(disc).locator(".qle-eye").click()
    assert panel.edit_of(disc) == {"hidden": True}
    assert difference(panel, client) <= LIMIT
    panel.row(box).hover()
    panel.row(box).locator(".qle-lock").click()
    assert panel.edit_of(box) == {"locked": True}
    panel.drag(BOX, (BOX[0] + 50, BOX[1]))
    assert panel.edit_of(box) == {"locked": True}, "a locked layer does not move"


def test_rows_are_dragged_to_another_place(panel: Panel, client: Client) -> None:
    below = panel.names
    top, bottom = panel.row(below[-1]).bounding_box(), panel.row(below[1]).bounding_box()
    assert top is not None
    assert bottom is not None
    mouse = panel.page.mouse
    mouse.move(top["x"] + 80, top["y"] + top["height"] / 2)
    mouse.down()
    mouse.move(bottom["x"] + 80, bottom["y"] + bottom["height"] * 0.2, steps=6)
    mouse.move(bottom["x"] + 80, bottom["y"] + bottom["height"] * 0.9, steps=3)
    mouse.up()
    assert panel.names == [below[0], below[-1], *below[1:-1]]
    assert difference(panel, client) <= LIMIT


def test_layers_are_grouped_folded_and_merged(panel: Panel, client: Client) -> None:
    disc, box, _ = names_of_shapes(panel)
    panel.click(*DISC)
    panel.row(box).click(modifiers=["Control"])
    panel.page.keyboard.press("Control+g")
    assert sorted(name for name in panel.names if "/" in name) == sorted([f"group 1/{disc}", f"group 1/{box}"])
    panel.page.locator(".qle-group .qle-icon").first.click()
    assert not panel.row(disc).is_visible()
    panel.row("group 1").locator(".qle-name").click()
    panel.page.keyboard.press("Control+e")
    assert len(panel.names) == 3
    assert difference(panel, client) <= LIMIT
    panel.page.keyboard.press("Control+z")
    assert len(panel.names) == 4


def test_opacity_blend_mode_and_colour_of_the_selected_layer(panel: Panel, client: Client) -> None:
    disc, _, _ = names_of_shapes(panel)
    panel.click(*DISC)
    panel.page.locator(".qle-opacity").fill("40")
    panel.page.locator(".qle-select").select_option("multiply")
    panel.page.locator(".qle-color").fill("#20c060")
    assert panel.edit_of(disc) == {"opacity": 0.4, "mode": "multiply", "color": "#20c060"}
    assert difference(panel, client) <= LIMIT


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
        plain.ask("panel.commit({edits: {}, order: [], merged: {}})")
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
    assert page.locator(".qle-notice").inner_text().startswith("1 edit belongs to layers that are not in this stack")
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


def test_an_undo_of_comfyui_comes_back_into_the_panel(plain: Panel) -> None:
    plain.click(*DISC)
    plain.page.keyboard.press("ArrowRight")
    plain.page.wait_for_timeout(200)
    plain.page.evaluate("app.extensionManager.workflow.activeWorkflow.changeTracker.undo()")
    again = Panel(plain.page)
    again.wait("panel.scene && !Object.keys(panel.edits ?? {}).length && widget.value === ''")


def test_no_error_of_ours_is_in_the_console(panel: Panel) -> None:
    found: list[str] = []
    panel.page.on("console", lambda said: found.append(said.text) if said.type == "error" else None)
    panel.page.on("pageerror", lambda error: found.append(str(error)))
    panel.drag(DISC, (DISC[0] + 40, DISC[1]))
    panel.page.keyboard.press("Control+d")
    panel.row(panel.names[0]).click()
    panel.page.wait_for_timeout(300)
    assert not found


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("density", [1, 2])
def test_it_looks_right_in_both_themes_at_both_densities(
    page: Page, server: Server, theme: str, density: int, tmp_path: Path
) -> None:
    """The pictures are for people; here only that the panel drew the layers, and sharply."""
    context = page.context.browser.new_context(  # type: ignore[union-attr]
        viewport={"width": 1400, "height": 1000}, device_scale_factor=density
    )
    try:
        other = context.new_page()
        other.request.post(f"{server.url}/api/settings", data={"Comfy.ColorPalette": theme})
        other.goto(server.url)
        other.wait_for_function("Boolean(window.app?.graph && LiteGraph.registered_node_types.LayerEditor)")
        panel = opened(other)
        panel.click(*BOX)
        panel.page.wait_for_timeout(400)
        width = panel.ask("panel.canvas.element.width / panel.canvas.element.getBoundingClientRect().width")
        assert width >= density * 0.95
        path = screenshot(other, f"layer_editor_{theme}_{density}x", tmp_path)
        assert len(np.unique(np.array(Image.open(path))[::4, ::4].reshape(-1, 3), axis=0)) > 50
    finally:
        page.request.post(f"{server.url}/api/settings", data={"Comfy.ColorPalette": "dark"})
        context.close()
