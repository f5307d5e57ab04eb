"""Installs OpenCV where there is none; ComfyUI's managers run this after requirements.txt.

cv2 comes in four distributions that overwrite each other's files (opencv-python, opencv-contrib-python and both with
-headless). Any of them serves this package, and requirements.txt cannot say "one of them".
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys

OPENCV = "opencv-python-headless>=4.8,<6"


def main() -> int:
    if importlib.util.find_spec("cv2") is not None:
        print("OpenCV is there already.")
        return 0
    command = [sys.executable, "-m", "pip", "install", OPENCV]
    print("Installing OpenCV:", *command, flush=True)
    return 0 if "--dry-run" in sys.argv else subprocess.call(command)


if __name__ == "__main__":
    sys.exit(main())
