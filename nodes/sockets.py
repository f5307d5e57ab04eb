"""The model sockets and the inputs that several nodes share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from comfy_api.latest import io

from ..qil_core.files.layered import PLAIN, Layered, Look

LayeredModel = io.Custom("LAYERED_MODEL")
"""A Decomposer (qil_core.decompose)."""

EditModel = io.Custom("EDIT_MODEL")
"""An Editor (qil_core.edit)."""

LayerLook = io.Custom("LAYER_LOOK")
"""A Look (qil_core.files.layered): which layers are hidden, their opacity and blend modes."""

CATEGORY = "image/layers"
LEAVE_OUT, KEEP = "leave out", "keep"


class FileChoice(io.Combo.Input):
    """A choice among files, which come and go: one that is in no list yet is taken, if it is there."""


class LongText(io.String.Input):
    """A text that grows with the number of layers, such as edits. widget: the type of the widget that writes it."""

    def __init__(self, id: str, widget: str, **options: Any) -> None:
        super().__init__(id, **options)
        self.widget = widget

    def as_dict(self) -> dict[str, Any]:
        """What the front end gets; without a widget of that type it would show a plain text box."""
        return {**super().as_dict(), "widgetType": self.widget}


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


class WhichLayer(io.MultiType.Input):
    """A text box for an index or a name, to which a number may be linked too. Its id is from when it was a number."""

    def __init__(self, what: str, group: bool = False) -> None:
        tooltip = (
            f"Layer {what}: its name, or an index; 0 is the bottom layer, and negative numbers count from the top, so "
            "-1 is the topmost."
        )
        tooltip += " A star stands for any text: girl/* is the whole group." if group else ""
        text = io.String.Input("index", display_name="layer", default="-1", tooltip=tooltip)
        super().__init__(text, types=[io.Int])


def modes_input() -> io.String.Input:
    tooltip = "Optional blend modes, one a line, bottom layer first; one alone serves every layer. None: normal."
    return io.String.Input("modes", multiline=True, optional=True, default="", tooltip=tooltip, force_input=True)


def layered_outputs() -> list[io.Output]:
    """What a file or a document of layers gives; the outputs of `layered_values`."""
    modes = "Blend modes, one a line, bottom layer first, for Composite Layers (each layer) and the exports."
    return [
        layers_output(),
        names_output(),
        io.String.Output("modes", tooltip=modes),
        io.Int.Output("width", tooltip="Width of the canvas in pixels."),
        io.Int.Output("height", tooltip="Height of the canvas in pixels."),
    ]


def layered_values(document: Layered) -> io.NodeOutput:
    """The outputs of `layered_outputs`: opacities are part of alpha from here on."""
    folded = document.folded()
    stack = folded.stack
    return io.NodeOutput(stack.pixels, stack.name_text, "\n".join(folded.look.modes), stack.width, stack.height)


def look_input() -> io.Input:
    tooltip = "Optional, from Layer Editor: which layers are hidden, their opacity and blend modes."
    return LayerLook.Input("look", optional=True, tooltip=tooltip)


def with_modes(look: Look | None, modes: Sequence[str], count: int) -> Look:
    """A look for `count` layers, written out; blend modes that were chosen by hand go before its own."""
    given = look or PLAIN
    return (replace(given, modes=tuple(modes)) if modes else given).of(count)


def hidden_input() -> io.Combo.Input:
    tooltip = "Whether layers that are switched off come along; a stack has no switch, so that they would show."
    return io.Combo.Input("hidden", options=[LEAVE_OUT, KEEP], tooltip=tooltip)


def prefix_input(default: str) -> io.String.Input:
    """Checked by `host.check_prefix`, in validation already."""
    return io.String.Input("filename_prefix", default=default, tooltip="File name in the output folder.")
