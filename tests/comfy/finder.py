"""Where a ComfyUI checkout is, and which Python runs it. Nothing is installed or changed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
"""The root of this package."""

PLACES = "$COMFYUI_DIR, the folder two above this package, ~/comfy/ComfyUI"


@dataclass(frozen=True)
class Checkout:
    """A ComfyUI folder and the interpreter that has its requirements."""

    folder: Path
    python: Path


def find_checkout() -> Checkout | None:
    """The first ComfyUI checkout in PLACES, or None."""
    folder = next((place for place in _places() if _is_comfyui(place)), None)
    return Checkout(folder, _python_for(folder)) if folder else None


def _places() -> Iterator[Path]:
    if os.environ.get("COMFYUI_DIR"):
        yield Path(os.environ["COMFYUI_DIR"]).expanduser().resolve()
    yield REPO.parent.parent
    yield Path.home() / "comfy" / "ComfyUI"


def _is_comfyui(folder: Path) -> bool:
    return (folder / "main.py").is_file() and (folder / "comfy").is_dir()


def _python_for(folder: Path) -> Path:
    """$COMFYUI_PYTHON, else a virtual environment inside or beside the checkout, else the Python of the tests."""
    given = os.environ.get("COMFYUI_PYTHON")
    inside = [folder / ".venv", folder / "venv"]
    beside = sorted(p for p in folder.parent.iterdir() if p.is_dir() and p != folder)
    found = (python for env in inside + beside if (python := _interpreter(env)))
    return Path(given) if given else next(found, Path(sys.executable))


def _interpreter(env: Path) -> Path | None:
    names = (env / "bin" / "python", env / "Scripts" / "python.exe", env / "python.exe")
    return next((name for name in names if name.is_file()), None)
