"""A prompt on a server: queued exactly once, followed until the history has it.

Why nothing runs twice: the id of a prompt is chosen here, before it is sent. When the answer to POST /prompt is lost,
nobody knows whether the server has queued it, and ComfyUI queues a second prompt of the same id as readily as the
first. So it is sent again only after the server's queue and history were found without that id, or when no connection
had been made at all. Should a first request still arrive after that, it is cancelled once the result is there.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from ..errors import QilError
from .events import Watch
from .faults import JobFailed, ServerLost, Stopped
from .server import Server
from .web import MAX_TOLD, PASSING, Answer, told
from .workflow import Graph

MAX_ERROR = 2000
"""Characters of a node's error that are kept."""

FILED = 5.0
"""Seconds within which the history has a prompt after its last event; ComfyUI 0.29 takes a few milliseconds."""

FILED_POLL = 0.05
"""Seconds between looks at the history meanwhile."""

TICK = 0.2
"""Seconds within which a request to stop is heard."""


class Prompt:
    """One graph on one server. limit: seconds that it may run, and that the queue may stand still before it."""

    def __init__(self, server: Server, prompt_id: str, graph: Graph, limit: float) -> None:
        self.id, self._server, self._graph, self._limit = prompt_id, server, graph, limit
        self._uncertain = False
        self._running: Any = None
        self._seen: Any = None
        self._since = time.monotonic()

    def run(self) -> dict[str, Any]:
        """Queue it and wait for its end: the history's entry, of a success.

        Raises JobFailed with the node's error, ServerLost, and Stopped after it was cancelled.
        """
        watch = self._server.events.watch(self.id, len(self._graph))
        try:
            self._submit()
            entry = self._follow(watch)
        finally:
            self._server.events.forget(self.id)
        if self._uncertain:
            with suppress(QilError):  # the result is there, whatever becomes of the server
                self._server.cancel(self.id)
        _check_success(entry, self._graph)
        return entry

    def _submit(self) -> None:
        web = self._server.web
        body = {"prompt": self._graph, "prompt_id": self.id, "client_id": self._server.client_id}
        for attempt in range(web.patience.attempts):
            if attempt:
                web.pause(attempt)
                if self._uncertain and self._server.knows(self.id):
                    return
            self._stop_asked()
            outcome = web.once("POST", "/prompt", body)
            if isinstance(outcome, Answer) and outcome.status not in PASSING:
                return self._accepted(outcome)
            self._uncertain |= isinstance(outcome, Answer) or outcome.sent
        if self._uncertain and self._server.knows(self.id):
            return
        if isinstance(outcome, Answer) and outcome.status == 500:  # what ComfyUI answers when a graph breaks its checks
            raise JobFailed(f"The server could not read the graph: {told(outcome)}.")
        raise web.lost(outcome)

    def _accepted(self, answer: Answer) -> None:
        """Raises JobFailed for a refusal, even of only some of the graph's outputs; ServerLost for no real answer."""
        if answer.status != 200:
            raise JobFailed(_refusal(_json(answer), self._graph) or f"The server refused the graph: {told(answer)}.")
        data = self._server.web.parsed(answer, "/prompt")
        if not isinstance(data, dict) or data.get("prompt_id") != self.id:
            raise ServerLost(f"{self._server.url} did not take the job under the id that was sent: {told(answer)}")
        if data.get("node_errors"):
            self._server.cancel(self.id)
            raise JobFailed(_refusal(data, self._graph))

    def _follow(self, watch: Watch) -> dict[str, Any]:
        """Wait for the history's entry; while there is none, look now and then whether the queue has the prompt."""
        patience, events = self._server.patience, self._server.events
        asked = looked = time.monotonic()
        connection = events.times
        while True:
            self._stop_asked()
            if watch.ended.wait(TICK) and (entry := self._filed()):
                return entry
            watch.ended.clear()
            now = time.monotonic()
            if now - asked >= patience.poll:
                asked = now
                if entry := self._server.history(self.id):
                    return entry
            if now - looked >= patience.look or connection != events.times:
                looked, connection = now, events.times
                self._running = self._look()
            self._check_time(self.id if watch.running else self._running, now)

    def _check_time(self, running: Any, now: float) -> None:
        """Raises JobFailed for a job that runs too long, and ServerLost for one that waits while nothing moves.

        running: the prompt, this one or another, that the server is busy with.
        """
        if running != self._seen:
            self._seen, self._since = running, now
        if now - self._since <= self._limit:
            return
        self._server.cancel(self.id)
        if running == self.id:
            raise JobFailed(f"It still ran after {self._limit:g} s and was interrupted; --timeout sets the limit.")
        raise ServerLost(f"{self._server.url} did not get to the job: its queue stood still for {self._limit:g} s.")

    def _filed(self) -> dict[str, Any] | None:
        """The history's entry, which is filed a moment after the last event."""
        end = time.monotonic() + FILED
        while not (entry := self._server.history(self.id)) and time.monotonic() < end:
            self._server.stop.wait(FILED_POLL)
        return entry

    def _look(self) -> Any:
        """The prompts that run. Raises ServerLost when this one is nowhere: the server was started anew, or cleared."""
        queue = self._server.queue()
        if not queue.has(self.id) and self._server.history(self.id) is None:
            raise ServerLost(f"{self._server.url} no longer knows the job: it was started anew, or its queue cleared.")
        return self.id if self.id in queue.running else queue.running

    def _stop_asked(self) -> None:
        if self._server.stop.is_set():
            raise Stopped


def _json(answer: Answer) -> Any:
    """What a refusal says in ComfyUI's way; None for a proxy's page."""
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        return None


def _check_success(entry: Mapping[str, Any], graph: Graph) -> None:
    """Raises JobFailed with the error of the node that failed."""
    status = entry.get("status")
    if not isinstance(status, dict) or status.get("status_str") == "success":
        return
    for kind, data in _events(status):
        if kind == "execution_error":
            said = str(data.get("exception_message", "")).strip() or str(data.get("exception_type", "an error"))
            raise JobFailed(f"{_title(graph, data.get('node_id'))}: {said[:MAX_ERROR]}")
        if kind == "execution_interrupted":
            raise JobFailed(f"{_title(graph, data.get('node_id'))}: somebody interrupted it on the server.")
    raise JobFailed("The server says that it failed, and not why.")


def _events(status: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    messages = status.get("messages")
    for message in messages if isinstance(messages, list) else ():
        if isinstance(message, list) and len(message) == 2 and isinstance(message[1], dict):
            yield str(message[0]), message[1]


def _refusal(data: Any, graph: Graph) -> str:
    """What a refusal says about each node; empty when it says nothing in ComfyUI's way."""
    if not isinstance(data, dict):
        return ""
    nodes = data.get("node_errors")
    said = [
        f"{_title(graph, node)}: {_reason(reason)}"
        for node, found in (nodes.items() if isinstance(nodes, dict) else ())
        for reason in (found.get("errors", []) if isinstance(found, dict) else ())
    ]
    return "; ".join(said)[: 4 * MAX_TOLD] or _reason(data.get("error"))


def _reason(reason: Any) -> str:
    if not isinstance(reason, dict):
        return ""
    return ": ".join(str(reason[key])[:MAX_TOLD] for key in ("message", "details") if reason.get(key))


def _title(graph: Graph, node: Any) -> str:
    """A node of an error by id and title; a node that another one made at run time has only an id."""
    found = graph.get(str(node))
    meta = found.get("_meta") if found else None
    title = (meta.get("title") if isinstance(meta, dict) else None) or (found or {}).get("class_type", "")
    return f"{node} ({title})" if title else f"node {node}"
