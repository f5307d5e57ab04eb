"""ComfyUI's front end in a headless Chromium."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from comfy_server import Server

if TYPE_CHECKING:
    from playwright.sync_api import Page

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --no-proxy-server"
)
READY = "Boolean(window.app?.graph && window.LiteGraph?.registered_node_types?.ExportPPTX)"
RUN = """() => new Promise((resolve) => {
  for (const end of ["execution_success", "execution_error", "execution_interrupted"])
    app.api.addEventListener(end, () => resolve(end), { once: true });
  app.queuePrompt(0, 1);
})"""
FIT = """() => {
  const edges = ({ pos: [x, y], size: [width, height] }) => [x, y, x + width, y + height];
  const boxes = [...app.graph.nodes, ...app.graph.groups].map(edges);
  const [left, top] = [0, 1].map((i) => Math.min(...boxes.map((box) => box[i])));
  const [right, bottom] = [2, 3].map((i) => Math.max(...boxes.map((box) => box[i])));
  const view = app.canvas.ds;
  view.scale = Math.min((innerWidth - 120) / (right - left), (innerHeight - 180) / (bottom - top));
  view.offset[0] = 80 / view.scale - left;
  view.offset[1] = 110 / view.scale - top;
  app.canvas.setDirty(true, true);
}"""


def missing() -> str:
    """What a browser test lacks here; empty when nothing."""
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "playwright is not installed"
    return "" if browser() else f"none of {', '.join(BROWSERS)} is on the PATH"


def browser() -> str | None:
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


@contextmanager
def front_end(server: Server) -> Iterator[Page]:
    """A page with ComfyUI loaded, in a fresh profile."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=browser(), args=FLAGS.split())
        try:
            page = started.new_page(viewport={"width": 1800, "height": 1050}, accept_downloads=True)
            page.set_default_timeout(30_000)
            page.request.post(f"{server.url}/api/settings", data={"Comfy.TutorialCompleted": True})
            page.goto(server.url)
            page.wait_for_function(READY)
            yield page
        finally:
            started.close()


def load(page: Page, workflow: dict[str, Any]) -> None:
    page.evaluate("workflow => app.loadGraphData(workflow)", workflow)


def run(page: Page) -> str:
    """Queue what is loaded; how it ended, such as execution_success."""
    return str(page.evaluate(RUN))


def screenshot(page: Page, name: str, folder: Path) -> Path:
    """The whole graph; kept in $QIL_SCREENSHOTS where that is set."""
    page.evaluate(FIT)
    page.wait_for_timeout(700)
    path = Path(os.environ.get("QIL_SCREENSHOTS") or folder) / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=path)
    return path
