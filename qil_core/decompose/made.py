"""How a stack was made: what somebody needs to know to make the same one again, bit for bit on the same machine."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import cache
from importlib import metadata
from typing import Any

from ..checkpoints.identity import fingerprints
from ..errors import QilError
from . import Decomposer, Request

COMPUTING = (
    "torch",
    "diffusers",
    "transformers",
    "numpy",
    "pillow",
    "opencv-python-headless",
    "opencv-python",
    "rapidocr",
    "onnxruntime",
)
"""Distributions whose numbers become pixels of layers, or words and boxes that decide which layers there are."""


def how_made(decomposer: Decomposer, request: Request) -> dict[str, Any]:
    """Decomposer, its options and files, the request, versions and device, as plain values for JSON."""
    recipe: Mapping[str, Any] = getattr(decomposer, "recipe", {"name": decomposer.label, "options": {}})
    files = getattr(decomposer, "files", None)
    return {
        "decomposer": recipe["name"],
        "options": dict(recipe["options"]),
        "files": fingerprints(files) if files else {},
        **asdict(request),
        "versions": versions(),
        "device": getattr(decomposer, "device_name", "CPU"),
    }


@cache
def versions() -> dict[str, str]:
    """Of this package, Python, and what is installed of COMPUTING."""
    from .. import __version__

    found = {"qil": __version__, "python": platform.python_version()}
    for name in COMPUTING:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def differences(made: Mapping[str, Any]) -> Iterator[str]:
    """A line for each version that is another one here than the one with which something was made."""
    here = versions()
    for name, version in made["versions"].items():
        if here.get(name) != version:
            yield f"{name} {version} made it, here is {here.get(name, 'none')}"


def check_files(here: Mapping[str, Any], made: Mapping[str, Any]) -> None:
    """QilError that names the model files which are not those with which something was made.

    here: `checkpoints.identity.fingerprints` of the files that are to be used; {} without any.
    """
    other = sorted(name for name in {*here, *made["files"]} if here.get(name) != made["files"].get(name))
    if other:
        raise QilError(
            f"The model's files are not those of the report: {', '.join(other[:4])}{' ...' if len(other) > 4 else ''}. "
            "Give the folder that has them with --model, or leave --from-report out."
        )
