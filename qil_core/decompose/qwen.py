"""The real model behind the Decomposer protocol: what it sees is small, what comes back has the picture's own size."""

from __future__ import annotations

from torch import Tensor

from ..model.pipeline import LayeredModel
from ..model.runtime import report_lines
from ..progress import Preview, Progress, unseen
from ..restore import restore
from ..stack import LayerStack
from . import Decomposed, Request


class Qwen:
    """Qwen-Image-Layered on one device."""

    label = "Qwen-Image-Layered"

    def __init__(self, model: LayeredModel, preview: Preview = unseen) -> None:
        """preview: is shown the layers while they form."""
        self.model = model
        self.preview = preview

    def decompose(self, picture: Tensor, request: Request, progress: Progress) -> Decomposed:
        """Layers of picture (H, W, 4), bottom first, restored from the model's resolution."""
        layers, run = self.model.layers(picture, request, progress, self.preview)
        stack = restore(LayerStack.from_image(layers), picture)
        return Decomposed(stack, tuple(report_lines(run)), run.prompt)
