"""One ComfyUI server: what it has, what it takes, what it knows about a prompt."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import quote
from uuid import uuid4

from ..errors import QilError
from .events import Events
from .faults import JobFailed, ServerLost
from .jobs import Local, Schemas
from .naming import safe_name
from .patience import STANDARD, Patience
from .web import Web

UPLOADED = "qil-"
"""What names of uploaded files begin with, so that a clean-up of the input folder can know them."""

STEM_LENGTH = 40
"""Characters of the own name that an uploaded file keeps, for people who look into the folder."""

HASH_DIGITS = 16
"""Hexadecimal digits of a file's SHA-256 in the name it is uploaded under: 64 bits."""

CONVERT = "/workflow/convert"
"""Path of the extension comfyui-workflow-to-api-converter-endpoint; ComfyUI 0.29 itself has none."""


class Queue(NamedTuple):
    """Ids of the prompts that a server runs, and of those that wait."""

    running: tuple[Any, ...]
    pending: tuple[Any, ...]

    def has(self, prompt_id: str) -> bool:
        """Whether a prompt is not finished yet."""
        return prompt_id in self.running or prompt_id in self.pending


class Server:
    """A server, for any number of threads. stop: set when the user ends the run."""

    def __init__(
        self, url: str, stop: threading.Event, headers: Mapping[str, str] | None = None, patience: Patience = STANDARD
    ) -> None:
        self.url, self.patience, self.stop = url, patience, stop
        self.client_id = str(uuid4())
        self.web = Web(url, headers or {}, patience, stop)
        self.events = Events(url, self.client_id, headers or {}, patience)
        self.versions: dict[str, str] = {}
        self._uploaded: dict[str, str] = {}
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._abandoned: set[str] = set()

    def greet(self) -> None:
        """Learn its versions. Raises QilError: it cannot be reached, or is no ComfyUI."""
        try:
            system = _mapping(_mapping(self.web.json("/system_stats")).get("system"))
        except QilError as error:
            raise QilError(f"No ComfyUI can be reached at {self.url}: {error}") from None
        if "comfyui_version" not in system:
            raise QilError(f"What answers at {self.url} is no ComfyUI: its /system_stats names no version.")
        parts = {"comfyui": "comfyui_version", "torch": "pytorch_version", "python": "python_version"}
        self.versions = {name: str(system.get(key, ""))[:80] for name, key in parts.items()}

    def schemas(self, classes: Iterable[str]) -> Schemas:
        """/object_info of the classes that it has."""
        found: dict[str, Mapping[str, Any]] = {}
        for name in sorted(set(classes)):
            info = _mapping(self.web.json(f"/object_info/{quote(name, safe='')}")).get(name)
            if isinstance(info, dict):
                found[name] = info
        return found

    def largest_upload(self) -> float | None:
        """Bytes that it takes at once; None where it does not say."""
        try:
            limit = _mapping(self.web.json("/features")).get("max_upload_size")
        except JobFailed:  # a ComfyUI from before there were features
            return None
        return limit if isinstance(limit, (int, float)) else None

    def convert(self, ui: Mapping[str, Any]) -> Any:
        """The API form of a UI form; None where the server has no extension for it. Raises QilError."""
        answer = self.web.repeated(lambda: self.web.once("POST", CONVERT, ui))
        if answer.status in (404, 405):
            return None
        if answer.status >= 400:
            raise QilError(f"{self.url} could not convert the workflow into the API form (HTTP {answer.status}).")
        return self.web.parsed(answer, CONVERT)

    def history(self, prompt_id: str) -> dict[str, Any] | None:
        """The account of a finished prompt; None before it is finished, and for an unknown one."""
        entry = _mapping(self.web.json(f"/history/{prompt_id}")).get(prompt_id)
        return entry if isinstance(entry, dict) else None

    def queue(self) -> Queue:
        """The prompts that run and those that wait, of everybody."""
        found = _mapping(self.web.json("/queue"))
        return Queue(*(tuple(_ids(found.get(f"queue_{place}"))) for place in ("running", "pending")))

    def knows(self, prompt_id: str) -> bool:
        """Whether it has a prompt. The queue is asked first: a prompt moves from there to the history, never back."""
        return self.queue().has(prompt_id) or self.history(prompt_id) is not None

    def cancel(self, prompt_id: str) -> None:
        """Take a prompt out of the queue, or interrupt it if it is the one that runs. No other prompt is touched."""
        self.web.json("/queue", post={"delete": [prompt_id]})
        if prompt_id in self.queue().running:
            self.web.json("/interrupt", post={"prompt_id": prompt_id})

    def upload(self, file: Local) -> str:
        """The name of a file in the server's input folder; it is sent only if the server lacks it.

        The name is made of the content's hash. Raises ServerLost, JobFailed.
        """
        with self._locks[file.sha256]:
            if file.sha256 not in self._uploaded:
                self._uploaded[file.sha256] = self._put(file)
            return self._uploaded[file.sha256]

    def _put(self, file: Local) -> str:
        stem = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in file.path.stem)[:STEM_LENGTH]
        name = safe_name(f"{UPLOADED}{stem}-{file.sha256[:HASH_DIGITS]}{file.path.suffix.lower()}")
        if self.web.head("/view", {"filename": name, "type": "input"}) == file.size:
            return name
        try:
            with open(file.path, "rb") as content:
                answer = _mapping(self.web.upload("/upload/image", name, content, {"type": "input"}))
        except OSError as error:
            raise JobFailed(f"{file.path} cannot be read any more: {error.strerror}.") from None
        if not isinstance(answer.get("name"), str):
            raise ServerLost(f"{self.url} did not say under which name it keeps {name}.")
        return "/".join(filter(None, (str(answer.get("subfolder") or ""), answer["name"])))

    def abandon(self, prompt_id: str) -> None:
        """Note a prompt that was given to another server, to be cancelled here should this one come back."""
        self._abandoned.add(prompt_id)

    def is_back(self) -> bool:
        """Whether a lost server answers again. Its files may be gone, and what it was lost with is cancelled."""
        with suppress(QilError):
            self.greet()
            while self._abandoned:
                self.cancel(next(iter(self._abandoned)))
                self._abandoned.pop()
            self._uploaded.clear()
            return True
        return False

    def close(self) -> None:
        """Give connections and the listening thread back."""
        self.events.close()
        self.web.close()


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _ids(items: Any) -> Iterator[Any]:
    """The prompt ids of a part of /queue, whose entries are [number, prompt_id, graph, ...]."""
    for item in items if isinstance(items, list) else ():
        if isinstance(item, list) and len(item) > 1:
            yield item[1]
