"""Texts: how long they may be when they come in, and how they look when they go out."""

from __future__ import annotations

import re

MAX_STACK = 1000
"""Layers that a list of indices may name: at 1024 x 1024 pixels a thousand take 16 GB."""

MAX_LINE = 4096
"""Characters of a text of one line, such as a path (PATH_MAX of Linux) or a layer's name."""

MAX_PROMPT = 20_000
"""Characters of a text of several lines; the text encoder reads about a thousand words of it."""

MAX_LIST = 200_000
"""Characters of a text with a line a layer: MAX_STACK names of 200 characters."""

MAX_QUOTED = 60
"""Characters of what was given that a message repeats: enough to find it again."""

_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters but for tab and line ends, and halves of surrogate pairs, which UTF-8 cannot hold."""


def printable(text: str) -> str:
    r"""The text as it may leave in an error, a report, a log line or a file name: valid UTF-8, no control characters.

    What is neither is written as Python escapes it: "\ud83d", "\x1b". All other texts stay as they are. A program that
    prints or logs a lone surrogate dies of it: ComfyUI's prompt worker does, for good.
    """
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def quoted(text: str) -> str:
    """A text in quotes for a message, cut where it is long."""
    return f'"{text}"' if len(text) <= MAX_QUOTED else f'"{text[:MAX_QUOTED]}..."'
