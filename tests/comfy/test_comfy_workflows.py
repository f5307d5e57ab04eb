"""The workflow files, and the ways around them, run on a real server and checked by value."""

from __future__ import annotations

import numpy as np
import pytest
from comfy_client import Client, Run
from comfy_graphs import (
    NAMES,
    find,
    flat,
    node,
    saved,
    saving,
    stack_of,
    still,
    taken_apart,
    with_example,
    without_sampling,
    workflow,
)
from comfy_pictures import BLUE, CENTRES, PAPER, SIZE, Bytes, clear_black, moved, over, read, slides
from comfy_server import Server


def deck(client: Client, run: Run, exporter: str) -> bytes:
    """The one file that Export PPTX reported."""
    (file,) = run.output(exporter)["files"]
    assert file["filename"].endswith("_.pptx")
    return client.view(file)


def text(run: Run, name: str) -> list[str]:
    """The lines that a Preview as Text showed."""
    return str(run.output(name)["text"][0]).splitlines()


def error(a: np.ndarray, b: np.ndarray) -> float:
    """The largest difference, in steps of 8 bits."""
    return float(np.abs(a.astype(float) - b.astype(float)).max())


@pytest.fixture(scope="module")
def example(server: Server) -> Bytes:
    return read(server.base / "input" / "example.png")


def test_decompose_to_pptx_writes_the_layers_named_and_in_place(client: Client, example: Bytes) -> None:
    graph = with_example(workflow("decompose_to_pptx"))
    apart, exporter = find(graph, "DecomposeToLayers"), find(graph, "ExportPPTX")
    graph = saving(graph, layers=[apart, 0]) | {"names": node("PreviewAny", source=[apart, 1])}
    run = client.succeed(graph)
    (slide,) = slides(deck(client, run, exporter))
    layers = client.pictures(run, "layers")
    assert len(layers) == 4, "paper, disc, box and triangle"
    assert slide.names == text(run, "names")
    assert np.array_equal(clear_black(slide.layers), clear_black(layers))
    assert error(over(slide.layers)[..., :3], example) <= 1
    assert client.picture(run.output(exporter)["images"][0]).shape == (SIZE[1], SIZE[0], 4)


def test_the_report_measures_at_most_1_of_255(client: Client) -> None:
    run = client.succeed(taken_apart("example.png") | {"report": node("PreviewAny", source=["decompose", 3])})
    report = "\n".join(text(run, "report"))
    assert report.startswith("Built-in (no weights): 4 layers of 480 x 320 px")
    assert float(report.split("max error ")[1].split("/255")[0]) <= 1


def test_what_a_report_warns_of_stands_on_the_node(client: Client) -> None:
    graph = taken_apart("example.png", layers=8) | {"see": node("PreviewImage", images=["decompose", 0])}
    graph["split"] = node("SplitLayer", model=["model", 0], layers=["decompose", 0], index=1, count=3, seed=0)
    graph["parts"] = node("PreviewImage", images=["split", 0])
    run = client.succeed(graph)
    assert run.texts["decompose"].startswith("4 layers, ")
    assert "fewer separate things than layers were asked for: 4 of 8." in run.texts["decompose"]
    assert '"layer 2" is one piece and stays as it is.' in run.texts["split"]


def test_the_composite_is_the_picture(client: Client, example: Bytes) -> None:
    graph = taken_apart("example.png") | {"flat": node("CompositeLayers", layers=["decompose", 0], **flat())}
    run = client.succeed(saving(graph, image=["flat", 0]))
    (image,) = client.pictures(run, "image")
    assert error(image, example) <= 1


def test_move_and_recolor_one_layer_moves_and_recolors_that_layer_alone(client: Client) -> None:
    graph = with_example(workflow("move_and_recolor_one_layer"))
    apart, move, recolor = (find(graph, name) for name in ("DecomposeToLayers", "TransformLayer", "RecolorLayer"))
    graph[move]["inputs"] |= {"index": 1, "dx": 60.0, "dy": 20.0}
    graph[recolor]["inputs"] |= {"index": 1}
    run = client.succeed(saving(graph, before=[apart, 0], after_move=[move, 0], after_recolor=[recolor, 0]))
    before, shifted, recolored = (client.pictures(run, key) for key in ("before", "after_move", "after_recolor"))
    others = [i for i in range(len(before)) if i != 1]
    assert np.array_equal(before[others], shifted[others])
    assert np.array_equal(before[others], recolored[others])
    assert np.array_equal(clear_black(shifted[1]), clear_black(moved(before[1], 60, 20)))
    assert np.array_equal(recolored[1, ..., 3], shifted[1, ..., 3])
    assert error(recolored[1, ..., :3], shifted[1, ..., :3]) > 30
    (saved,) = client.pictures(run, find(graph, "SaveImage"))
    assert error(saved, over(recolored)[..., :3]) <= 1.5, "Save Image cuts off, it does not round"


def test_a_moved_shape_leaves_the_paper_behind_it(client: Client) -> None:
    graph = taken_apart("example.png") | {
        "names": node("PreviewAny", source=["decompose", 1]),
    }
    names = text(client.succeed(graph), "names")
    disc = next(i for i, name in enumerate(names) if "blue" in name)
    change = still() | {"index": disc, "dy": 130.0}
    graph["move"] = node("TransformLayer", layers=["decompose", 0], **change)
    graph["flat"] = node("CompositeLayers", layers=["move", 0], **flat())
    run = client.succeed(saving(graph, image=["flat", 0]))
    (image,) = client.pictures(run, "image")
    assert error(image[120, 120], np.array(PAPER)) <= 2
    assert error(image[250, 120], np.array(BLUE)) <= 1


def test_a_layer_is_found_by_its_name_all_along_a_chain(client: Client) -> None:
    graph = taken_apart("example.png") | {"number": node("PrimitiveInt", value=1)}
    named = {"layers": ["decompose", 0], "names": ["decompose", 1]}
    hue = {"change": "hue turn", "change.degrees": 90.0, "strength": 1.0}
    graph |= {
        "move": node("TransformLayer", **named, **still() | {"index": "red*", "dx": 20.0}),
        "turn": node("RecolorLayer", layers=["move", 0], names=["move", 1], index="blue*", **hue),
        "pick": node("ArrangeLayers", layers=["turn", 0], names=["turn", 1], order="blue*, red*, 0"),
        "linked": node("TransformLayer", **named, **still() | {"index": ["number", 0], "dx": 20.0}),
        "names": node("PreviewAny", source=["decompose", 1]),
        "picked": node("PreviewAny", source=["pick", 1]),
    }
    layers = ("decompose", "move", "turn", "pick", "linked")
    run = client.succeed(saving(graph, **{f"of_{key}": [key, 0] for key in layers}))
    names = text(run, "names")
    box, disc = names.index("red rectangle"), names.index("blue circle")
    before, shifted, turned, picked, linked = (client.pictures(run, f"of_{key}") for key in layers)
    changed = [i for i in range(len(names)) if not np.array_equal(before[i], shifted[i])]
    assert changed == [box]
    assert [i for i in range(len(names)) if not np.array_equal(shifted[i], turned[i])] == [disc]
    assert np.array_equal(picked, turned[[disc, box, 0]])
    assert text(run, "picked") == [names[disc], names[box], names[0]]
    assert [i for i in range(len(names)) if not np.array_equal(before[i], linked[i])] == [1]


def test_recursive_split_makes_a_group_and_keeps_the_picture(client: Client, example: Bytes) -> None:
    graph = with_example(workflow("recursive_split"))
    apart, split = find(graph, "DecomposeToLayers"), find(graph, "SplitLayer")
    graph[apart]["inputs"]["layers"] = 2
    graph[split]["inputs"]["index"] = -1
    graph = saving(graph, before=[apart, 0], after=[split, 0]) | {"names": node("PreviewAny", source=[apart, 1])}
    run = client.succeed(graph)
    before, after = client.pictures(run, "before"), client.pictures(run, "after")
    (slide,) = slides(deck(client, run, find(graph, "ExportPPTX")))
    background, parent = text(run, "names")
    assert slide.names[0] == background
    assert all(name.startswith(f"{parent}/") for name in slide.names[1:])
    holders = [np.flatnonzero(after[1:, y, x, 3] == 255).tolist() for x, y in CENTRES]
    assert len({tuple(found) for found in holders}) == 3, "disc, box and triangle are layers of their own"
    assert all(len(found) == 1 for found in holders)
    assert np.array_equal(before[0], after[0])
    assert error(over(after)[..., :3], example) <= 1
    assert error(over(slide.layers)[..., :3], example) <= 1


@pytest.mark.parametrize("name", NAMES)
def test_a_workflow_uses_nodes_and_inputs_that_comfyui_has(client: Client, name: str) -> None:
    known = client.get_json("/object_info")
    for value in workflow(name).values():
        schema = known[value["class_type"]]["input"]
        names = set(schema["required"]) | set(schema.get("optional", {}))
        given = {key.partition(".")[0] for key in value["inputs"]}  # those of a dynamic input have a dot in their names
        assert given <= names, value["class_type"]
        assert set(schema["required"]) <= given, value["class_type"]


@pytest.mark.parametrize("name", NAMES)
def test_a_workflows_note_names_its_model_files_without_code_marks(name: str) -> None:
    """Nodes 2.0 writes inline code in blue on the note's brown, which nobody can read."""
    graph = saved(name)
    (note,) = (node["widgets_values"][0] for node in graph["nodes"] if node["type"] == "MarkdownNote")
    files = [model["name"] for node in graph["nodes"] for model in node["properties"].get("models", [])]
    assert "`" not in note
    assert not [file for file in files if f"**{file}**" not in note]


def test_the_native_graphs_stack_becomes_a_deck_without_frame_0(client: Client) -> None:
    graph = with_example(workflow("native_graph_to_pptx"))
    scaled, decoded = find(graph, "ImageScaleToMaxDimension"), find(graph, "VAEDecode")
    graph = saving(without_sampling(graph), scaled=[scaled, 0], frames=[decoded, 0])
    run = client.succeed(graph)
    (picture,), frames = client.pictures(run, "scaled"), client.pictures(run, "frames")
    (slide,) = slides(deck(client, run, find(graph, "ExportPPTX")))
    assert frames.shape[0] == 5
    assert picture.shape == (427, 640, 3)
    assert np.array_equal(slide.layers, clear_black(frames[1:]))
    assert error(over(slide.layers)[..., :3], picture) <= 1


def test_a_batch_of_two_pictures_makes_a_deck_of_two_slides(client: Client, server: Server, example: Bytes) -> None:
    graph = taken_apart("example.png") | {
        "second": node("LoadImage", image="second.png"),
        "batch": node("ImageBatch", image1=["picture", 0], image2=["second", 0]),
        "deck": node(
            "ExportPPTX", layers=["decompose", 0], names=["decompose", 1], filename_prefix="test/two", dpi=96.0
        ),
    }
    graph["decompose"]["inputs"]["image"] = ["batch", 0]
    first, second = slides(deck(client, client.succeed(graph), "deck"))
    assert error(over(first.layers)[..., :3], example) <= 1
    assert error(over(second.layers)[..., :3], read(server.base / "input" / "second.png")) <= 1


def test_load_images_mask_puts_the_transparency_back(client: Client, server: Server) -> None:
    graph = taken_apart("clear.png") | {"flat": node("CompositeLayers", layers=["decompose", 0], **flat())}
    run = client.succeed(saving(graph, layer=["flat", 2]))
    (layer,), wanted = client.pictures(run, "layer"), read(server.base / "input" / "clear.png")
    assert (wanted[..., 3] == 0).any()
    assert error(layer[..., 3], wanted[..., 3]) <= 1
    seen = wanted[..., 3] == 255
    assert error(layer[seen], wanted[seen]) <= 1


def test_index_minus_1_is_the_top_layer(client: Client) -> None:
    graph = stack_of("example.png")
    for name, index in (("top", -1), ("fourth", 4)):
        change = still() | {"index": index, "dx": -30.0}
        graph[name] = node("TransformLayer", layers=["stack", 0], **change)
    run = client.succeed(saving(graph, all=["stack", 0], by_minus_1=["top", 0], by_4=["fourth", 0]))
    stack, top, fourth = (client.pictures(run, key) for key in ("all", "by_minus_1", "by_4"))
    assert np.array_equal(top, fourth)
    assert np.array_equal(top[:4], stack[:4])
    assert not np.array_equal(top[4], stack[4])


def test_masks_are_1_minus_alpha(client: Client) -> None:
    graph = taken_apart("example.png") | {"seen": node("MaskToImage", mask=["decompose", 2])}
    run = client.succeed(saving(graph, layers=["decompose", 0], masks=["seen", 0]))
    layers, masks = client.pictures(run, "layers"), client.pictures(run, "masks")
    assert error(masks[..., 0], 255 - layers[..., 3]) <= 1


def test_small_layers_are_restored_to_the_pictures_size_and_add_up_to_it(client: Client, example: Bytes) -> None:
    graph = taken_apart("example.png")
    graph["halved"] = node("ImageScaleBy", image=["picture", 0], upscale_method="area", scale_by=0.5)
    graph["decompose"]["inputs"]["image"] = ["halved", 0]
    graph["restore"] = node(
        "RestoreLayers",
        layers=["decompose", 0],
        original=["picture", 0],
        restores="alpha and colours",
        names=["decompose", 1],
    )
    graph["report"] = node("PreviewAny", source=["restore", 3])
    graph["error"] = node("PreviewAny", source=["restore", 4])
    run = client.succeed(saving(graph, small=["decompose", 0], large=["restore", 0]))
    small, large = client.pictures(run, "small"), client.pictures(run, "large")
    assert large.shape == (len(small), *example.shape[:2], 4)
    assert error(over(large)[..., :3], example) <= 1
    assert float(text(run, "error")[0]) <= 1
    assert "max error" in text(run, "report")[1]


def test_layers_against_themselves_score_0_and_1(client: Client) -> None:
    graph = taken_apart("example.png")
    graph["score"] = node("LayerScore", layers=["decompose", 0], truth=["decompose", 0], merges=0)
    graph["l1"], graph["iou"] = (node("PreviewAny", source=["score", slot]) for slot in (1, 2))
    run = client.succeed(graph)
    assert [float(text(run, name)[0]) for name in ("l1", "iou")] == [0, 1]
    assert text(run, "score")[0].startswith("merges")
