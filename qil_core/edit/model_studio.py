"""Qwen-Image-Edit over Alibaba's Model Studio (DashScope).

The `dashscope` package is not used: it is synchronous, cannot be given up in the middle, repeats by its own rules and
logs what it sends; httpx lets each of these be decided here.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from torch import Tensor

from ..errors import QilError
from ..progress import Progress, part
from ..request import one_of, within
from ..stack import check_image
from . import MAX_PICTURES, MAX_VARIANTS, Edited, EditRequest
from .studio_http import LIMITER, Ask, Caller, Clean, Clock, Limiter, Lost, Patience, repeatable, uncharged
from .studio_key import Key, read_key
from .studio_pictures import data_uri, decode, letterbox, native_size
from .studio_reply import Reply, quote, read_reply

SINGLE = "qwen-image-edit"
"""The one model that makes one picture, in a size of its own, from the words as they are."""
MODELS = ("qwen-image-edit-plus", "qwen-image-edit-plus-2025-10-30", SINGLE)
REGIONS = {"Singapore": "https://dashscope-intl.aliyuncs.com", "Beijing": "https://dashscope.aliyuncs.com"}
PATH = "/api/v1/services/aigc/multimodal-generation/generation"
LONGEST_TEXT, LONGEST_NEGATIVE = 800, 500
LARGEST_ANSWER, LARGEST_PICTURE = 1_000_000, 64_000_000


class ModelStudio:
    """An Editor that asks Model Studio. EditRequest's steps and true_cfg_scale are not sent: the API has neither.

    The first picture is edited. The API gives its pictures the aspect of the last one, so: for one variant of a plus
    model the size is asked for, else the last picture is padded to the first one's aspect. For variants > 1 the API
    makes all of them from the one seed.

    The key is read when an edit begins and forgotten when it ends; nothing else keeps it. Requests are repeated only
    if they were surely not charged (studio_http.uncharged); downloads are repeated freely.
    """

    label: str

    def __init__(
        self,
        model: str = MODELS[0],
        region: str = "Singapore",
        base_url: str = "",
        key_file: Path | None = None,
        prompt_extend: bool = True,
        watermark: bool = False,
        patience: Patience | None = None,
        clock: Clock | None = None,
        limiter: Limiter = LIMITER,
    ) -> None:
        """region: "Singapore" or "Beijing". base_url: instead of a region, https unless it is on this machine.

        key_file: a file with the key in it, mode 600; None reads the environment variable DASHSCOPE_API_KEY.
        prompt_extend: let the API improve the words (not for qwen-image-edit). watermark: "Qwen-Image" in a corner.
        Raises QilError: an unknown model or region, another kind of address.
        """
        one_of("The model", model, MODELS)
        one_of("The region", region, tuple(REGIONS))
        self._base = check_base(base_url) if base_url else REGIONS[region]
        self.label = f"{model} (Model Studio, {urlsplit(self._base).hostname if base_url else region})"
        self._model, self._key_file = model, key_file
        self._extend, self._watermark = prompt_extend, watermark
        self._patience, self._clock, self._limiter = patience or Patience(), clock or Clock(), limiter

    def __repr__(self) -> str:
        return f"ModelStudio({self.label!r})"

    def native_size(self, width: int, height: int) -> tuple[int, int]:
        """About 1024x1024 pixels in the aspect width : height, sides 512..2048 in steps of 16.

        qwen-image-edit and requests for several variants come back in about this size: there the API rounds by itself.
        Raises QilError when one side is more than 4 times the other.
        """
        return native_size(width, height)

    def edit(self, pictures: Sequence[Tensor], request: EditRequest, progress: Progress) -> Edited:
        """request.variants pictures made of 1..3 pictures, float32 (H, W, 3) in [0, 1]; the first one is edited.

        Where some of them do not come, the others do, with a note. Raises QilError: a limit of the API (before
        anything is sent), no key, no connection, a refusal, or no picture at all.
        """
        given = check_pictures(pictures)
        check_request(request, self._model)
        key = read_key(self._key_file)
        progress(0, "Model Studio: preparing pictures")
        body, notes = self._body(given, request, progress)
        clean = key.redact
        ask = Ask("POST", self._base + PATH, _headers(key), body, LARGEST_ANSWER, clean, "Model Studio")
        caller = Caller(self._patience, self._clock, part(progress, 0.1, 0.8))
        outcome = caller.call(ask, self._patience.total, uncharged, self._limiter)
        reply = read_reply(outcome, clean)
        fetched, missing = self._fetch(reply, request.variants, clean, part(progress, 0.8, 1.0))
        progress(1.0, "done")
        return Edited(fetched, (*notes, *missing, f"Model Studio's request_id: {reply.request_id}."))

    def _body(self, pictures: list[Tensor], request: EditRequest, progress: Progress) -> tuple[bytes, list[str]]:
        """The request's JSON, and notes on what was done to the pictures."""
        height, width, _ = pictures[0].shape
        sized = self._model != SINGLE and request.variants == 1
        size = native_size(width, height)
        notes = []
        if len(pictures) > 1 and not sized:
            padded = letterbox(pictures[-1], width, height)
            if padded is not pictures[-1]:
                pictures = [*pictures[:-1], padded]
                notes.append(
                    f"Picture {len(pictures)} was padded to the aspect of picture 1: the answer's is the last's."
                )
        content: list[dict[str, str]] = []
        for i, picture in enumerate(pictures):
            progress(0.1 * i / len(pictures), f"Model Studio: preparing picture {i + 1}")
            uri, changed = data_uri(picture, f"Picture {i + 1}")
            content.append({"image": uri})
            notes += changed
        content.append({"text": request.instruction})
        body = {
            "model": self._model,
            "input": {"messages": [{"role": "user", "content": content}]},
            "parameters": self._parameters(request, size if sized else None),
        }
        return json.dumps(body, ensure_ascii=False).encode(errors="replace"), notes

    def _parameters(self, request: EditRequest, size: tuple[int, int] | None) -> dict[str, Any]:
        parameters: dict[str, Any] = {"n": request.variants, "watermark": self._watermark, "seed": request.seed}
        if request.negative_prompt:
            parameters["negative_prompt"] = request.negative_prompt
        if self._model != SINGLE:
            parameters["prompt_extend"] = self._extend
        if size:
            parameters["size"] = f"{size[0]}*{size[1]}"
        return parameters

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
        address = result_address(url, loopback=is_loopback(self._base))
        if address is None or clean(address) != address:
            return "Model Studio gave an address that is not asked for safety's sake"
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


def check_pictures(pictures: Sequence[Tensor]) -> list[Tensor]:
    """1 to 3 pictures, float32 (H, W, 3). Raises QilError."""
    within("The number of pictures", len(pictures), 1, MAX_PICTURES)
    return [check_image(picture[None], channels=(3,))[0] for picture in pictures]


def check_request(request: EditRequest, model: str) -> None:
    """QilError for what the API would refuse or cut off, before it is sent."""
    request.check()
    _at_most("The instruction", request.instruction, LONGEST_TEXT)
    _at_most("The negative prompt", request.negative_prompt, LONGEST_NEGATIVE)
    most = 1 if model == SINGLE else MAX_VARIANTS
    if request.variants > most:
        raise QilError(f"{model} makes 1 picture at a time, got {request.variants} variants: use {MODELS[0]}.")


def _at_most(what: str, text: str, limit: int) -> None:
    if len(text) > limit:
        raise QilError(f"{what} has {len(text)} characters, Model Studio takes {limit}: shorten it.")


def check_base(url: str) -> str:
    """The address that the API's paths are put behind. Raises QilError: not https (except on this machine), a user."""
    parts = _split(url)
    secure = parts and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(url)))
    if not parts or not secure or parts.query or parts.fragment:
        raise QilError(
            "The address of Model Studio must look like https://dashscope-intl.aliyuncs.com, without user, password or "
            "query; http:// is for this machine only."
        )
    return url.rstrip("/").removesuffix("/api/v1")


def result_address(url: str, loopback: bool) -> str | None:
    """Where a picture is fetched from, always encrypted; on this machine only if the API is there too. None: nowhere.

    http becomes https: the storage serves both, and the signature in the address covers neither.
    """
    parts = _split(url)
    if not parts or parts.scheme not in ("http", "https"):
        return None
    if is_loopback(url):
        return url if loopback else None
    if parts.scheme == "http" and parts.port:  # nobody knows where it would be encrypted
        return None
    return parts._replace(scheme="https").geturl()


def _split(url: str) -> Any:
    """The parts of an address; None where it is none, or holds a user, which httpx would send as authorization."""
    try:
        parts = urlsplit(url)
        sound = parts.hostname and parts.port != 0 and "@" not in parts.netloc
    except ValueError:
        return None
    return parts if sound and url.isprintable() and " " not in url else None


def is_loopback(url: str) -> bool:
    """Whether an address is on this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
