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
from comfy_client import Client, Graph, Refused, Run
from comfy_graphs import edited, find, node, saving, with_example, workflow
from comfy_pictures import clear_black, slides
from comfy_server import Server
from PIL import Image
from studio_server import KEY, Act, Handler, Studio, mute, refusal, response, running, success
from test_comfy_edit import BGR, recolored
from test_comfy_workflows import deck, text

KEY_IN_A_FILE = "sk-f00dfacecafe4242deadbeef99887766"


@pytest.fixture
def studio(session_studio: Studio) -> Studio:
    """The server of all tests, as if nothing had been asked of it yet."""
    session_studio.posts, session_studio.asked, session_studio.fetched = [obey], [], []
    session_studio.hung_up.clear()
    return session_studio


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


def refusal_of(client: Client, graph: Graph) -> str:
    """Why a graph was refused by validation, so that nothing of it ran."""
    with pytest.raises(Refused) as refused:
        client.run(graph)
    return str(refused.value)


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
    graph = with_example(workflow("edit_layer_api"))
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
    assert "can be read by others (mode 644). Run: chmod 600" in refusal_of(client, graph)
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


@pytest.mark.parametrize(
    "address", ["https://evil.example", "https://dashscope.aliyuncs.com.evil.example", "http://127.0.0.1:8188"]
)
def test_a_workflow_cannot_send_the_key_to_an_address_of_its_own(client: Client, address: str) -> None:
    message = refusal_of(client, studio_graph(address))
    assert "is no address of Model Studio, so your key is not sent there" in message
    assert "DASHSCOPE_HTTP_BASE_URL" in message


def test_a_workflow_cannot_send_a_private_file_to_another_port(client: Client, studio: Studio, tmp_path: Path) -> None:
    path = tmp_path / "id_ed25519"
    path.write_text("private-and-of-one-line-0123456789")
    path.chmod(0o600)
    with running() as other:
        message = refusal_of(client, studio_graph(other.url, key_file=str(path)))
        assert "your key is not sent there" in message
        assert other.asked == []
    message = refusal_of(client, studio_graph(studio.url, key_file=str(path)))
    assert "holds is not a key" in message
    assert "private-and" not in message
    assert studio.asked == []


@pytest.mark.parametrize("pasted", [KEY_IN_A_FILE, f"Bearer {KEY_IN_A_FILE}", "f00dfacecafe4242deadbeef99887766"])
def test_a_key_that_was_pasted_as_a_path_is_refused_and_kept_nowhere(
    client: Client, server: Server, studio: Studio, pasted: str
) -> None:
    message = refusal_of(client, saving(studio_graph(studio.url, key_file=pasted), after=["edit", 0]))
    assert "key file" in message
    assert pasted[-20:] not in message
    kept = [client.get(page) for page in ("/history", "/queue", "/internal/logs/raw")]
    assert [page for page in (*kept, server.log.read_bytes()) if pasted[-20:].encode() in page] == []


def test_a_missing_key_is_refused_before_anything_runs(client: Client, studio: Studio, tmp_path: Path) -> None:
    message = refusal_of(client, studio_graph(studio.url, key_file=str(tmp_path / "none")))
    assert "There is no key file" in message


def test_a_linked_key_file_is_checked_when_it_is_there(client: Client, studio: Studio, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(KEY_IN_A_FILE)
    path.chmod(0o600)
    graph = studio_graph(studio.url, key_file=["path", 0]) | {"path": node("PrimitiveString", value=str(path))}
    client.succeed(graph)
    assert studio.asked[0].headers["authorization"] == f"Bearer {KEY_IN_A_FILE}"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"region": "Mars"}, 'region: expected one of Singapore, Beijing, got \\"Mars\\"'),
        ({"size": "3000"}, "each 512 to 2048"),
        ({"model": "qwen image"}, "1 to 128 letters"),
        ({"model": "qwen-image-edit", "size": "1536"}, "takes no size"),
    ],
)
def test_what_the_api_does_not_have_is_refused_before_anything_runs(
    client: Client, studio: Studio, more: dict[str, str], message: str
) -> None:
    assert message in refusal_of(client, studio_graph(studio.url, **more))


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("", "Singapore"),
        ("https://dashscope-us.aliyuncs.com", "dashscope-us.aliyuncs.com"),
        ("https://llm-abc123.ap-southeast-1.maas.aliyuncs.com", "llm-abc123.ap-southeast-1.maas.aliyuncs.com"),
    ],
)
def test_alibabas_addresses_are_taken(client: Client, address: str, host: str) -> None:
    graph = {"editor": loader(address), "see": node("PreviewAny", source=["editor", 0])}
    assert f"(Model Studio, {host})" in text(client.succeed(graph), "see")[0]


def test_a_size_and_pictures_by_address_are_sent_and_usage_is_in_the_report(client: Client, studio: Studio) -> None:
    graph = studio_graph(studio.url, model="qwen-image-edit-of-tomorrow", size="1536")
    urls = ["https://example.com/hat.png", "https://example.com/dress.png"]
    graph["edit"]["inputs"]["picture_urls"] = "  ".join(urls)
    run = client.succeed(graph)
    assert studio.sent["model"] == "qwen-image-edit-of-tomorrow"
    width, height = map(int, studio.sent["parameters"]["size"].split("*"))
    assert 0.9 < width * height / 1536**2 < 1.1
    assert [item.get("image") for item in studio.sent["input"]["messages"][0]["content"]][1:3] == urls
    report = "\n".join(text(run, "report"))
    assert "Model Studio counted 1 picture of 1024 x 1024 px." in report
    assert "request_id: 4f0b8d9e-1111-2222-3333-444455556666" in report


def test_addresses_of_pictures_that_are_not_public_are_refused_before_anything_runs(
    client: Client, studio: Studio
) -> None:
    graph = studio_graph(studio.url)
    graph["edit"]["inputs"]["picture_urls"] = "http://192.168.1.1/x.png"
    assert "must be public, begin with https://" in refusal_of(client, graph)


def test_what_the_api_would_refuse_is_refused_before_anything_is_sent(client: Client, studio: Studio) -> None:
    graph = studio_graph(studio.url)
    graph["edit"]["inputs"]["instruction"] = "x" * 801
    assert "The instruction has 801 characters, Model Studio takes 800" in failure(client, graph, "edit")
    assert studio.asked == []
