"""What the ways to take a picture apart without a GPU cost: seconds and memory of the whole command, files included.

Each is a process of its own, from its start to its end, on the example poster. Memory is the most that the process
had resident (`ru_maxrss` of wait4, on Linux in units of 1024 bytes).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from qil_core.example import draw_poster

SIZES = {"1200 x 1600": (1200, 1600), "4000 x 4000": (4000, 4000)}

EDITABLE = ("--text", "editable", "--shapes", "editable")

WAYS = {
    "built-in, 6 layers, PNG and PPTX": ("1200 x 1600", ("--layers", "6")),
    "the same, as many layers as there are": ("1200 x 1600", ("--layers", "auto")),
    "the same, text and shapes editable": (
        "1200 x 1600",
        ("--layers", "6", "--text", "editable", "--shapes", "editable"),
    ),
    "three boxes, PNG and PPTX": ("1200 x 1600", ("--boxes", "225,185,975,935;638,558,1106,1026;140,955,1060,1525")),
    "built-in, 6 layers, 4000 x 4000 px": ("4000 x 4000", ("--layers", "6")),
}
"""The picture's size and the command's options; boxes are left, top, right and bottom of two discs and the card."""

LINUX_UNIT = 1024


def cost(command: list[str]) -> tuple[float, float, float]:
    """Wall time and time on all cores together, in seconds, and the most resident memory, in GB, of a command.

    The time on the cores hardly depends on what else the machine does. Raises RuntimeError where the command fails.
    """
    started = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {child.returncode}")
    return time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * LINUX_UNIT / 1e9


def run() -> None:
    with tempfile.TemporaryDirectory() as folder:
        pictures = {name: Path(folder) / f"{name.replace(' ', '')}.png" for name in SIZES}
        for name, path in pictures.items():
            draw_poster(*SIZES[name]).save(path)
        for way, (size, options) in WAYS.items():
            command = [
                sys.executable,
                "-m",
                "qil_core",
                "decompose",
                str(pictures[size]),
                "-o",
                f"{folder}/out",
                *options,
            ]
            seconds, of_cores, memory = cost(command)
            print(f"  {way}: {seconds:.1f} s, {of_cores:.1f} s of the cores, {memory:.1f} GB", flush=True)
