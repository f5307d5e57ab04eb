"""Layers from Masks in ComfyUI: masks of other nodes become layers."""

from __future__ import annotations

import numpy as np
import pytest
from comfy_client import Client, Graph
from comfy_graphs import flat, node, saving, taken_apart
from comfy_pictures import BLUE, PAPER


@pytest.fixture(autouse=True)
def with_pymatting(client: Client) -> None:
    graph = masked("found") | {"see": node("PreviewAny", source=["layers", 2])}
    if "PyMatting is missing" in client.run(graph).error:
        pytest.skip("!!! Layers from Masks is NOT TESTED: ComfyUI's Python has no PyMatting (pip install pymatting)")


def masked(order: str, **more: object) -> Graph:
    """The example picture, and Load Image's kind of masks of its disc, box and triangle."""
    graph = taken_apart("example.png")
    graph["things"] = node("ArrangeLayers", layers=["decompose", 0], names=["decompose", 1], order="1-3")
    graph["apart"] = node("SplitImageWithAlpha", image=["things", 0])
    given = {"image": ["picture", 0], "masks": ["apart", 1], "meaning": "black is the thing (Load Image)", "band": 0}
    graph["layers"] = node("MasksToLayers", **given, order=order, names="red\nblue\ngreen", **more)
    return graph


def test_masks_of_another_node_become_exact_layers_that_move_whole(client: Client) -> None:
    graph = masked("as given, bottom first")
    graph["flat"] = node("CompositeLayers", layers=["layers", 0], **flat())
    graph["names"] = node("PreviewAny", source=["layers", 1])
    graph["report"] = node("PreviewAny", source=["layers", 2])
    run = client.succeed(saving(graph, saved=["layers", 0], image=["flat", 0]))
    layers = client.pictures(run, "saved")
    assert run.output("names")["text"][0].splitlines() == ["background", "red", "blue", "green"]
    example = client.picture({"filename": "example.png", "subfolder": "", "type": "input"})
    assert np.abs(client.pictures(run, "image")[0].astype(int) - example[..., :3]).max() <= 1
    assert np.abs(layers[0, ..., :3].astype(int) - np.array(PAPER)).max() <= 3, "nothing is left of the things below"
    solid = layers[2, ..., 3] > 250
    assert np.abs(layers[2][solid][:, :3].astype(int) - np.array(BLUE)).max() <= 3
    assert run.texts["layers"].startswith("4 layers, ")


def test_boxes_and_points_do_without_masks_and_without_a_model(client: Client) -> None:
    graph = masked("found")
    del graph["layers"]["inputs"]["masks"]
    graph["layers"]["inputs"]["names"] = ""
    graph["box"] = node("PrimitiveBoundingBox", x=250, y=140, width=165, height=140)
    graph["layers"]["inputs"]["boxes"] = ["box", 0]
    boxed = client.pictures(client.succeed(saving(graph, saved=["layers", 0])), "saved")
    del graph["layers"]["inputs"]["boxes"]
    graph["point"] = node("PrimitiveStringMultiline", value='[{"x": 330, "y": 210}]')
    graph["layers"]["inputs"]["positive_coords"] = ["point", 0]
    pointed = client.pictures(client.succeed(saving(graph, saved=["layers", 0])), "saved")
    for layers in (boxed, pointed):
        assert len(layers) == 2
        assert (layers[1, 155:265, 265:395, 3] > 250).mean() > 0.98
        assert (layers[1, :140, :, 3] == 0).all()


def test_masks_and_boxes_together_and_nothing_at_all_are_refused(client: Client) -> None:
    graph = masked("found") | {"box": node("PrimitiveBoundingBox", x=1, y=1, width=9, height=9)}
    graph["see"] = node("PreviewAny", source=["layers", 2])
    graph["layers"]["inputs"]["boxes"] = ["box", 0]
    assert "link masks, or boxes without masks" in client.run(graph).error
    del graph["layers"]["inputs"]["boxes"], graph["layers"]["inputs"]["masks"]
    assert "Nothing says what the things are" in client.run(graph).error


def test_a_background_of_two_pictures_is_refused(client: Client) -> None:
    graph = masked("found", background=["two", 0])
    graph["two"] = node("RepeatImageBatch", image=["picture", 0], amount=2)
    graph["see"] = node("PreviewAny", source=["layers", 2])
    assert "background holds 2 pictures, expected 1" in client.run(graph).error


def test_elements_with_boxes_become_the_layers_of_a_picture_and_of_a_layer(client: Client) -> None:
    graph = taken_apart("example.png")
    graph["decompose"]["inputs"]["elements"] = "disc at 60,60,180,180\nbox at 260,150,400,270"
    graph["split"] = node("SplitLayer", model=["model", 0], layers=["decompose", 0], names=["decompose", 1])
    graph["split"]["inputs"] |= {"index": 0, "count": 2, "seed": 0, "elements": "triangle at 240,40,361,121"}
    graph["names"] = node("PreviewAny", source=["split", 1])
    run = client.succeed(saving(graph, saved=["split", 0]))
    layers, names = client.pictures(run, "saved"), run.output("names")["text"][0].splitlines()
    assert names[:2] == ["background/background", "background/triangle"]
    assert sorted(names[2:]) == ["box", "disc"]
    assert (layers[names.index("box"), 155:265, 265:395, 3] > 250).mean() > 0.98
    assert np.abs(layers[1, 100, 300, :3].astype(int) - (60, 160, 80)).max() <= 3
    graph["decompose"]["inputs"]["elements"] = "disc"
    assert "by a box or by words in quotes" in client.run(graph).error
