"""Qwen-Image-Layered from a diffusers folder in a real ComfyUI, with tiny random weights of the true layout."""

from __future__ import annotations

import json
import re
import uuid
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import websocket
from comfy_client import Client, Graph, Refused
from comfy_graphs import RUNTIME, find, node, saving, taken_apart, with_example, workflow
from comfy_pictures import over
from comfy_server import Server
from PIL import Image
from tiny_model import build

FOLDER = {"source": "diffusers folder"}
DOWNLOADED = {
    "source": "download",
    "source__repository": "Qwen/Qwen-Image-Layered",
    "source__from": "huggingface",
}
QUICK = {
    "sampling": "custom",
    "sampling__resolution": "640",
    "sampling__steps": 1,
    "sampling__true_cfg_scale": 1.0,
    "sampling__cfg_normalize": True,
    "sampling__negative_prompt": " ",
    "sampling__language": "English",
}


@pytest.fixture(scope="module")
def folder(with_diffusers: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny diffusers folder, where ComfyUI's Python can read one."""
    return build(tmp_path_factory.mktemp("tiny"))


def model_graph(folder: Path, **asked: Any) -> Graph:
    """Node "decompose" takes a picture apart with the tiny model."""
    graph = taken_apart("second.png", layers=2)
    graph["model"] = node("LoadLayeredModel", source="diffusers folder", source__folder=str(folder), **RUNTIME)
    graph["decompose"]["inputs"].update(node("", **{**QUICK, **asked})["inputs"])
    return graph


def test_the_model_takes_a_picture_apart_and_gives_its_caption(client: Client, folder: Path) -> None:
    graph = saving(model_graph(folder), layers=["decompose", 0], whole=["picture", 0])
    graph["report"] = node("PreviewAny", source=["decompose", 3])
    graph["caption"] = node("PreviewAny", source=["decompose", 4])
    run = client.succeed(graph)
    layers = client.pictures(run, "layers")
    assert len(layers) == 2
    whole = client.pictures(run, "whole")[0].astype(float)
    assert np.abs(over(layers)[..., :3] - whole[..., :3]).max() <= 1
    report, caption = (run.output(name)["text"][0] for name in ("report", "caption"))
    assert "Qwen-Image-Layered: 2 layers" in report
    assert "Memory:" in report
    assert caption.strip()


def test_the_models_workflow_runs_and_without_files_says_which_are_missing(client: Client, folder: Path) -> None:
    graph = with_example(workflow("model_to_pptx"))
    loader, apart = find(graph, "LoadLayeredModel"), find(graph, "DecomposeToLayers")
    with pytest.raises(Refused, match=r"qwen_image_layered_bf16.*nothing in models/diffusion_models"):
        client.run(graph)
    files = {"source.transformer", "source.text_encoder", "source.vae"}
    asked = {name: value for name, value in graph[loader]["inputs"].items() if name not in files}
    graph[loader]["inputs"] = asked | {"source": "diffusers folder", "source.folder": str(folder)}
    graph[apart]["inputs"].update(node("", **{**QUICK, "layers": 2})["inputs"])
    (file,) = client.succeed(graph).output(find(graph, "ExportPPTX"))["files"]
    assert file["filename"].endswith("_.pptx")


def test_lossy_options_are_named_in_the_report(client: Client, folder: Path) -> None:
    graph = saving(model_graph(folder, sampling__steps=4, prompt="a picture"), layers=["decompose", 0])
    graph["model"]["inputs"] |= {"source.memory": "nf4 storage (lossy)", "source.first_block_cache": 1.0}
    graph["report"] = node("PreviewAny", source=["decompose", 3])
    run = client.succeed(graph)
    report = run.output("report")["text"][0]
    assert "Memory: nf4 storage (lossy)" in report
    assert re.search(r"First block cache \(lossy\): \d of 4 evaluations were computed in full\.", report)
    whole = taken_apart("second.png") | saving({}, whole=["picture", 0])
    error = np.abs(over(client.pictures(run, "layers"))[..., :3] - client.pictures(client.succeed(whole), "whole")[0])
    assert error.max() <= 1, "the layers are lossy, their composite never is"


def test_a_folder_that_is_not_there_says_what_goes_where(client: Client) -> None:
    graph = saving(model_graph(Path("/nowhere/Qwen")), layers=["decompose", 0])
    error = client.run(graph).error
    assert 'no diffusers folder "/nowhere/Qwen"' in error
    assert "qwen_image_layered_bf16.safetensors (41 GB) in models/diffusion_models" in error
    assert "built-in (no weights)" in error


PLAIN, OWNED = "Qwen-Image-Layered", "Qwen/Qwen-Image-Layered"


@pytest.mark.parametrize(
    ("place", "source"),
    [(PLAIN, FOLDER | {"source__folder": PLAIN}), (OWNED, FOLDER | {"source__folder": PLAIN}), (OWNED, DOWNLOADED)],
    ids=["a plain name", "the name without its owner", "downloaded before"],
)
def test_a_model_in_models_diffusers_is_found_by_its_name(
    client: Client, server: Server, folder: Path, place: str, source: dict[str, str]
) -> None:
    target = server.base / "models" / "diffusers" / place
    target.parent.mkdir(parents=True, exist_ok=True)
    target.symlink_to(folder)
    graph = saving(model_graph(folder, prompt="a picture"), layers=["decompose", 0])
    graph["model"] = node("LoadLayeredModel", **source, **RUNTIME)
    try:
        assert len(client.pictures(client.succeed(graph), "layers")) == 2
    finally:
        target.unlink()


@pytest.mark.parametrize("repository", ["../../evil", "Qwen-Image-Layered", "a/b/c"])
def test_a_download_of_what_is_no_repository_says_so(client: Client, folder: Path, repository: str) -> None:
    graph = saving(model_graph(folder), layers=["decompose", 0])
    graph["model"] = node("LoadLayeredModel", **DOWNLOADED | {"source__repository": repository}, **RUNTIME)
    assert "is not a repository id. Write owner/name such as Qwen/Qwen-Image-Layered" in client.run(graph).error


@pytest.mark.parametrize("name", ["~nosuchuser/x", "a\0b", "x" * 300])
def test_a_folder_that_is_no_path_is_a_folder_that_is_not_there(client: Client, folder: Path, name: str) -> None:
    graph = saving(model_graph(folder), layers=["decompose", 0])
    graph["model"]["inputs"]["source.folder"] = name
    assert "There is no diffusers folder" in client.run(graph).error


def test_automatic_counting_runs_with_the_model(client: Client, folder: Path) -> None:
    graph = model_graph(folder, count="auto", count__max_layers=4, count__depth=1, prompt="a picture")
    graph["report"] = node("PreviewAny", source=["decompose", 3])
    assert "Automatic:" in client.succeed(graph).output("report")["text"][0]


def test_an_interrupted_denoising_stops_and_the_model_works_again(client: Client, folder: Path) -> None:
    def interrupt(kind: str, data: dict[str, Any]) -> None:
        if kind == "progress" and data["node"] == "decompose" and data["value"] > 200:
            client.post("/interrupt", {})

    graph = saving(model_graph(folder, sampling__steps=60, prompt="a picture"), layers=["decompose", 0])
    assert client.run(graph, on_event=interrupt).end == "execution_interrupted"
    quick = saving(model_graph(folder, prompt="a picture"), layers=["decompose", 0])
    assert len(client.pictures(client.succeed(quick), "layers")) == 2


def test_the_layers_are_shown_while_they_form_to_those_who_want_previews(client: Client, folder: Path) -> None:
    graph = saving(model_graph(folder, sampling__steps=4, prompt="a picture"), layers=["decompose", 0])
    previews, values = watched(client, graph, preview_method="latent2rgb")
    assert [node for node, _ in previews] == ["decompose"] * 3
    pictures = [Image.open(BytesIO(data)) for _, data in previews]
    assert {picture.format for picture in pictures} == {"JPEG"}
    assert {max(picture.size) for picture in pictures} <= set(range(256, 513))
    assert len({data for _, data in previews}) == 3
    assert values == sorted(values), "a preview leaves the bar where it is"


def test_nobody_who_does_not_want_previews_gets_any(client: Client, folder: Path) -> None:
    graph = saving(model_graph(folder, sampling__steps=3, prompt="another picture"), layers=["decompose", 0])
    assert watched(client, graph)[0] == []


def watched(client: Client, graph: Graph, **more: str) -> tuple[list[tuple[str, bytes]], list[float]]:
    """Node and picture of every preview of a run, and the values that its node's bar took."""
    me = uuid.uuid4().hex
    address = f"ws://{client.address}/ws?clientId={me}"
    socket = websocket.create_connection(address, timeout=60, http_no_proxy=["127.0.0.1"])
    previews: list[tuple[str, bytes]] = []
    values: list[float] = []
    try:
        socket.send(json.dumps({"type": "feature_flags", "data": {"supports_preview_metadata": True}}))
        client.post("/prompt", {"prompt": graph, "client_id": me, "extra_data": more})
        while isinstance(message := socket.recv(), bytes) or json.loads(message)["type"] != "execution_success":
            if not isinstance(message, bytes):
                event = json.loads(message)
                assert event["type"] != "execution_error", event
                values += [event["data"]["value"]] if event["type"] == "progress" else []
            elif int.from_bytes(message[:4], "big") == 4:  # 4: length of its metadata, metadata, picture
                end = 8 + int.from_bytes(message[4:8], "big")
                previews.append((json.loads(message[8:end])["node_id"], message[end:]))
    finally:
        socket.close()
    return previews, values
