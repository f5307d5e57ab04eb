"""The only file that talks to ComfyUI's own modules: progress, interrupt, folders, saving."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import comfy.model_management
import comfy.utils
import folder_paths
from comfy_api.latest import io, ui

from ..qil_core.errors import QilError
from ..qil_core.progress import Progress

TICKS = 1000


def progress() -> Progress:
    """Moves the node's progress bar, and stops the work when the user interrupts (by ComfyUI's own exception)."""
    bar = comfy.utils.ProgressBar(TICKS)

    def report(fraction: float, what: str) -> None:
        comfy.model_management.throw_exception_if_processing_interrupted()
        bar.update_absolute(round(fraction * TICKS), TICKS)

    return report


def output_path(prefix: str, suffix: str, width: int, height: int) -> tuple[Path, dict[str, Any]]:
    """A new file in the output folder, numbered as ComfyUI does, and what the front end needs to offer it.

    Raises QilError when the prefix holds no file name or leaves the output folder.
    """
    if not prefix.strip() or prefix.strip().endswith(("/", "\\")) or not prefix.isprintable():
        raise QilError(f'The prefix "{prefix!r}" holds no file name. Write one such as layers/deck.')
    output = folder_paths.get_output_directory()
    if not (Path(output) / prefix).resolve().is_relative_to(Path(output).resolve()):
        raise QilError(f'The prefix "{prefix}" leaves ComfyUI\'s output folder. Use a name or a sub-folder of it.')
    folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(prefix, output, width, height)
    file = f"{name}_{counter:05}_{suffix}"
    return Path(folder) / file, ui.SavedResult(file, subfolder, io.FolderType.output)
