"""Measuring layers."""

from __future__ import annotations

import torch
from comfy_api.latest import io, ui

from ..qil_core.metrics import MERGES, measure
from ..qil_core.stack import LayerStack
from .door import Node
from .sockets import CATEGORY, layers_input


class LayerScore(Node):
    """Score a layer stack against the true one."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LayerScore",
            display_name="Layer Score",
            category=CATEGORY,
            description="Measures how near layers are to the true ones with LayersEditDist, the metric of LayerD and "
            "of the paper of Qwen-Image-Layered.",
            search_aliases=["layers edit dist", "evaluate layers", "metric", "benchmark", "iou"],
            is_output_node=True,
            inputs=[
                layers_input(),
                io.Image.Input("truth", tooltip="The true layers, RGBA, bottom first, in the same size."),
                io.Int.Input(
                    "merges",
                    default=0,
                    min=0,
                    max=MERGES,
                    tooltip="Merges of neighbours that rgb_l1 and iou allow for.",
                ),
            ],
            outputs=[
                io.String.Output("report", tooltip="The score at 0 to 5 merges; composites and edges."),
                io.Float.Output("rgb_l1", tooltip="Mean difference of colours, 0 to 1; lower is better."),
                io.Float.Output("alpha_iou", tooltip="Soft overlap of alphas, 0 to 1; higher is better."),
            ],
        )

    @classmethod
    def execute(cls, layers: torch.Tensor, truth: torch.Tensor, merges: int) -> io.NodeOutput:
        found = measure(LayerStack.from_image(layers), LayerStack.from_image(truth))
        level = found.layers.levels[merges]
        return io.NodeOutput(str(found), level.rgb_l1, level.alpha_iou, ui=ui.PreviewText(str(found)))
