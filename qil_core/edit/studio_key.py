"""Model Studio's key: where it is read from, and how it is kept out of every text."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ..errors import QilError

ENVIRONMENT = "DASHSCOPE_API_KEY"
GRAM = 8
"""As many characters of a key in a row are hidden wherever they are found."""
LONGEST_FILE = 4096


class Key:
    """A key that shows itself to nobody. QilError, without the text: it is not 8 or more printable ASCII characters."""

    __slots__ = ("_text",)

    def __init__(self, text: str, source: str) -> None:
        if len(text) < GRAM or not all("!" <= letter <= "~" for letter in text):
            raise QilError(
                f"What {source} holds is not a key: expected one line of {GRAM} or more ASCII letters and digits, "
                f"without spaces. It is not shown here. Copy the key again from Model Studio's console."
            )
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

    Raises QilError: there is none, it is not a key, or others can read the file (on POSIX systems).
    """
    if path is not None:
        return Key(_private_text(path.expanduser()).strip(), f"the key file {path}")
    text = os.environ.get(ENVIRONMENT, "")
    if not text:
        raise QilError(
            f"There is no key for Model Studio: set the environment variable {ENVIRONMENT}, or give the path of a file "
            f"with the key in it (mode 600). Keys are made in Model Studio's console, for one region."
        )
    return Key(text, f"the environment variable {ENVIRONMENT}")


def _private_text(path: Path) -> str:
    if path.name.startswith("sk-"):
        raise QilError("The path of the key file looks like a key itself (not shown). Give the path of a file with it.")
    if not path.is_file():
        raise QilError(f"There is no key file {path}. Expected a file of one line with the key, mode 600.")
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode & 0o777
            data = file.read(LONGEST_FILE)
    except OSError as error:
        raise QilError(f"The key file {path} cannot be read: {error.strerror}.") from None
    if os.name == "posix" and mode & 0o077:
        raise QilError(f"The key file {path} can be read by others (mode {mode:o}). Run: chmod 600 {path}")
    return data.decode("latin-1")
