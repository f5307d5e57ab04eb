"""Putting layers together, and looking at them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from comfy_api.latest import io

from ..qil_core.blend import BLEND_MODES
from ..qil_core.color import parse_color
from ..qil_core.composite import modes_for, onto_color
from ..qil_core.files.layered import Layered, Look
from ..qil_core.sheet import contact_sheet
from ..qil_core.stack import LayerStack
from .door import Node
from .shown import layer_sheet
from .sockets import CATEGORY, layers_input, look_input, names_input, with_modes


class CompositeLayers(Node):
    """Flatten a layer stack, bottom to top."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        option = io.DynamicCombo.Option
        one = io.Combo.Input("mode", options=list(BLEND_MODES), tooltip="For every layer above the bottom one.")
        each = io.String.Input(
            "modes", multiline=True, default="normal", tooltip="One blend mode a line (or comma), bottom layer first."
        )
        return io.Schema(
            node_id="CompositeLayers",
            display_name="Composite Layers",
            category=CATEGORY,
            description="Flattens a layer stack, bottom to top.",
            search_aliases=["flatten", "merge", "merge layers", "alpha over", "blend modes", "combine layers"],
            inputs=[
                layers_input(),
                io.DynamicCombo.Input(
                    "blend",
                    options=[option("normal", []), option("one mode", [one]), option("each layer", [each])],
                    tooltip="How colours meet where layers overlap.",
                ),
                io.Combo.Input(
                    "space",
                    options=["sRGB", "linear light"],
                    tooltip="sRGB adds up stored values, as the model and Photoshop do; linear light adds up light.",
                ),
                io.DynamicCombo.Input(
                    "background",
                    options=[
                        option("transparent", []),
                        option("color", [io.Color.Input("color", default="#ffffff", tooltip="Behind all layers.")]),
                    ],
                    tooltip="What lies behind the bottom layer.",
                ),
                look_input(),
            ],
            outputs=[
                io.Image.Output("image", tooltip="RGB."),
                io.Mask.Output("mask", tooltip="1 - alpha, as in Load Image."),
                io.Image.Output("layer", tooltip="The same as a stack of one RGBA layer."),
            ],
        )

    @classmethod
    def execute(
        cls,
        layers: torch.Tensor,
        space: str,
        blend: dict[str, Any],
        background: dict[str, Any],
        look: Look | None = None,
    ) -> io.NodeOutput:
        stack = LayerStack.from_image(layers)
        modes = modes_for(blend.get("modes") or blend.get("mode") or "", len(stack))
        layered = Layered(stack, with_modes(look, modes, len(stack)))
        flat = layered.composite(linear=space == "linear light")
        if "color" in background:
            flat = onto_color(flat, torch.tensor(parse_color(background["color"]), device=flat.device))
        return io.NodeOutput(flat[None, ..., :3], 1 - flat[None, ..., 3], flat[None])


class PreviewLayers(Node):
    """Show every layer on a checkerboard."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PreviewLayers",
            display_name="Preview Layers",
            category=CATEGORY,
            description="Shows a contact sheet: every layer on a checkerboard with its index, name and coverage.",
            search_aliases=["contact sheet", "show layers", "layer thumbnails"],
            inputs=[layers_input(), names_input()],
            outputs=[io.Image.Output("sheet", tooltip="The contact sheet, RGB.")],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, layers: torch.Tensor, names: str = "") -> io.NodeOutput:
        stack = LayerStack.from_image(layers, names or "")
        sheet = torch.from_numpy(np.array(contact_sheet(stack))).float().div_(255)[None]
        return io.NodeOutput(sheet, ui=layer_sheet(stack))
