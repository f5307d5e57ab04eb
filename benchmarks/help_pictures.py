"""The pictures of the nodes' help pages, each from the node's own run, in real ComfyUI in a headless Chromium.

`python -m benchmarks.help_pictures [NODE ...]` needs both, as the tests of `tests/comfy` do, and starts them as these
do. It writes `web/docs/pictures/NODE.webp`: of all nodes, or of those that are named. With `--keep FOLDER` the
screenshots stay there as PNG too.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

from .help_more_scenes import FILES as MORE_FILES
from .help_more_scenes import SCENES as MORE
from .help_scenes import FILES, Scene
from .help_scenes import SCENES as FIRST

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "web" / "docs" / "pictures"
SCENES = FIRST | MORE

WINDOW = {"width": 1700, "height": 1100}

WIDTH = 1000
"""Pixels of a picture at the most: the help panel is some 300 to 900 wide, and a click shows none larger."""

LIMIT = 60_000
"""Bytes of a picture at the most, so that 21 of them do not make the package heavy."""

QUALITIES = range(88, 20, -4)
"""Of WebP's coding, 0 to 100: the first that keeps the limit is taken."""

PATIENCE_MS = 300_000
"""How long a busy machine may take for one thing, in milliseconds."""

GAP, MARGIN, TITLE = 40, 16, 30
"""Between two nodes, around all of them, and the height of a node's title, in ComfyUI's units."""

LAY_OUT = """([frame, gap, margin, title]) => {
  const shown = frame.map(([id]) => app.graph.nodes.find((node) => String(node.id) === id));
  let left = 0, bottom = 0;
  for (const [i, node] of shown.entries()) {
    const [, width, height] = frame[i];
    node.pos = [left, 0];
    node.setSize([width, height || node.computeSize()[1]]);
    left += node.size[0] + gap;
    bottom = Math.max(bottom, node.size[1]);
  }
  for (const node of app.graph.nodes) if (!shown.includes(node)) node.pos = [-4000, -300];
  const width = left - gap + 2 * margin, height = bottom + title + 2 * margin;
  const view = app.canvas.ds;
  view.scale = Math.min(1, (innerWidth - 200) / width, (innerHeight - 220) / height);
  view.offset = [90 / view.scale + margin, 110 / view.scale + margin + title];
  app.canvas.deselectAll?.();
  app.canvas.setDirty(true, true);
  const box = app.canvas.canvas.getBoundingClientRect();
  return [box.x + 90, box.y + 110, width * view.scale, height * view.scale];
}"""
SETTING = "([key, value]) => app.extensionManager.setting.set(key, value)"
SETTINGS = (("Comfy.NodeBadge.NodeSourceBadgeMode", "None"), ("Comfy.Minimap.Visible", False))
"""The badge names the folder in custom_nodes, which is each user's own; the map would lie over the nodes."""


def main() -> None:
    asked = arguments()
    sys.path[:0] = [str(ROOT / "tests" / "comfy"), str(ROOT / "tests" / "helpers")]
    from comfy_browser import front_end
    from comfy_server import running
    from finder import PLACES, find_checkout

    checkout = find_checkout()
    if checkout is None:
        sys.exit(f"No ComfyUI in {PLACES}.")
    with tempfile.TemporaryDirectory() as folder, running(checkout, Path(folder) / "base") as server:
        offer(server.base / "models")
        with front_end(server) as page:
            page.set_viewport_size(WINDOW)
            page.set_default_timeout(PATIENCE_MS)
            begin(page)
            for name in asked.nodes or SCENES:
                keep(name, shot(page, SCENES[name]), asked.keep)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Draw the pictures of the nodes' help pages.")
    parser.add_argument("nodes", nargs="*", choices=[[], *SCENES], metavar="NODE", help="All, where none is named.")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="Keep the screenshots there as PNG.")
    return parser.parse_args()


def offer(models: Path) -> None:
    """Puts FILES where the nodes look for them, before the page asks what there is."""
    for file in FILES + MORE_FILES:
        (models / file).parent.mkdir(parents=True, exist_ok=True)
        (models / file).touch()


def begin(page: Any) -> None:
    """Waits for the workflow that ComfyUI begins with, which would come over ours, and clears the canvas."""
    from editor_panel import LOADED

    page.wait_for_function(LOADED)
    for setting in SETTINGS:
        page.evaluate(SETTING, setting)


def shot(page: Any, scene: Scene) -> bytes:
    """The scene's frame as PNG, after its run."""
    from comfy_browser import run

    page.evaluate("graph => app.loadApiJson(graph, 'help')", scene.graph)
    page.wait_for_timeout(500)
    if scene.runs and (ended := run(page)) != "execution_success":
        sys.exit(f"The graph of {', '.join(key for key, *_ in scene.frame)} ended with {ended}.")
    lay_out(page, scene)
    if scene.then:
        scene.then(page)
    x, y, width, height = lay_out(page, scene)
    return bytes(page.screenshot(clip={"x": x, "y": y, "width": width, "height": height}))


def lay_out(page: Any, scene: Scene) -> tuple[float, float, float, float]:
    """Puts the frame's nodes side by side; their place on the page: left, top, width, height."""
    box = page.evaluate(LAY_OUT, [scene.frame, GAP, MARGIN, TITLE])
    page.wait_for_timeout(1500)  # pictures are loaded and drawn by then
    return tuple(box)


def keep(name: str, png: bytes, folder: Path | None) -> None:
    """Writes the picture as WebP within LIMIT, and as PNG into the folder."""
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.png").write_bytes(png)
    PICTURES.mkdir(exist_ok=True)
    (PICTURES / f"{name}.webp").write_bytes(small(Image.open(io.BytesIO(png)).convert("RGB")))


def small(picture: Image.Image) -> bytes:
    """As WebP of at most WIDTH pixels and LIMIT bytes."""
    if picture.width > WIDTH:
        picture = picture.resize((WIDTH, round(picture.height * WIDTH / picture.width)), Image.Resampling.LANCZOS)
    for quality in QUALITIES:
        coded = io.BytesIO()
        picture.save(coded, "WEBP", quality=quality, method=6)
        if coded.tell() <= LIMIT:
            return coded.getvalue()
    raise ValueError(f"{picture.size} pixels do not fit into {LIMIT} bytes. Show less, or smaller.")


if __name__ == "__main__":
    main()
