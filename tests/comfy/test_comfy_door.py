"""What comes into the nodes and what leaves them: no text ends ComfyUI's worker, no value becomes another unseen."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from comfy_client import Client, Graph, Refused
from comfy_graphs import flat, node, stack_of, still, taken_apart
from comfy_server import Server

HALF = "\ud83d"
"""The first half of a surrogate pair, alone: no UTF-8 can hold it."""


def seen(graph: Graph, wrong: dict[str, Any]) -> Graph:
    return {**graph, "wrong": wrong, "see": node("PreviewAny", source=["wrong", 0])}


def unprintable() -> dict[str, Graph]:
    """Graphs in which a text that no log can print reaches a node."""
    layers = stack_of("example.png")
    stack = {"layers": ["stack", 0]}
    color = {"background": "color", "background.color": HALF}
    modes = {"blend": "each layer", "blend.modes": HALF}
    folder = {"source": "diffusers folder", "source.folder": "\ud800", "source.loras": "", "source.memory": "auto"}
    runtime = {"source.attention": "default", "source.compile": False, "source.first_block_cache": 0.0}
    files = {"source": "several PNGs", "source.files": f"{HALF}.png", "hidden": "keep"}
    return {
        "order": seen(layers, node("ArrangeLayers", **stack, order=HALF)),
        "folder": seen({}, node("LoadLayeredModel", **folder, **runtime)),
        "colour": seen(layers, node("CompositeLayers", **stack, **flat() | color)),
        "blend mode": seen(layers, node("CompositeLayers", **stack, **flat() | modes)),
        "layer names": seen(layers, node("PreviewLayers", **stack, names=f"{HALF}\nb\nc\nd\ne")),
        "count of layer names": seen(layers, node("PreviewLayers", **stack, names=HALF)),
        "option": seen(layers, node("TransformLayer", **stack, index=0, **still() | {"pivot": HALF})),
        "prefix": seen(layers, node("ExportPPTX", **stack, filename_prefix=HALF, dpi=96.0)),
        "file": seen({}, node("LoadLayers", **files)),
        "prompt": seen({**taken_apart("example.png"), "text": node("PrimitiveString", value=HALF)}, asking()),
    }


def asking() -> dict[str, Any]:
    """Decompose to Layers with a prompt that comes over a link."""
    apart = taken_apart("example.png")["decompose"]
    return {**apart, "inputs": {**apart["inputs"], "prompt": ["text", 0]}}


@pytest.mark.parametrize("name", sorted(unprintable()))
def test_comfyuis_worker_outlives_a_text_that_cannot_be_printed(client: Client, name: str) -> None:
    try:
        message = client.run(unprintable()[name], limit=30).error
    except Refused as refused:
        message = str(refused)
    assert message.encode(), "printable"
    assert r"\ud8" in message, "the text is in the message, as an escape"
    client.succeed(seen({}, node("PrimitiveString", value=f"after {name}")))


def test_a_name_in_a_file_that_cannot_be_printed_leaves_as_an_escape(client: Client, server: Server) -> None:
    graph = stack_of("example.png", layers=1)
    zipped = {"format": "ZIP", "layers": ["stack", 0], "names": "odd\neven", "filename_prefix": "door/odd"}
    run = client.succeed({**graph, "export": node("ExportLayers", **zipped)})
    file = renamed(server.base, run.output("export")["files"][0], r"\ud83d\u001b")
    loaded = node("LoadLayers", source="file", source__file=file, hidden="keep")
    run = client.succeed({"load": loaded, "names": node("PreviewAny", source=["load", 1])})
    assert run.output("names")["text"] == ["\\ud83d\\x1b\neven"]


def renamed(base: Path, saved: dict[str, str], name: str) -> str:
    """A copy of a ZIP in the input folder, whose first layer has another name, written as JSON writes it."""
    with ZipFile(base / "output" / saved["subfolder"] / saved["filename"]) as source:
        parts = {part: source.read(part) for part in source.namelist()}
    with ZipFile(base / "input" / "odd name.zip", "w") as copy:
        for part, data in parts.items():
            copy.writestr(part, data.replace(b'"odd"', f'"{name}"'.encode()))
    return "odd name.zip"


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"dx": math.nan}, "dx: expected a number, got nan"),
        ({"pivot": "bogus"}, '"pivot" is set to "bogus" that this version does not have'),
        ({"pivot": "point", "pivot.x": math.nan, "pivot.y": 0.0}, "x: expected a number, got nan"),
        ({"index": ["number", 0]}, "Layer index 100000 is out of range"),
        ({"index": "the girl"}, 'No layer is called "the girl": use an index or a name of 0 "layer 1"'),
    ],
)
def test_a_value_that_is_none_is_an_error_that_names_the_input(
    client: Client, wrong: dict[str, Any], expected: str
) -> None:
    graph = {
        **stack_of("example.png"),
        "number": node("PrimitiveInt", value=100_000),
        "fraction": node("PrimitiveFloat", value=0.5),
    }
    move = node("TransformLayer", layers=["stack", 0], **{"index": 0, **still(), **wrong})
    assert expected in client.run(seen(graph, move)).error


@pytest.mark.parametrize("id", ["count", "sampling"])
def test_an_unknown_option_of_an_optional_choice_is_no_default(client: Client, id: str) -> None:
    graph = taken_apart("example.png") | {"see": node("PreviewAny", source=["decompose", 3])}
    graph["decompose"]["inputs"][id] = "bogus"
    assert f'"{id}" is set to "bogus" that this version does not have' in client.run(graph).error


def test_a_picture_in_place_of_a_mask_is_refused(client: Client) -> None:
    graph = taken_apart("example.png") | {"see": node("PreviewAny", source=["decompose", 3])}
    graph["decompose"]["inputs"]["mask"] = ["picture", 0]
    try:
        message = client.run(graph).error
    except Refused as refused:
        message = str(refused)
    assert "mask" in message


PREFIXES = ["", "layers/", ".", "layers/.hidden", "a\x00b", "../x", "a" * 300, f"layers/{HALF}"]


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("export", ["ExportPPTX", "ExportLayers"])
def test_a_bad_prefix_is_refused_before_anything_runs(client: Client, export: str, prefix: str) -> None:
    more: dict[str, Any] = {"dpi": 96.0} if export == "ExportPPTX" else {"format": "PSD", "format.dpi": 72.0}
    graph = taken_apart("example.png") | {
        "export": node(export, layers=["decompose", 0], filename_prefix=prefix) | {"class_type": export},
    }
    graph["export"]["inputs"] |= more
    with pytest.raises(Refused, match="The prefix"):
        client.run(graph)


def report(client: Client, seed: int) -> str:
    """The report of a picture that was taken apart; it holds the seconds that it took."""
    graph = taken_apart("example.png") | {"see": node("PreviewAny", source=["decompose", 3])}
    graph["decompose"]["inputs"]["seed"] = seed
    return str(client.succeed(graph).output("see")["text"][0])


def test_another_seed_costs_nothing_where_the_seed_is_not_used(client: Client) -> None:
    assert report(client, seed=1) == report(client, seed=2)


def test_a_part_is_not_split_again_for_another_seed_and_keeps_its_bits(client: Client) -> None:
    def split(seed: int) -> Graph:
        graph = taken_apart("example.png")
        model = {"model": ["model", 0], "layers": ["decompose", 0], "names": ["decompose", 1]}
        graph["split"] = node("SplitLayer", **model, index=-1, count=3, seed=seed)
        see = {"see": node("PreviewImage", images=["split", 0]), "text": node("PreviewAny", source=["split", 2])}
        return graph | see

    first, second = client.succeed(split(1)), client.succeed(split(2))
    assert first.output("text") == second.output("text")
    assert (client.pictures(first, "see") == client.pictures(second, "see")).all()


@pytest.mark.parametrize("name", ["DecomposeToLayers", "SplitLayer"])
def test_a_node_added_by_hand_keeps_its_seed(client: Client, name: str) -> None:
    inputs = client.get_json(f"/object_info/{name}")[name]["input"]["required"]
    assert inputs["seed"][1]["control_after_generate"] == "fixed"


def test_arranging_keeps_every_layer_until_an_order_is_given(client: Client) -> None:
    order = client.get_json("/object_info/ArrangeLayers")["ArrangeLayers"]["input"]["required"]["order"][1]["default"]
    graph = stack_of("example.png")
    arranged = node("ArrangeLayers", layers=["stack", 0], order=order)
    see = {"before": node("PreviewImage", images=["stack", 0]), "after": node("PreviewImage", images=["arranged", 0])}
    run = client.succeed({**graph, "arranged": arranged, **see})
    assert (client.pictures(run, "before") == client.pictures(run, "after")).all()


@pytest.mark.parametrize("name", ["DecomposeToLayers", "SplitLayer"])
def test_elements_that_cannot_be_meant_are_refused_before_anything_runs(client: Client, name: str) -> None:
    graph = taken_apart("example.png")
    split = {"model": ["model", 0], "layers": ["decompose", 0], "index": 1, "count": 2, "seed": 0}
    graph["split"] = node("SplitLayer", **split)
    key = "split" if name == "SplitLayer" else "decompose"
    graph[key]["inputs"]["elements"] = "sun\ncar at 1,2,3"
    with pytest.raises(Refused, match=r"Elements, line 2: .*four whole numbers"):
        client.run({**graph, "see": node("PreviewAny", source=[key, 2])})
