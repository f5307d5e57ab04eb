"""The pick tool of Layer Editor in ComfyUI's own front end: click, see the mask, cut out, move, run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from comfy_browser import load, run, screenshot
from comfy_client import Client
from comfy_pictures import CENTRES, PAPER
from comfy_server import Server
from editor_panel import LIMIT, VUE, Panel, difference, panel_page

if TYPE_CHECKING:
    from playwright.sync_api import Page

DISC, BOX, TRIANGLE = CENTRES
EMPTY: dict[str, Any] = {"version": 0.4, "nodes": [], "links": [], "groups": [], "config": {}, "extra": {}}
FLAT = """(picture) => {
  const [image, join, editor] = ["LoadImage", "JoinImageWithAlpha", "LayerEditor"].map((type, i) => {
    const node = LiteGraph.createNode(type);
    node.pos = [i * 380, 80];
    app.graph.add(node);
    return node;
  });
  image.widgets[0].value = picture;
  image.connect(0, join, 0);
  image.connect(1, join, 1);
  join.connect(0, editor, 0);
}"""
"""A picture as a stack of one layer."""

IDLE = "!panel.tool.busy && !panel.tool.cutting"


@pytest.fixture(scope="module")
def page(skip_loudly: Callable[[str], None], server: Server) -> Iterator[Page]:
    with panel_page(skip_loudly, server) as opened_page:
        yield opened_page


def flat(page: Page, picture: str = "example.png") -> Panel:
    """The panel with a picture as its one layer, after a run."""
    load(page, EMPTY)
    page.evaluate(FLAT, picture)
    assert run(page) == "execution_success"
    panel = Panel(page)
    panel.wait("panel.scene")
    panel.show()
    return panel


@pytest.fixture(params=[False, True], ids=["canvas", "nodes-2"])
def panel(page: Page, request: pytest.FixtureRequest) -> Iterator[Panel]:
    page.evaluate(VUE, request.param)
    yield flat(page)
    page.evaluate(VUE, False)


def take_up(panel: Panel) -> None:
    panel.page.get_by_label("Pick: cut a thing out").click()


def picked(panel: Panel, point: tuple[float, float], **how: Any) -> None:
    panel.page.mouse.move(*panel.at(*point))
    panel.click(*point)
    panel.wait(IDLE)


def cut(panel: Panel) -> None:
    panel.page.get_by_role("button", name="Cut out", exact=True).click()
    panel.wait(f"{IDLE} && !panel.tool.active")


def mask_box(panel: Panel) -> list[int] | None:
    found = panel.ask("panel.tool.mask?.box ?? null")
    return None if found is None else list(found)


def test_a_thing_is_clicked_cut_out_and_moved_and_the_run_gives_what_the_panel_shows(
    panel: Panel, client: Client
) -> None:
    queued, before = panel.page.evaluate("window.queued"), panel.picture()
    take_up(panel)
    picked(panel, BOX)
    assert mask_box(panel) == pytest.approx([260, 150, 400, 270], abs=4)
    assert panel.edits == {}
    cut(panel)
    assert panel.selected == ["layer 1 cutout 1"]
    assert np.abs(panel.picture() - before).max() <= 2
    panel.page.keyboard.down("Control")  # no snapping
    panel.drag(BOX, (BOX[0] - 110, BOX[1] + 30))
    panel.page.keyboard.up("Control")
    assert panel.page.evaluate("window.queued") == queued
    shown = panel.picture()
    assert np.abs(shown[BOX[1] - 40, BOX[0] + 50, :3] - PAPER).max() <= 6, "the place below is filled"
    assert difference(panel, client) <= LIMIT
    assert run(panel.page) == "execution_success"
    panel.wait("panel.scene")
    assert np.abs(panel.picture() - shown).max() <= 1, "the run's own previews show the same"


def test_clicks_are_undone_taken_away_grown_and_shrunk_before_the_cut(panel: Panel) -> None:
    keyboard = panel.page.keyboard
    panel.click(*BOX)
    keyboard.press("p")
    picked(panel, BOX)
    one = mask_box(panel)
    assert one is not None
    keyboard.press("+")
    keyboard.press("+")
    panel.wait(f"{IDLE} && panel.tool.mask?.pick === panel.tool.pick")
    assert mask_box(panel) == pytest.approx([one[0] - 2, one[1] - 2, one[2] + 2, one[3] + 2], abs=0)
    keyboard.press("Control+z")
    keyboard.press("Control+z")
    panel.wait(f"{IDLE} && panel.tool.mask?.pick === panel.tool.pick")
    assert mask_box(panel) == one
    keyboard.down("Alt")
    picked(panel, DISC)
    keyboard.up("Alt")
    assert panel.ask("panel.tool.pick.outside.length") == 1
    keyboard.press("Delete")
    keyboard.press("Escape")
    assert panel.ask("panel.tool.active") is False
    assert panel.edits == {}


def test_a_box_is_drawn_around_a_thing_and_the_cut_is_undone(panel: Panel, client: Client) -> None:
    take_up(panel)
    panel.drag((45, 45), (195, 195))
    panel.wait(IDLE)
    assert mask_box(panel) == pytest.approx([60, 60, 180, 180], abs=4)
    panel.page.keyboard.press("Enter")
    panel.wait(f"{IDLE} && !panel.tool.active")
    assert panel.names == ["layer 1", "layer 1 cutout 1"]
    panel.page.keyboard.press("Control+z")
    assert panel.names == ["layer 1"]
    panel.page.keyboard.press("Control+Shift+z")
    assert panel.names == ["layer 1", "layer 1 cutout 1"]
    assert difference(panel, client) <= LIMIT


def test_a_thing_of_a_turned_and_scaled_layer_stays_where_it_is(panel: Panel) -> None:
    panel.ask("panel.select([panel.items.order[0]])")
    panel.ask("panel.change({ rotation: 20, scale_x: 0.8, scale_y: 0.8, dx: 12, flip_x: true })")
    before = panel.picture()
    panel.page.keyboard.press("Escape")
    take_up(panel)
    shown = panel.ask(
        "(() => { const red = panel.scene.bytes.findIndex((v, i) => i % 4 === 0 && v === 220"
        " && panel.scene.bytes[i + 1] === 60) / 4; return [red % 480, Math.floor(red / 480)]; })()"
    )
    picked(panel, (shown[0] + 0.5, shown[1] + 12.5))
    cut(panel)
    after = panel.picture()
    difference = np.abs(after[..., :3] * after[..., 3:] - before[..., :3] * before[..., 3:]) / 255
    assert np.percentile(difference, 99.5) <= 3
    assert difference.mean() < 0.3


def test_after_a_restart_the_panel_says_what_to_do(panel: Panel) -> None:
    panel.page.route("**/qil/layer_editor/pick", lambda route: route.fulfill(status=410, json={"error": "Run first."}))
    try:
        take_up(panel)
        picked(panel, BOX)
        assert panel.page.get_by_text("Run first.").is_visible()
        assert panel.page.locator(".qle-said button").is_visible()
    finally:
        panel.page.unroute("**/qil/layer_editor/pick")


def test_a_saved_workflow_shows_the_cut_again(panel: Panel) -> None:
    take_up(panel)
    picked(panel, BOX)
    cut(panel)
    assert run(panel.page) == "execution_success"
    shown = panel.picture()
    saved = panel.page.evaluate("app.graph.serialize()")
    load(panel.page, EMPTY)
    load(panel.page, saved)
    again = Panel(panel.page)
    again.wait("panel.scene")
    again.show()
    assert again.names == ["layer 1", "layer 1 cutout 1"]
    assert np.array_equal(again.picture(), shown)


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_it_looks_right(page: Page, theme: str, tmp_path: Path) -> None:
    """The picture is for people."""
    page.evaluate("(theme) => app.ui.settings.setSettingValueAsync('Comfy.ColorPalette', theme)", theme)
    panel = flat(page)
    take_up(panel)
    picked(panel, BOX)
    assert screenshot(page, f"layer_editor_pick_{theme}", tmp_path).is_file()
