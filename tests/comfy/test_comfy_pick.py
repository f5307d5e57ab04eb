"""What the panel of Layer Editor asks the server for while people pick: right, bounded, and said in words."""

from __future__ import annotations

import base64
import io
import json
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

import numpy as np
import pytest
from comfy_client import Client, Graph, Run
from comfy_graphs import node, saving
from comfy_pictures import CENTRES, PAPER, RED
from PIL import Image

BOX = CENTRES[1]
_open = build_opener(ProxyHandler({})).open


def editor(edits: dict[str, Any] | None = None) -> Graph:
    """Node "editor" edits a picture that is one layer."""
    return {
        "picture": node("LoadImage", image="example.png"),
        "joined": node("JoinImageWithAlpha", image=["picture", 0], alpha=["picture", 1]),
        "editor": node("LayerEditor", layers=["joined", 0], edits=json.dumps({"version": 1, **edits}) if edits else ""),
    }


def shown(run: Run) -> dict[str, Any]:
    return dict(run.output("editor")["layer_editor"][0])


@pytest.fixture(scope="module")
def key(client: Client) -> str:
    """The fingerprint of the picture's one layer, which the server has seen."""
    return str(shown(client.succeed(editor()))["layers"][0]["id"])


def ask(client: Client, route: str, body: Any, kind: str = "application/json") -> tuple[int, dict[str, Any]]:
    """The status and the answer."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = Request(f"http://{client.address}/qil/layer_editor/{route}", data, {"Content-Type": kind})
    try:
        with _open(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except HTTPError as error:
        return error.code, json.load(error)


def red(key: str, **more: Any) -> dict[str, Any]:
    return {"c1": {"of": key, "inside": [list(BOX)], **more}}


def test_a_click_gives_the_mask_of_the_thing(client: Client, key: str) -> None:
    status, found = ask(client, "pick", {"cut": red(key), "name": "c1"})
    assert status == 200
    assert found["box"] == pytest.approx([260, 150, 400, 270], abs=4)
    mask = np.array(Image.open(io.BytesIO(base64.b64decode(found["png"]))))
    left, top, right, bottom = found["box"]
    assert mask.shape == (bottom - top, right - left)
    assert mask.mean() > 0.97


def test_a_cut_gives_what_the_run_gives(client: Client, key: str) -> None:
    status, found = ask(client, "cut", {"cut": red(key)})
    assert status == 200
    run = client.succeed(saving(editor({"cut": red(key), "edits": {"c1": {"dx": 20}}}), saved=["editor", 0]))
    assert shown(run)["cuts"] == found["cuts"]
    rest, thing = client.pictures(run, "saved")
    assert np.abs(rest[..., :3].astype(int) - np.array([PAPER])).max(2)[150:270, 260:400].max() <= 8
    assert np.abs(thing[BOX[1], BOX[0] + 20, :3].astype(int) - RED).max() <= 2
    (cut,) = found["cuts"]
    left, top = cut["thing"]["at"]
    preview = client.picture(cut["thing"]["picture"])
    height, width = preview.shape[:2]
    moved = thing[top : top + height, left + 20 : left + 20 + width]
    assert np.array_equal(preview[preview[..., 3] > 0], moved[preview[..., 3] > 0])


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"{", 400, "no JSON text"),
        (b"\xff", 400, "no JSON text"),
        (b"[" * 100_000, 400, "no JSON text"),
        ([], 400, "expected an object"),
        ({}, 400, "in cut, expected an object"),
        ({"cut": {}}, 400, "a cut of a layer that is not there"),
        ({"cut": {"c1": {"of": "0" * 16, "inside": [[1, 1]]}}}, 410, "Run the workflow to pick"),
        ({"cut": {"c2": {"of": "c1", "inside": [[1, 1]]}}}, 400, "a cut of a layer that is not there"),
        (b" " * 300_000, 400, "larger than"),
    ],
)
@pytest.mark.parametrize("route", ["pick", "cut"])
def test_requests_that_are_none_are_refused(client: Client, route: str, body: Any, status: int, said: str) -> None:
    assert ask(client, route, body)[0] == status
    assert said in ask(client, route, body)[1]["error"]


def test_what_cannot_be_picked_is_said(client: Client, key: str) -> None:
    status, found = ask(client, "pick", {"cut": red(key, inside=[[9000, 1]]), "name": "c1"})
    assert (status, found["error"][:21]) == (400, "The click at 9000, 1 ")
    assert ask(client, "pick", {"cut": red(key), "name": "c7"})[0] == 400
    assert ask(client, "pick", {"cut": red(key), "name": ["c1"]})[0] == 400
    assert "Nothing is picked" in ask(client, "cut", {"cut": red(key, grow=-64, box=[255, 145, 300, 200])})[1]["error"]


def test_only_json_is_taken(client: Client, key: str) -> None:
    """So that a page of another site cannot ask."""
    assert ask(client, "pick", {"cut": red(key), "name": "c1"}, "text/plain")[0] == 415


def test_a_run_with_a_cut_that_cannot_be_made_says_why(client: Client, key: str) -> None:
    assert "lies beside what the layer shows" in client.run(editor({"cut": red(key, inside=[[9000, 1]])})).error
