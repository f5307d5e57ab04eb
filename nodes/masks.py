"""Layers of masks, from any node that segments."""

from __future__ import annotations

import torch
from comfy_api.latest import io

from ..qil_core.decompose import Request
from ..qil_core.decompose.masks import Masks
from ..qil_core.decompose.run import decompose
from ..qil_core.stack import check_image
from . import host
from .door import Node, only
from .shown import in_short
from .sockets import CATEGORY, layers_output, names_output

WHITE, BLACK = "white is the thing", "black is the thing (Load Image)"
FOUND, GIVEN = "found", "as given, bottom first"
MAX_BAND = 200


class MasksToLayers(Node):
    """Turn masks into layers that composite back to the picture exactly."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        names = "Optional names of the masks, one a line, in their order."
        plate = (
            "Optional: the same picture without the things, from an edit or an inpainting graph. It is toned to fit. "
            "Without it what is hidden is filled."
        )
        band = "How far from a mask's edge its soft edge is looked for, in pixels. 0 takes it from the picture's size."
        return io.Schema(
            node_id="MasksToLayers",
            display_name="Layers from Masks",
            category=CATEGORY,
            description="Makes a layer of every mask, as SAM3 Detect and Remove Background give them: soft edges, pure "
            "colours, what is hidden filled, and the background below. The layers composite back to the picture.",
            search_aliases=["masks to layers", "segment", "sam3", "cut out", "remove background", "matting", "extract"],
            inputs=[
                io.Image.Input("image", tooltip="One picture, RGB or RGBA, any size."),
                io.Mask.Input("masks", tooltip="A mask a layer. With SAM3 Detect, switch individual_masks on."),
                io.Combo.Input(
                    "meaning", options=[WHITE, BLACK], tooltip="Load Image's masks are the other way round."
                ),
                io.Combo.Input(
                    "order",
                    options=[FOUND, GIVEN],
                    tooltip="found: which one lies above which is read from the picture.",
                ),
                io.Int.Input("band", default=0, min=0, max=MAX_BAND, tooltip=band, advanced=True),
                io.String.Input("names", multiline=True, optional=True, default="", tooltip=names),
                io.Image.Input("background", optional=True, tooltip=plate),
            ],
            outputs=[
                layers_output(),
                names_output(),
                io.String.Output("report", tooltip="What was done, and the measured error."),
            ],
        )

    @classmethod
    def execute(
        cls,
        image: torch.Tensor,
        masks: torch.Tensor,
        meaning: str,
        order: str,
        band: int,
        names: str = "",
        background: torch.Tensor | None = None,
    ) -> io.NodeOutput:
        areas = masks.float().clamp(0, 1).cpu().numpy()
        decomposer = Masks(
            list(areas if meaning == WHITE else 1 - areas),
            tuple(names.splitlines()),
            order == GIVEN,
            None if background is None else only(check_image(background), "background"),
            band or None,
        )
        stack, report = decompose(decomposer, only(check_image(image), "image"), Request(), host.progress())
        host.say(in_short([report]))
        return io.NodeOutput(stack.pixels, stack.name_text, str(report))
