"""Model Studio on this machine: it speaks the documented protocol, and every failure that a test asks for."""

from __future__ import annotations

import json
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import torch
from torch import Tensor

from qil_core.edit.model_studio import ModelStudio
from qil_core.edit.studio_http import Clock, Limiter
from qil_core.edit.studio_request import Options
from qil_core.edit_request import EditRequest
from qil_core.files import png

ID = "4f0b8d9e-1111-2222-3333-444455556666"
KEY = "sk-0a1b2c3d4e5f60718293a4b5c6d7e8f9"
PLUS = "qwen-image-edit-plus"
ASKED = EditRequest("Make the shirt light blue.")
CHARGED = "may have been made and charged"
PATH = "/api/v1/services/aigc/multimodal-generation/generation"

Act = Callable[["Handler"], None]
"""What is done about a request."""


@dataclass
class Seen:
    """A request as it came. headers: names in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes = b""


@dataclass
class Studio:
    """A running server. Each POST takes the next of `posts` (the last one stays), a GET of /i.png does gets[i]."""

    url: str = ""
    posts: list[Act] = field(default_factory=list)
    gets: list[Act] = field(default_factory=list)
    asked: list[Seen] = field(default_factory=list)
    fetched: list[Seen] = field(default_factory=list)
    tunnels: list[str] = field(default_factory=list)
    hung_up: threading.Event = field(default_factory=threading.Event)

    @property
    def sent(self) -> dict[str, Any]:
        """The JSON of the last request."""
        return json.loads(self.asked[-1].body)

    def picture_url(self, index: int) -> str:
        return f"{self.url}/{index}.png?Expires=1&Signature=secret-signature"


class Handler(BaseHTTPRequestHandler):
    """One connection, one request."""

    protocol_version = "HTTP/1.1"
    studio: Studio

    def do_POST(self) -> None:
        seen = Seen(self.path, {name.lower(): value for name, value in self.headers.items()})
        self.studio.asked.append(seen)
        act = self.studio.posts.pop(0) if len(self.studio.posts) > 1 else self.studio.posts[0]
        if act is not reset:
            seen.body = self.rfile.read(int(self.headers["Content-Length"]))
        self._do(act)

    def do_CONNECT(self) -> None:
        """What a proxy is asked: a tunnel to a host, which is not given."""
        self.studio.tunnels.append(self.path)
        self._do(answer(502, b""))

    def do_GET(self) -> None:
        self.studio.fetched.append(Seen(self.path, {name.lower(): value for name, value in self.headers.items()}))
        self._do(self.studio.gets[int(self.path.strip("/").partition(".")[0])])

    def _do(self, act: Act) -> None:
        self.close_connection = True
        act(self)

    def say(self, data: bytes) -> None:
        """Bytes as they are, to a client that may have gone."""
        try:
            self.wfile.write(data)
        except OSError:
            self.studio.hung_up.set()

    def log_message(self, *_: Any) -> None:
        """Nothing on the console."""


@contextmanager
def running() -> Iterator[Studio]:
    """A server on a free port of this machine, until the end of the block. It makes one picture, as asked."""
    studio = Studio(posts=[made(1)], gets=[file(i) for i in range(6)])
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"studio": studio}))
    server.daemon_threads, server.block_on_close = True, False
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients that hang up are what is tested
    studio.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield studio
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def raw(data: bytes) -> Act:
    """These bytes and then the end."""
    return lambda handler: handler.say(data)


def response(status: int, body: bytes, headers: dict[str, str] | None = None, length: int | None = None) -> bytes:
    """An HTTP answer as bytes. length: what the header claims."""
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body) if length is None else length}"]
    lines += [f"{name}: {value}" for name, value in {"Connection": "close", **(headers or {})}.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def answer(status: int, body: bytes | dict[str, Any], headers: dict[str, str] | None = None) -> Act:
    data = json.dumps(body).encode() if isinstance(body, dict) else body
    return raw(response(status, data, headers))


def refusal(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Act:
    return answer(status, {"code": code, "message": message, "request_id": ID}, headers)


def success(*urls: str) -> dict[str, Any]:
    """The documented answer with these pictures."""
    message = {"role": "assistant", "content": [{"image": url} for url in urls]}
    return {
        "output": {"choices": [{"finish_reason": "stop", "message": message}]},
        "usage": {"width": 1024, "height": 1024, "image_count": len(urls)},
        "request_id": ID,
    }


def made(count: int) -> Act:
    """An answer with `count` pictures of this server."""

    def act(handler: Handler) -> None:
        urls = [handler.studio.picture_url(i) for i in range(count)]
        handler.say(response(200, json.dumps(success(*urls)).encode()))

    return act


def reset(handler: Handler) -> None:
    """Cut the connection hard. As a POST's act: before its body is read."""
    connection = handler.connection
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(connection.detach())


def cut(handler: Handler) -> None:
    """Cut the connection after the body was read."""
    reset(handler)


def mute(handler: Handler) -> None:
    """No answer, until the client hangs up."""
    handler.connection.settimeout(30)
    if handler.connection.recv(1) == b"":
        handler.studio.hung_up.set()


def endless(handler: Handler) -> None:
    """An answer without an end: 32 MB or until the client hangs up."""
    handler.say(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n")
    for _ in range(512):
        handler.say(bytes(1 << 16))
        if handler.studio.hung_up.is_set():
            return


def trickle(handler: Handler) -> None:
    """An answer that comes so slowly that no single read times out."""
    handler.say(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(100):
        time.sleep(0.05)
        handler.say(b" ")
        if handler.studio.hung_up.is_set():
            return


def picture(seed: int = 0, width: int = 32, height: int = 24) -> Tensor:
    """Noise (height, width, 3) on the 8-bit grid."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (height, width, 3), generator=generator).float() / 255


def file(seed: int = 0) -> Act:
    """That picture, as PNG."""
    return answer(200, png.encode(picture(seed)), {"Content-Type": "image/png"})


PNG = png.encode(picture())


@dataclass
class FastClock:
    """Real time, but sleeping takes none: it is only counted."""

    skipped: float = 0.0

    def now(self) -> float:
        return time.monotonic() + self.skipped

    def sleep(self, seconds: float) -> None:
        self.skipped += seconds


def editor(studio: Studio, model: str = PLUS, **more: Any) -> ModelStudio:
    """A client of this server that waits no time. more: fields of Options, and what ModelStudio takes."""
    fast = FastClock()
    asked = {name: more.pop(name) for name in ("size", "prompt_extend", "watermark") if name in more}
    options = Options(model, **asked)
    more = {"clock": Clock(fast.now, fast.sleep), "limiter": Limiter(0), **more}
    return ModelStudio(options, base_url=studio.url, **more)


def flat(width: int, height: int, value: float = 0.5) -> Tensor:
    return torch.full((height, width, 3), value)
