"""The workflow files, and graphs put together for one test."""

from __future__ import annotations

import json
from typing import Any

from comfy_client import Graph
from finder import REPO

WORKFLOWS = REPO / "workflows"
NAMES = sorted(path.stem for path in (WORKFLOWS / "api").glob("*.json"))
TITLES = sorted(path.stem for path in WORKFLOWS.glob("*.json"))
"""The workflows as ComfyUI lists them: the names of their files for the editor."""

NODES = {
    "LoadLayeredModel",
    "NativeLayeredModel",
    "DecomposeToLayers",
    "SplitLayer",
    "MasksToLayers",
    "RestoreLayers",
    "TransformLayer",
    "RecolorLayer",
    "ArrangeLayers",
    "LoadEditModel",
    "EditLayer",
    "EditImage",
    "LayerEditor",
    "CompositeLayers",
    "PreviewLayers",
    "LayerScore",
    "ExportPPTX",
    "ExportLayers",
    "LoadLayers",
    "LayersToDocument",
    "DocumentToLayers",
}


RUNTIME = {
    "source__loras": "",
    "source__memory": "auto",
    "source__attention": "default",
    "source__compile": False,
    "source__first_block_cache": 0.0,
}
"""What a loader of models that run here asks beside their files, as it is at first."""


def workflow(name: str) -> Graph:
    """A file of workflows/api."""
    graph: Graph = json.loads((WORKFLOWS / "api" / f"{name}.json").read_text())
    return graph


def saved(name: str) -> dict[str, Any]:
    """A file of workflows/, which the editor opens, by the name of its API form: its own is for people."""
    (path,) = (path for path in WORKFLOWS.glob("*.json") if path.stem.lower().replace(" ", "_") == name)
    graph: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return graph


def with_example(graph: Graph) -> Graph:
    """A graph whose pictures are the tests' own: shapes of known places and colours."""
    for each in graph.values():
        if each["class_type"] == "LoadImage":
            each["inputs"]["image"] = "example.png"
    return graph


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    """A node in API form. A link is a [node, slot] list; a dot in an input's name is written as two underscores."""
    return {"class_type": class_type, "inputs": {name.replace("__", "."): value for name, value in inputs.items()}}


def find(graph: Graph, class_type: str) -> str:
    """The id of the only node of a class."""
    (found,) = (key for key, value in graph.items() if value["class_type"] == class_type)
    return found


def saving(graph: Graph, **links: list[Any]) -> Graph:
    """The graph with a Save Image, named by its keyword, on each link: layers come out as PNG files, exactly."""
    savers = {name: node("SaveImage", images=link, filename_prefix=f"test/{name}") for name, link in links.items()}
    return {**graph, **savers}


def stack_of(picture: str, layers: int = 4) -> Graph:
    """Node "stack" gives a stack at once: the picture in vertical strips below a frame 0 that is all of it."""
    return {
        "picture": node("LoadImage", image=picture),
        "stack": node("StandInLayeredDecode", image=["picture", 0], layers=layers),
    }


def taken_apart(picture: str, layers: int = 5) -> Graph:
    """Node "decompose" takes a picture apart, with the mask of its own Load Image."""
    apart = {"model": ["model", 0], "image": ["picture", 0], "mask": ["picture", 1]}
    return {
        "picture": node("LoadImage", image=picture),
        "model": node("LoadLayeredModel", source="built-in (no weights)"),
        "decompose": node("DecomposeToLayers", layers=layers, seed=0, **apart),
    }


def still() -> dict[str, Any]:
    """Transform Layer's inputs that change nothing."""
    numbers = {"dx": 0.0, "dy": 0.0, "scale_x": 1.0, "scale_y": 1.0, "rotation": 0.0, "opacity": 1.0}
    return {**numbers, "flip": "none", "pivot": "content centre", "filter": "bicubic"}


def flat() -> dict[str, Any]:
    """Composite Layers' inputs for the plain "over"."""
    return {"blend": "normal", "space": "sRGB", "background": "transparent"}


def asked(instruction: Any, **more: Any) -> dict[str, Any]:
    """Edit Layer's and Edit Image's inputs for an instruction."""
    return {
        "instruction": instruction,
        "variants": 1,
        "seed": 0,
        "steps": 2,
        "true_cfg_scale": 1.0,
        "negative_prompt": " ",
        **more,
    }


def edited(picture: str, instruction: Any, **more: Any) -> Graph:
    """Node "edit" edits the topmost layer of a picture that was taken apart, with the stand-in edit model."""
    graph = taken_apart(picture) | {"editor": node("StandInEditModel")}
    apart = {"layers": ["decompose", 0], "names": ["decompose", 1], "index": -1, "alpha": "auto", "behind": False}
    graph["edit"] = node("EditLayer", edit_model=["editor", 0], **{**apart, **asked(instruction, **more)})
    return graph


def several(key: str, *texts: str) -> Graph:
    """Node `key` is a list of texts, made as people make one: by Create List."""
    nodes = {f"{key} {i}": node("PrimitiveString", value=text) for i, text in enumerate(texts)}
    links = {f"inputs__input{i}": [name, 0] for i, name in enumerate(nodes)}
    return {**nodes, key: node("CreateList", **links)}


def without_sampling(graph: Graph) -> Graph:
    """The native graph with a stand-in for all that needs weights: from the scaled picture straight to the stack."""
    scaled, decoded = find(graph, "ImageScaleToMaxDimension"), find(graph, "VAEDecode")
    layers = graph[find(graph, "EmptyQwenImageLayeredLatentImage")]["inputs"]["layers"]
    standing_in = {**graph, decoded: node("StandInLayeredDecode", image=[scaled, 0], layers=layers)}
    ends = [key for key, value in graph.items() if value["class_type"] in NODES]
    needed = set().union(*(_ancestors(standing_in, key) for key in ends))
    return {key: value for key, value in standing_in.items() if key in needed}


def _ancestors(graph: Graph, key: str) -> set[str]:
    links = [value[0] for value in graph[key]["inputs"].values() if isinstance(value, list)]
    return {key}.union(*(_ancestors(graph, link) for link in links))
