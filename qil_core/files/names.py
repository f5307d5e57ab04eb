r"""Layer names as every layered format needs them: cleaned, split into groups, nested, and put together again.

One rule for PSD, OpenRaster and PowerPoint. A "/" in a name makes a group. A "/" that belongs to a name is written
"\/"; of a run of backslashes in front of a "/" each pair stands for one, and all other backslashes are plain.
split_levels() and join_levels() are inverse to each other.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

MAX_DEPTH = 16
"""Groups inside groups; what is deeper stays in the layer's own name. XML readers give up at 256."""

MAX_SHORT = 28
"""Characters of a name that is made of a text."""

SLASH = re.compile(r"(\\*)/")


@dataclass(frozen=True)
class Leaf:
    """A layer in a tree of groups: its index in the stack, and its own name."""

    index: int
    name: str


@dataclass(frozen=True)
class Group:
    """A group: its name, and what is in it, bottom first."""

    name: str
    items: list[Group | Leaf] = field(default_factory=list)


def split_name(name: str) -> list[str]:
    """ "girl/hair" as its groups and the layer's own name, clean, each not empty; never an empty list."""
    levels = [level.strip() for level in split_levels(clean(name))]
    kept = [level for level in levels if level] or ["layer"]
    return kept if len(kept) <= MAX_DEPTH else [*kept[:MAX_DEPTH], "/".join(kept[MAX_DEPTH:])]


def split_levels(name: str) -> list[str]:
    r"""The levels of a name: "a/b" is a and b, "a\/b" is one level, a/b."""
    levels, done = [""], 0
    for found in SLASH.finditer(name):
        run = len(found[1])
        levels[-1] += name[done : found.start()] + "\\" * (run // 2) + "/" * (run % 2)
        done = found.end()
        if run % 2 == 0:
            levels.append("")
    levels[-1] += name[done:]
    return levels


def join_levels(levels: Sequence[str]) -> str:
    """The name that split_levels() takes apart into these levels."""
    escaped = [SLASH.sub(lambda found: f"{found[1] * 2}\\/", level) for level in levels]
    return "/".join([*map(_closed, escaped[:-1]), escaped[-1]])


def _closed(level: str) -> str:
    """A level with the backslashes at its end doubled, so that they leave the "/" that follows alone."""
    return level + "\\" * (len(level) - len(level.rstrip("\\")))


def clean(text: str) -> str:
    """Text on one line, without what XML 1.0 cannot hold: control characters and halves of surrogate pairs."""
    return " ".join("".join(filter(_in_xml, text)).splitlines())


def short(text: str) -> str:
    """The beginning of a text as a name."""
    line = " ".join(clean(text).split())
    return line if len(line) <= MAX_SHORT else f"{line[: MAX_SHORT - 1].rstrip()}…"


def _in_xml(letter: str) -> bool:
    """Whether XML 1.0 can hold a character (its section 2.2); DEL and the C1 controls are left out too."""
    if letter in "\t\n\r\x85":
        return True
    plain = " " <= letter <= "~" or "\xa0" <= letter <= "\ud7ff"
    return plain or "\ue000" <= letter <= "\ufffd" or letter >= "\U00010000"


def nest(names: Sequence[str]) -> list[Group | Leaf]:
    """The tree that names make, bottom first: layers that follow each other in one group share it.

    A group ends where a layer comes that is not in it, so the order of the layers never changes.
    """
    top: list[Group | Leaf] = []
    opened: list[Group] = []
    for index, name in enumerate(names):
        *groups, own = split_name(name)
        del opened[_shared(opened, groups) :]
        for group in groups[len(opened) :]:
            fresh = Group(group)
            (opened[-1].items if opened else top).append(fresh)
            opened.append(fresh)
        (opened[-1].items if opened else top).append(Leaf(index, own))
    return top


def _shared(opened: Sequence[Group], groups: Sequence[str]) -> int:
    """How many of the open groups the next layer is in as well."""
    same = [group.name == name for group, name in zip(opened, groups, strict=False)]
    return same.index(False) if False in same else len(same)
