"""Run the benchmarks: all of them, or those named; or a visit to a GPU machine (see gpu_model.py)."""

from __future__ import annotations

import importlib
import platform
import sys
from collections.abc import Callable

import torch

BENCHMARKS = {
    "busy": "busy.run",
    "compositing": "compositing.run",
    "transforming": "transforming.run",
    "decomposing": "decomposing.run",
    "restoring": "restoring.run",
    "editing": "editing.run",
    "filling": "filling.run",
    "matting": "matting.run",
    "scores": "scores.run",
    "drawn": "drawn_scores.tuning",
    "held_back": "drawn_scores.held_back",
    "pngs": "pngs.run",
    "layer_files": "layer_files.run",
    "startup": "startup.run",
    "model": "model.run",
}


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["gpu_model"]:  # has arguments of its own
        return function("gpu_model")(arguments[1:])
    unknown = set(arguments) - set(BENCHMARKS)
    if unknown:
        sys.exit(f"No benchmark {', '.join(sorted(unknown))}: use {', '.join(BENCHMARKS)}, gpu_model.")
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
