"""`qil run` in a folder of the test's own, with little patience."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fake_comfy import GRAPH

from qil_core.cli import main
from qil_core.manifest import rows
from qil_core.remote.patience import Patience

QUICK = Patience(connect=2, read=5, attempts=3, pause=0.05, poll=0.1, look=0.3, back=0.1)


class Shell:
    """Runs the command in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.out = folder, folder / "out"
        self.workflow = folder / "work.json"
        self.write(GRAPH)

    def write(self, graph: Any) -> None:
        self.workflow.write_text(json.dumps(graph))

    def run(self, *arguments: str, workflow: Path | None = None) -> int:
        """The exit status."""
        try:
            return main(["run", str(workflow or self.workflow), "-o", str(self.out), *arguments])
        except SystemExit as end:
            return int(end.code or 0)

    def rows(self) -> list[dict[str, Any]]:
        return list(rows(self.out / "manifest.jsonl"))

    def pictures(self, count: int) -> list[Path]:
        """Files of different content."""
        (self.folder / "photos").mkdir(exist_ok=True)
        paths = [self.folder / "photos" / f"p{i}.png" for i in range(count)]
        for i, path in enumerate(paths):
            path.write_bytes(b"picture %d" % i)
        return paths
