"""Layer Editor in real ComfyUI, as an API request sends it: the same text of edits gives the same bits."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
from comfy_client import Client, Graph, Refused, Run
from comfy_graphs import find, flat, node, saving, taken_apart, with_example, workflow
from comfy_pictures import clear_black, moved, over, slides
from comfy_server import Server
from psd_tools import PSDImage

from qil_core.blend import BLEND_MODES


def editor(edits: dict[str, Any] | str = "", **more: Any) -> Graph:
    """Node "editor" edits the layers of a picture that was taken apart."""
    text = edits if isinstance(edits, str) else json.dumps({"version": 1, **edits})
    graph = taken_apart("example.png")
    graph["editor"] = node("LayerEditor", layers=["decompose", 0], names=["decompose", 1], edits=text, **more)
    return graph


def shown(run: Run) -> dict[str, Any]:
    (data,) = run.output("editor")["layer_editor"]
    return dict(data)


@pytest.fixture(scope="module")
def ids(client: Client) -> list[str]:
    """The fingerprints of the layers of the example picture, bottom first."""
    return [layer["id"] for layer in shown(client.succeed(editor()))["layers"]]


def test_without_edits_the_layers_pass_bit_for_bit(client: Client) -> None:
    run = client.succeed(saving(editor(), before=["decompose", 0], after=["editor", 0]))
    assert np.array_equal(client.pictures(run, "before"), client.pictures(run, "after"))


def test_the_panel_gets_small_pictures_of_the_layers_in_the_temp_folder(client: Client) -> None:
    run = client.succeed(saving(editor(original=["picture", 0]), layers=["decompose", 0]))
    data, layers = shown(run), client.pictures(run, "layers")
    assert (data["canvas"], data["small"]) == ([480, 320], [480, 320])
    assert len(data["layers"]) == len(layers) == 4
    for known, layer in zip(data["layers"], layers, strict=True):
        left, top, right, bottom = known["box"]
        assert known["at"] == [left, top]
        assert known["picture"]["type"] == "temp"
        assert np.array_equal(client.picture(known["picture"]), layer[top:bottom, left:right])
    assert np.abs(client.picture(data["original"])[..., :3] - client.pictures(run, "layers")[0][..., :3]).max() > 0


def test_a_preview_that_was_deleted_is_written_again(client: Client, server: Server) -> None:
    folder = server.base / "temp" / "qil_layer_editor"
    client.succeed(editor())
    names = sorted(path.name for path in folder.iterdir())
    for path in folder.iterdir():
        path.unlink()
    client.succeed(editor({"edits": {"0" * 16: {"dx": 1}}}))  # another text, so that the node runs
    again = sorted(path.name for path in folder.iterdir())
    assert again
    assert set(again) <= set(names)


def test_moving_hiding_and_renaming_do_just_that(client: Client, ids: list[str]) -> None:
    edits = {"edits": {ids[1]: {"dx": 60, "dy": 20, "name": "girl/hair"}, ids[2]: {"hidden": True}}}
    graph = editor(edits) | {"names": node("PreviewAny", source=["editor", 1])}
    run = client.succeed(saving(graph, before=["decompose", 0], after=["editor", 0], image=["editor", 2]))
    before, after = client.pictures(run, "before"), client.pictures(run, "after")
    assert np.array_equal(clear_black(after[1]), clear_black(moved(before[1], 60, 20)))
    assert np.array_equal(after[[0, 2, 3]], before[[0, 2, 3]]), "the hidden layer is still there"
    assert run.output("names")["text"][0].splitlines()[1] == "girl/hair"
    (image,) = client.pictures(run, "image")
    assert np.abs(image - over(after[[0, 1, 3]])[..., :3]).max() <= 1.5


def test_the_look_reaches_the_photoshop_file(client: Client, ids: list[str]) -> None:
    edits = {"edits": {ids[1]: {"opacity": 0.5, "mode": "multiply"}, ids[2]: {"hidden": True}}}
    graph = editor(edits) | {
        "export": node(
            "ExportLayers",
            layers=["editor", 0],
            look=["editor", 4],
            filename_prefix="test/look",
            format="PSD",
            format__dpi=72.0,
        )
    }
    (file,) = client.succeed(graph).output("export")["files"]
    layers = list(PSDImage.open(io.BytesIO(client.view(file))))
    assert [layer.visible for layer in layers] == [True, True, False, True]
    assert [layer.opacity for layer in layers] == [255, 128, 255, 255]
    assert layers[1].blend_mode.name == "MULTIPLY"


def test_a_hidden_layer_is_on_the_slide_and_switched_off(client: Client, ids: list[str]) -> None:
    edits = {"edits": {ids[2]: {"hidden": True}}}
    graph = editor(edits) | {
        "export": node("ExportPPTX", layers=["editor", 0], look=["editor", 4], filename_prefix="test/look", dpi=96.0)
    }
    run = client.succeed(graph)
    (file,) = run.output("export")["files"]
    assert len(slides(client.view(file))[0].names) == 4
    from pptx import Presentation

    (slide,) = Presentation(io.BytesIO(client.view(file))).slides
    assert [shape._element.nvPicPr.cNvPr.get("hidden") for shape in slide.shapes] == [None, None, "1", None]


def test_composite_layers_shows_what_the_editor_shows(client: Client, ids: list[str]) -> None:
    edits = {"edits": {ids[1]: {"opacity": 0.4}, ids[2]: {"hidden": True}, ids[3]: {"mode": "difference"}}}
    graph = editor(edits)
    graph["flat"] = node("CompositeLayers", layers=["editor", 0], look=["editor", 4], **flat())
    run = client.succeed(saving(graph, own=["editor", 2], flattened=["flat", 0]))
    assert np.array_equal(client.pictures(run, "own"), client.pictures(run, "flattened"))


def test_every_blend_mode_is_taken(client: Client, ids: list[str]) -> None:
    for mode in ("hard-mix", *list(BLEND_MODES)[::5]):
        client.succeed(editor({"edits": {ids[1]: {"mode": mode}}}))


def test_edits_of_another_picture_change_nothing(client: Client) -> None:
    gone = {"edits": {"0" * 16: {"dx": 50, "hidden": True}}, "order": ["0" * 16]}
    run = client.succeed(saving(editor(gone), before=["decompose", 0], after=["editor", 0]))
    assert np.array_equal(client.pictures(run, "before"), client.pictures(run, "after"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "no JSON"),
        ('{"version": 9}', "later version"),
        ('{"version": 1, "edits": {"layer 1": {"dx": 5}}}', "the fingerprint of a layer"),
    ],
)
def test_edits_that_cannot_be_read_are_refused_before_anything_runs(client: Client, text: str, said: str) -> None:
    with pytest.raises(Refused, match=said):
        client.run(editor(text))


def test_a_run_of_the_editor_alone_needs_no_other_output(client: Client) -> None:
    assert client.succeed(editor()).end == "execution_success"


def test_the_workflow_moves_hides_and_writes_both_files(client: Client, ids: list[str]) -> None:
    """The task of a new user: six nodes, no number typed; here the panel's text comes as an API request sends it."""
    graph = with_example(workflow("edit_one_layer"))
    assert len(graph) == 6
    graph[find(graph, "DecomposeToLayers")]["inputs"]["layers"] = 5
    edits = {ids[1]: {"dx": 100}, ids[2]: {"hidden": True}, ids[3]: {"hue": 90}}
    graph[find(graph, "LayerEditor")]["inputs"]["edits"] = json.dumps({"version": 1, "edits": edits})
    run = client.succeed(graph)
    (deck,), (psd,) = (run.output(find(graph, name))["files"] for name in ("ExportPPTX", "ExportLayers"))
    assert len(slides(client.view(deck))[0].names) == 4
    assert [layer.visible for layer in PSDImage.open(io.BytesIO(client.view(psd)))] == [True, True, False, True]
