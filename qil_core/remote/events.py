"""Progress from a server's websocket. It may break at any time: what happened to a job is the history's to say."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from ..edit.studio_address import is_loopback
from ..errors import QilError
from .patience import Patience

ENDS = ("execution_success", "execution_error", "execution_interrupted")

QUIET = 20.0
"""Seconds without a message after which a ping shows whether the connection still stands."""


@dataclass
class Watch:
    """What the websocket told about one prompt. `ended` is set when it says that the prompt is over.

    nodes: how many the graph has. done: those that are finished. node: the one that runs. part: of it, 0..1.
    """

    nodes: int
    ended: threading.Event = field(default_factory=threading.Event)
    running: bool = False
    done: set[str] = field(default_factory=set)
    node: str = ""
    part: float = 0.0

    def fraction(self) -> float:
        """How much of the graph is done, each node counted alike: 0..1."""
        return min(1.0, (len(self.done) + self.part) / max(1, self.nodes))

    def take(self, kind: str, data: Mapping[str, Any]) -> None:
        """Note one event; what it holds is not to be trusted."""
        if kind == "execution_start":
            self.running = True
        elif kind == "execution_cached" and isinstance(data.get("nodes"), list):
            self.done.update(str(node) for node in data["nodes"][: self.nodes])
        elif kind == "executing":
            self._next(data.get("node"))
        elif kind == "progress":
            self.part = _share(data.get("value"), data.get("max"))
        elif kind in ENDS:
            self.ended.set()

    def _next(self, node: Any) -> None:
        if self.node and len(self.done) < self.nodes:
            self.done.add(self.node)
        self.running, self.part = True, 0.0
        self.node = node if isinstance(node, str) else ""


def _share(value: Any, whole: Any) -> float:
    """value / whole within 0..1; 0 for what makes no sense."""
    try:
        share = float(value) / float(whole)
    except (TypeError, ValueError, ArithmeticError):
        return 0.0
    return min(1.0, max(0.0, share)) if math.isfinite(share) else 0.0


class Events(threading.Thread):
    """Listens to one server until it is closed; connects again when the connection breaks.

    queued: prompts that the server has to do, of everybody; None while that is unknown. times: how often it connected.
    tried: set once it has connected for the first time, or failed to.
    """

    def __init__(self, url: str, client_id: str, headers: Mapping[str, str], patience: Patience) -> None:
        super().__init__(name=f"events of {url}", daemon=True)
        self.queued: int | None = None
        self.times = 0
        self.tried = threading.Event()
        self._address = f"ws{url.removeprefix('http')}/ws?clientId={client_id}"
        self._options = {"header": [f"{name}: {value}" for name, value in headers.items()]}
        if is_loopback(url):  # no proxy leads to this machine
            self._options["http_no_proxy"] = [urlsplit(url).hostname or ""]
        self._patience = patience
        self._watches: dict[str, Watch] = {}
        self._over = threading.Event()
        self._socket: Any = None

    def watch(self, prompt_id: str, nodes: int) -> Watch:
        """Begin to note what is told about a prompt."""
        self._watches[prompt_id] = watch = Watch(nodes)
        return watch

    def watched(self, prompt_id: str) -> Watch | None:
        """What was noted so far."""
        return self._watches.get(prompt_id)

    def forget(self, prompt_id: str) -> None:
        """Note no more of it."""
        self._watches.pop(prompt_id, None)

    def close(self) -> None:
        """End the thread."""
        self._over.set()
        if socket := self._socket:
            with suppress(Exception):  # it may be closing by itself, in any state
                socket.shutdown()

    def run(self) -> None:
        """The thread's work."""
        while not self._over.is_set():
            with suppress(Exception):  # whatever broke: the history decides, and the next connection is tried
                self._listen()
            self.tried.set()
            self.queued = None
            self._over.wait(self._patience.pause)

    def _listen(self) -> None:
        websocket = websocket_client()
        socket = websocket.create_connection(self._address, timeout=self._patience.connect, **self._options)
        self._socket = socket
        try:
            self.times += 1
            self.tried.set()
            socket.settimeout(QUIET)
            while not self._over.is_set():
                self._receive(socket, websocket.WebSocketTimeoutException)
        finally:
            socket.close(timeout=0)

    def _receive(self, socket: Any, quiet: type[Exception]) -> None:
        try:
            message = socket.recv()
        except quiet:
            return socket.ping()
        if message == "":
            raise ConnectionError("closed by the server")
        if isinstance(message, str):  # bytes are previews
            self._told(json.loads(message))

    def _told(self, event: Any) -> None:
        data = event.get("data") if isinstance(event, dict) else None
        if not isinstance(data, dict):
            return
        if event.get("type") == "status":
            self.queued = _queue_length(data)
        elif watch := self._watches.get(str(data.get("prompt_id"))):
            watch.take(str(event.get("type")), data)


def _queue_length(data: Mapping[str, Any]) -> int | None:
    found: Any = data
    for key in ("status", "exec_info", "queue_remaining"):
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, int) else None


def websocket_client() -> Any:
    """The library. Raises QilError where it is not installed."""
    try:
        import websocket
    except ImportError:
        raise QilError("qil run needs websocket-client: pip install websocket-client") from None
    return websocket
