"""Run the benchmarks: all of them, or those named."""

from __future__ import annotations

import platform
import sys

import torch

from . import (
    busy,
    compositing,
    decomposing,
    drawn_scores,
    editing,
    filling,
    gpu_model,
    layer_files,
    model,
    pngs,
    rehearsal,
    restoring,
    scores,
    startup,
    transforming,
)

BENCHMARKS = {
    "busy": busy.run,
    "compositing": compositing.run,
    "transforming": transforming.run,
    "decomposing": decomposing.run,
    "restoring": restoring.run,
    "editing": editing.run,
    "filling": filling.run,
    "scores": scores.run,
    "drawn": drawn_scores.tuning,
    "held_back": drawn_scores.held_back,
    "pngs": pngs.run,
    "layer_files": layer_files.run,
    "startup": startup.run,
    "model": model.run,
    "gpu_model": gpu_model.run,
}


def main(names: list[str]) -> None:
    unknown = set(names) - set(BENCHMARKS)
    if unknown:
        sys.exit(f"No benchmark {', '.join(sorted(unknown))}: use {', '.join(BENCHMARKS)}.")
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    print(f"Python {platform.python_version()}, torch {torch.__version__}, {torch.get_num_threads()} threads, {gpu}")
    for name in names or BENCHMARKS:
        print(f"\n{name}")
        BENCHMARKS[name]()


if sys.argv[1:2] == ["rehearsal"]:  # takes arguments, and 58 GB of disk: only when it is asked for
    sys.exit(rehearsal.main(sys.argv[2:]))
main(sys.argv[1:])
