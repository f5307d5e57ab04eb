"""What can be known before work begins: servers that answer and have every node, and files that they take."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from ..errors import QilError
from .events import websocket_client
from .jobs import Job, Schemas
from .patience import STANDARD, Patience
from .server import Server
from .workflow import Workflow

OURS = frozenset(
    (
        "LoadLayeredModel",
        "NativeLayeredModel",
        "DecomposeToLayers",
        "SplitLayer",
        "MasksToLayers",
        "RestoreLayers",
        "TransformLayer",
        "RecolorLayer",
        "ArrangeLayers",
        "LayerEditor",
        "LoadEditModel",
        "EditLayer",
        "EditImage",
        "CompositeLayers",
        "PreviewLayers",
        "LayerScore",
        "ExportPPTX",
        "ExportLayers",
        "LoadLayers",
        "LayersToDocument",
        "DocumentToLayers",
    )
)
"""The node classes of this package, which is not there to be asked on a machine that only runs `qil`."""

LEAST_FREE = 100_000_000
"""Bytes that must be free where results go: a disk with less is as good as full."""

T = TypeVar("T")


def connect(
    urls: Iterable[str], headers: Mapping[str, str], stop: threading.Event, patience: Patience = STANDARD
) -> list[Server]:
    """The servers, each greeted. Raises QilError that names all that do not answer."""
    websocket_client()
    servers = [Server(url, stop, headers, patience) for url in urls]
    _each(servers, Server.greet)
    return servers


def check_nodes(workflow: Workflow, servers: Sequence[Server]) -> dict[str, Schemas]:
    """What each server says about the workflow's nodes. Raises QilError that says what a server lacks, and whose it is.

    The package of a class that one server lacks is known from this package's own list, from the workflow, or from a
    server that has it.
    """
    classes = workflow.classes()
    found = dict(
        zip((each.url for each in servers), _each(servers, lambda s: s.schemas(classes.values())), strict=True)
    )
    lacking = {url: sorted(set(classes.values()) - schemas.keys()) for url, schemas in found.items()}
    faults = [
        f"{url} lacks {', '.join(f'{name} ({_package(name, workflow, found)})' for name in names)}"
        for url, names in lacking.items()
        if names
    ]
    if faults:
        raise QilError(
            f"{'; '.join(faults)}. Install what is lacking there, with ComfyUI-Manager > Install Missing Custom Nodes "
            "or by hand, and start that server anew."
        )
    return found


def check_uploads(jobs: Sequence[Job], servers: Sequence[Server]) -> None:
    """Raises QilError for a file that is larger than a server takes."""
    largest = max((file for job in jobs for _, file in job.files()), key=lambda file: file.size, default=None)
    for server, limit in zip(servers, _each(servers, Server.largest_upload), strict=True):
        if largest and limit is not None and largest.size > limit:
            raise QilError(
                f"{largest.path} has {largest.size / 1e6:.1f} MB and {server.url} takes {limit / 1e6:.1f} MB: start "
                "that server with a larger --max-upload-size (in MB), or give a smaller file."
            )


def check_disk(folder: Path) -> None:
    """Make the folder for the results. Raises QilError: it cannot be made, or its disk is full."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise QilError(f"The folder {folder} cannot be used: {error.strerror}. Choose another with -o.") from None
    if free < LEAST_FREE:
        raise QilError(f"The disk of {folder} is full ({free / 1e6:.0f} MB free). Free some space, or choose another.")


def convert_with(servers: Sequence[Server]) -> Callable[[Mapping[str, Any]], Any]:
    """Turns a UI form into the API form with the first server that can; None where none can."""
    return lambda ui: next((made for server in servers if (made := server.convert(ui)) is not None), None)


def _package(name: str, workflow: Workflow, found: Mapping[str, Schemas]) -> str:
    if name in OURS:
        return "of this package, Qwen Layers"
    if package := workflow.package(name):
        return f"of {package}"
    module = next((str(schemas[name].get("python_module", "")) for schemas in found.values() if name in schemas), "")
    if module.startswith("custom_nodes."):
        return f"of {module.removeprefix('custom_nodes.')}"
    return "of a newer ComfyUI" if module else "of a package that the workflow does not name"


def _each(servers: Sequence[Server], ask: Callable[[Server], T]) -> list[T]:
    """What each server answers, all asked at once. Raises QilError with what all that fail say."""
    with ThreadPoolExecutor(len(servers)) as threads:
        answers = [threads.submit(ask, server) for server in servers]
    faults = [str(error) for answer in answers if isinstance(error := answer.exception(), QilError)]
    if faults:
        raise QilError("\n".join(faults))
    return [answer.result() for answer in answers]
