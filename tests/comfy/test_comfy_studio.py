"""Model Studio in a real ComfyUI, against a server on this machine that speaks its protocol; where the key goes."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from comfy_client import Client, Graph, Run
from comfy_graphs import edited, find, node, saving, workflow
from comfy_pictures import clear_black, slides
from comfy_server import Server
from PIL import Image
from studio_server import KEY, Act, Handler, Studio, mute, refusal, response, running, success
from test_comfy_edit import BGR, recolored
from test_comfy_workflows import deck, text

KEY_IN_A_FILE = "sk-f00dfacecafe4242deadbeef99887766"


@pytest.fixture
def studio() -> Iterator[Studio]:
    with running() as started:
        started.posts = [obey]
        yield started


def obey(handler: Handler) -> None:
    """As many pictures as were asked for: the one that came, red and blue exchanged."""
    sent = handler.studio.sent
    uri = sent["input"]["messages"][0]["content"][0]["image"]
    picture = Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
    count = sent["parameters"]["n"]
    handler.studio.gets = [painted(picture)] * count
    urls = [handler.studio.picture_url(i) for i in range(count)]
    handler.say(response(200, json.dumps(success(*urls)).encode()))


def painted(picture: Image.Image) -> Act:
    file = io.BytesIO()
    Image.fromarray(np.array(picture.convert("RGB"))[..., BGR]).save(file, "PNG")
    return lambda handler: handler.say(response(200, file.getvalue(), {"Content-Type": "image/png"}))


def loader(base_url: str, **more: Any) -> dict[str, Any]:
    choices = {"model": "qwen-image-edit-plus", "region": "Singapore", "key_file": "", "base_url": base_url}
    choices |= {"prompt_extend": True, "watermark": False, **more}
    return node("LoadEditModel", source="Model Studio", **{f"source__{name}": value for name, value in choices.items()})


def studio_graph(base_url: str, **more: Any) -> Graph:
    """Node "edit" edits the topmost layer over the API."""
    graph = edited("example.png", "Make it blue.") | {"editor": loader(base_url, **more)}
    return graph | {"report": node("PreviewAny", source=["edit", 3])}


def failure(client: Client, graph: Graph, at: str) -> str:
    run = client.run(graph)
    assert run.end == "execution_error"
    assert run.events[-1][1]["node_id"] == at
    return run.error


def leaks(server: Server, client: Client, key: str) -> list[str]:
    """Where a key can be read, as it is, in pieces or as base64: files, also within files, and ComfyUI's own pages."""
    signs = [key.encode(), key[3:19].encode(), key[-16:].encode(), base64.b64encode(key.encode())]
    texts = dict(everything(server.base))
    texts |= {page: client.get(page) for page in ("/history", "/queue", "/internal/logs/raw", "/object_info")}
    assert any(name.endswith(".png") for name in texts)
    assert any("prompt" in name for name in texts), "what PNGs say of their workflow"
    return [name for name, data in texts.items() if any(sign in data for sign in signs)]


def everything(base: Path) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of all files, of what lies in decks, and of the texts in PNGs."""
    for path in (path for path in base.rglob("*") if path.is_file() and "custom_nodes" not in path.parts):
        yield str(path), path.read_bytes()
        if path.suffix == ".pptx":
            archive = zipfile.ZipFile(path)
            yield from ((f"{path}/{name}", archive.read(name)) for name in archive.namelist())
        if path.suffix == ".png":
            yield from ((f"{path}: {key}", str(value).encode()) for key, value in Image.open(path).info.items())


def test_the_api_workflow_edits_a_layer_and_the_key_is_nowhere(client: Client, server: Server, studio: Studio) -> None:
    graph = workflow("edit_layer_api")
    edit, apart = find(graph, "EditLayer"), find(graph, "DecomposeToLayers")
    graph[find(graph, "LoadEditModel")]["inputs"]["source.base_url"] = studio.url
    graph["report"] = node("PreviewAny", source=[edit, 3])
    run = client.succeed(saving(graph, before=[apart, 0], after=[edit, 0]))
    before, after = client.pictures(run, "before"), client.pictures(run, "after")
    index = graph[edit]["inputs"]["index"]
    assert np.array_equal(np.delete(before, index, 0), np.delete(after, index, 0))
    assert recolored(before[index], after[index], BGR)
    (slide,) = slides(deck(client, run, find(graph, "ExportPPTX")))
    assert np.array_equal(clear_black(slide.layers), clear_black(after))
    assert studio.asked[0].headers["authorization"] == f"Bearer {KEY}"
    assert all("authorization" not in seen.headers for seen in studio.fetched)
    assert studio.sent["input"]["messages"][0]["content"][-1]["text"] == graph[edit]["inputs"]["instruction"]
    assert "(Model Studio, 127.0.0.1)" in text(run, "report")[0]
    assert KEY not in json.dumps([run.events, client.history(run)])
    assert leaks(server, client, KEY) == []


def test_a_key_can_come_from_a_private_file_whose_path_alone_is_in_the_workflow(
    client: Client, server: Server, studio: Studio, tmp_path: Path
) -> None:
    path = tmp_path / "key"
    path.write_text(KEY_IN_A_FILE + "\n")
    path.chmod(0o644)
    graph = studio_graph(studio.url, key_file=str(path))
    assert "can be read by others (mode 644). Run: chmod 600" in failure(client, graph, "edit")
    assert studio.asked == []
    path.chmod(0o600)
    client.succeed(saving(graph, after=["edit", 0]))
    assert studio.asked[0].headers["authorization"] == f"Bearer {KEY_IN_A_FILE}"
    assert leaks(server, client, KEY_IN_A_FILE) == []


def test_a_refusal_shows_code_message_and_request_id_but_not_the_key(
    client: Client, server: Server, studio: Studio
) -> None:
    studio.posts = [refusal(401, "InvalidApiKey", f"Invalid API-key provided: {KEY}.")]
    message = failure(client, studio_graph(studio.url), "edit")
    assert "InvalidApiKey" in message
    assert "Invalid API-key provided: [key]" in message
    assert "4f0b8d9e-1111-2222-3333-444455556666" in message
    assert leaks(server, client, KEY) == []


def test_variants_are_asked_for_at_once(client: Client, studio: Studio) -> None:
    graph = studio_graph(studio.url)
    graph["edit"]["inputs"] |= {"variants": 3, "seed": 42, "negative_prompt": "blurry"}
    run = client.succeed(saving(graph, alone=["edit", 2]))
    assert len(client.pictures(run, "alone")) == 3
    wanted = {"n": 3, "seed": 42, "negative_prompt": "blurry", "prompt_extend": True, "watermark": False}
    assert studio.sent["parameters"] == wanted
    assert len(studio.asked) == 1


def test_waiting_for_the_api_can_be_interrupted(client: Client, studio: Studio) -> None:
    studio.posts = [mute]

    def interrupt(kind: str, data: dict[str, Any]) -> None:
        if kind == "progress" and data["node"] == "edit" and studio.asked:
            client.post("/interrupt", {})

    run: Run = client.run(studio_graph(studio.url), on_event=interrupt)
    assert run.end == "execution_interrupted"
    assert studio.hung_up.wait(5), "the connection is closed"


@pytest.mark.parametrize("address", ["https://evil.example", "https://dashscope.aliyuncs.com.evil.example"])
def test_a_workflow_cannot_send_the_key_to_an_address_of_its_own(client: Client, address: str) -> None:
    message = failure(client, studio_graph(address), "editor")
    assert "is no address of Model Studio, so your key is not sent there" in message
    assert "DASHSCOPE_HTTP_BASE_URL" in message


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("", "Singapore"),
        ("https://dashscope-us.aliyuncs.com", "dashscope-us.aliyuncs.com"),
        ("https://llm-abc123.ap-southeast-1.maas.aliyuncs.com", "llm-abc123.ap-southeast-1.maas.aliyuncs.com"),
        ("https://our-gateway.example", "our-gateway.example"),
    ],
)
def test_alibabas_addresses_and_the_one_of_the_environment_are_taken(client: Client, address: str, host: str) -> None:
    graph = {"editor": loader(address), "see": node("PreviewAny", source=["editor", 0])}
    assert f"(Model Studio, {host})" in text(client.succeed(graph), "see")[0]


def test_what_the_api_would_refuse_is_refused_before_anything_is_sent(client: Client, studio: Studio) -> None:
    graph = studio_graph(studio.url)
    graph["edit"]["inputs"]["instruction"] = "x" * 801
    assert "The instruction has 801 characters, Model Studio takes 800" in failure(client, graph, "edit")
    assert studio.asked == []
