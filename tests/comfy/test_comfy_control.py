"""Qwen-Image-Layered-Control in a real ComfyUI: our own loader, and ComfyUI's MODEL, CLIP and VAE. Weights are tiny and
random: what is tested is which layers there are, that they add up to the picture, and what is refused.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import comfy_server
import numpy as np
import pytest
import tiny_model
import tiny_native
from comfy_client import Client, Graph, Refused
from comfy_graphs import RUNTIME, node, saving
from comfy_pictures import over, put_pictures, read
from comfy_server import Server, ServerError, running
from finder import Checkout

pytest.importorskip("diffusers", reason="the tiny weights are made with it")

FOLDER = "Qwen-Image-Layered-Control"
FILE = "tiny_layered_control.safetensors"
QUICK = {
    "sampling": "custom",
    "sampling__resolution": "640",
    "sampling__steps": 2,
    "sampling__true_cfg_scale": 1.0,
    "sampling__cfg_normalize": True,
    "sampling__negative_prompt": " ",
    "sampling__language": "English",
    "sampling__sampler": "heun",
}


@pytest.fixture(scope="module")
def server(checkout: Checkout, with_diffusers: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the control model as a diffusers folder, and as files for core's loaders."""
    base = tmp_path_factory.mktemp("control") / "base"
    with pytest.MonkeyPatch.context() as patch:
        make = comfy_server.make_base
        patch.setattr(comfy_server, "make_base", lambda folder: (make(folder), _add_models(folder)))
        try:
            with running(checkout, base) as started:
                yield started
        except ServerError as error:
            pytest.fail(str(error), pytrace=False)


def _add_models(base: Path) -> None:
    (base / "custom_nodes" / "tiny_native.py").symlink_to(tiny_native.__file__)
    tiny_native.build(base / "models")
    folder = tiny_model.build(base / "models" / "diffusers" / FOLDER)
    parts = {"diffusion_models": ("transformer", FILE), "text_encoders": ("text_encoder", "tiny_qwen.safetensors")}
    for place, (part, name) in parts.items():
        (weights,) = (folder / part).glob("*.safetensors")
        (base / "models" / place).mkdir(parents=True, exist_ok=True)
        shutil.copy(weights, base / "models" / place / name)
    put_pictures(base / "input")


@pytest.fixture(scope="module")
def client(server: Server) -> Client:
    return Client(server.address)


def graph_of(loader: dict[str, Any], elements: str, **more: Any) -> Graph:
    """Node "apart" is Decompose to Layers, with nodes that show its names and its report."""
    asked = {"layers": 2, "seed": 1, "elements": elements, **more}
    return {
        "picture": node("LoadImage", image="example.png"),
        "model": loader,
        "apart": node("DecomposeToLayers", model=["model", 0], image=["picture", 0], **asked),
        "names": node("PreviewAny", source=["apart", 1]),
        "report": node("PreviewAny", source=["apart", 3]),
    }


def ours(label: str = "Layered-Control, diffusers folder", **more: str) -> dict[str, Any]:
    return node("LoadLayeredModel", source=label, **more or {"source__folder": FOLDER}, **RUNTIME)


def native(makes: str) -> Graph:
    """Node "model" is the native one that sees few pixels."""
    models = {"model": ["unet", 0], "clip": ["clip", 0], "vae": ["vae", 0], "resolution": "640"}
    sampling = {"steps": 2, "cfg": 2.5, "sampler": "euler", "scheduler": "simple", "shift": 1.8}
    texts = {"prompt": "", "negative_prompt": " ", "makes": makes}
    return {
        "unet": node("TinyDiffusionModel", name=tiny_native.LAYERED),
        "clip": node("TinyTextEncoder", key="qwen25_7b", width=tiny_native.WIDTH),
        "vae": node("VAELoader", vae_name=tiny_native.RGBA_VAE),
        "native": node("NativeLayeredModel", **models, **sampling, **texts),
        "model": node("SmallBucket", model=["native", 0], resolution=160),
    }


def texts(run: Any) -> tuple[list[str], str]:
    return run.output("names")["text"][0].splitlines(), run.output("report")["text"][0]


def adds_up(client: Client, run: Any, base: Path) -> np.ndarray:
    """The layers, which composite back to the picture."""
    layers = client.pictures(run, "layers")
    assert np.abs(over(layers)[..., :3] - read(base / "input" / "example.png")).max() <= 1
    return layers


def test_named_elements_become_layers_bottom_first_with_their_shares(client: Client, server: Server) -> None:
    graph = graph_of(ours(), "blue disc\nthe square at 300,40,460,200", **QUICK)
    run = client.succeed(saving(graph, layers=["apart", 0]))
    names, report = texts(run)
    assert names == ["background", "blue disc", "the square"]
    layers = adds_up(client, run, server.base)
    assert layers.shape == (3, 320, 480, 4)
    assert report.startswith("Qwen-Image-Layered-Control: 3 layers of 480 x 320 px")
    assert "Share of the picture: blue disc " in report
    again = client.succeed(saving(graph_of(ours(), "sun", **QUICK), layers=["apart", 0]))
    assert texts(again)[0] == ["background", "sun"]


def test_comfyuis_files_make_them_too_and_are_told_from_the_layered_model_by_name(client: Client) -> None:
    files = {"transformer": FILE, "text_encoder": "tiny_qwen.safetensors", "vae": tiny_native.RGBA_VAE}
    sources = {f"source__{name}": file for name, file in files.items()}
    error = client.run(graph_of(ours("ComfyUI files", **sources), "", **QUICK)).error
    assert "is called Qwen-Image-Layered-Control, which makes the elements that are named" in error
    assert "chosen was Qwen-Image-Layered, which makes all layers of a picture" in error
    error = client.run(graph_of(ours("Layered-Control, ComfyUI files", **sources), "sun", **QUICK)).error
    assert "lacks 1856 of 1934 weights" in error, "the tiny file has 2 blocks of 60: its name was right"


def test_without_elements_it_says_what_to_write(client: Client) -> None:
    error = client.run(graph_of(ours(), "", **QUICK)).error
    assert 'write one a line under "elements", bottom first, such as: girl' in error


def test_who_cannot_be_told_says_who_can(client: Client) -> None:
    error = client.run(graph_of(native("all layers")["native"], "sun") | native("all layers")).error
    assert "Qwen-Image-Layered (ComfyUI) cannot be told which elements become layers" in error
    assert '"Layered-Control, ComfyUI files"' in error


def test_a_box_that_cannot_be_meant_is_refused_before_anything_runs(client: Client) -> None:
    with pytest.raises(Refused, match=r"Elements, line 2: .*left, top, right, bottom in pixels"):
        client.run(graph_of(ours(), "sun\nmoon at 5,5,1,9", **QUICK))


def test_comfyuis_own_models_make_them_where_the_node_says_so(client: Client, server: Server) -> None:
    named = native("named elements (Layered-Control)")
    graph = graph_of(named["model"], "sun\nmoon") | named
    run = client.succeed(saving(graph, layers=["apart", 0]))
    names, report = texts(run)
    assert names == ["background", "sun", "moon"]
    assert report.startswith("Qwen-Image-Layered-Control (ComfyUI): 3 layers")
    assert "The model saw 192 x 128 px; 2 steps of euler, simple, cfg 2.5, shift 1.8." in report
    adds_up(client, run, server.base)
    one = client.succeed(saving(graph_of(named["model"], "moon") | named, layers=["apart", 0]))
    assert texts(one)[0] == ["background", "moon"]


def test_a_layer_is_split_into_what_is_named(client: Client) -> None:
    graph = graph_of(ours(), "sun", **QUICK)
    asked = {"model": ["model", 0], "index": 0, "count": 2, "seed": 1, "names": ["apart", 1]}
    graph["split"] = node("SplitLayer", layers=["apart", 0], **asked, elements="sea\nship", **QUICK)
    graph["parts"] = node("PreviewAny", source=["split", 1])
    names = client.succeed(graph).output("parts")["text"][0].splitlines()
    assert names == ["background/background", "background/sea", "background/ship", "sun"]
