"""What the pictures of the nodes' help pages show: a graph for each node, and which of its nodes are in the frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Graph = dict[str, dict[str, Any]]

POSTER, PHOTOGRAPH = "layers_poster.jpg", "layers_photograph.jpg"
"""The pictures that come with the package: in ComfyUI's input folder as soon as it is loaded."""


@dataclass(frozen=True)
class Scene:
    """A graph in API form, and the frame of its picture.

    frame: the nodes that are shown, from left to right, each with its width and height in ComfyUI's units; a height of
    0 leaves the node its own. runs: whether the graph is run first; else it is shown as it is set up. then: what one
    does in the browser before the picture is taken, with Playwright's page.
    """

    graph: Graph
    frame: tuple[tuple[str, int, int], ...]
    runs: bool = True
    then: Callable[[Any], None] | None = None


def node(class_type: str, title: str = "", /, **inputs: Any) -> dict[str, Any]:
    """A node in API form; a tuple is a link, and a dot in an input's name is written as two underscores."""
    values = {name.replace("__", "."): list(v) if isinstance(v, tuple) else v for name, v in inputs.items()}
    return {"class_type": class_type, "inputs": values} | ({"_meta": {"title": title}} if title else {})


def taken_apart(picture: str = POSTER, layers: int = 8) -> Graph:
    """ "picture", "model" and "apart": a picture and its layers, by the built-in decomposer."""
    return {
        "picture": node("LoadImage", image=picture),
        "model": node("LoadLayeredModel", source="built-in (no weights)"),
        "apart": node("DecomposeToLayers", model=("model", 0), image=("picture", 0), layers=layers),
    }


def stack(key: str) -> dict[str, Any]:
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


ORANGE: dict[str, Any] = {"x": 732, "y": 866, "width": 174, "height": 166}
"""A box around the right orange of the photograph, in its pixels."""

MODEL_FILES: dict[str, Any] = {
    "source__transformer": "qwen_image_layered_bf16.safetensors",
    "source__text_encoder": "qwen_2.5_vl_7b_fp8_scaled.safetensors",
    "source__vae": "qwen_image_layered_vae.safetensors",
}

FILES = (
    "diffusion_models/qwen_image_layered_bf16.safetensors",
    "text_encoders/qwen_2.5_vl_7b_fp8_scaled.safetensors",
    "vae/qwen_image_layered_vae.safetensors",
)
"""Files in ComfyUI's models folder that a node offers. They are empty: such a node is shown, not run."""


def changed(class_type: str, **inputs: Any) -> Graph:
    """The poster before and after a node has changed a layer of it."""
    changed = node(class_type, **stack("apart"), **inputs)
    return taken_apart() | {"node": changed} | flat("apart", "before", "Before") | flat("node", "after", "After")


def boxed() -> Graph:
    """The photograph, and the layers of a box in it."""
    layers = node("MasksToLayers", image=("picture", 0), boxes=("box", 0), names="orange")
    picture = node("LoadImage", image=PHOTOGRAPH)
    return {"picture": picture, "box": node("PrimitiveBoundingBox", **ORANGE), "node": layers, "sheet": sheet("node")}


BEFORE_AND_AFTER = (("see before", 300, 430), ("node", 330, 0), ("see after", 300, 430))

SCENES: dict[str, Scene] = {
    "LoadLayeredModel": Scene(
        {
            "first": node("LoadLayeredModel", source="built-in (no weights)"),
            "second": node("LoadLayeredModel", source="ComfyUI files", **MODEL_FILES),
        },
        (("first", 340, 0), ("second", 520, 0)),
        runs=False,
    ),
    "DecomposeToLayers": Scene(
        taken_apart() | {"sheet": sheet("apart")}, (("picture", 260, 420), ("apart", 330, 0), ("sheet", 520, 790))
    ),
    "SplitLayer": Scene(
        taken_apart(layers=3)
        | {"before": sheet("apart", "Before"), "after": sheet("node", "After")}
        | {"node": node("SplitLayer", model=("model", 0), **stack("apart"), index="1", count=4)},
        (("before", 380, 640), ("node", 300, 0), ("after", 520, 790)),
    ),
    "MasksToLayers": Scene(boxed(), (("picture", 280, 460), ("box", 220, 0), ("node", 320, 0), ("sheet", 440, 660))),
    "TransformLayer": Scene(
        changed("TransformLayer", index="red circle", dx=40, dy=-400, scale_x=0.6, scale_y=0.6), BEFORE_AND_AFTER
    ),
    "RecolorLayer": Scene(
        changed("RecolorLayer", index="yellow circle", change="colorize", change__color="#4fb3ff"), BEFORE_AND_AFTER
    ),
    "CompositeLayers": Scene(
        taken_apart() | {"sheet": sheet("apart")} | flat("apart"),
        (("sheet", 520, 790), ("flat", 280, 0), ("see flat", 360, 520)),
    ),
    "ExportPPTX": Scene(
        taken_apart() | {"sheet": sheet("apart"), "node": node("ExportPPTX", **stack("apart"))},
        (("sheet", 520, 790), ("node", 380, 0)),
    ),
    "ExportLayers": Scene(
        taken_apart()
        | {
            "sheet": sheet("apart"),
            "node": node("ExportLayers", **stack("apart"), format="PSD", filename_prefix="layers/layers"),
        },
        (("sheet", 520, 790), ("node", 380, 0)),
    ),
    "LayerEditor": Scene(
        taken_apart() | {"node": node("LayerEditor", **stack("apart"), original=("picture", 0))},
        (("node", 860, 780),),
        then=move_the_disc,
    ),
    "PreviewLayers": Scene(taken_apart() | {"sheet": sheet("apart")}, (("sheet", 520, 790),)),
}
