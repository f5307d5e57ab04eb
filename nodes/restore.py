"""Bringing small layers to the size of the picture they were made of."""

from __future__ import annotations

import torch
from comfy_api.latest import io

from ..qil_core.decompose.run import with_alpha
from ..qil_core.errors import QilError
from ..qil_core.exact import edge_changes, make_exact, recomposition
from ..qil_core.progress import part
from ..qil_core.restore import check_aspect, restore
from ..qil_core.stack import LayerStack, quantized
from . import host
from .decompose import with_mask
from .door import Node
from .shown import comparison
from .sockets import CATEGORY, layers_input, layers_output, names_input, names_output

BOTH, ALPHA = "alpha and colours", "alpha only"


class RestoreLayers(Node):
    """Bring a small layer stack to the size of its picture, exactly."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="RestoreLayers",
            display_name="Restore Layers",
            category=CATEGORY,
            description="Brings small layers to the size of the picture they were made of: edges are solved for at "
            "full size, colours come from the picture, and the layers composite back to it to within 1/255.",
            search_aliases=["upscale layers", "full resolution layers", "matting", "refine alpha", "exact layers"],
            inputs=[
                layers_input(),
                io.Image.Input("original", tooltip="The picture that the layers were made of, at its full size."),
                io.Combo.Input(
                    "restores",
                    options=[BOTH, ALPHA],
                    tooltip="alpha only: colours stay the layers' own, enlarged; the composite is then not exact.",
                ),
                names_input(),
                io.Mask.Input(
                    "mask", optional=True, tooltip="Load Image's mask, for transparent pictures: 1 is transparent."
                ),
            ],
            outputs=[
                layers_output(),
                names_output(),
                io.Mask.Output("masks", tooltip="1 - alpha a layer, as in Load Image."),
                io.String.Output("report", tooltip="The error of the composite before and after."),
                io.Float.Output("max_error", tooltip="Largest error of the composite, in 1/255."),
                io.Float.Output("psnr", tooltip="Of the composite against the original, in dB."),
            ],
        )

    @classmethod
    def execute(
        cls,
        layers: torch.Tensor,
        original: torch.Tensor,
        restores: str,
        names: str = "",
        mask: torch.Tensor | None = None,
    ) -> io.NodeOutput:
        small = LayerStack.from_image(layers, names or "")
        picture = _one(with_mask(original, mask))
        check_aspect(small, picture)
        progress = host.progress()
        solved = restore(small, picture, part(progress, 0, 0.7))
        progress(0.7, "making the layers exact")
        done = make_exact(solved, picture) if restores == BOTH else LayerStack(quantized(solved.pixels), solved.names)
        before, after = recomposition(solved, picture), recomposition(done, picture)
        progress(1.0, "done")
        size = f"{small.width} x {small.height} to {done.width} x {done.height} px"
        report = f"{len(done)} layers from {size}\nRecomposition: {after} (before the residual: {before})"
        if restores == BOTH:
            report += f"\nExactness: {edge_changes(solved, done)}"
        values = done.pixels, done.name_text, 1 - done.pixels[..., 3], report, after.max_error, after.psnr
        return io.NodeOutput(*values, ui=comparison(small, done))


def _one(pictures: torch.Tensor) -> torch.Tensor:
    """The only picture of a batch, RGBA. Raises QilError."""
    if len(pictures) > 1:
        raise QilError(f"{len(pictures)} originals were given for one stack: give the one that it was made of.")
    return with_alpha(pictures[0])
