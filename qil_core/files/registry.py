"""The formats of layers that there are. The command, the nodes and loading.py all read this table.

A new format is one file beside this one that ends with its FORMAT (see format.py), and one line here.
"""

from __future__ import annotations

from . import archive, folder, ora, pptx, psd, svg
from .format import Format

FORMATS: dict[str, Format] = {
    format.key: format
    for format in (
        psd.FORMAT,
        ora.FORMAT,  # before ZIP, which takes every ZIP that no format above it recognizes
        archive.FORMAT,
        folder.FORMAT,
        pptx.FORMAT,
        svg.FORMAT,
    )
}
"""By key, in the order in which they are offered, and in which a file is held against them."""


def readable() -> list[Format]:
    """The formats whose layers can be read back."""
    return [format for format in FORMATS.values() if format.reader]
