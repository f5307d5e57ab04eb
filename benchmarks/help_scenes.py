"""What the pictures of the nodes' help pages show: a graph for each node, and which of its nodes are in the frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Graph = dict[str, dict[str, Any]]
Link = tuple[str, int]

POSTER, PHOTOGRAPH, SLIDE = "layers_poster.jpg", "layers_photograph.jpg", "layers_slide.png"
"""The pictures that come with the package: in ComfyUI's input folder as soon as it is loaded."""


@dataclass(frozen=True)
class Scene:
    """A graph in API form, and the frame of its picture.

    frame: the nodes that are shown, from left to right, each with its width and height in ComfyUI's units; a height of 0
    leaves the node its own. runs: whether the graph is run first; else it is shown as it is set up. then: what a person
    does in the browser before the picture is taken, with Playwright's page.
    """

    graph: Graph
    frame: tuple[tuple[str, int, int], ...]
    runs: bool = True
    then: Callable[[Any], None] | None = None


def node(class_type: str, title: str = "", **inputs: Any) -> dict[str, Any]:
    """A node in API form; a tuple is a link, and a dot in an input's name is written as two underscores."""
    values = {name.replace("__", "."): list(v) if isinstance(v, tuple) else v for name, v in inputs.items()}
    return {"class_type": class_type, "inputs": values} | ({"_meta": {"title": title}} if title else {})


def taken_apart(picture: str = POSTER, layers: int = 8) -> Graph:
    """"picture", "model" and "apart": a picture and its layers, by the built-in decomposer."""
    return {
        "picture": node("LoadImage", image=picture),
        "model": node("LoadLayeredModel", source="built-in (no weights)"),
        "apart": node("DecomposeToLayers", model=("model", 0), image=("picture", 0), layers=layers),
    }


def stack(key: str) -> dict[str, Link]:
    """The links to a node's layers and names."""
    return {"layers": (key, 0), "names": (key, 1)}


def sheet(key: str, title: str = "") -> dict[str, Any]:
    return node("PreviewLayers", title, **stack(key))


def flat(key: str, name: str = "flat", title: str = "") -> Graph:
    """The picture that a node's layers make together: Composite Layers and Preview Image, "see"."""
    return {
        name: node("CompositeLayers", layers=(key, 0)),
        f"see {name}": node("PreviewImage", title, images=(name, 0)),
    }


def move_the_disc(page: Any) -> None:
    """In Layer Editor: the red disc is taken and dragged to the upper right."""
    from editor_panel import Panel

    panel = Panel(page)
    panel.wait("panel.scene")
    panel.drag((650, 560), (700, 180))
    page.wait_for_timeout(1500)  # what was dragged is drawn with all pixels once it rests


MOVED = node("TransformLayer", **stack("apart"), index="2", dx=120, dy=-260, rotation=0)
BOXES = '[{"x": 134, "y": 558, "width": 294, "height": 260}, {"x": 622, "y": 548, "width": 288, "height": 358}]'

SCENES: dict[str, Scene] = {
    "DecomposeToLayers": Scene(
        taken_apart() | {"sheet": sheet("apart")}, (("picture", 260, 420), ("apart", 330, 0), ("sheet", 520, 560))
    ),
    "PreviewLayers": Scene(taken_apart() | {"sheet": sheet("apart")}, (("sheet", 640, 620),)),
}
