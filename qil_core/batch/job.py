"""One picture on its way through the stages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..decompose.run import Report
from ..files.editable import Editable

OK, FAILED = "ok", "failed"
"""What a line of the manifest says about a picture."""


@dataclass(frozen=True)
class Job:
    """A picture that is to be done.

    input: a path or URL. folder: where its results go, below the output folder, with "/" between names. layers, prompt,
    seed: what a list says of this picture; None where it says nothing. layers is a number or "auto". state: changes
    when the input does (`places.state_of`); None where listing the inputs did not tell.
    """

    position: int
    input: str
    folder: str
    layers: str | None = None
    prompt: str | None = None
    seed: int | None = None
    state: str | None = None

    @property
    def stem(self) -> str:
        """What its files are called."""
        return self.folder.rpartition("/")[2]


@dataclass(frozen=True)
class Work:
    """A job and what the stages have made of it so far.

    data: bytes of the file, from `read` to `decode`. pixels: uint8 (N, H, W, 4); the picture, with N = 1, from `decode`
    to `decompose`, its layers from there to `write`, and found: what is editable in these. outputs:
    paths below the output folder. seconds: by stage.
    error: why it failed, as users read it. stops: the error concerns all pictures, such as a full disk. died: its
    worker died, which says why in `error`.
    """

    job: Job
    data: bytes = b""
    sha256: str = ""
    state: str | None = None
    pixels: NDArray[np.uint8] | None = None
    names: tuple[str, ...] = ()
    found: tuple[Editable, ...] = ()
    report: Report | None = None
    outputs: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)
    error: str = ""
    stops: bool = False
    died: bool = False

    def line(self, key: str) -> dict[str, Any]:
        """Its line of the manifest. key: says with which settings it was made (see `run`)."""
        return {
            "input": self.job.input,
            "status": FAILED if self.error else OK,
            "error": self.error,
            "outputs": list(self.outputs),
            "seconds": round(sum(self.seconds.values()), 3),
            "sha256": self.sha256,
            "state": self.state,
            "folder": self.job.folder,
            "layers": self.report.layers if self.report else None,
            "settings": key,
            "report": next((path for path in self.outputs if path.endswith("/report.json")), None),
        }
