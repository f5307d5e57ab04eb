"""Qwen-Image-Edit over Alibaba's Model Studio (DashScope).

The `dashscope` package is not used: it is synchronous, cannot be given up in the middle, repeats by its own rules and
logs what it sends; httpx lets each of these be decided here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from torch import Tensor

from ..edit_request import EditRequest
from ..errors import QilError
from ..progress import Progress, part
from ..request import one_of
from . import Edited
from .studio_address import REGIONS, base_address, result_address
from .studio_http import LIMITER, Ask, Caller, Clean, Clock, Limiter, Lost, Patience, repeatable, uncharged
from .studio_key import Key, read_key
from .studio_pictures import decode, native_size
from .studio_reply import Reply, quote, read_reply
from .studio_request import PATH, Options, body, check

LARGEST_ANSWER = 1_000_000
"""Bytes of an answer in JSON; a usual one has about one thousand."""

LARGEST_PICTURE = 64_000_000
"""Bytes of a picture that is fetched; 2048x2048 pixels of noise are 13 million in a PNG."""


class ModelStudio:
    """An Editor that asks Model Studio. EditRequest's steps and true_cfg_scale are not sent: the API has neither.

    The first picture is edited. The API gives its pictures the aspect of the last one, so: for one variant of a model
    that takes a size the size is asked for, else the last picture is padded to the first one's aspect. For
    variants > 1 the API makes all of them from the one seed.

    The key is read when an edit begins and forgotten when it ends; nothing else keeps it. Requests are repeated only
    if they were surely not charged (studio_http.uncharged); downloads are repeated freely.
    """

    label: str

    def __init__(
        self,
        options: Options | None = None,
        region: str = "Singapore",
        base_url: str = "",
        key_file: Path | None = None,
        patience: Patience | None = None,
        clock: Clock | None = None,
        limiter: Limiter = LIMITER,
    ) -> None:
        """region: "Singapore" or "Beijing". base_url: instead of a region, an address that `base_address` allows.

        key_file: a file with the key in it, mode 600; None reads the environment variable DASHSCOPE_API_KEY.
        Raises QilError: an unknown region, another kind of address, one to which the key may not go.
        """
        one_of("The region", region, tuple(REGIONS))
        self._base = base_address(base_url) if base_url else REGIONS[region]
        self._options, self._key_file = options or Options(), key_file
        where = urlsplit(self._base).hostname if base_url else region
        self.label = f"{self._options.model} (Model Studio, {where})"
        self._patience, self._clock, self._limiter = patience or Patience(), clock or Clock(), limiter

    def __repr__(self) -> str:
        return f"ModelStudio({self.label!r})"

    def check_key(self) -> None:
        """QilError when there is no key that could be sent; nothing is sent."""
        read_key(self._key_file)

    def native_size(self, width: int, height: int) -> tuple[int, int]:
        """The size of the options in the aspect width : height, sides 512..2048 in steps of 16.

        Where no size is sent the API gives about this size and rounds by itself.
        Raises QilError: one side is more than 4 times the other, or the options' exact size has another aspect.
        """
        return native_size(width, height, self._options.output)

    def edit(self, pictures: Sequence[Tensor], request: EditRequest, progress: Progress) -> Edited:
        """request.variants pictures made of 1..3 pictures, float32 (H, W, 3) in [0, 1]; the first one is edited.

        Where some of them do not come, the others do, with a note. Raises QilError: a limit of the API (before
        anything is sent), no key, no connection, a refusal, or no picture at all.
        """
        given = check(pictures, request, self._options)
        key = read_key(self._key_file)
        progress(0, "Model Studio: preparing pictures")
        data, notes = body(given, request, self._options, part(progress, 0, 0.1))
        clean = key.redact
        ask = Ask("POST", self._base + PATH, _headers(key), data, LARGEST_ANSWER, clean, "Model Studio")
        caller = Caller(self._patience, self._clock, part(progress, 0.1, 0.8))
        outcome = caller.call(ask, self._patience.total, uncharged, self._limiter)
        reply = read_reply(outcome, clean)
        fetched, missing = self._fetch(reply, request.variants, clean, part(progress, 0.8, 1.0))
        progress(1.0, "done")
        told = f"{reply.usage} Model Studio's request_id: {reply.request_id}.".strip()
        return Edited(fetched, (*notes, *missing, told))

    def _fetch(
        self, reply: Reply, wanted: int, clean: Clean, progress: Progress
    ) -> tuple[tuple[Tensor, ...], list[str]]:
        """The pictures of a reply, and notes on those that are missing. Raises QilError when not one comes."""
        pictures, missing = [], []
        urls = reply.urls[:wanted]
        for i, url in enumerate(urls):
            found = self._download(url, clean, part(progress, i / len(urls), (i + 1) / len(urls)))
            if isinstance(found, str):
                missing.append(f"Picture {i + 1} of {len(urls)} was made but did not come: {found}.")
            else:
                pictures.append(found)
        if not pictures:
            raise QilError("\n".join([*missing, f"They have been charged. request_id: {reply.request_id}."]))
        if len(reply.urls) != wanted:
            missing.append(f"Model Studio made {len(reply.urls)} of {wanted} pictures; {len(pictures)} are here.")
        return tuple(pictures), missing

    def _download(self, url: str, clean: Clean, progress: Progress) -> Tensor | str:
        """A picture, or why it did not come."""
        address = result_address(url)
        if address is None or clean(address) != address:
            return f"Model Studio gave an address that is not asked for safety's sake ({_host(url, clean)})"
        caller = Caller(self._patience, self._clock, progress)
        ask = Ask("GET", address, {}, b"", LARGEST_PICTURE, clean, "Model Studio: downloading")
        outcome = caller.call(ask, self._patience.download, repeatable)
        if isinstance(outcome, Lost):
            return f"the download failed ({outcome.reason})"
        if outcome.status in (403, 404):
            return f"its address has expired or is wrong (HTTP {outcome.status}); pictures are kept for 24 hours"
        if outcome.status != 200:
            return f"the download was answered with HTTP {outcome.status}"
        try:
            return decode(outcome.body)
        except QilError as error:
            start = quote(outcome.body[:80].decode("ascii", "replace"), clean)
            return f"{clean(str(error))}; the file begins with {start!r}"


def _headers(key: Key) -> dict[str, str]:
    return {"Content-Type": "application/json", **key.authorization()}


def _host(url: str, clean: Clean) -> str:
    """The host of an address for people, without what is signed and without the key."""
    try:
        return quote(urlsplit(clean(url)).hostname or "no host", clean)
    except ValueError:
        return "no address"
