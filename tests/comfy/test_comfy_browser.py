"""The package as people see it: ComfyUI's own front end in Chromium."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from comfy_browser import FIT, load, run, screenshot
from comfy_client import Client
from comfy_graphs import NAMES, saved, workflow
from comfy_pictures import slides
from comfy_server import Server
from PIL import Image

from qil_core.files import psd
from qil_core.stack import LayerStack

if TYPE_CHECKING:
    from playwright.sync_api import Page

EXPORT = "app.graph.nodes.find((node) => node.type === 'ExportPPTX')"
BUTTONS = f"{EXPORT}.widgets.filter((widget) => widget.type === 'button').map((widget) => widget.name)"
PRESS = f"{EXPORT}.widgets.find((widget) => widget.type === 'button').callback()"
TITLE = f"""() => {{
  const node = {EXPORT}, box = app.canvas.canvas.getBoundingClientRect(), {{ scale, offset }} = app.canvas.ds;
  return [box.x + (node.pos[0] + 60 + offset[0]) * scale, box.y + (node.pos[1] - 15 + offset[1]) * scale];
}}"""


def without_titles(graph: dict[str, Any]) -> dict[str, Any]:
    return {key: (value["class_type"], value["inputs"]) for key, value in graph.items()}


def executed(page: Page) -> str:
    """Load and run decompose_to_pptx; the name of the file that its button offers."""
    load(page, saved("decompose_to_pptx"))
    assert run(page) == "execution_success"
    page.wait_for_function(f"{BUTTONS}.length === 1")
    (label,) = page.evaluate(BUTTONS)
    assert label.startswith("Download deck_")
    return str(label).removeprefix("Download ")


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_graph_means_the_same_as_its_api_form(page: Page, name: str) -> None:
    load(page, saved(name))
    output = page.evaluate("app.graphToPrompt().then((prompt) => prompt.output)")
    assert without_titles(output) == without_titles(workflow(name))


@pytest.mark.parametrize("name", NAMES)
def test_nodes_and_notes_of_a_saved_graph_do_not_overlap(name: str) -> None:
    boxes = [(n["pos"][0], n["pos"][1] - 30, *n["size"]) for n in saved(name)["nodes"]]
    for i, (x, y, w, h) in enumerate(boxes):
        for left, top, width, height in boxes[:i]:
            assert x + w <= left or left + width <= x or y + h + 30 <= top or top + height + 30 <= y


def test_the_button_downloads_the_deck_that_was_made(page: Page, client: Client, tmp_path: Path) -> None:
    file = executed(page)
    with page.expect_download() as download:
        page.evaluate(PRESS)
    assert download.value.suggested_filename == file
    download.value.save_as(tmp_path / file)
    data = (tmp_path / file).read_bytes()
    assert data == client.get("/view", filename=file, subfolder="layers", type="output")
    assert len(slides(data)[0].names) == 8
    shot = np.array(Image.open(screenshot(page, "decompose_to_pptx", tmp_path)))
    assert len(np.unique(shot[::4, ::4].reshape(-1, shot.shape[-1]), axis=0)) > 50, "the screenshot is not blank"


def test_the_button_is_there_in_nodes_2_as_well(page: Page, tmp_path: Path) -> None:
    page.evaluate("app.ui.settings.setSettingValueAsync('Comfy.VueNodes.Enabled', true)")
    try:
        file = executed(page)
        page.evaluate("app.canvas.ds.offset = [-1200, 100]; app.canvas.setDirty(true, true)")
        screenshot(page, "decompose_to_pptx_nodes_2", tmp_path)
        with page.expect_download() as download:
            page.get_by_text(f"Download {file}").click()
        assert download.value.suggested_filename == file
    finally:
        page.evaluate("app.ui.settings.setSettingValueAsync('Comfy.VueNodes.Enabled', false)")


def test_a_graph_saved_after_a_run_keeps_one_button_and_its_values(page: Page) -> None:
    file = executed(page)
    saved = page.evaluate("app.graph.serialize()")
    load(page, saved)
    assert page.evaluate(BUTTONS) == [f"Download {file}"]
    again = page.evaluate("app.graph.serialize()")
    values = [{node["id"]: node.get("widgets_values") for node in graph["nodes"]} for graph in (saved, again)]
    assert values[0] == values[1]


def test_the_help_page_opens_from_the_node(page: Page, tmp_path: Path) -> None:
    load(page, saved("decompose_to_pptx"))
    screenshot(page, "before_help", tmp_path)
    page.mouse.click(*page.evaluate(TITLE))
    page.locator("[data-testid=info-button]").click()
    page.get_by_text("Selection Pane lists the layers by name").wait_for()
    assert page.get_by_text("Selection Pane lists the layers by name").is_visible()
    screenshot(page, "help", tmp_path)


def test_a_file_that_is_gone_is_said_so(page: Page, server: Server) -> None:
    file = executed(page)
    (server.base / "output" / "layers" / file).rename(server.base / "moved.pptx")
    page.evaluate(PRESS)
    page.get_by_text(f"{file} is not in ComfyUI's output folder").wait_for()
    assert page.get_by_text(f"{file} is not in ComfyUI's output folder").is_visible()
    (server.base / "moved.pptx").rename(server.base / "output" / "layers" / file)


EMPTY = {"version": 0.4, "nodes": [], "links": [], "groups": [], "config": {}, "extra": {}}
LOADER = "app.graph.nodes.find((node) => node.type === 'LoadLayers')"
VALUE = f"(name) => {LOADER}.widgets.find((widget) => widget.name === name)?.value"


def fresh_loader(page: Page) -> None:
    """A graph of nothing but a new Load Layers; nothing is left of what an earlier node of its number showed."""
    load(page, EMPTY)
    page.evaluate("app.graph.add(LiteGraph.createNode('LoadLayers'))")


def upload(page: Page, *paths: Path) -> None:
    """Press the button of a fresh Load Layers, and choose files."""
    fresh_loader(page)
    with page.expect_file_chooser() as chooser:
        page.evaluate(f"{LOADER}.widgets.find((widget) => widget.name === 'Upload layers').callback()")
    chooser.value.set_files([str(path) for path in paths])


def test_an_uploaded_file_is_chosen_in_load_layers(page: Page, tmp_path: Path) -> None:
    stack = LayerStack.from_image(torch.rand(2, 30, 40, 4), "sky\ngirl/hair")
    upload(page, psd.write(stack, tmp_path / "uploaded.psd"))
    page.wait_for_function(f"({VALUE})('source.file') === 'uploaded.psd'")
    prompt = page.evaluate("app.graphToPrompt().then((prompt) => prompt.output)")
    (loader,) = prompt.values()
    assert loader["inputs"] == {
        "source": "file", "source.file": "uploaded.psd", "hidden": "leave out", "unsupported": "refuse"
    }  # fmt: skip
    screenshot(page, "load_layers", tmp_path)


def test_several_uploaded_pngs_are_chosen_in_the_order_of_their_names(page: Page, tmp_path: Path) -> None:
    paths = [tmp_path / f"{i} layer.png" for i in (10, 2, 1)]
    for i, path in enumerate(paths):
        Image.new("RGBA", (4, 4), (i, 0, 0, 255)).save(path)
    upload(page, *paths)
    page.wait_for_function(f"({VALUE})('source') === 'several PNGs'")
    page.wait_for_function(f"({VALUE})('source.files')?.length > 0")
    assert page.evaluate(f"({VALUE})('source.files')").splitlines() == ["1 layer.png", "2 layer.png", "10 layer.png"]
    saved = page.evaluate("app.graph.serialize()")
    assert saved["nodes"][0]["widgets_values"][0] == "several PNGs"
    assert len(saved["nodes"][0]["widgets_values"]) == 4


MIDDLE = f"""() => {{
  const node = {LOADER}, box = app.canvas.canvas.getBoundingClientRect(), {{ scale, offset }} = app.canvas.ds;
  const [x, y] = [0, 1].map((i) => (node.pos[i] + node.size[i] / 2 + offset[i]) * scale);
  return [box.x + x, box.y + y];
}}"""
DROP = """([[x, y], files]) => {
  const data = new DataTransfer();
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  for (const [name, text] of files) data.items.add(new File([bytes(text)], name));
  const event = { bubbles: true, cancelable: true, dataTransfer: data, clientX: x, clientY: y };
  for (const type of ["dragenter", "dragover", "drop"])
    document.elementFromPoint(x, y).dispatchEvent(new DragEvent(type, event));
}"""


def drop(page: Page, *paths: Path) -> None:
    """Let go of files over the middle of a fresh Load Layers, as the mouse does."""
    fresh_loader(page)
    page.evaluate(FIT)
    page.wait_for_timeout(700)
    files = [(path.name, b64encode(path.read_bytes()).decode()) for path in paths]
    page.evaluate(DROP, [page.evaluate(MIDDLE), files])


@pytest.fixture(params=[False, True], ids=["canvas", "nodes-2"])
def either_page(page: Page, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The page with nodes drawn on the canvas, and as HTML."""
    switch = "(on) => app.ui.settings.setSettingValueAsync('Comfy.VueNodes.Enabled', on)"
    page.evaluate(switch, request.param)
    yield page
    page.evaluate(switch, False)


def test_a_file_dropped_onto_load_layers_is_uploaded_and_chosen(
    either_page: Page, server: Server, tmp_path: Path
) -> None:
    stack = LayerStack.from_image(torch.rand(2, 30, 40, 4), "sky\ngirl/hair")
    path = psd.write(stack, tmp_path / f"dropped {len(list((server.base / 'input').iterdir()))}.psd")
    drop(either_page, path)
    either_page.wait_for_function(f"({VALUE})('source.file') === '{path.name}'")
    assert (server.base / "input" / path.name).read_bytes() == path.read_bytes()
    assert either_page.evaluate("app.graph.nodes.length") == 1, "ComfyUI did not take it for a workflow"


def test_several_pngs_dropped_onto_load_layers_are_several_layers(either_page: Page, tmp_path: Path) -> None:
    paths = [tmp_path / f"{i} drop.png" for i in (10, 2)]
    for i, path in enumerate(paths):
        Image.new("RGBA", (4, 4), (i, 0, 0, 255)).save(path)
    drop(either_page, *paths)
    either_page.wait_for_function(f"({VALUE})('source') === 'several PNGs'")
    either_page.wait_for_function(f"({VALUE})('source.files')?.length > 0")
    assert either_page.evaluate(f"({VALUE})('source.files')").splitlines() == ["2 drop.png", "10 drop.png"]


def test_files_that_do_not_go_together_are_not_uploaded(page: Page, server: Server, tmp_path: Path) -> None:
    paths = [tmp_path / "mixed.png", tmp_path / "mixed.psd"]
    for path in paths:
        path.write_bytes(b"anything")
    drop(page, *paths)
    page.get_by_text("Give one file (.psd, .psb, .ora, .zip, .png)").wait_for()
    assert not list((server.base / "input").glob("mixed.*"))
