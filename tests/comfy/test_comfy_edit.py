"""Editing by words in a real ComfyUI, with an edit model that obeys the last word of the instruction."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from comfy_client import Client, Graph, Refused, Run
from comfy_graphs import asked, edited, find, flat, node, saving, several, with_example, workflow
from comfy_pictures import Bytes, clear_black, over, slides
from comfy_server import Server
from test_comfy_workflows import deck, error, text

BGR, GRB = [2, 1, 0], [1, 0, 2]


def shown(graph: Graph, **more: list[Any]) -> Graph:
    """The graph of `edited` with all that it makes saved or shown."""
    graph = saving(graph, before=["decompose", 0], after=["edit", 0], alone=["edit", 2], **more)
    graph["names"] = node("PreviewAny", source=["edit", 1])
    graph["report"] = node("PreviewAny", source=["edit", 3])
    return graph


def stacks(client: Client, run: Run) -> tuple[Bytes, Bytes, Bytes]:
    """Before (N, H, W, 4), after (stacks, N, H, W, 4), and the edited layers alone (stacks, H, W, 4)."""
    before, after, alone = (client.pictures(run, name) for name in ("before", "after", "alone"))
    return before, after.reshape(-1, *before.shape), alone


def recolored(before: Bytes, after: Bytes, order: list[int]) -> bool:
    """Whether solid pixels of a layer have their channels in another order, and alpha is as it was."""
    solid = before[..., 3] == 255
    return np.array_equal(before[..., 3], after[..., 3]) and error(before[solid][:, order], after[solid][:, :3]) <= 2


def failure(client: Client, graph: Graph) -> str:
    run = client.run(graph)
    assert run.end == "execution_error"
    assert run.events[-1][1]["node_id"] == "edit"
    return run.error


def test_one_layer_is_edited_and_the_others_keep_their_bits(client: Client) -> None:
    graph = edited("example.png", "paint it bgr")
    graph["flat"] = node("CompositeLayers", layers=["edit", 0], **flat())
    graph["deck"] = node("ExportPPTX", layers=["edit", 0], names=["edit", 1], filename_prefix="test/edited", dpi=96.0)
    run = client.succeed(shown(graph, flattened=["flat", 0]))
    before, (after,), (alone,) = stacks(client, run)
    (slide,) = slides(deck(client, run, "deck"))
    assert np.array_equal(before[:-1], after[:-1])
    assert recolored(before[-1], after[-1], BGR)
    assert np.array_equal(alone, after[-1])
    assert np.array_equal(clear_black(slide.layers), clear_black(after))
    assert slide.names == text(run, "names")
    assert error(over(slide.layers)[..., :3], client.pictures(run, "flattened")[0]) <= 1.5, "Save Image cuts off"
    assert text(run, "report")[0].startswith('Obedient: layer 3 ("')
    assert "Variant 1: the layer's alpha was kept" in "\n".join(text(run, "report"))


def test_an_edit_that_changes_nothing_keeps_every_bit(client: Client) -> None:
    before, (after,), _ = stacks(client, client.succeed(shown(edited("example.png", "leave it the same"))))
    assert np.array_equal(before, after)


def test_variants_are_a_list_of_stacks_and_a_slide_each(client: Client) -> None:
    graph = edited("example.png", "paint it bgr", variants=3)
    graph["deck"] = node("ExportPPTX", layers=["edit", 0], names=["edit", 1], filename_prefix="test/three", dpi=96.0)
    run = client.succeed(shown(graph))
    before, after, alone = stacks(client, run)
    assert len(after) == len(alone) == 3
    assert recolored(before[-1], after[0, -1], BGR)
    brightness = [layer[layer[..., 3] == 255][:, :3].mean() for layer in alone]
    assert brightness[0] > brightness[1] > brightness[2]
    assert [len(slide.names) for slide in slides(deck(client, run, "deck"))] == [len(before)] * 3


def test_a_list_of_instructions_is_an_edit_each(client: Client) -> None:
    graph = edited("example.png", ["words", 0]) | several("words", "paint it bgr", "leave it the same", "paint it grb")
    before, after, _ = stacks(client, client.succeed(shown(graph)))
    assert len(after) == 3
    assert recolored(before[-1], after[0, -1], BGR)
    assert np.array_equal(before, after[1])
    assert recolored(before[-1], after[2, -1], GRB)
    assert all(np.array_equal(before[:-1], stack[:-1]) for stack in after)


def test_several_instructions_with_variants_still_make_a_deck_with_names(client: Client) -> None:
    graph = edited("example.png", ["words", 0], variants=2) | several("words", "paint it bgr", "paint it grb")
    graph["deck"] = node("ExportPPTX", layers=["edit", 0], names=["edit", 1], filename_prefix="test/four", dpi=96.0)
    run = client.succeed(shown(graph))
    names = [slide.names for slide in slides(deck(client, run, "deck"))]
    assert len(names) == 4
    assert names == [text(run, "names")] * 4


def test_the_workflow_of_several_instructions_makes_a_picture_and_a_slide_of_each(client: Client) -> None:
    graph = with_example(workflow("edit_several_instructions"))
    edit, apart = find(graph, "EditLayer"), find(graph, "DecomposeToLayers")
    graph[find(graph, "LoadEditModel")] = node("StandInEditModel")
    texts = [value for value in graph.values() if value["class_type"] == "PrimitiveStringMultiline"]
    for text_node, word in zip(texts, ("bgr", "same", "grb"), strict=True):
        text_node["inputs"]["value"] = word
    run = client.succeed(saving(graph, before=[apart, 0], after=[edit, 0]))
    before, index = client.pictures(run, "before"), graph[edit]["inputs"]["index"]
    after = client.pictures(run, "after").reshape(-1, *before.shape)
    for stack, order in zip(after, (BGR, [0, 1, 2], GRB), strict=True):
        assert recolored(before[index], stack[index], order)
    written = slides(deck(client, run, find(graph, "ExportPPTX")))
    for stack, slide, picture in zip(after, written, client.pictures(run, find(graph, "SaveImage")), strict=True):
        assert np.array_equal(clear_black(slide.layers), clear_black(stack))
        assert error(picture, over(stack)[..., :3]) <= 1.5


def test_two_layers_are_edited_by_two_nodes_in_a_row(client: Client) -> None:
    graph = edited("example.png", "paint it bgr")
    second = graph["edit"]["inputs"] | {"layers": ["edit", 0], "index": 1, "instruction": "paint it grb"}
    graph["second"] = node("EditLayer", **second)
    run = client.succeed(saving(graph, before=["decompose", 0], after=["second", 0]))
    before, after = client.pictures(run, "before"), client.pictures(run, "after")
    assert recolored(before[3], after[3], BGR)
    assert recolored(before[1], after[1], GRB)
    assert np.array_equal(before[[0, 2]], after[[0, 2]])


def test_a_layer_that_loses_a_quarter_is_cut_out_again_and_the_report_says_so(client: Client) -> None:
    run = client.succeed(shown(edited("example.png", "take away the right quarter")))
    before, (after,), _ = stacks(client, run)
    columns = np.flatnonzero(before[-1, ..., 3].any(0))
    margin = max(16, 0.08 * len(columns))  # around what the model sees
    cut = round(columns[0] - margin + 3 / 4 * (len(columns) + 2 * margin))
    assert "it was cut out again" in "\n".join(text(run, "report"))
    assert after[-1, :, cut + 4 :, 3].max() == 0
    assert np.array_equal(after[-1, :, : cut - 8], before[-1, :, : cut - 8])
    kept = client.succeed(shown(edited("example.png", "take away the right quarter", alpha="keep")))
    before, (after,), _ = stacks(client, kept)
    assert np.array_equal(after[-1, ..., 3], before[-1, ..., 3])


def test_the_model_sees_the_layers_behind_only_when_asked_to(client: Client) -> None:
    reports = [
        text(client.succeed(shown(edited("example.png", "the same", behind=behind))), "report")[0]
        for behind in (False, True)
    ]
    assert " px on #" in reports[0]
    assert " px in " in reports[1]


def test_a_picture_and_a_layer_are_image_2_and_image_3(client: Client) -> None:
    graph = edited("example.png", "the same", reference_2=["picture", 0], reference_3=["disc", 0])
    graph["disc"] = node("ImageFromBatch", image=["decompose", 0], batch_index=1, length=1)
    run = client.succeed(shown(graph, third=["disc", 0]))
    (disc,) = client.pictures(run, "third")
    rows, columns = (np.flatnonzero((disc[..., 3] > 0).any(axis)) for axis in (1, 0))
    size = f"{columns[-1] - columns[0] + 1} x {rows[-1] - rows[0] + 1}"
    given = next(line for line in text(run, "report") if line.startswith("Given: "))
    assert given.endswith(f", 480 x 320, {size}; seed 0.")


def test_references_that_cannot_be_meant_are_refused(client: Client) -> None:
    gap = shown(edited("example.png", "the same", reference_3=["picture", 0]))
    assert "reference_3 is linked and reference_2 is not" in failure(client, gap)
    stack = shown(edited("example.png", "the same", reference_2=["decompose", 0]))
    assert "reference_2 holds 4 pictures, expected 1: take one with Get Image from Batch" in failure(client, stack)


@pytest.mark.parametrize("words", ["", " \n"])
def test_an_empty_instruction_is_refused_before_anything_runs(client: Client, words: str) -> None:
    graph = edited("example.png", words) | {"see": node("PreviewAny", source=["edit", 3])}
    with pytest.raises(Refused, match="The instruction is empty"):
        client.run(graph)


def test_an_empty_instruction_that_comes_over_a_link_fails_at_the_node(client: Client) -> None:
    graph = shown(edited("example.png", ["words", 0])) | {"words": node("PrimitiveString", value=" ")}
    assert "The instruction is empty" in failure(client, graph)


def test_an_index_out_of_range_names_the_range(client: Client) -> None:
    message = failure(client, shown(edited("example.png", "the same", index=9)))
    assert "Layer index 9 is out of range: the stack has 4 layers" in message


def test_an_interrupted_edit_stops_and_the_next_one_works(client: Client, server: Server) -> None:
    def interrupt(kind: str, data: dict[str, Any]) -> None:
        if kind == "progress" and data["node"] == "edit":
            client.post("/interrupt", {})

    run = client.run(shown(edited("example.png", "the same, but slow")), on_event=interrupt)
    assert run.end == "execution_interrupted"
    assert run.events[-1][1]["node_id"] == "edit"
    assert client.run(shown(edited("example.png", "the same"))).end == "execution_success"


def picture_graph(picture: str, instruction: str, **more: Any) -> Graph:
    """Node "edit" edits pictures."""
    graph = {"picture": node("LoadImage", image=picture), "editor": node("StandInEditModel")}
    inputs = {"image": ["picture", 0], **asked(instruction, **more)}
    graph["edit"] = node("EditImage", edit_model=["editor", 0], **inputs)
    graph["seen"] = node("MaskToImage", mask=["edit", 1])
    graph["report"] = node("PreviewAny", source=["edit", 2])
    return saving(graph, before=["picture", 0], after=["edit", 0], masks=["seen", 0])


def test_a_batch_of_pictures_is_edited_one_by_one_with_seeds_of_their_own(client: Client) -> None:
    graph = picture_graph("example.png", "paint it bgr", variants=2, seed=7, image=["batch", 0])
    graph["second"] = node("LoadImage", image="second.png")
    graph["batch"] = node("ImageBatch", image1=["picture", 0], image2=["second", 0])
    graph["before"]["inputs"]["images"] = ["batch", 0]
    run = client.succeed(graph)
    before, after = client.pictures(run, "before"), client.pictures(run, "after")
    assert after.shape == (4, 320, 480, 3)
    for i in (0, 1):
        assert np.median(np.abs(after[2 * i].astype(float) - before[i][..., BGR])) <= 1
        assert after[2 * i + 1].mean() < after[2 * i].mean()
    assert client.pictures(run, "masks").max() == 0
    seeds = [line.rpartition("seed ")[2] for line in text(run, "report") if line.startswith("Given")]
    assert seeds == ["7.", "9."]


def test_a_transparent_picture_keeps_its_alpha(client: Client) -> None:
    run = client.succeed(picture_graph("clear.png", "paint it bgr", mask=["picture", 1]))
    (after,), (mask,) = client.pictures(run, "after"), client.pictures(run, "masks")
    (before,) = client.pictures(run, "before")
    assert after.shape == (320, 480, 4)
    assert error(255 - mask[..., 0], after[..., 3]) <= 1
    assert {0, 255} <= set(np.unique(after[..., 3]))
    inside = after[120, 120]
    assert error(inside[:3], before[120, 120][BGR]) <= 3
    assert inside[3] == 255


def test_progress_of_a_batch_of_pictures_counts_all_of_them(client: Client) -> None:
    graph = picture_graph("example.png", "the same", image=["twice", 0])
    graph["twice"] = node("RepeatImageBatch", image=["picture", 0], amount=2)
    fractions = client.succeed(graph).progress("edit")
    assert fractions == sorted(fractions)
    assert any(0 < fraction <= 0.55 for fraction in fractions)
    assert fractions[-1] == 1
