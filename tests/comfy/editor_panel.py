"""The panel of Layer Editor in a browser: finding it, pointing at it, and reading what it shows."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from comfy_browser import front_end, load, missing, run
from comfy_client import Client
from comfy_graphs import find, saved, saving
from comfy_pictures import CENTRES
from comfy_server import Server
from numpy.typing import NDArray

if TYPE_CHECKING:
    from playwright.sync_api import Page

DISC, BOX, TRIANGLE = CENTRES
"""Points (x, y) inside the shapes of the example picture."""

LIMIT = 2.0
"""Of 255, in any channel of colours times alpha, and in alpha."""

VUE = "(on) => app.ui.settings.setSettingValueAsync('Comfy.VueNodes.Enabled', on)"
LOADED = "Boolean(window.app?.graph?.nodes?.length && LiteGraph.registered_node_types.LayerEditor)"
"""Whether the workflow that ComfyUI begins with is there: it would come over one that is loaded before it."""

QUEUED = """() => { window.queued = 0; app.api.addEventListener('promptQueued', () => window.queued++); }"""
NODES = "app.graph.nodes.filter((node) => node.type === 'LayerEditor')"
CALL = f"""([number, code, value]) => {{
  const node = {NODES}[number];
  const widget = node.widgets.find((one) => one.panel);
  return new Function("node", "widget", "panel", "value", `return (${{code}})`)(node, widget, widget.panel, value);
}}"""
READY = f"""([number, code, value]) => {{
  const node = {NODES}[number];
  const widget = node?.widgets.find((one) => one.panel);
  if (!widget) return false;
  const ask = new Function("node", "widget", "panel", "value", `return (${{code}})`);
  return Boolean(ask(node, widget, widget.panel, value));
}}"""
POINT = """(() => {
  const { element, view } = panel.canvas;
  const box = element.getBoundingClientRect(), scale = box.width / element.clientWidth;
  const [x, y] = view.toElement(value);
  return [box.x + x * scale, box.y + y * scale];
})()"""
HANDLE = """(() => {
  const [id] = panel.selected;
  const edit = {...{dx: 0, dy: 0, scale_x: 1, scale_y: 1, rotation: 0}, ...panel.shown.edits[id]};
  const box = panel.scene.boxOf(panel.shown, panel.items, id);
  if (value === "round") return panel.canvas.view.toPicture(panel.canvas.rotationHandle(edit, box).round);
  const corner = [box[2], box[3]];
  return [corner[0] + edit.dx, corner[1] + edit.dy];
})()"""
LOOK = f"""(number) => {{
  const node = {NODES}[number], view = app.canvas.ds;
  view.scale = Math.min((innerHeight - 140) / (node.size[1] + 40), (innerWidth - 160) / node.size[0]);
  view.offset[0] = 110 / view.scale - node.pos[0];
  view.offset[1] = 100 / view.scale - node.pos[1];
  app.canvas.setDirty(true, true);
}}"""
BYTES = """(() => {
  let text = "";
  for (let at = 0; at < panel.scene.bytes.length; at += 32768)
    text += String.fromCharCode(...panel.scene.bytes.subarray(at, at + 32768));
  return btoa(text);
})()"""


@dataclass(frozen=True)
class Panel:
    """The panel of the graph's so many-th Layer Editor."""

    page: Page
    number: int = 0

    def ask(self, code: str, value: Any = None) -> Any:
        """What an expression in JavaScript gives; it knows node, widget, panel and value."""
        return self.page.evaluate(CALL, [self.number, code, value])

    def wait(self, code: str) -> None:
        self.page.wait_for_function(READY, arg=[self.number, code, None])

    @property
    def edits(self) -> dict[str, Any]:
        """What the widget's text says of layers, by id."""
        text = self.ask("widget.value")
        return dict(json.loads(text).get("edits", {})) if text else {}

    def edit_of(self, name: str) -> dict[str, Any]:
        return dict(self.edits.get(self.id(name), {}))

    def id(self, name: str) -> str:
        return str(self.ask("panel.items.order.find((id) => panel.names[id] === value)", name))

    @property
    def names(self) -> list[str]:
        """Names bottom first."""
        return list(self.ask("panel.items.order.map((id) => panel.names[id])"))

    @property
    def selected(self) -> list[str]:
        return list(self.ask("panel.selected.map((id) => panel.names[id])"))

    def show(self) -> None:
        """Brings the node to the middle of the page."""
        self.page.evaluate(LOOK, self.number)
        self.page.wait_for_timeout(400)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a point of the picture is on the page."""
        point = self.ask(POINT, [x, y])
        return point[0], point[1]

    def click(self, x: float, y: float) -> None:
        self.page.mouse.click(*self.at(x, y))

    def drag(self, start: tuple[float, float], end: tuple[float, float], let_go: bool = True) -> None:
        self.page.mouse.move(*self.at(*start))
        self.page.mouse.down()
        self.page.mouse.move(*self.at(*[(a + b) / 2 for a, b in zip(start, end, strict=True)]), steps=3)
        self.page.mouse.move(*self.at(*end), steps=3)
        self.page.wait_for_timeout(80)
        if let_go:
            self.page.mouse.up()

    def handle(self, which: str) -> tuple[float, float]:
        """A handle of the selected layer, on the picture: "corner", of a layer that is not rotated, or "round"."""
        point = self.ask(HANDLE, which)
        return point[0], point[1]

    def row(self, name: str) -> Any:
        """The row of a layer or a group in the list."""
        return self.page.locator(".qle").nth(self.number).locator(".qle-row", has_text=name).first

    def picture(self) -> NDArray[np.float64]:
        """What is composited live: straight RGBA (h, w, 4), 0..255."""
        self.page.wait_for_timeout(300)  # what is dragged or typed is drawn with all pixels once it rests
        width, height = self.ask("panel.scene.small")
        data = np.frombuffer(b64decode(self.ask(BYTES)), np.uint8)
        return data.reshape(height, width, 4).astype(float)


def opened(page: Page, picture: str = "example.png") -> Panel:
    """The workflow edit_one_layer, run once."""
    graph = saved("edit_one_layer")
    for node in graph["nodes"]:
        if node["type"] == "LoadImage":
            node["widgets_values"][0] = picture
        if node["type"] == "DecomposeToLayers":
            node["widgets_values"][0] = 5
    load(page, graph)
    assert run(page) == "execution_success"
    panel = Panel(page)
    panel.wait("panel.scene")
    panel.show()
    return panel


@contextmanager
def panel_page(skip_loudly: Callable[[str], None], server: Server) -> Iterator[Page]:
    """A page with ComfyUI loaded, which counts what is queued; without a browser the tests are skipped."""
    if lack := missing():
        skip_loudly(f"Layer Editor's browser tests SKIPPED: {lack}")
    with front_end(server) as page:
        page.wait_for_function(LOADED)
        page.evaluate(QUEUED)
        yield page


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
