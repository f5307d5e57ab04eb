"""Installs OpenCV where there is none; ComfyUI's managers run this after requirements.txt.

cv2 comes in four distributions that overwrite each other's files (opencv-python, opencv-contrib-python and both with
-headless). Any of them serves this package, and requirements.txt cannot say "one of them". RapidOCR names one, so with
`--text` it is installed without what it names, and that by itself, less OpenCV: the extra `text`, by which the words of
a picture are read.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys

OPENCV = "opencv-python-headless>=4.8,<6"
READER = "rapidocr>=3.10,<4"
READER_NEEDS = (
    "onnxruntime>=1.20,<2", "pyclipper>=1.2", "shapely>=1.7.1,!=2.0.4", "omegaconf!=2.2.1", "PyYAML", "colorlog",
    "requests", "six",
)  # fmt: skip


def main() -> int:
    if importlib.util.find_spec("cv2") is not None:
        print("OpenCV is there already.")
        failed = 0
    else:
        failed = install(OPENCV)
    if "--text" in sys.argv and not failed:
        failed = install(*READER_NEEDS) or install("--no-deps", READER)
    return failed


def install(*what: str) -> int:
    """What pip returns: 0 when it is done."""
    command = [sys.executable, "-m", "pip", "install", *what]
    print("Installing:", *command, flush=True)
    return 0 if "--dry-run" in sys.argv else subprocess.call(command)


if __name__ == "__main__":
    sys.exit(main())
