"""Addresses of ComfyUI servers, as they are given on the command line or in the environment."""

from __future__ import annotations

import os
from collections.abc import Sequence
from urllib.parse import urlsplit

from ..errors import QilError
from ..text import quoted

ENVIRONMENT = "COMFY_BASE_URL"
"""The variable that ComfyUI's official SDK reads too."""

DEFAULT = "http://127.0.0.1:8188"
"""Where ComfyUI listens if it is not told otherwise."""


def server_urls(given: Sequence[str]) -> list[str]:
    """The servers to use: those given, else that of the environment, else ComfyUI's own default; each once.

    Raises QilError for what is no plain http or https address.
    """
    texts = given or [os.environ.get(ENVIRONMENT) or DEFAULT]
    return list(dict.fromkeys(map(_checked, texts)))


def _checked(text: str) -> str:
    """An address without a "/" at its end. A path before it is kept: a proxy may serve ComfyUI below one."""
    try:
        parts = urlsplit(text)
        sound = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        sound = False
    if not sound or "@" in parts.netloc or parts.query or parts.fragment or not text.isprintable() or " " in text:
        raise QilError(
            f"{quoted(text)} is no server address. Write it like {DEFAULT}, without user, password or query; "
            "a password goes into --header."
        )
    return text.rstrip("/")


def header(text: str) -> tuple[str, str]:
    """Name and value of "Authorization: Bearer ...". Raises QilError, without the value, for anything else."""
    name, colon, value = text.partition(":")
    token = name.strip().replace("-", "").replace("_", "")
    if not colon or not token.isalnum() or not token.isascii() or not (value.isascii() and value.isprintable()):
        raise QilError('A header must be written "NAME: VALUE", in ASCII, such as "Authorization: Bearer KEY".')
    return name.strip(), value.strip()
