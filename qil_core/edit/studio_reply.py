"""What Model Studio answers: the pictures' addresses, or a refusal in its own words."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from ..errors import QilError
from .studio_http import Answer, Clean, Lost

LONGEST_QUOTE = 300
"""Characters of a server's own words in a message."""

HINTS = {
    "InvalidApiKey": "Check the key, and that it was made for this region: a key belongs to one region.",
    "Arrearage": "The account has to be paid up in Alibaba Cloud's console.",
    "Throttling.AllocationQuota": "The account's quota of this model is used up: wait until it is renewed, or ask for "
    "a larger one in Model Studio's console.",
    "Throttling": "The account's limit is reached: wait, or ask for a larger quota in Model Studio's console.",
    "AllocationQuota.FreeTierOnly": "The free pictures are used up. The console can allow others, which are charged.",
    "DataInspectionFailed": "The content check refused the words or a picture: change them.",
    "IPInfringementSuspect": "The content check sees a protected work in the words or a picture: change them.",
    "ModelNotFound": "The region has no model of this name: check the name and the region in Model Studio's list.",
    "Model.AccessDenied": "The key's workspace may not use this model: allow it in Model Studio's console.",
    "AccessDenied.Unpurchased": "Model Studio has to be activated for this account in Alibaba Cloud's console.",
    "AccessDenied": "The account or the key's workspace may not use this model: see Model Studio's console.",
    "InvalidURL": "Model Studio could not read the address of a picture: it must be public.",
    "InvalidParameter": "Model Studio does not take a value that was sent: see its own words.",
}
"""What to do, by how the error's code begins, longer beginnings first (Model Studio's "Error codes", 2026). The API
also writes codes in lower case with underscores; they are compared without regard to that."""

CHARGED = "The pictures may have been made and charged, so they are not asked for again by themselves."


@dataclass(frozen=True)
class Reply:
    """What a successful answer says: addresses of pictures, the request's id, and what was counted, for people."""

    urls: tuple[str, ...]
    request_id: str
    usage: str = ""


def read_reply(outcome: Answer | Lost, clean: Clean) -> Reply:
    """The pictures that were made. clean: takes the key out of texts. Raises QilError, with the server's own words."""
    if isinstance(outcome, Lost):
        raise QilError(_lost(outcome))
    said = parse(outcome.body)
    request_id = quote(said.get("request_id") or outcome.request_id or "(none)", clean)
    if outcome.status != 200 or (said.get("code") and not said.get("output")):
        raise QilError(_refused(outcome, said, request_id, clean))
    urls = picture_urls(said)
    if not urls:
        start = quote(outcome.body.decode("utf-8", "replace"), clean)
        raise QilError(
            f"Model Studio's answer holds no picture. {CHARGED} request_id: {request_id}. The answer begins: {start}"
        )
    return Reply(urls, request_id, _usage(said))


def parse(body: bytes) -> dict[str, Any]:
    """A JSON object, empty where the body is something else: what is missing in it is reported by its readers."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def picture_urls(said: dict[str, Any]) -> tuple[str, ...]:
    """output.choices[0].message.content[].image, as far as the answer has that shape."""
    try:
        content = said["output"]["choices"][0]["message"]["content"]
        urls = [item.get("image") for item in content]
    except (KeyError, IndexError, TypeError, AttributeError):
        return ()
    return tuple(url for url in urls if isinstance(url, str))


def _usage(said: dict[str, Any]) -> str:
    """Pictures, width and height that the account was charged for, as far as the answer says so."""
    usage = said.get("usage")
    numbers = [usage.get(name) if isinstance(usage, dict) else None for name in ("image_count", "width", "height")]
    count, width, height = (n if type(n) is int and 0 <= n < 10**6 else None for n in numbers)
    size = f" of {width} x {height} px" if width and height else ""
    return "" if count is None else f"Model Studio counted {count} picture{'s' * (count != 1)}{size}."


def _hint(code: str) -> str:
    plain = code.replace("_", "").lower()
    return next((hint for start, hint in HINTS.items() if plain.startswith(start.lower())), "")


def _lost(lost: Lost) -> str:
    if lost.sent:
        return (
            f"Model Studio got the request, and then no whole answer came ({lost.reason}). {CHARGED} Look into the "
            f"console's usage before you try again."
        )
    return (
        f"Model Studio could not be reached ({lost.reason}). Nothing was charged. Check the network, a proxy and the "
        f"region, then try again."
    )


def _refused(answer: Answer, said: dict[str, Any], request_id: str, clean: Clean) -> str:
    code = str(said.get("code") or "")
    words = quote(said.get("message") or answer.body.decode("utf-8", "replace") or "(nothing)", clean)
    hint = _hint(code) or (HINTS["Throttling"] if answer.status == 429 else "")
    hint = f" {hint}" if hint else ""
    if answer.retry_after:
        hint += f" It asks to wait {answer.retry_after:.0f} s."
    if answer.status == 504:
        hint += f" {CHARGED}"
    named = f"{quote(code, clean)}: " if code else ""
    return f"Model Studio refused (HTTP {answer.status}): {named}{words} (request_id: {request_id}).{hint}"


def quote(words: object, clean: Clean) -> str:
    """A server's words on one line, without the key (taken out before anything is cut) and not too long."""
    text = " ".join(clean(str(words)).split())
    text = "".join(letter if letter.isprintable() else "?" for letter in text)
    return text if len(text) <= LONGEST_QUOTE else text[:LONGEST_QUOTE] + "..."
