"""What a format of layers is, so that all formats are used alike: the type of an entry in registry.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from ..errors import QilError
from ..progress import Progress, silent
from ..stack import LayerStack
from .editable import PICTURES, WAYS, Editable
from .layered import PLAIN, Layered, Look


@dataclass(frozen=True, eq=False)
class Options:
    """What a writer can be asked for beside layers and look. Each format takes some of these and refuses the others.

    dpi: pixels an inch; None takes the format's usual number. The others are for formats with slides. notes: a text a
    stack for the slide's notes; what was placed and left out is added to it. originals: a picture (H, W, 3|4) in [0, 1]
    a stack, put hidden under its layers. build_up: a slide for every layer that is added. text, shapes: PICTURES, or
    EDITABLE: text boxes, and simple shapes as the format's own, where the pixels of their layer lie hidden. found: what
    find_editable() finds in the layers of the one stack, where it was called before, for several formats at once.
    """

    dpi: float | None = None
    notes: tuple[str, ...] = ()
    originals: tuple[Tensor, ...] = ()
    build_up: bool = False
    text: str = PICTURES
    shapes: str = PICTURES
    found: tuple[Editable, ...] = ()

    def given(self) -> list[str]:
        """The names of the options that are not at their default."""
        return [field.name for field in fields(self) if getattr(self, field.name) != field.default]


NONE = Options()


def check_ways(options: Options) -> None:
    """Raises QilError for a way of text or shapes that there is not."""
    for what, way in (("Text", options.text), ("Shapes", options.shapes)):
        if way not in WAYS:
            raise QilError(f'{what} as "{way}" was asked for: use {" or ".join(WAYS)}.')


class Dpi(NamedTuple):
    """Pixels an inch that a format takes: its usual number, the least and the most."""

    usual: float
    least: float
    most: float

    def of(self, options: Options) -> float:
        """What was asked for, or the usual number. Raises QilError: out of range, or not a number."""
        dpi = self.usual if options.dpi is None else options.dpi
        if not self.least <= dpi <= self.most:
            raise QilError(f"{dpi:g} dpi was given, expected {self.least:g} to {self.most:g} pixels an inch.")
        return dpi


Write = Callable[[LayerStack, Path, Look, Options, Progress], Path]
"""Writes a stack and gives the path: all of the file appears or nothing. Raises QilError: what the format cannot hold,
an impossible look or option, the disk refuses."""

REFUSE, SKIP, MERGED = UNSUPPORTED = ("refuse", "skip", "merged")
"""What is done where a file holds what layers cannot show, such as an adjustment or an effect. refuse: an error names
it. skip: the rest is read, and the notes name each thing that was left out. merged: the picture that the file's program
merged is the one layer."""

Read = Callable[[Path, bool, str], Layered]
"""Reads what lies at a path. The flag: keep hidden layers too. The text: one of UNSUPPORTED. Raises QilError: broken,
hostile or too large files, layers that cannot be drawn, none to show."""


@dataclass(frozen=True)
class Format:
    """A format of layers.

    key: what people type after --format, and the key in FORMATS. name: what they read. suffixes: its file endings, the
    usual one first; none where a stack becomes a folder. writer, reader: see Write and Read; there is no reader where
    the format's layers cannot be taken out again. recognizes: whether a path holds this format, by what is in it (its
    first HEAD bytes are given too; none of a folder); never called without a reader. suffix_of: which ending a stack
    needs, where there are several. dpi, extras: the options that it takes.
    """

    key: str
    name: str
    suffixes: tuple[str, ...]
    writer: Write
    reader: Read | None = None
    recognizes: Callable[[Path, bytes], bool] = lambda path, head: False
    suffix_of: Callable[[LayerStack], str] | None = None
    dpi: Dpi | None = None
    extras: tuple[str, ...] = ()

    def suffix(self, stack: LayerStack) -> str:
        """The ending of a file of this stack; empty for a folder."""
        if self.suffix_of:
            return self.suffix_of(stack)
        return self.suffixes[0] if self.suffixes else ""

    def write(
        self, stack: LayerStack, path: Path, look: Look = PLAIN, options: Options = NONE, progress: Progress = silent
    ) -> Path:
        """Write a stack. Raises QilError as Write does, and for an option that the format does not take."""
        takes = {"dpi", *self.extras} if self.dpi else set(self.extras)
        if unknown := [name for name in options.given() if name not in takes]:
            known = ", ".join(sorted(takes)) or "no option"
            raise QilError(f"{self.name} does not take {', '.join(unknown)}, it takes {known}: leave the others out.")
        check_ways(options)
        return self.writer(stack, path, look, options, progress)

    def read(self, path: Path, hidden: bool = True, unsupported: str = REFUSE) -> Layered:
        """Read a stack. Raises QilError as Read does, and where layers of this format cannot be read."""
        if self.reader is None:
            raise QilError(f"Layers cannot be read out of {self.name} files: use another format.")
        if unsupported not in UNSUPPORTED:
            raise QilError(f'Unsupported parts of a file: "{unsupported}" was given, use {", ".join(UNSUPPORTED)}.')
        return self.reader(path, hidden, unsupported)


HEAD = 8
"""Bytes at a file's beginning that formats are told apart by: PNG's signature is the longest (PNG, section 5.2)."""
