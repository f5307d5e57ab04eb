"""The panel of Layer Editor in ComfyUI's own front end, in both renderers, with a real mouse and real keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from comfy_browser import load, screenshot
from comfy_client import Client
from comfy_server import Server
from editor_panel import BOX, DISC, LIMIT, LOADED, VUE, Panel, difference, names_of_shapes, opened, panel_page
from PIL import Image

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


def test_the_wheel_zooms_the_picture_once_one_has_clicked_into_it(panel: Panel) -> None:
    panel.click(*BOX)
    graph, before = panel.page.evaluate("app.canvas.ds.scale"), panel.ask("panel.canvas.view.zoom")
    x, y = panel.at(*BOX)
    panel.page.mouse.wheel(0, -300)
    panel.page.wait_for_timeout(200)
    assert panel.ask("panel.canvas.view.zoom") > 1.3 * before
    assert panel.page.evaluate("app.canvas.ds.scale") == graph
    assert np.allclose(panel.at(*BOX), (x, y), atol=2), "the point under the pointer stays"
    panel.page.keyboard.press("0")
    assert panel.ask("panel.canvas.view.zoom") == pytest.approx(before)


def test_a_drag_beside_the_picture_pans(panel: Panel) -> None:
    before, place = panel.ask("panel.canvas.view.y"), panel.at(240, -30)
    panel.page.mouse.move(*place)
    panel.page.mouse.down()
    panel.page.mouse.move(place[0], place[1] + 40, steps=4)
    panel.page.mouse.up()
    panel.page.wait_for_timeout(100)
    assert panel.ask("panel.canvas.view.y") > before + 10
    assert panel.edits == {}


def test_no_tooltip_lies_over_the_panel(panel: Panel) -> None:
    x, y = panel.at(*BOX)
    panel.page.mouse.move(x - 20, y)
    panel.page.mouse.move(x, y)
    panel.page.wait_for_timeout(1500)
    assert panel.page.get_by_text("The edits as a JSON text").count() == 0
    assert panel.ask("panel.element.closest('[title]')?.title || ''") == ""


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
        other.wait_for_function(LOADED)
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
