"""Mistakes that users make: the node that is wrong says what is wrong, and nothing is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from comfy_client import Client, Graph, Refused, Run
from comfy_graphs import flat, node, stack_of, still, taken_apart
from comfy_server import Server


def failed(client: Client, graph: Graph, at: str) -> str:
    """The message that the user reads when node `at` fails."""
    run: Run = client.run(graph)
    kind, data = run.events[-1]
    assert kind == "execution_error", "the run was expected to fail"
    assert data["node_id"] == at
    return run.error


def shown(graph: Graph, class_type: str, **inputs: Any) -> Graph:
    """The graph with a node "wrong" on its stack, and a preview of that node's result."""
    wrong = node(class_type, **{"layers": ["stack", 0], **inputs})
    return {**graph, "wrong": wrong, "see": node("PreviewImage", images=["wrong", 0])}


@pytest.mark.parametrize("index", [5, -6])
def test_an_index_out_of_range_names_the_range(client: Client, index: int) -> None:
    graph = shown(stack_of("example.png"), "TransformLayer", **still() | {"index": index})
    message = failed(client, graph, "wrong")
    assert f"Layer index {index} is out of range: the stack has 5 layers" in message
    assert "0 to 4" in message


def test_editable_text_is_made_or_says_what_to_install(client: Client) -> None:
    """Which of both depends on the server's environment: the extra for text may be missing there."""
    graph = stack_of("example.png")
    graph["deck"] = node("ExportPPTX", layers=["stack", 0], filename_prefix="test/text", dpi=96.0, text="editable")
    run = client.run(graph)
    if run.end == "execution_success":
        assert run.output("deck")["files"]
    else:
        assert "Editable text needs the extra `text`" in run.error
        assert "install.py --text" in run.error


@pytest.mark.parametrize("class_type", ["CompositeLayers", "PreviewLayers", "ArrangeLayers", "ExportPPTX"])
def test_rgb_where_layers_are_needed_says_how_to_add_alpha(client: Client, class_type: str) -> None:
    graph = stack_of("example.png")
    inputs: dict[str, Any] = {"order": "0", "filename_prefix": "test/rgb", "dpi": 96.0}
    graph["wrong"] = node(class_type, layers=["picture", 0], **flat(), **inputs)
    graph["see"] = node("PreviewAny", source=["wrong", 0])
    message = failed(client, graph, "wrong")
    assert "Expected 4 channels, got 3" in message
    assert "Join Image with Alpha" in message


def test_an_unknown_blend_mode_is_named(client: Client) -> None:
    modes = {"blend": "each layer", "blend.modes": "normal\nmultiply\nglow\nnormal\nnormal"}
    graph = shown(stack_of("example.png"), "CompositeLayers", **flat() | modes)
    message = failed(client, graph, "wrong")
    assert "glow" in message
    assert "multiply" in message, "the modes there are"


def test_a_wrong_count_of_names_gives_both_numbers(client: Client) -> None:
    graph = shown(stack_of("example.png"), "PreviewLayers", names="sky\nsea")
    assert "2 names were given for 5 layers" in failed(client, graph, "wrong")


def test_an_order_that_cannot_be_read_is_quoted(client: Client) -> None:
    graph = shown(stack_of("example.png"), "ArrangeLayers", order="0, two")
    assert 'No layer is called "two"' in failed(client, graph, "wrong")


def test_the_mask_of_another_picture_is_refused_with_both_shapes(client: Client) -> None:
    graph = taken_apart("example.png") | {
        "other": node("LoadImage", image="large.png"),
        "flipped": node("InvertMask", mask=["other", 1]),
        "see": node("PreviewAny", source=["decompose", 3]),
    }
    graph["decompose"]["inputs"]["mask"] = ["flipped", 0]
    message = failed(client, graph, "decompose")
    assert "(1, 64, 64)" in message
    assert "(1, 320, 480, 3)" in message


@pytest.mark.parametrize("prefix", ["../../x", "layers/../../../x", "/tmp/qil_outside/x", "..\\..\\x"])
def test_a_prefix_that_leaves_the_output_folder_leaves_no_file(client: Client, server: Server, prefix: str) -> None:
    before = everything(server.base.parent)
    graph = stack_of("example.png")
    graph["deck"] = node("ExportPPTX", layers=["stack", 0], filename_prefix=prefix, dpi=96.0)
    try:
        refusal, end = "", client.run(graph).end
    except Refused as refused:
        refusal, end = str(refused), ""
    fresh = everything(server.base.parent) - before
    assert not Path("/tmp/qil_outside").exists()
    outside = [path for path in fresh if not path.is_relative_to(server.base / "output")]
    assert not [path for path in outside if path.suffix == ".pptx" or path.name.startswith("x")]
    assert end == "execution_success" or "leaves ComfyUI's output folder" in refusal


def everything(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if "custom_nodes" not in path.parts}


def test_a_decomposer_that_does_not_exist_is_an_error_of_the_loader(client: Client) -> None:
    graph = taken_apart("example.png") | {"see": node("PreviewAny", source=["decompose", 3])}
    graph["model"]["inputs"]["source"] = "magic"
    assert "source" in failed(client, graph, "model")


def test_too_many_layers_are_refused_before_the_run(client: Client) -> None:
    graph = taken_apart("example.png", layers=11) | {"see": node("PreviewAny", source=["decompose", 3])}
    with pytest.raises(Refused, match="bigger than max"):
        client.run(graph)
