"""Run the benchmarks: all of them, or those named; or a visit to a GPU machine (see gpu_model.py)."""

from __future__ import annotations

import importlib
import platform
import sys
from collections.abc import Callable

import torch

BENCHMARKS = {
    "busy": "busy.run",
    "choosing": "choosing.run",
    "compositing": "compositing.run",
    "transforming": "transforming.run",
    "decomposing": "decomposing.run",
    "restoring": "restoring.run",
    "editing": "editing.run",
    "filling": "filling.run",
    "matting": "matting.run",
    "masks": "masks.run",
    "picking": "picking.run",
    "scores": "scores.run",
    "drawn": "drawn_scores.tuning",
    "held_back": "drawn_scores.held_back",
    "pngs": "pngs.run",
    "layer_files": "layer_files.run",
    "editable_text": "editable_text.run",
    "psd_files": "psd_files.run",
    "shapes": "shapes.run",
    "naming": "naming.run",
    "startup": "startup.run",
    "serving": "serving.run",
    "batch": "batch.run",
    "batch_cluster": "batch_cluster.run",
    "capacity": "capacity.run",
    "layer_editor": "layer_editor.run",
    "model": "model.run",
}

WITH_ARGUMENTS = ("gpu_model", "rehearsal")
"""What takes arguments of its own, and a large GPU or 58 GB of disk: it runs only when it is asked for."""


def main(arguments: list[str]) -> None:
    if arguments and arguments[0] in WITH_ARGUMENTS:
        sys.exit(function(arguments[0])(arguments[1:]))
    unknown = set(arguments) - set(BENCHMARKS)
    if unknown:
        sys.exit(f"No benchmark {', '.join(sorted(unknown))}: use {', '.join((*BENCHMARKS, *WITH_ARGUMENTS))}.")
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    print(f"Python {platform.python_version()}, torch {torch.__version__}, {torch.get_num_threads()} threads, {gpu}")
    for name in arguments or BENCHMARKS:
        print(f"\n{name}")
        function(BENCHMARKS[name])()


def function(place: str) -> Callable[..., None]:
    """What "module.function" names, or "module" alone its main: no benchmark has others' packages imported."""
    module, _, name = place.partition(".")
    return getattr(importlib.import_module(f".{module}", __package__), name or "main")


main(sys.argv[1:])
