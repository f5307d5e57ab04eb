"""The panel of Layer Editor: how long a frame of a drag takes its own code, run by node.

Eight layers on a canvas of 2048 x 2048 pixels, shown as previews of 1024 x 1024, every one as large as the canvas: the
most that a drag can cost. All ways of drawing in one run: everything anew, and what a gesture holds.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

FRAME = 1000 / 30
"""Milliseconds of a frame at 30 a second."""


def run() -> None:
    node = shutil.which("node")
    if node is None:
        print("skipped: there is no node on the PATH")
        return
    script = Path(__file__).with_suffix(".mjs")
    done = subprocess.run([node, str(script)], capture_output=True, text=True, check=True)
    print(done.stdout, end="")
    print(f"a frame at 30 a second has {FRAME:.1f} ms")
