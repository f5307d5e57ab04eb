"""Model Studio's key: where it is read from, and how it is kept out of every text."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ..errors import QilError

ENVIRONMENT = "DASHSCOPE_API_KEY"

SHAPE = re.compile(r"sk-[A-Za-z0-9._-]{16,253}")
"""What a key looks like: sk- (sk-sp- for plans; Model Studio's "Obtain an API key", 2026) and usually 32 hexadecimal
digits. Longer kinds exist; 16 to 253 characters leave room for them."""

GRAM = 8
"""As many characters of a key in a row are hidden wherever they are found."""

LONGEST_FILE = 4096
"""Bytes that are read of a key file."""


class Key:
    """A key that shows itself to nobody. QilError, without the text: it is not 8 or more printable ASCII characters."""

    __slots__ = ("_text",)

    def __init__(self, text: str, source: str) -> None:
        if len(text) < GRAM or not all("!" <= letter <= "~" for letter in text):
            raise _no_key(source)
        self._text = text

    def __repr__(self) -> str:
        return "Key(hidden)"

    def authorization(self) -> dict[str, str]:
        """The header that only the API itself gets."""
        return {"Authorization": f"Bearer {self._text}"}

    def redact(self, text: str) -> str:
        """A text without the key, and without any 8 characters of it in a row, in whatever case."""
        grams = (re.escape(self._text[i : i + GRAM]) for i in range(len(self._text) - GRAM + 1))
        hits = re.finditer(f"(?={'|'.join(grams)})", text, re.IGNORECASE)
        parts, end = [], 0
        for start in (hit.start() for hit in hits):
            if start >= end:
                parts += [text[end:start], "[key]"]
            end = start + GRAM
        return "".join(parts) + text[end:]


def read_key(path: Path | None = None) -> Key:
    """The key in a file of one line, or in the environment variable DASHSCOPE_API_KEY where no path is given.

    Raises QilError: there is none, it is not a key, or others can read the file (on POSIX systems). A file must hold
    what looks like a key of Model Studio, since a workflow may name any file; a gateway's own key goes into the
    environment variable.
    """
    if path is not None:
        text = _private_text(path).strip()
        if not SHAPE.fullmatch(text):
            raise _no_key(f"the key file {path}")
        return Key(text, f"the key file {path}")
    text = os.environ.get(ENVIRONMENT, "")
    if not text:
        raise QilError(
            f"There is no key for Model Studio: set the environment variable {ENVIRONMENT}, or give the path of a file "
            f"with the key in it (mode 600). Keys are made in Model Studio's console, for one region."
        )
    return Key(text, f"the environment variable {ENVIRONMENT}")


def _no_key(source: str) -> QilError:
    return QilError(
        f"What {source} holds is not a key: expected one line such as sk- and 32 letters and digits, without spaces. "
        f"It is not shown here. Copy the key again from Model Studio's console."
    )


def _private_text(path: Path) -> str:
    """What a file holds that is its owner's alone. A path that leads to no file is not shown: it may be a key."""
    if SHAPE.search(str(path)) or path.name.startswith("sk-"):
        raise QilError(
            "The path of the key file looks like a key itself (not shown). Put the key into a file of one line, mode "
            "600, and give the path of that file."
        )
    try:
        file = path.expanduser()
        if not file.is_file():
            raise QilError(
                "There is no key file at the path that was given, which is not shown in case it is the key itself. "
                "Expected a file of one line with the key, mode 600."
            )
        with file.open("rb") as opened:
            mode = os.fstat(opened.fileno()).st_mode & 0o777
            data = opened.read(LONGEST_FILE)
    except (OSError, RuntimeError, ValueError) as error:  # also an unknown ~user, or a path that no system takes
        reason = error.strerror if isinstance(error, OSError) else "it is no path of this system"
        raise QilError(f"The key file cannot be read: {reason}.") from None
    if os.name == "posix" and mode & 0o077:
        raise QilError(f"The key file {path} can be read by others (mode {mode:o}). Run: chmod 600 {path}")
    return data.decode("utf-8-sig", "replace")
