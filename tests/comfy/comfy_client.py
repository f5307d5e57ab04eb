"""ComfyUI's HTTP and websocket interface, as much of it as the tests need."""

from __future__ import annotations

import io
import json
import struct
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import ProxyHandler, Request, build_opener

import numpy as np
import websocket
from numpy.typing import NDArray
from PIL import Image

Graph = dict[str, dict[str, Any]]
"""A workflow in API form: node id -> class_type and inputs."""

Watcher = Callable[[str, dict[str, Any]], None]
"""Called with every event's type and data."""

ENDS = ("execution_success", "execution_error", "execution_interrupted")
_open = build_opener(ProxyHandler({})).open


@dataclass
class Run:
    """What the websocket said about one prompt."""

    prompt_id: str
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)
    """What nodes last showed on themselves, by their ids."""

    @property
    def end(self) -> str:
        """execution_success, execution_error or execution_interrupted."""
        return self.events[-1][0]

    @property
    def error(self) -> str:
        """The message that the user reads; empty when there was no error."""
        return str(self.events[-1][1].get("exception_message", "")).strip()

    def output(self, node: str) -> dict[str, Any]:
        """The ui output of a node."""
        found = [data["output"] for kind, data in self.events if kind == "executed" and data["node"] == node]
        assert found, f"node {node} gave no output; the run ended with {self.events[-1]}"
        return dict(found[-1])

    def progress(self, node: str) -> list[float]:
        """Fractions, in the order in which they came."""
        data = [d for kind, d in self.events if kind == "progress" and d["node"] == node]
        return [d["value"] / d["max"] for d in data]


class Refused(Exception):
    """The server refused a prompt: its answer."""


@dataclass(frozen=True)
class Client:
    """Runs graphs on a server and fetches what they wrote."""

    address: str

    def get(self, path: str, **query: str) -> bytes:
        suffix = f"?{urlencode(query)}" if query else ""
        with _open(f"http://{self.address}{path}{suffix}", timeout=60) as answer:
            return bytes(answer.read())

    def get_json(self, path: str) -> Any:
        return json.loads(self.get(path))

    def post(self, path: str, data: Mapping[str, Any]) -> Any:
        headers = {"Content-Type": "application/json"}
        request = Request(f"http://{self.address}{path}", json.dumps(data).encode(), headers)
        try:
            with _open(request, timeout=60) as answer:
                text = answer.read()
        except HTTPError as error:
            raise Refused(error.read().decode()) from error
        return json.loads(text) if text else None

    def view(self, file: Mapping[str, str]) -> bytes:
        """The bytes of a file that a node reported."""
        return self.get("/view", filename=file["filename"], subfolder=file["subfolder"], type=file["type"])

    def picture(self, file: Mapping[str, str]) -> NDArray[np.uint8]:
        """A reported picture as uint8 (H, W, C)."""
        return np.array(Image.open(io.BytesIO(self.view(file))))

    def pictures(self, run: Run, node: str) -> NDArray[np.uint8]:
        """All pictures of a node: uint8 (N, H, W, C)."""
        return np.stack([self.picture(file) for file in run.output(node)["images"]])

    def history(self, run: Run, limit: float = 10) -> dict[str, Any]:
        """The server's own account of a run; it is filed a moment after the last event."""
        end = time.monotonic() + limit
        while not (found := self.get_json(f"/history/{run.prompt_id}")):
            assert time.monotonic() < end, "the run is not in the history"
            time.sleep(0.05)
        return dict(found[run.prompt_id])

    def run(self, graph: Graph, limit: float = 90, on_event: Watcher | None = None) -> Run:
        """Queue a graph and follow it to its end, whatever that is. Raises Refused."""
        me = uuid.uuid4().hex
        socket = websocket.create_connection(
            f"ws://{self.address}/ws?clientId={me}", timeout=limit, http_no_proxy=["127.0.0.1"]
        )
        try:
            run = Run(self.post("/prompt", {"prompt": graph, "client_id": me})["prompt_id"])
            _follow(socket, run, time.monotonic() + limit, on_event)
        finally:
            socket.close()
        return run

    def succeed(self, graph: Graph) -> Run:
        """Run a graph that must succeed."""
        run = self.run(graph)
        assert run.end == "execution_success", run.events[-1]
        return run


TEXT = 3
"""BinaryEventTypes.TEXT of ComfyUI's protocol; the others are previews."""


def _take_text(message: bytes, run: Run) -> None:
    kind, length = struct.unpack_from(">II", message)
    if kind == TEXT:
        run.texts[message[8 : 8 + length].decode()] = message[8 + length :].decode()


def _follow(socket: websocket.WebSocket, run: Run, end: float, on_event: Watcher | None) -> None:
    while not run.events or run.events[-1][0] not in ENDS:
        assert time.monotonic() < end, f"the run did not end in time; so far: {run.events[-3:]}"
        message = socket.recv()
        if isinstance(message, bytes):
            _take_text(message, run)
            continue
        event = json.loads(message)
        if event["data"].get("prompt_id") == run.prompt_id:
            run.events.append((event["type"], event["data"]))
            if on_event:
                on_event(event["type"], event["data"])
