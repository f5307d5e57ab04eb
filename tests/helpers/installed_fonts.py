"""Fonts of this machine, which tests of scripts need."""

from __future__ import annotations

import shutil
import subprocess


def font_file(name: str) -> str:
    """The file of an installed font; "" where there is none."""
    if not shutil.which("fc-match"):
        return ""
    found = subprocess.run(["fc-match", "-f", "%{family}|%{file}", name], capture_output=True, text=True, check=True)
    family, _, path = found.stdout.partition("|")
    return path if name in family.split(",") else ""
