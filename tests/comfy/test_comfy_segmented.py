"""The workflows that begin with a segmenter, a mask drawn by hand, words, or another node's stack.

ComfyUI's own nodes run for real, SAM3 Detect and Remove Background too. Replaced are the nodes that load weights, by
`standin.segmenters` or by tiny random weights, and the partner node, which ComfyUI 0.29 lacks and which costs money.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from comfy_browser import load, run, screenshot
from comfy_client import Client, Graph, Refused, Run
from comfy_graphs import find, node, saved, saving, with_example, workflow
from comfy_pictures import BLUE, CENTRES, GREEN, PAPER, RED, Bytes, clear_black, over, read, slides
from comfy_server import Server
from PIL import Image, ImageDraw
from psd_tools import PSDImage
from test_comfy_control import QUICK, ours
from test_comfy_edit_model import loader
from test_comfy_workflows import deck, error, text
from tiny_model import build, build_edit

if TYPE_CHECKING:
    from playwright.sync_api import Page

STAND_INS = {
    "CheckpointLoaderSimple": "StandInSAM3Checkpoint",
    "LoadBackgroundRemovalModel": "StandInBackgroundRemovalModel",
}


def standing_in(name: str) -> Graph:
    """A workflow whose loaders of segmenters need no weights, with its layers and names shown."""
    graph = with_example(workflow(name))
    for value in graph.values():
        value["class_type"] = STAND_INS.get(value["class_type"], value["class_type"])
    (layers, slot), names = (graph[find(graph, "PreviewLayers")]["inputs"][key] for key in ("layers", "names"))
    return saving(graph, layers=[layers, slot]) | {"names": node("PreviewAny", source=names)}


def said(graph: Graph, words: str) -> Graph:
    graph[find(graph, "CLIPTextEncode")]["inputs"]["text"] = words
    return graph


@pytest.fixture(scope="module", autouse=True)
def with_pymatting(client: Client) -> None:
    if "PyMatting is missing" in client.run(said(standing_in("sam3_to_layers"), "blue")).error:
        pytest.skip("!!! Mask workflows are NOT TESTED: ComfyUI's Python has no PyMatting (pip install pymatting)")


@pytest.fixture(scope="module")
def example(server: Server) -> Bytes:
    return read(server.base / "input" / "example.png")


def layers_of(client: Client, graph: Graph, example: Bytes) -> tuple[Run, Bytes]:
    """The layers of a run that adds up to the example, and wrote them into both files."""
    run = client.succeed(graph)
    layers, names = client.pictures(run, "layers"), text(run, "names")
    assert error(over(layers)[..., :3], example) <= 1
    (slide,) = slides(deck(client, run, find(graph, "ExportPPTX")))
    assert slide.names == names
    assert np.array_equal(clear_black(slide.layers), clear_black(layers))
    (file,) = run.output(find(graph, "ExportLayers"))["files"]
    assert [layer.name for layer in PSDImage.open(io.BytesIO(client.view(file)))] == names
    return run, layers


def shows(layer: Bytes, color: tuple[int, int, int]) -> bool:
    """Whether a layer's solid pixels have this colour: all but 1 in 100, whose alpha of 0.95 was taken for 1."""
    solid = layer[layer[..., 3] == 255][:, :3].astype(int)
    return len(solid) > 1000 and float((np.abs(solid - np.array(color)).max(axis=1) <= 3).mean()) > 0.99


@pytest.mark.parametrize("name", STAND_INS)
def test_a_stand_in_gives_what_the_real_loader_gives(client: Client, name: str) -> None:
    known = client.get_json("/object_info")
    real, double = known[name], known[STAND_INS[name]]
    assert double["output"] == real["output"]
    assert double["input_order"] == real["input_order"]


def test_words_become_layers_in_powerpoint_and_photoshop(client: Client, example: Bytes) -> None:
    graph = said(standing_in("sam3_to_layers"), "blue, red:2, green")
    graph["found"] = node("MaskToImage", mask=[find(graph, "SAM3_Detect"), 0])
    run, layers = layers_of(client, saving(graph, masks=["found", 0]), example)
    masks = client.pictures(run, "masks")
    assert len(masks) == 3, "there is one red thing, though two were asked for"
    assert [bool(mask[y, x, 0]) for mask, (x, y) in zip(masks, CENTRES, strict=True)] == [True] * 3
    assert text(run, "names")[0] == "background"
    assert sorted(text(run, "names")[1:]) == ["blue circle", "green triangle", "red rectangle"]
    assert error(layers[0, ..., :3], np.array(PAPER)) <= 3, "nothing is left of the things below"
    assert all(any(shows(layer, color) for layer in layers[1:]) for color in (BLUE, RED, GREEN))


def test_a_name_for_each_word_names_its_layer(client: Client, example: Bytes) -> None:
    graph = said(standing_in("sam3_to_layers"), "green, blue")
    graph[find(graph, "MasksToLayers")]["inputs"]["names"] = "sail\nsun"
    run, layers = layers_of(client, graph, example)
    named = dict(zip(text(run, "names"), layers, strict=True))
    assert shows(named["sail"], GREEN)
    assert shows(named["sun"], BLUE)


def test_the_subject_is_taken_off_its_background(client: Client, example: Bytes) -> None:
    run, (background, subject) = layers_of(client, standing_in("remove_background_to_layers"), example)
    assert text(run, "names") == ["background", "subject"]
    assert error(background[..., :3], np.array(PAPER)) <= 3
    assert [int(subject[y, x, 3]) for x, y in CENTRES] == [255] * 3
    assert subject[5, 5, 3] == 0


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("sam3_to_layers", "sam3.1_multiplex_fp16"),
        ("remove_background_to_layers", "birefnet"),
        ("layers_by_words", "qwen_image_layered_control_bf16"),
        ("photo_to_layers_with_clean_plate", "sam3.1_multiplex_fp16"),
    ],
)
def test_without_its_files_a_workflow_names_what_is_missing(client: Client, name: str, file: str) -> None:
    with pytest.raises(Refused, match=rf"{file}\.safetensors"):
        client.run(with_example(workflow(name)))


def plated(editor: dict[str, Any], **asked: Any) -> Graph:
    """The clean plate's workflow for the blue disc, with an edit model."""
    graph = said(standing_in("photo_to_layers_with_clean_plate"), "blue")
    graph[find(graph, "LoadEditModel")] = editor
    graph[find(graph, "EditImage")]["inputs"] |= asked
    return saving(graph, plate=[find(graph, "EditImage"), 0])


def test_the_picture_without_the_thing_is_what_lies_below_it(client: Client, example: Bytes) -> None:
    graph = plated(node("StandInEditModel"), instruction="Remove everything")
    run, (background, disc) = layers_of(client, graph, example)
    assert text(run, "names") == ["background", "mug"]
    assert shows(disc, BLUE)
    x, y = CENTRES[0]
    assert error(background[y, x, :3], np.array(PAPER)) <= 2
    x, y = CENTRES[1]
    assert error(background[y, x, :3], example[y, x]) <= 1, "beside the thing it is the picture, not the plate"


@pytest.mark.slow
def test_the_plate_comes_from_the_edit_model(
    client: Client, example: Bytes, with_diffusers: None, tmp_path: Path
) -> None:
    graph = plated(loader(build_edit(tmp_path / "Edit")), steps=2, true_cfg_scale=1.0)
    run, (background, _) = layers_of(client, graph, example)
    (plate,) = client.pictures(run, "plate")
    x, y = CENTRES[0]
    hidden = np.s_[y - 30 : y + 30, x - 30 : x + 30, :3]
    below, painted = background[hidden].astype(float), plate[hidden].astype(float)
    assert np.abs(below.mean(axis=(0, 1)) - PAPER).max() < 5, "the tone is the paper's"
    detail = [part - part.mean(axis=(0, 1)) for part in (below, painted)]
    assert np.corrcoef(*(part.ravel() for part in detail))[0, 1] > 0.6, "the detail is the plate's"


@pytest.mark.slow
def test_named_elements_become_layers(client: Client, example: Bytes, with_diffusers: None, tmp_path: Path) -> None:
    graph = standing_in("layers_by_words")
    folder = build(tmp_path / "Qwen-Image-Layered-Control")
    graph[find(graph, "LoadLayeredModel")] = ours(source__folder=str(folder))
    graph[find(graph, "DecomposeToLayers")]["inputs"] |= node("", **QUICK)["inputs"]
    run, layers = layers_of(client, graph, example)
    assert text(run, "names") == ["background", "books", "plant", "oranges", "mug"]
    assert layers.shape == (5, *example.shape[:2], 4)


def test_a_commercial_nodes_small_layers_come_back_exact_and_in_place(client: Client, example: Bytes) -> None:
    graph = standing_in("commercial_layers_to_pptx")
    graph["size"] = node("PreviewAny", source=[find(graph, "DocumentToLayers"), 3])
    run, layers = layers_of(client, graph, example)
    assert text(run, "size") == [str(example.shape[1] // 2)], "the document's canvas"
    assert text(run, "names") == ["background", "blue", "red", "green"]
    holders = [np.flatnonzero(layers[1:, y, x, 3] > 250).tolist() for x, y in CENTRES]
    assert holders == [[0], [1], [2]]
    assert all(shows(layer, color) for layer, color in zip(layers[1:], (BLUE, RED, GREEN), strict=True))


def painted_on(graph: Graph, picture: str) -> Graph:
    """Another picture in the Load Image whose mask is used."""
    graph[graph[find(graph, "MasksToLayers")]["inputs"]["masks"][0]]["inputs"]["image"] = picture
    return graph


def is_the_disc(layer: Bytes) -> bool:
    """Whether a layer holds all of the blue disc, and nothing of the box."""
    inside = np.hypot(*(np.mgrid[0:320, 0:480] + 0.5 - 120)) < 58
    return bool(shows(layer, BLUE) and layer[inside][:, 3].min() > 250 and layer[210, 330, 3] == 0)


def test_a_rough_mask_becomes_a_layer_with_the_pictures_own_edge(
    client: Client, server: Server, example: Bytes
) -> None:
    """As the mask editor saves it: what was painted is clear and black."""
    alpha = Image.new("L", (example.shape[1], example.shape[0]), 255)
    ImageDraw.Draw(alpha).ellipse([63, 63, 177, 177], fill=0)
    saved = Image.new("RGBA", alpha.size)
    saved.paste(Image.fromarray(example), mask=alpha)
    saved.putalpha(alpha)
    saved.save(server.base / "input" / "painted.png")
    run, (background, disc) = layers_of(client, painted_on(standing_in("masks_by_hand"), "painted.png"), example)
    assert text(run, "names") == ["background", "painted"]
    assert error(background[120, 120, :3], np.array(PAPER)) <= 3
    assert is_the_disc(disc)


def test_nothing_painted_is_said_so(client: Client, server: Server) -> None:
    Image.new("RGB", (96, 96)).save(server.base / "input" / "square.png")
    graph = painted_on(with_example(workflow("masks_by_hand")), "square.png")
    graph[graph[find(graph, "MasksToLayers")]["inputs"]["image"][0]]["inputs"]["image"] = "square.png"
    assert "All masks are empty" in client.run(graph).error


OPEN = """async () => {
  app.canvas.selectNode(app.graph.nodes.find((node) => node.title === "Paint the thing here"));
  await app.extensionManager.command.execute("Comfy.MaskEditor.OpenMaskEditor");
}"""
SHEET = """() => {
  const sheet = [...document.querySelectorAll("canvas")].find(({ width, height }) => width === 480 && height === 320);
  if (!sheet) return null;
  const { x, y, width } = sheet.getBoundingClientRect();
  return [x, y, width / 480];
}"""
CHOSEN = "app.graph.nodes.find((node) => node.title === 'Paint the thing here').widgets[0].value"


def paint_the_disc(page: Page) -> None:
    """Paint in the mask editor with its own brush, from the middle outwards, a little less than the disc."""
    page.wait_for_timeout(1000)  # the editor fits the picture to its window
    left, top, scale = page.evaluate(SHEET)
    page.mouse.move(left + 120 * scale, top + 120 * scale)
    page.mouse.down()
    for turn in np.arange(0, 58, 0.35):
        away = min(turn, 44) / 44 * 50
        x, y = 120 + away * np.cos(turn), 120 + away * np.sin(turn)
        page.mouse.move(left + x * scale, top + y * scale)
    page.mouse.up()


def test_a_mask_drawn_in_the_mask_editor_becomes_a_layer(page: Page, server: Server, tmp_path: Path) -> None:
    graph = json.dumps(saved("masks_by_hand")).replace("layers_photograph.jpg", "example.png")
    load(page, json.loads(graph))
    page.evaluate(OPEN)
    page.wait_for_function(SHEET)
    paint_the_disc(page)
    screenshot(page, "mask_editor", tmp_path)
    page.locator("button").filter(has_text="Save").last.click()
    page.wait_for_function(f"{CHOSEN}.startsWith('clipspace')")
    assert run(page) == "execution_success"
    screenshot(page, "masks_by_hand", tmp_path)
    newest = max((server.base / "output" / "layers").glob("painted_*.pptx"), key=lambda path: path.stat().st_mtime)
    (slide,) = slides(newest.read_bytes())
    assert slide.names == ["background", "painted"]
    assert is_the_disc(slide.layers[1])
