"""What the commands share: a progress bar, and the command line as the place where decomposers are opened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import QilError
from ..progress import Progress, unseen


class Shell:
    """The command line as a Place (see `qil_core.decompose`): models from a folder, on one device."""

    preview = staticmethod(unseen)

    def __init__(self, device: str | None = None) -> None:
        """device: its name; None for the GPU where there is one."""
        self._device = device

    @staticmethod
    def check(values: Mapping[str, Any]) -> None:
        """QilError for values of a model's options that only ComfyUI knows what to do with."""
        if "memory" in values and "folder" not in values:
            raise QilError("This decomposer is for ComfyUI. Here, give the model's folder with --model.")
        if values.get("loras"):
            raise QilError("LoRAs are for ComfyUI's node Load Layered Model: leave them out here.")

    def runtime(self, kind: Any, values: Mapping[str, Any], wanted: Any, known: Sequence[Any]) -> Any:
        from ..checkpoints.folders import Files
        from ..model.devices import default_device, device_of, usual_dtype
        from ..model.parts import load

        self.check(values)
        device = device_of(self._device) if self._device else default_device()
        with bar(values["folder"]) as progress:
            parts = load(Files.of_folder(Path(values["folder"])), usual_dtype(device), progress, known)
        runtime = kind(parts, device, values["memory"])
        runtime.tune(values["attention"], values["compile"], values["first_block_cache"])
        return runtime


class bar:
    """A progress bar on a terminal's stderr; nothing when stderr is not a terminal."""

    def __init__(self, title: str) -> None:
        from tqdm import tqdm

        self._bar = tqdm(total=1.0, desc=title, disable=None, bar_format="{desc} {bar} {percentage:3.0f}% {postfix}")

    def __enter__(self) -> Progress:
        return self._report

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def _report(self, fraction: float, what: str) -> None:
        self._bar.set_postfix_str(what, refresh=False)
        self._bar.update(fraction - self._bar.n)
