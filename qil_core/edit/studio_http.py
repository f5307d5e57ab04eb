"""HTTP for Model Studio's client: the pace, time-outs, repeats that cannot cost twice, and a way to give up."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import random
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

from ..progress import Progress
from .studio_address import is_loopback

POLL = 0.1
"""Seconds between two calls of progress while waiting."""
FAREWELL = 0.5
"""Seconds that a cancelled request has for closing its connection; with POLL well under a second."""
Clean = Callable[[str], str]
"""Takes secrets out of a text."""
PIECE = 1 << 16
"""Bytes of a request body that are sent at once."""
REQUEST_IDS = ("x-request-id", "x-acs-request-id")


class Limiter:
    """Spaces requests evenly; may be shared between threads."""

    def __init__(self, interval: float) -> None:
        """interval: seconds between the starts of two requests."""
        self._interval = interval
        self._free = float("-inf")
        self._lock = threading.Lock()

    def reserve(self, now: float) -> float:
        """Take the next place; the seconds to wait for it."""
        with self._lock:
            start = max(now, self._free)
            self._free = start + self._interval
        return start - now


LIMITER = Limiter(0.5)
"""Model Studio takes two requests a second of an account: all editors of this process share them."""


@dataclass(frozen=True)
class Clock:
    """now: monotonic seconds. sleep: wait as many."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True)
class Patience:
    """How long to wait, in seconds, and how often to try.

    connect: for a connection. send: for a piece of the request to go out. read: the longest silence of the server, so
    also how long a picture may take. total: a request with all its repeats. download: a picture with all its repeats.
    attempts: a request is sent that often at most. backoff: the first pause; each further one is twice as long.
    """

    connect: float = 15
    send: float = 60
    read: float = 240
    total: float = 300
    download: float = 120
    attempts: int = 5
    backoff: float = 1.0


@dataclass(frozen=True)
class Answer:
    """What a server answered. retry_after: seconds, 0 without that header. request_id: "" without such a header."""

    status: int
    body: bytes = field(repr=False)
    retry_after: float = 0
    request_id: str = ""


@dataclass(frozen=True)
class Lost:
    """No whole answer came. sent: the whole request had gone out. again: another try can help."""

    reason: str
    sent: bool
    again: bool = False


@dataclass(frozen=True)
class Ask:
    """A request. limit: bytes that an answer may have. clean: for texts of errors. what: it is, for people."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    limit: int
    clean: Clean
    what: str


def repeatable(outcome: Answer | Lost) -> bool:
    """Whether to ask again for something that costs nothing."""
    if isinstance(outcome, Lost):
        return outcome.again
    return outcome.status == 429 or outcome.status >= 500


def uncharged(outcome: Answer | Lost) -> bool:
    """Whether to ask again for something that is charged: only if the last request surely was not.

    A refusal (429, 5xx) is not charged, nor is a request that did not go out whole. After a lost connection nobody
    knows; so it is with a gateway's 504 without the API's own JSON: behind it the picture may have been made.
    """
    if isinstance(outcome, Lost):
        return outcome.again and not outcome.sent
    return repeatable(outcome) and not (outcome.status == 504 and not outcome.body.lstrip().startswith(b"{"))


@dataclass(frozen=True)
class Caller:
    """Sends requests and waits for answers, so that progress is called every 0.1 s and may stop it at any time."""

    patience: Patience
    clock: Clock
    progress: Progress

    def call(
        self, ask: Ask, seconds: float, again: Callable[[Answer | Lost], bool], limiter: Limiter | None = None
    ) -> Answer | Lost:
        """The last outcome of up to patience.attempts tries in these seconds. What progress raises comes through."""
        deadline = self.clock.now() + seconds
        for attempt in range(self.patience.attempts):
            if limiter:
                self._pause(limiter.reserve(self.clock.now()), f"{ask.what}: waiting for its turn")
            outcome = self._once(ask, deadline, seconds)
            pause = self.patience.backoff * 2**attempt * random.uniform(0.5, 1)
            pause = max(pause, outcome.retry_after if isinstance(outcome, Answer) else 0)
            last = attempt + 1 == self.patience.attempts
            if last or not again(outcome) or self.clock.now() + pause > deadline:
                break
            self._pause(pause, f"{ask.what}: try {attempt + 1} failed, trying again soon")
        return outcome

    def _once(self, ask: Ask, deadline: float, seconds: float) -> Answer | Lost:
        exchange, started = Exchange(ask, self.patience), self.clock.now()
        exchange.start()
        try:
            while not exchange.done(POLL):
                now = self.clock.now()
                self.progress(0, f"{ask.what}: {now - started:.0f} s")
                if now > deadline:
                    exchange.hang_up()
                    return Lost(f"no whole answer within {seconds:g} s", exchange.sent)
        finally:
            exchange.hang_up()
        return exchange.outcome

    def _pause(self, seconds: float, what: str) -> None:
        end = self.clock.now() + seconds
        while (left := end - self.clock.now()) > 0:
            self.progress(0, what)
            self.clock.sleep(min(left, POLL))


class Exchange(threading.Thread):
    """One request and its answer, in a thread with an event loop and a client of its own.

    Nothing is carried over to the next one. It is given up by cancelling its task, which closes the connection.
    httpx is caught at the door: its errors become texts without secrets, and what it logs (addresses that are keys
    themselves, headers) goes nowhere.
    """

    def __init__(self, ask: Ask, patience: Patience) -> None:
        super().__init__(name="model-studio", daemon=True)
        self.outcome: Answer | Lost = Lost("given up", sent=False)
        self.sent = False
        self._ask, self._patience = ask, patience
        self._loop = asyncio.new_event_loop()
        self._over = False

    def done(self, seconds: float) -> bool:
        """Whether the outcome is there, after waiting at most that long."""
        self.join(seconds)
        return not self.is_alive()

    def hang_up(self) -> None:
        """End it, and wait a moment for that. Only a name server can hold the thread longer; nothing is sent then."""
        if self.is_alive():
            with contextlib.suppress(RuntimeError):  # the loop has closed since
                self._loop.call_soon_threadsafe(self._cancel)
            self.join(FAREWELL)

    def run(self) -> None:
        """The thread's work: fills `outcome`."""
        hush()
        try:
            self.outcome = self._loop.run_until_complete(self._cancellable())
        finally:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()  # unlike asyncio.run, without waiting for a name server

    def _cancel(self) -> None:
        self._over = True
        for task in asyncio.all_tasks(self._loop):
            task.cancel()

    async def _cancellable(self) -> Answer | Lost:
        try:
            if self._over:  # before there was a task to cancel
                return self.outcome
            return await self._exchange()
        except asyncio.CancelledError:
            return Lost("given up", self.sent)
        except Exception as error:  # httpx and the layers under it have no common base
            reason = f"{type(error).__name__}: {self._ask.clean(str(error))}"
            return Lost(reason[:300], self.sent, again=_passing(error))

    async def _exchange(self) -> Answer | Lost:
        import httpx

        ask, patience = self._ask, self._patience
        times = httpx.Timeout(patience.connect, write=patience.send, read=patience.read)
        proxies = not is_loopback(ask.url)  # no proxy leads to this machine
        headers = {"Accept-Encoding": "identity", **ask.headers}
        if ask.body:
            headers["Content-Length"] = str(len(ask.body))
        data = self._pieces() if ask.body else None
        async with (
            httpx.AsyncClient(verify=_tls(), timeout=times, trust_env=proxies, follow_redirects=False) as client,
            client.stream(ask.method, ask.url, headers=headers, content=data) as response,
        ):
            return await self._receive(response)

    async def _pieces(self) -> AsyncIterator[bytes]:
        """The body piece by piece: when the last one is written, the request may be carried out and charged."""
        data = memoryview(self._ask.body)
        for start in range(0, len(data), PIECE):
            yield bytes(data[start : start + PIECE])
        self.sent = True

    async def _receive(self, response: Any) -> Answer | Lost:
        import httpx

        failed, limit, data = response.status_code >= 400, self._ask.limit, bytearray()
        if response.headers.get("content-encoding", "identity") not in ("identity", "gzip"):
            return Lost("the answer is packed in a way that was not asked for", self.sent)
        try:
            async for chunk in response.aiter_bytes():
                data += chunk[: limit + 1 - len(data)]
                if len(data) > limit:
                    break
        except httpx.RequestError:
            if not failed:  # of a failure the status is enough
                raise
        if len(data) > limit and not failed:
            return Lost(f"the answer is larger than {limit / 1e6:g} MB", self.sent)
        return Answer(response.status_code, bytes(data), _retry_after(response.headers), _request_id(response.headers))


def _passing(error: Exception) -> bool:
    """Whether an error may go away by itself."""
    import httpx

    return isinstance(error, (httpx.NetworkError, httpx.TimeoutException, httpx.RemoteProtocolError, httpx.ProxyError))


@functools.cache
def _tls() -> ssl.SSLContext:
    """Reading the certificates takes longer than a request."""
    import httpx

    return httpx.create_ssl_context()


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that a server asks to wait, given as a number or as a date; 0 where it says nothing that makes sense."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit() and len(text) < 8:
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return 0.0


def _request_id(headers: Mapping[str, str]) -> str:
    return next((headers[name] for name in REQUEST_IDS if headers.get(name)), "")


def _elsewhere(record: logging.LogRecord) -> bool:
    return not isinstance(threading.current_thread(), Exchange)


def hush() -> None:
    """Drop what httpx and httpcore log in our threads; other users of them keep their logs."""
    for name in ("httpx", *(f"httpcore.{part}" for part in ("connection", "http11", "http2", "proxy", "socks"))):
        logging.getLogger(name).addFilter(_elsewhere)
