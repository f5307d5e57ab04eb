"""Names of files and folders that a server, a list or a picture's own name gives, made safe for every system."""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePath

from ..files.listing import MAX_NAME_BYTES, UNSAFE

RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
"""Devices of Windows: no file may be named so, whatever its ending."""

MAX_ENDING = 16
"""Characters after the last dot that still count as a file's ending."""


def safe_name(text: str) -> str:
    """One level of a path, never another folder, hidden or a device: "../a:b.png" gives "_.._a_b.png".

    A name that is safe already is not changed.
    """
    clean = UNSAFE.sub("_", unicodedata.normalize("NFC", text).replace("/", "_")).rstrip(". ")
    if not clean or clean[0] in ". " or RESERVED.fullmatch(clean):
        clean = f"_{clean.lstrip(' ')}"
    return _short(clean)


def safe_path(text: str) -> PurePath:
    """A relative path of safe names: each level of "a/b" by itself."""
    return PurePath(*map(safe_name, text.split("/")))


def _short(name: str) -> str:
    """At most MAX_NAME_BYTES bytes of UTF-8, the ending kept."""
    stem, dot, ending = name.rpartition(".")
    if not stem or len(ending) > MAX_ENDING:
        stem, dot, ending = name, "", ""
    room = MAX_NAME_BYTES - len((dot + ending).encode())
    return stem.encode()[:room].decode(errors="ignore") + dot + ending
