"""HTTP with one ComfyUI server: every answer is bounded in size and time, every repetition is safe.

Only what may be sent twice is tried again here. POST /prompt may not: see `prompt.submit`.
"""

from __future__ import annotations

import functools
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

from ..edit.studio_address import is_loopback
from .faults import JobFailed, ServerLost
from .patience import Patience

if TYPE_CHECKING:
    import httpx

MAX_JSON = 64_000_000
"""Bytes of a JSON answer. /object_info of one node takes up to 1 MB, a history entry holds its graph and its texts."""

MAX_FILE = 16_000_000_000
"""Bytes of an output file: above the largest PSB that anything here writes."""

MAX_TOLD = 300
"""Characters of a server's own words that an error repeats."""

PASSING = frozenset({408, 429, 500, 502, 503, 504})
"""HTTP statuses that may be another one at the next try."""


KEY_LACKING = dict.fromkeys((401, 403), ". If it wants a key, give it with --header.")


@dataclass(frozen=True)
class Answer:
    """A whole answer."""

    status: int
    body: bytes = field(repr=False)


@dataclass(frozen=True)
class Lost:
    """No whole answer came. sent: the request may have reached the server."""

    reason: str
    sent: bool


class Web:
    """One server's HTTP interface, for any number of threads. stop: once it is set nothing waits any more."""

    def __init__(self, url: str, headers: Mapping[str, str], patience: Patience, stop: threading.Event) -> None:
        import httpx

        self.url, self.patience, self.stop = url, patience, stop
        times = httpx.Timeout(patience.read, connect=patience.connect)
        sent = {"Accept-Encoding": "identity", **headers}  # packed answers could unpack to any size
        self._client = httpx.Client(verify=_tls(), timeout=times, headers=sent, trust_env=not is_loopback(url))

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def json(self, path: str, post: Mapping[str, Any] | None = None, **query: str) -> Any:
        """The JSON that a path answers with; None for an empty answer. post: sent as JSON, else it is a GET.

        Raises ServerLost, also for an answer that is no JSON, and JobFailed for a refusal.
        """
        answer = self.repeated(lambda: self.once("POST" if post is not None else "GET", path, post, query))
        if answer.status >= 400:
            raise JobFailed(f"{self.url}{path} refused: {told(answer)}{KEY_LACKING.get(answer.status, '')}")
        return self.parsed(answer, path)

    def parsed(self, answer: Answer, path: str) -> Any:
        """The JSON of an answer; None when it is empty. Raises ServerLost: a proxy's page, half an answer."""
        try:
            return json.loads(answer.body) if answer.body else None
        except (ValueError, RecursionError):
            raise ServerLost(f"{self.url}{path} answered with something other than JSON: {told(answer)}") from None

    def once(
        self, method: str, path: str, post: Any = None, query: Mapping[str, str] | None = None, files: Any = None
    ) -> Answer | Lost:
        """One request, not repeated."""
        try:
            return self._whole(method, path, json=post, params=query or None, files=files)
        except Exception as error:
            return _lost(error)

    def repeated(self, request: Callable[[], Answer | Lost]) -> Answer:
        """The first answer that is final, of patience.attempts tries. Raises ServerLost."""
        for attempt in range(self.patience.attempts):
            if attempt:
                self.pause(attempt)
            outcome = request()
            if isinstance(outcome, Answer) and outcome.status not in PASSING:
                return outcome
        raise self.lost(outcome)

    def lost(self, outcome: Answer | Lost) -> ServerLost:
        """The error for a last outcome that was no use."""
        return ServerLost(f"{self.url} is lost: {outcome.reason if isinstance(outcome, Lost) else told(outcome)}")

    def pause(self, attempt: int) -> None:
        """Wait before a repetition; shorter when the user stops the run."""
        self.stop.wait(self.patience.pause * 2 ** (attempt - 1))

    @contextmanager
    def stream(self, path: str, query: Mapping[str, str]) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Status and pieces of a GET's answer, up to MAX_FILE bytes. Raises ServerLost when it breaks off."""
        try:
            with self._client.stream("GET", self.url + path, params=query) as response:
                yield response.status_code, self._pieces(response, MAX_FILE)
        except TooLarge as error:
            raise JobFailed(f"{self.url}{path}: {error}.") from None
        except Exception as error:
            raise self.lost(_lost(error)) from None

    def head(self, path: str, query: Mapping[str, str]) -> int | None:
        """Size in bytes of what a path holds; None when there is nothing. Raises ServerLost."""
        sizes: list[int | None] = []

        def ask() -> Answer | Lost:
            try:
                response = self._client.head(self.url + path, params=query)
            except Exception as error:
                return _lost(error)
            length = response.headers.get("content-length", "")
            sizes.append(int(length) if response.status_code == 200 and length.isdigit() else None)
            return Answer(response.status_code, b"")

        self.repeated(ask)
        return sizes[-1]

    def upload(self, path: str, name: str, file: IO[bytes], fields: Mapping[str, str]) -> Any:
        """Send a file under a name; the answer's JSON. Safe to repeat: the server compares contents."""

        def send() -> Answer | Lost:
            file.seek(0)
            try:
                return self._whole("POST", path, files={"image": (name, file)}, data=fields)
            except Exception as error:
                return _lost(error)

        answer = self.repeated(send)
        if answer.status >= 400:
            raise JobFailed(f"{self.url} does not take the file {name}: {told(answer)}")
        return self.parsed(answer, path)

    def _whole(self, method: str, path: str, **more: Any) -> Answer:
        with self._client.stream(method, self.url + path, **more) as response:
            return Answer(response.status_code, b"".join(self._pieces(response, MAX_JSON)))

    def _pieces(self, response: httpx.Response, limit: int) -> Iterator[bytes]:
        end, size = time.monotonic() + self.patience.whole, 0
        for piece in response.iter_bytes():
            size += len(piece)
            if size > limit:
                raise TooLarge(f"the answer is larger than {limit / 1e6:g} MB")
            if time.monotonic() > end:
                raise TooLarge(f"no whole answer within {self.patience.whole:g} s")
            yield piece


@functools.cache
def _tls() -> ssl.SSLContext:
    """Reading the certificates takes longer than a request."""
    import httpx

    return httpx.create_ssl_context()


class TooLarge(Exception):
    """An answer that is not waited for to its end."""


def _lost(error: Exception) -> Lost:
    """What an exception of httpx, or of the layers below it, means; any other one is a fault of ours and comes through.

    Only a connection that was never made has surely sent nothing.
    """
    import httpx

    if not isinstance(error, (httpx.TransportError, httpx.InvalidURL, httpx.DecodingError, TooLarge)):
        raise error
    unsent = isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol))
    return Lost(f"{type(error).__name__}: {error}"[:MAX_TOLD], not unsent)


def told(answer: Answer) -> str:
    """Status and the beginning of an answer, for an error."""
    text = " ".join(answer.body[: 4 * MAX_TOLD].decode(errors="replace").split())
    return f"HTTP {answer.status} {text[:MAX_TOLD]}".rstrip()
