"""The process that a rehearsal watches: it loads a model from files and takes a small picture apart, as users do.

python -m benchmarks.rehearsal_child TASK, a JSON object: see `Task`. It prints a JSON object a line: {"part": what
begins now}, and at last {"done": figures} or {"error": the message that a user would read}.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .rehearsal_memory import enter

LAYERS = 2
"""The fewest that can be asked for."""


@dataclass(frozen=True)
class Task:
    """What the child does.

    files: paths by the names of `Files`, configs too. results: a folder for files of layers; "" only loads. full: a
    folder on a disk without room; "" makes one of results by a limit on the size of files. prompt: "" asks for a
    caption. size: of the memory limit in bytes; procs: see `Limit`.
    """

    files: dict[str, str]
    results: str
    full: str
    prompt: str
    resolution: int
    steps: int
    memory: str
    size: int
    procs: str | None

    def as_text(self) -> str:
        return json.dumps(asdict(self))


_part = ""


def say(part: str) -> None:
    """Tell the parent what begins, unless it has begun already."""
    global _part
    if part != _part:
        _part = part
        print(json.dumps({"part": part}), flush=True)


def report(fraction: float, what: str) -> None:
    """A Progress whose texts name the parts."""
    say(what.split(" layer")[0])


@contextmanager
def stages() -> Iterator[None]:
    """Runs say which stage they are in."""
    from qil_core.model.runtime import Run

    stage = Run.stage

    def saying(self: Any, name: str) -> Any:
        say(name)
        return stage(self, name)

    Run.stage = saying  # type: ignore[method-assign]
    try:
        yield
    finally:
        Run.stage = stage  # type: ignore[method-assign]


def picture(side: int) -> Any:
    """A picture (side, side, 4): a bright disc on a slope."""
    import torch

    y, x = torch.meshgrid(torch.linspace(-1, 1, side), torch.linspace(-1, 1, side), indexing="ij")
    disc = (x * x + y * y < 0.4).float()
    return torch.stack([0.5 + 0.4 * x, 0.5 + 0.4 * y, disc, torch.ones_like(x)], -1)


def work(task: Task) -> dict[str, Any]:
    """Load, take apart, write. Raises QilError."""
    say("imports")
    import accelerate  # noqa: F401, what loading imports anyway
    import diffusers  # noqa: F401
    import torch
    import transformers  # noqa: F401

    from qil_core.checkpoints.folders import Files
    from qil_core.decompose.qwen import Qwen
    from qil_core.model.kept import runtime_of
    from qil_core.model.machine import Machine
    from qil_core.model.models import LAYERED
    from qil_core.model.pipeline import LayeredModel
    from qil_core.model.runtime import Settings
    from qil_core.request import Request

    say("opening")
    files = Files(**{name: Path(path) for name, path in task.files.items()})  # type: ignore[arg-type]
    machine = Machine(torch.device("cpu"))
    settings = Settings(task.memory)
    model = runtime_of(LayeredModel, files, torch.bfloat16, lambda _: machine, settings, (LAYERED,), report)
    if not task.results:
        return {}
    request = Request(LAYERS, prompt=task.prompt, steps=task.steps, resolution=task.resolution)
    with stages():
        found = Qwen(model).decompose(picture(task.resolution), request, report)
    say("writing files of layers")
    write_all(found.stack, Path(task.results))
    say("writing on a full disk")
    refused = refusals(found.stack, Path(task.full or task.results), by_limit=not task.full)
    return {"notes": list(found.notes), "shape": list(found.stack.pixels.shape), "refused": refused}


def write_all(stack: Any, folder: Path) -> None:
    """A file of each format."""
    from qil_core.files.registry import FORMATS

    for kind in FORMATS.values():
        kind.write(stack, folder / f"layers{kind.suffix(stack)}")


def refusals(stack: Any, folder: Path, by_limit: bool) -> dict[str, str]:
    """What each format says where the disk has no room; and no file may be left behind."""
    from qil_core.errors import QilError
    from qil_core.files.registry import FORMATS

    if by_limit:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    said = {}
    for kind in FORMATS.values():
        path = folder / f"refused{kind.suffix(stack)}"
        try:
            kind.write(stack, path)
            said[kind.name] = "was written all the same"
        except QilError as error:
            said[kind.name] = str(error)
        if path.exists():
            said[kind.name] += f"; {path} was left behind"
    return said


def main(text: str) -> None:
    from qil_core.errors import QilError

    task = Task(**json.loads(text))
    enter(task.procs, task.size)
    try:
        print(json.dumps({"done": work(task)}), flush=True)
    except QilError as error:
        print(json.dumps({"error": str(error)}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
