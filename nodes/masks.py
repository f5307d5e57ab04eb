"""Layers of masks, from any node that segments, or of boxes and points."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io

from ..qil_core.decompose import Request
from ..qil_core.decompose.builtin.working import Floats
from ..qil_core.decompose.masks import Masks
from ..qil_core.decompose.pointed import pointed_masks, read_boxes, read_points
from ..qil_core.decompose.run import decompose
from ..qil_core.stack import check_image
from . import host
from .door import Node, only
from .shown import in_short
from .sockets import CATEGORY, layers_output, names_output

WHITE, BLACK = "white is the thing", "black is the thing (Load Image)"
FOUND, GIVEN = "found", "as given, bottom first"
MAX_BAND = 200

BoundingBoxes = io.Custom("BOUNDING_BOX")
"""Core's: an object with x, y, width and height in pixels, or a list of them. Older ComfyUI has no name for it."""


def points_input(name: str, tooltip: str) -> io.String.Input:
    return io.String.Input(name, multiline=True, optional=True, default="", tooltip=tooltip, force_input=True)


class MasksToLayers(Node):
    """Turn masks into layers that composite back to the picture exactly."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        names = "Names of the masks, one a line, in their order. Without them things are named by what they show."
        plate = (
            "Optional: the same picture without the things, from an edit or an inpainting graph. It is toned to fit. "
            "Without it what is hidden is filled."
        )
        band = "How far from a mask's edge its soft edge is looked for, in pixels. 0 takes it from the picture's size."
        masks = (
            "A mask a layer. With SAM3 Detect, switch individual_masks on. May be left out where boxes or points are."
        )
        boxes = (
            "Optional, in place of masks: a box around each thing, from Bounding Box, Create Bounding Boxes or any "
            "detector. All boxes share out the pixels among them, without a model."
        )
        inside = (
            'Optional points in a thing, as points editors give them: [{"x": 120, "y": 40}]. Each corrects the mask '
            "or box that it lies in or is nearest to. Without masks and boxes they are all of one thing."
        )
        outside = "Optional points that are not in the thing: they correct the mask they lie in or are nearest to."
        return io.Schema(
            node_id="MasksToLayers",
            display_name="Layers from Masks",
            category=CATEGORY,
            description="Makes a layer of every mask, as SAM3 Detect and Remove Background give them, or of every box: "
            "soft edges, pure colours, what is hidden filled, and the background below. The layers composite back to "
            "the picture.",
            search_aliases=["masks to layers", "segment", "sam3", "cut out", "remove background", "matting", "extract"],
            inputs=[
                io.Image.Input("image", tooltip="One picture, RGB or RGBA, any size."),
                io.Mask.Input("masks", optional=True, tooltip=masks),
                io.Combo.Input(
                    "meaning",
                    options=[WHITE, BLACK],
                    tooltip="Load Image's mask of a cut-out is the other way round; one that you paint is not.",
                ),
                io.Combo.Input(
                    "order",
                    options=[FOUND, GIVEN],
                    tooltip="found: which one lies above which is read from the picture.",
                ),
                io.Int.Input("band", default=0, min=0, max=MAX_BAND, tooltip=band, advanced=True),
                io.String.Input("names", multiline=True, optional=True, default="", tooltip=names),
                io.Image.Input("background", optional=True, tooltip=plate),
                BoundingBoxes.Input("boxes", optional=True, tooltip=boxes, extra_dict={"forceInput": True}),
                points_input("positive_coords", inside),
                points_input("negative_coords", outside),
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
        meaning: str,
        order: str,
        band: int,
        names: str = "",
        masks: torch.Tensor | None = None,
        background: torch.Tensor | None = None,
        boxes: Any = None,
        positive_coords: str = "",
        negative_coords: str = "",
    ) -> io.NodeOutput:
        picture = only(check_image(image), "image")
        areas: list[Floats] = [] if masks is None else list(masks.float().clamp(0, 1).cpu().numpy())
        height, width = picture.shape[:2]
        decomposer = Masks(
            pointed_masks(
                picture[..., :3].cpu().numpy(),
                [area if meaning == WHITE else 1 - area for area in areas],
                [] if boxes is None else read_boxes(boxes, width, height),
                read_points("positive_coords", positive_coords, width, height),
                read_points("negative_coords", negative_coords, width, height),
            ),
            tuple(names.splitlines()),
            order == GIVEN,
            None if background is None else only(check_image(background), "background"),
            band or None,
        )
        stack, report = decompose(decomposer, picture, Request(), host.progress())
        host.say(in_short([report]))
        return io.NodeOutput(stack.pixels, stack.name_text, str(report))
