"""The model socket and the inputs that several nodes share."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..qil_core.errors import QilError

LayeredModel = io.Custom("LAYERED_MODEL")
"""A Decomposer (qil_core.decompose)."""

CATEGORY = "image/layers"


def chosen(id: str, choice: dict[str, Any] | None) -> dict[str, Any]:
    """What was chosen. ComfyUI drops an option that it does not know (a newer workflow's), and gives None."""
    if choice is None:
        raise QilError(f'"{id}" is set to an option that this version does not have: choose another one in the node.')
    return choice


def layers_input() -> io.Image.Input:
    return io.Image.Input("layers", tooltip="RGBA layer stack (N, H, W, 4), bottom layer first.")


def layers_output() -> io.Image.Output:
    return io.Image.Output("layers", tooltip="RGBA layer stack, bottom layer first.")


def names_input() -> io.String.Input:
    tooltip = 'Optional layer names, one a line, bottom layer first. A "/" makes a group: girl/hair.'
    # a socket only: a text box keeps its room on the node when it is linked, a blank third of Preview Layers
    return io.String.Input("names", multiline=True, optional=True, default="", tooltip=tooltip, force_input=True)


def names_output() -> io.String.Output:
    return io.String.Output("names", tooltip="Layer names, one a line, bottom layer first.")


def index_input(what: str) -> io.Int.Input:
    tooltip = f"Layer {what}: 0 is the bottom layer; negative numbers count from the top, so -1 is the topmost."
    return io.Int.Input("index", default=-1, min=-100, max=99, tooltip=tooltip)
