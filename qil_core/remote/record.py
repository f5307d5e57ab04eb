"""The manifest of a run: a line for each finished job, and what of it a run that goes on need not do again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .. import __version__
from ..manifest import Manifest, rows
from .jobs import Job, Local, graph_with
from .naming import safe_path
from .outputs import Fetched
from .workflow import Workflow

MANIFEST = "manifest.jsonl"
"""Its name in the output folder."""

OK, FAILED = "ok", "failed"


@dataclass(frozen=True)
class Result:
    """How a job ended. error: empty when it went well. server, prompt_id: of the last try; empty without one."""

    job: Job
    files: Sequence[Fetched] = ()
    error: str = ""
    server: str = ""
    prompt_id: str = ""
    seconds: float = 0.0
    versions: Mapping[str, str] | None = None


class Record:
    """A run's manifest, and the folder beside it that holds a folder of files for each job."""

    def __init__(self, folder: Path, workflow: Workflow) -> None:
        """Open or make it. Raises QilError: it cannot be written, or holds a line that is none of a manifest."""
        self.folder, self.path = folder, folder / MANIFEST
        self._workflow, self._digest = workflow, workflow.digest()
        self._latest: dict[str, dict[str, Any]] = {}
        for row in rows(self.path):
            self._note(row)
        self._manifest = Manifest(self.path)

    def done(self, job: Job) -> dict[str, Any] | None:
        """The line of a job that went well before and whose files are all there; None for any other."""
        row = self._latest.get(job.name)
        return row if row and row["key"] == job.key and all(map(self._is_there, row["outputs"])) else None

    def add(self, result: Result) -> dict[str, Any]:
        """Write a job's line; it is returned. Files that an earlier, different job of this name left are removed.

        Raises QilError when the disk does not take the line.
        """
        row = self._row(result)
        if row["status"] == OK:
            self._remove_earlier(row)
        self._manifest.append(row)
        self._note(row)
        return row

    def close(self) -> None:
        """Give the file back."""
        self._manifest.close()

    def _row(self, result: Result) -> dict[str, Any]:
        job = result.job
        graph = graph_with(self._workflow.graph, job.values, lambda file: file.path.name)
        return {
            "name": job.name,
            "status": FAILED if result.error else OK,
            "error": result.error,
            "outputs": [self._listed(file) for file in result.files],
            "seconds": round(result.seconds, 3),
            "inputs": [_input(f"{slot.node}.{slot.input}", file) for slot, file in job.files()],
            "set": dict(job.given),
            "seeds": self._workflow.seeds(graph),
            "workflow": str(self._workflow.path),
            "workflow_sha256": self._digest,
            "key": job.key,
            "server": result.server,
            "prompt_id": result.prompt_id,
            "versions": {"qil": __version__, **(result.versions or {})},
            "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        }

    def _listed(self, file: Fetched) -> dict[str, Any]:
        return {"path": file.path.relative_to(self.folder).as_posix(), "bytes": file.size, "sha256": file.sha256}

    def _note(self, row: Mapping[str, Any]) -> None:
        """Take a line into account; lines of other commands, and those that were changed by hand, are passed over."""
        outputs = row.get("outputs")
        sound = isinstance(outputs, list) and all(isinstance(file, dict) and _is_ours(file) for file in outputs)
        if sound and row.get("status") == OK and isinstance(row.get("key"), str):
            self._latest[str(row.get("name"))] = dict(row)

    def _remove_earlier(self, row: Mapping[str, Any]) -> None:
        """Remove what a job of the same name and another content left."""
        earlier, kept = self._latest.get(row["name"]), {file["path"] for file in row["outputs"]}
        for file in earlier["outputs"] if earlier else ():
            if file["path"] not in kept:
                with suppress(OSError):  # somebody may have it open; a file too many is no failure of this job
                    (self.folder / file["path"]).unlink()

    def _is_there(self, file: Mapping[str, Any]) -> bool:
        try:
            return (self.folder / file["path"]).stat().st_size == file.get("bytes")
        except (OSError, ValueError):
            return False


def _input(slot: str, file: Local) -> dict[str, Any]:
    return {"slot": slot, "path": str(file.path), "sha256": file.sha256}


def _is_ours(file: Mapping[str, Any]) -> bool:
    """Whether a manifest's path is one that this module writes: it never leads out of the folder."""
    path = file.get("path")
    return isinstance(path, str) and safe_path(path).as_posix() == path
