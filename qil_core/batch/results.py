"""A picture's results: the formats that were asked for, the contact sheet and the report, in a folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..decompose.run import Report
from ..files.atomic import atomic_path
from ..files.format import NONE, Format, Options
from ..stack import LayerStack

LAYERS = "layers"
"""Name of what a format writes that makes a folder, not a file."""


def write_results(
    stack: LayerStack,
    report: Report,
    folder: Path,
    stem: str,
    formats: Sequence[Format],
    asked: Options = NONE,
) -> list[tuple[str, Path]]:
    """Write them; what each is, and where. The report comes last: where it is, the others are. Raises QilError.

    asked: text and shapes of it count, for the formats that have them.
    """
    from ..sheet import contact_sheet

    done = []
    for format in formats:
        suffix = format.suffix(stack)
        ways = {name: getattr(asked, name) for name in ("text", "shapes") if name in format.extras}
        options = replace(NONE, **ways)
        done.append((format.name, format.write(stack, folder / (stem + suffix if suffix else LAYERS), options=options)))
    with atomic_path(folder / "contact_sheet.png") as path:
        contact_sheet(stack).save(path, "PNG")
    with atomic_path(folder / "report.json") as path:
        path.write_text(json.dumps(report.as_dict(), indent=2), encoding="utf-8")
    return [*done, ("contact sheet", folder / "contact_sheet.png"), ("report", folder / "report.json")]
