"""A ComfyUI on this machine that speaks as much of its protocol as `qil run` uses, with every fault a test asks for."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

NODES: dict[str, Any] = {
    "LoadImage": {"input": {"required": {"image": [["there.png"], {"image_upload": True}]}}},
    "Work": {
        "input": {
            "required": {
                "seed": ["INT", {"min": 0, "max": 99}],
                "strength": ["FLOAT", {"min": 0.0, "max": 1.0}],
                "fast": ["BOOLEAN", {}],
                "text": ["STRING", {"multiline": True}],
                "mode": ["COMBO", {"options": ["soft", "hard"]}],
                "color": ["COLOR", {}],
                "picture": ["IMAGE", {}],
                "curve": ["CURVE", {}],
                "how": [
                    "COMFY_DYNAMICCOMBO_V3",
                    {
                        "options": [
                            {"key": "plain", "inputs": {"required": {}}},
                            {
                                "key": "many",
                                "inputs": {"required": {"count": ["INT", {"min": 1, "max": 9, "default": 3}]}},
                            },
                        ]
                    },
                ],
            }
        },
        "python_module": "custom_nodes.work-pack",
    },
    "LoadLayers": {
        "input": {
            "required": {
                "source": [
                    "COMFY_DYNAMICCOMBO_V3",
                    {
                        "accept": [".png"],
                        "options": [{"key": "several PNGs", "inputs": {"required": {"files": ["STRING", {}]}}}],
                    },
                ]
            }
        }
    },
}
GRAPH: dict[str, Any] = {
    "1": {"class_type": "LoadImage", "inputs": {"image": "there.png"}, "_meta": {"title": "Your picture"}},
    "2": {
        "class_type": "Work",
        "inputs": {"seed": 7, "text": "", "how": "plain", "picture": ["1", 0]},
        "_meta": {"title": "Work v1.5"},
    },
}
SOCKET_KEY = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""RFC 6455, section 1.3."""


@dataclass
class Comfy:
    """What the server has and did, and the faults to come.

    lost_answers: prompts that are queued and whose connection is then cut. lost_requests: prompts that are cut before
    they are queued. errors: by path, how many 503 to give first. seconds: for each prompt. dies_after: prompts that are
    finished before the server vanishes, the next one in the middle of its work. forgotten: prompts that it loses as if
    it had been started anew.
    """

    url: str = ""
    nodes: dict[str, Any] = field(default_factory=lambda: dict(NODES))
    files: dict[str, bytes] = field(default_factory=lambda: {"result.psd": b"layers", "deck.pptx": b"slides"})
    outputs: dict[str, Any] = field(
        default_factory=lambda: {"2": {"files": [{"filename": "deck.pptx", "subfolder": "x", "type": "output"}]}}
    )
    seconds: float = 0.0
    lost_answers: int = 0
    lost_requests: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    refusal: dict[str, Any] | None = None
    failure: dict[str, Any] | None = None
    pages: set[str] = field(default_factory=set)
    converts: dict[str, Any] | None = None
    max_upload: int = 100_000_000
    dies_after: int | None = None
    socket_breaks: bool = False
    silent: bool = False
    forgotten: int = 0

    queue: list[tuple[str, Any, str]] = field(default_factory=list)
    running: list[tuple[str, Any, str]] = field(default_factory=list)
    history: dict[str, Any] = field(default_factory=dict)
    executed: list[str] = field(default_factory=list)
    graphs: list[Any] = field(default_factory=list)
    uploads: Counter[str] = field(default_factory=Counter)
    interrupted: list[str] = field(default_factory=list)
    posts: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    sockets: dict[str, socket.socket] = field(default_factory=dict)
    connections: int = 0
    gone: threading.Event = field(default_factory=threading.Event)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def say(self, client: str, kind: str, **data: Any) -> None:
        """Send an event over a client's websocket."""
        with suppress(OSError, KeyError):
            payload = json.dumps({"type": kind, "data": data}).encode()
            size = struct.pack("!BBH", 0x81, 126, len(payload)) if len(payload) > 125 else bytes([0x81, len(payload)])
            self.sockets[client].sendall(size + payload)

    def work(self) -> None:
        """The thread that does the prompts, one at a time."""
        while not self.gone.wait(0.01):
            with self.lock:
                if not self.queue:
                    continue
                self.running = [self.queue.pop(0)]
            self._perform(*self.running[0])

    def _perform(self, prompt_id: str, graph: Any, client: str) -> None:
        self.graphs.append(graph)
        if self.forgotten:
            self.forgotten, self.running = self.forgotten - 1, []
            return
        if not self.silent:
            self.say(client, "execution_start", prompt_id=prompt_id)
            self.say(client, "executing", prompt_id=prompt_id, node="2")
            self.say(client, "progress", prompt_id=prompt_id, node="2", value=1, max=2)
        end = time.monotonic() + self.seconds
        while time.monotonic() < end and prompt_id not in self.interrupted:
            time.sleep(0.01)
        if self.dies_after is not None and len(self.executed) >= self.dies_after:
            return self.gone.set()
        self.executed.append(prompt_id)
        with self.lock:
            self.running = []
            self.history[prompt_id] = {"outputs": self.outputs, "status": self._status()}
        if not self.silent:
            self.say(client, "execution_success", prompt_id=prompt_id)
        if self.socket_breaks:
            with suppress(OSError, KeyError):
                self.sockets.pop(client).shutdown(socket.SHUT_RDWR)

    def _status(self) -> dict[str, Any]:
        if self.failure:
            return {"status_str": "error", "messages": [["execution_error", self.failure]]}
        return {"status_str": "success", "messages": []}


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._view(parse_qs(urlsplit(self.path).query))

    def do_GET(self) -> None:
        comfy, parts = self.server.comfy, urlsplit(self.path)
        comfy.headers.append(dict(self.headers))
        if self._faulty(parts.path):
            return
        if parts.path == "/ws":
            return self._websocket(parse_qs(parts.query)["clientId"][0])
        if parts.path == "/view":
            return self._view(parse_qs(parts.query))
        name = parts.path.rpartition("/")[2]
        with comfy.lock:
            answers: dict[str, Any] = {
                "/system_stats": {"system": {"comfyui_version": "0.0.1", "pytorch_version": "2"}},
                "/features": {"max_upload_size": comfy.max_upload},
                f"/object_info/{name}": {name: comfy.nodes[name]} if name in comfy.nodes else {},
                f"/history/{name}": {name: comfy.history[name]} if name in comfy.history else {},
                "/queue": {
                    "queue_running": [[0, each[0]] for each in comfy.running],
                    "queue_pending": [[0, each[0]] for each in comfy.queue],
                },
            }
            self._json(answers.get(parts.path), 200 if parts.path in answers else 404)

    def do_POST(self) -> None:
        comfy = self.server.comfy
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self._faulty(self.path):
            return
        if self.path == "/prompt":
            return self._prompt(json.loads(body))
        if self.path == "/upload/image":
            return self._upload(body)
        data = json.loads(body)
        with comfy.lock:
            if self.path == "/queue":
                comfy.queue = [each for each in comfy.queue if each[0] not in data["delete"]]
            elif self.path == "/interrupt":
                comfy.interrupted.append(data["prompt_id"])
            elif self.path == "/workflow/convert" and comfy.converts:
                return self._json(comfy.converts, 200)
            else:
                return self._json({}, 405)
        self._json(None, 200)

    def _faulty(self, path: str) -> bool:
        comfy, name = self.server.comfy, "/" + path.split("/")[1]
        if comfy.gone.is_set():
            self.close_connection = True
            self.connection.close()
            return True
        if comfy.errors[name] > 0:
            comfy.errors[name] -= 1
            self._json({}, 503)
            return True
        if name in comfy.pages:
            self._send(b"<html>Sign in</html>", 200)
            return True
        return False

    def _prompt(self, data: Any) -> None:
        comfy = self.server.comfy
        comfy.posts.append(data["prompt_id"])
        if comfy.refusal:
            return self._json(comfy.refusal, 400)
        if comfy.lost_requests > 0:
            comfy.lost_requests -= 1
            return self._cut()
        with comfy.lock:
            comfy.queue.append((data["prompt_id"], data["prompt"], data["client_id"]))
        if comfy.lost_answers > 0:
            comfy.lost_answers -= 1
            return self._cut()
        self._json({"prompt_id": data["prompt_id"], "node_errors": {}}, 200)

    def _cut(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _upload(self, body: bytes) -> None:
        _, _, rest = body.partition(b'name="image"; filename="')
        name = rest.partition(b'"')[0].decode()
        content = rest.partition(b"\r\n\r\n")[2].rpartition(b"\r\n--")[0].split(b"\r\n--")[0]
        with self.server.comfy.lock:
            self.server.comfy.uploads[name] += 1
            self.server.comfy.files[name] = content
        self._json({"name": name, "subfolder": "", "type": "input"}, 200)

    def _view(self, query: dict[str, list[str]]) -> None:
        content = self.server.comfy.files.get(query["filename"][0])
        self._send(content or b"", 404 if content is None else 200)

    def _json(self, data: Any, status: int) -> None:
        self._send(json.dumps(data).encode() if data is not None else b"", status)

    def _send(self, body: bytes, status: int) -> None:
        with suppress(OSError):
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

    def _websocket(self, client: str) -> None:
        comfy = self.server.comfy
        key = hashlib.sha1(self.headers["Sec-WebSocket-Key"].encode() + SOCKET_KEY).digest()
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(key).decode())
        self.end_headers()
        comfy.connections += 1
        comfy.sockets[client] = self.connection
        comfy.say(client, "status", status={"exec_info": {"queue_remaining": 0}})
        self.connection.settimeout(0.05)
        while not comfy.gone.is_set() and comfy.sockets.get(client) is self.connection:
            with suppress(TimeoutError):
                if not self.connection.recv(4096):
                    break
        self.close_connection = True


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, comfy: Comfy) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.comfy = comfy

    def handle_error(self, *_: Any) -> None:
        """Cut connections are what the tests are about."""


@contextmanager
def serving(**settings: Any) -> Iterator[Comfy]:
    """A server for as long as the block runs."""
    comfy = Comfy(**settings)
    with Server(comfy) as server:
        comfy.url = f"http://127.0.0.1:{server.server_address[1]}"
        threads = [
            threading.Thread(target=target, daemon=True) for target in (partial(server.serve_forever, 0.02), comfy.work)
        ]
        for thread in threads:
            thread.start()
        try:
            yield comfy
        finally:
            comfy.gone.set()
            server.shutdown()
            for thread in threads:
                thread.join()
