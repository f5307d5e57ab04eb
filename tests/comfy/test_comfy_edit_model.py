"""Qwen-Image-Edit from a diffusers folder in a real ComfyUI, with tiny random weights of the true layout."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from comfy_client import Client, Graph, Refused
from comfy_graphs import RUNTIME, edited, find, flat, node, saving, with_example, workflow
from comfy_pictures import clear_black, over, slides
from comfy_server import Server
from test_comfy_workflows import deck, error, text
from tiny_model import build_edit


@pytest.fixture(scope="module")
def folder(with_diffusers: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny diffusers folder of the 2509 edition, where ComfyUI's Python can read one."""
    return build_edit(tmp_path_factory.mktemp("tiny_edit"))


def loader(folder: Path, edition: str = "auto") -> dict[str, Any]:
    here = {"source": "diffusers folder", "source__folder": str(folder), "source__edition": edition}
    return node("LoadEditModel", **here, **RUNTIME)


def model_graph(folder: Path, **more: Any) -> Graph:
    """Node "edit" edits the topmost layer with the tiny model, whose answer has no silhouette that could be cut out."""
    return edited("example.png", "make it blue", alpha="keep", **more) | {"editor": loader(folder)}


def test_a_layer_goes_through_the_model_into_a_deck(client: Client, server: Server, folder: Path) -> None:
    graph = saving(model_graph(folder, variants=2), before=["decompose", 0], after=["edit", 0])
    graph["flat"] = node("CompositeLayers", layers=["edit", 0], **flat())
    graph["picture after"] = node("SaveImage", images=["flat", 0], filename_prefix="test/picture")
    graph["deck"] = node("ExportPPTX", layers=["edit", 0], names=["edit", 1], filename_prefix="test/model", dpi=96.0)
    graph["report"] = node("PreviewAny", source=["edit", 3])
    run = client.succeed(graph)
    before, pictures = client.pictures(run, "before"), client.pictures(run, "picture after")
    after = client.pictures(run, "after").reshape(2, *before.shape)
    for stack, picture, slide in zip(after, pictures, slides(deck(client, run, "deck")), strict=True):
        assert np.array_equal(stack[:-1], before[:-1]), "the other layers"
        assert not np.array_equal(stack[-1], before[-1])
        assert np.array_equal(clear_black(slide.layers), clear_black(stack))
        assert error(picture, over(stack)[..., :3]) <= 1.5
    assert not np.array_equal(after[0], after[1]), "another seed"
    report = "\n".join(text(run, "report"))
    assert report.startswith('Qwen-Image-Edit-2509: layer 3 ("')
    assert "Model: Qwen-Image-Edit-2509." in report
    assert "Memory: " in report
    assert "QwenImageEdit2509" in server.log.read_text(), "ComfyUI knows the model by its name"


def test_a_lightning_schedule_has_its_own_steps(client: Client, folder: Path) -> None:
    graph = model_graph(folder, schedule="lightning, 4 steps", steps=50, true_cfg_scale=4.0)
    graph["report"] = node("PreviewAny", source=["edit", 3])
    run = client.succeed(graph)
    assert "Schedule: lightning, 4 steps, without guidance." in text(run, "report")


def test_a_folder_that_does_not_say_its_edition_needs_one(client: Client, folder: Path, tmp_path: Path) -> None:
    unnamed = Path(shutil.copytree(folder, tmp_path / "mystery", ignore=shutil.ignore_patterns("model_index.json")))
    graph = model_graph(unnamed) | {"report": node("PreviewAny", source=["edit", 3])}
    run = client.run(graph)
    assert run.events[-1][1]["node_id"] == "editor"
    assert "choose its edition: Qwen-Image-Edit, Qwen-Image-Edit-2509, Qwen-Image-Edit-2511" in run.error
    graph["editor"] = loader(unnamed, "Qwen-Image-Edit-2511")
    assert text(client.succeed(graph), "report")[0].startswith("Qwen-Image-Edit-2511: layer 3")


def test_an_interrupted_edit_stops_between_steps_and_the_model_works_again(client: Client, folder: Path) -> None:
    def interrupt(kind: str, data: dict[str, Any]) -> None:
        if kind == "progress" and data["node"] == "edit" and data["value"] > 200:
            client.post("/interrupt", {})

    graph = saving(model_graph(folder, steps=60, seed=3), after=["edit", 0])
    run = client.run(graph, on_event=interrupt)
    assert run.end == "execution_interrupted"
    assert run.progress("edit")[-1] < 0.5
    client.succeed(saving(model_graph(folder, seed=3), after=["edit", 0]))


def test_a_folder_that_is_not_there_says_what_an_edit_model_needs(client: Client) -> None:
    error = client.run(saving(model_graph(Path("/nowhere/Edit")), after=["edit", 0])).error
    assert 'no diffusers folder "/nowhere/Edit"' in error
    assert "Qwen-Image-Edit needs qwen_image_edit_2511_bf16.safetensors (41 GB) in models/diffusion_models" in error
    assert "layered" not in error.lower()


def test_without_files_the_workflow_shows_the_layers_and_says_which_files_are_missing(client: Client) -> None:
    graph = with_example(workflow("edit_layer_by_words"))
    sheet = find(graph, "PreviewLayers")
    assert client.succeed(graph).output(sheet)["layer_sheet"]
    del graph[sheet]
    with pytest.raises(Refused, match=r"qwen_image_edit_2511_bf16.*nothing in models/diffusion_models"):
        client.run(graph)


def test_the_workflow_runs_with_the_model(client: Client, folder: Path) -> None:
    graph = with_example(workflow("edit_layer_by_words"))
    edit, apart = find(graph, "EditLayer"), find(graph, "DecomposeToLayers")
    graph[find(graph, "LoadEditModel")] = loader(folder)
    graph[edit]["inputs"] |= {"steps": 2, "true_cfg_scale": 1.0, "alpha": "keep"}
    run = client.succeed(saving(graph, before=[apart, 0], after=[edit, 0]))
    before, after = client.pictures(run, "before"), client.pictures(run, "after")
    (slide,) = slides(deck(client, run, find(graph, "ExportPPTX")))
    assert np.array_equal(clear_black(slide.layers), clear_black(after))
    index = graph[edit]["inputs"]["index"]
    assert np.array_equal(np.delete(before, index, 0), np.delete(after, index, 0))
