"""Handing layers over as files."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io, ui

from ..qil_core.composite import composite
from ..qil_core.errors import QilError
from ..qil_core.files import pptx
from ..qil_core.stack import LayerStack
from . import host
from .sockets import CATEGORY, layers_input, names_input


class ExportPPTX(io.ComfyNode):
    """Write layers as a PowerPoint deck, one slide a stack."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ExportPPTX",
            display_name="Export PPTX",
            category=CATEGORY,
            description="Writes a PowerPoint file: every layer a picture of its own, cropped, named and in place. "
            "A list of stacks makes one deck, a slide each.",
            search_aliases=["powerpoint", "slides", "presentation", "save layers"],
            is_input_list=True,
            is_output_node=True,
            inputs=[
                layers_input(),
                io.String.Input("filename_prefix", default="layers/deck", tooltip="File name in the output folder."),
                io.Float.Input(
                    "dpi",
                    default=96.0,
                    min=10.0,
                    max=2400.0,
                    step=1.0,
                    tooltip="Pixels an inch. A slide side is 1 to 56 inches: larger pictures are scaled down.",
                ),
                names_input(),
            ],
            outputs=[
                io.String.Output("path", tooltip="The file that was written."),
                io.String.Output("report", tooltip="Slide size, pictures, layers left out."),
            ],
        )

    @classmethod
    def execute(
        cls,
        layers: list[torch.Tensor],
        filename_prefix: list[str],
        dpi: list[float],
        names: list[str] | None = None,
    ) -> io.NodeOutput:
        slides = _slides(layers, names or [""])
        path, saved = host.output_path(filename_prefix[0], ".pptx", slides[0].width, slides[0].height)
        report = pptx.write(slides, path, dpi[0], host.progress())
        shown: dict[str, Any] = _preview(slides)
        return io.NodeOutput(str(path), str(report), ui={**shown, "files": [saved]})


def _slides(layers: list[torch.Tensor], names: list[str]) -> list[LayerStack]:
    """One stack a slide; a single names text serves every slide."""
    given = names * len(layers) if len(names) == 1 else names
    if len(given) != len(layers):
        raise QilError(f"{len(names)} names texts were given for {len(layers)} stacks: give one each, or one for all.")
    return [LayerStack.from_image(image, text or "") for image, text in zip(layers, given, strict=True)]


def _preview(slides: list[LayerStack]) -> dict[str, Any]:
    saved = [image for stack in slides for image in ui.PreviewImage(composite(stack)[None]).as_dict()["images"]]
    return {"images": saved}
