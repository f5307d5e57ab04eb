"""Between layer stacks and ComfyUI's own LAYERS document. A ComfyUI that lacks it loads these nodes all the same."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io

from ..qil_core.composite import modes_for
from ..qil_core.files.document import from_document, to_document
from ..qil_core.files.layered import Look
from ..qil_core.stack import LayerStack
from .door import Node
from .sockets import (
    CATEGORY,
    KEEP,
    hidden_input,
    layered_outputs,
    layered_values,
    layers_input,
    modes_input,
    names_input,
)

Document = io.Custom("LAYERS")
"""By its name alone: comfy_api has its own class for it only since 0.30."""

SPACE = (
    "ComfyUI's compositor adds up light, this package stored sRGB values, as Photoshop does: white at half opacity "
    "over black is 188 there and 128 here. The layers of the example poster differ by 0.7 of 255 on average and by up "
    "to 60 at soft edges. There, a blend mode other than normal shows only where something lies below; here it "
    "is normal over nothing."
)


class LayersToDocument(Node):
    """Make ComfyUI's LAYERS document of a stack."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LayersToDocument",
            display_name="Layers to Document",
            category=CATEGORY,
            description="Makes a document for ComfyUI's own layer editor (Create Layered Image) of a layer stack. "
            "It needs ComfyUI 0.30 or newer, which has that editor.",
            search_aliases=["create layered image", "compositor", "layer editor", "LAYERS"],
            inputs=[layers_input(), names_input(), modes_input()],
            outputs=[Document.Output("document", tooltip=f"For Create Layered Image and Add Layer. {SPACE}")],
        )

    @classmethod
    def execute(cls, layers: torch.Tensor, names: str = "", modes: str = "") -> io.NodeOutput:
        stack = LayerStack.from_image(layers, names or "")
        return io.NodeOutput(to_document(stack, Look(tuple(modes_for(modes or "", len(stack))))))


class DocumentToLayers(Node):
    """Make a stack of ComfyUI's LAYERS document."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DocumentToLayers",
            display_name="Document to Layers",
            category=CATEGORY,
            description="Makes a layer stack of a document of ComfyUI's Add Layer and Layers From Bounding Boxes: "
            "every layer flipped, scaled, rotated, masked and placed on the canvas.",
            search_aliases=["add layer", "compositor", "layered image", "LAYERS"],
            inputs=[
                Document.Input("document", tooltip=f"From Add Layer or Layers From Bounding Boxes. {SPACE}"),
                hidden_input(),
            ],
            outputs=layered_outputs(),
        )

    @classmethod
    def execute(cls, document: Any, hidden: str) -> io.NodeOutput:
        layered = from_document(document)
        return layered_values(layered if hidden == KEEP else layered.shown("The document"))
