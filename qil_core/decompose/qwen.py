"""The real model behind the Decomposer protocol: what it sees is small, what comes back has the picture's own size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..model.sources import DOWNLOAD, FILES, FOLDER, Wanted, sources
from ..naming import nameless
from ..progress import Preview, Progress, unseen
from ..restore import restore
from ..stack import LayerStack
from . import Decomposed, Entry, Place, Request

if TYPE_CHECKING:
    from ..checkpoints.folders import Files
    from ..model.pipeline import LayeredModel

WANTED = Wanted(
    repository="Qwen/Qwen-Image-Layered",
    size="58 GB",
    transformer="qwen_image_layered_bf16, fp8 or GGUF",
    vae="qwen_image_layered_vae, with 4 channels",
    advice="Qwen-Image-Layered needs qwen_image_layered_bf16.safetensors (41 GB) in models/diffusion_models, "
    "qwen_2.5_vl_7b_fp8_scaled.safetensors (9 GB) in models/text_encoders and qwen_image_layered_vae.safetensors "
    '(0.3 GB) in models/vae, or a diffusers folder in models/diffusers. "built-in (no weights)" needs none.',
)


class Qwen:
    """Qwen-Image-Layered on one device."""

    label = "Qwen-Image-Layered"

    def __init__(self, model: LayeredModel, preview: Preview = unseen) -> None:
        """preview: is shown the layers while they form."""
        self.model = model
        self.preview = preview

    @property
    def files(self) -> Files | None:
        """What the model was loaded from."""
        return self.model.parts.files

    @property
    def device_name(self) -> str:
        """What computes, for people."""
        from ..model.devices import name_of

        return name_of(self.model.device)

    def decompose(self, picture: Tensor, request: Request, progress: Progress) -> Decomposed:
        """Layers of picture (H, W, 4), bottom first, restored from the model's resolution."""
        from ..model.runtime import report_lines

        layers, run = self.model.layers(picture, request, progress, self.preview)
        stack = restore(LayerStack.from_image(layers), picture)
        return Decomposed(nameless(stack.pixels), tuple(report_lines(run)), run.prompt)


def _open(values: Mapping[str, Any], place: Place) -> Qwen:
    from ..model import models
    from ..model.pipeline import LayeredModel

    return Qwen(place.runtime(LayeredModel, values, WANTED, (models.LAYERED,)), place.preview)


NAMES = {FOLDER: "qwen", FILES: "qwen-files", DOWNLOAD: "qwen-download"}
ENTRIES = tuple(Entry(NAMES[label], label, options, _open) for label, options in sources(WANTED).items())
