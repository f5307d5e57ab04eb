"""A picture's results: the formats that were asked for, the contact sheet and the report, in a folder.

1. `with_found`: what is editable in the layers, looked for once for all formats.
2. `write_results`: the files.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..decompose.run import Report
from ..errors import QilError
from ..files import editable
from ..files.atomic import atomic_path
from ..files.editable import EDITABLE, find_editable
from ..files.format import NONE, Format, Options
from ..files.layered import PLAIN, Layered
from ..files.registry import FORMATS
from ..stack import LayerStack
from ..typography.layer import needed_reader

LAYERS = "layers"
"""Name of what a format writes that makes a folder, not a file."""

WAYS_OF = ("text", "shapes")
"""The options that say what becomes editable."""


def check_asked(formats: Sequence[Format], asked: Options) -> None:
    """QilError before any work: no format that holds what is to be editable, or nothing that reads text."""
    for name in WAYS_OF:
        if getattr(asked, name) == EDITABLE and not any(name in format.extras for format in formats):
            able = ", ".join(format.key for format in FORMATS.values() if name in format.extras)
            raise QilError(f"{name} {EDITABLE} was given, but no format that holds {name}: use one of {able}, too.")
    if asked.text == EDITABLE:
        needed_reader()


def with_found(stack: LayerStack, asked: Options) -> Options:
    """The same with what is editable in the layers. Raises QilError: what find_editable() raises."""
    if not asked.given():
        return asked
    layered = Layered(stack, PLAIN.of(len(stack)))
    contents = list(map(layered.content, range(len(stack))))
    return replace(asked, found=find_editable(contents, asked.text, asked.shapes))


def editable_lines(asked: Options) -> list[str]:
    """What became editable and which text did not, for people. asked: see with_found()."""
    return editable.report(asked.found, asked.text, asked.shapes)


def write_results(
    stack: LayerStack,
    report: Report,
    folder: Path,
    stem: str,
    formats: Sequence[Format],
    asked: Options = NONE,
) -> list[tuple[str, Path]]:
    """Write them; what each is, and where. The report comes last: where it is, the others are. Raises QilError.

    asked: text, shapes and what was found of them count, for the formats that have them; see with_found().
    """
    from ..sheet import contact_sheet

    done = []
    for format in formats:
        suffix = format.suffix(stack)
        ways = {name: getattr(asked, name) for name in WAYS_OF if name in format.extras}
        options = replace(NONE, **ways, found=asked.found if ways else ())
        done.append((format.name, format.write(stack, folder / (stem + suffix if suffix else LAYERS), options=options)))
    with atomic_path(folder / "contact_sheet.png") as path:
        contact_sheet(stack).save(path, "PNG")
    with atomic_path(folder / "report.json") as path:
        lines = editable_lines(asked)
        whole = {**report.as_dict(), **({"editable": lines} if lines else {})}
        path.write_text(json.dumps(whole, indent=2), encoding="utf-8")
    return [*done, ("contact sheet", folder / "contact_sheet.png"), ("report", folder / "report.json")]
