"""The picture of the Layer Editor's panel in the documentation, from real ComfyUI in a headless Chromium.

`python -m benchmarks.panel_picture` needs both, as the tests of `tests/comfy` do, and starts them as these do.
The example poster is taken apart by the workflow *Edit one layer*; then its large disc is dragged.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from qil_core.example import draw_poster

from .apart import LAYERS
from .site_pictures import FIGURES

ROOT = Path(__file__).resolve().parent.parent

DISC, TO = (600, 350), (790, 280)
"""Where the disc is taken and where it is let go, in pixels of the poster."""

WINDOW = {"width": 1500, "height": 1060}

PATIENCE_MS = 300_000
"""How long a busy machine may take for one thing, in milliseconds."""


def main() -> None:
    sys.path[:0] = [str(ROOT / "tests" / "comfy"), str(ROOT / "tests" / "helpers")]
    from comfy_browser import front_end
    from comfy_server import running
    from finder import PLACES, find_checkout

    checkout = find_checkout()
    if checkout is None:
        sys.exit(f"No ComfyUI in {PLACES}.")
    with tempfile.TemporaryDirectory() as folder, running(checkout, Path(folder) / "base") as server:
        draw_poster().save(server.base / "input" / "example.png")
        with front_end(server) as page:
            page.set_viewport_size(WINDOW)
            page.set_default_timeout(PATIENCE_MS)
            draw(page)


def draw(page: Any) -> None:
    """Run the workflow once, drag the disc, and keep what the panel shows."""
    from comfy_browser import load, run
    from editor_panel import LOADED, Panel

    page.wait_for_function(LOADED)
    graph = json.loads((ROOT / "workflows" / "Edit one layer.json").read_text(encoding="utf-8"))
    for node in graph["nodes"]:
        if node["type"] == "DecomposeToLayers":
            node["widgets_values"][0] = LAYERS
    load(page, graph)
    if (ended := run(page)) != "execution_success":
        sys.exit(f"The workflow ended with {ended}.")
    panel = Panel(page)
    panel.wait("panel.scene")
    panel.show()
    panel.drag(DISC, TO)
    page.wait_for_timeout(1500)  # what was dragged is drawn with all pixels once it rests
    FIGURES.mkdir(parents=True, exist_ok=True)
    page.locator(".qle").first.screenshot(path=FIGURES / "layer_editor.png")


if __name__ == "__main__":
    main()
