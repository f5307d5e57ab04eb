"""Choosing what edits pictures by words."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from comfy_api.latest import io

from ..qil_core.edit import Editor
from ..qil_core.edit.model_studio import MODELS, REGIONS, ModelStudio, check_base, is_loopback
from ..qil_core.errors import QilError
from ..qil_core.model.models import EDITIONS
from ..qil_core.model.sources import Wanted
from ..qil_core.options import Option
from . import host
from .load import load_runtime, local_options
from .sockets import CATEGORY, EditModel, chosen

STUDIO, AUTO = "Model Studio", "auto"
BASE_URL = "DASHSCOPE_HTTP_BASE_URL"
"""The environment variable by which Alibaba's own SDK is told another address."""

ALIBABAS = re.compile(r"(dashscope(-[a-z]+)*|[a-z0-9-]+\.[a-z0-9-]+\.maas)\.aliyuncs\.com", re.IGNORECASE)
"""Hosts of Model Studio: of a region, and of a workspace in one."""

EDIT = Wanted(
    repository="Qwen/Qwen-Image-Edit-2511",
    size="58 GB",
    transformer="qwen_image_edit_2511, 2509 or the first qwen_image_edit, bf16, fp8 or GGUF",
    vae="qwen_image_vae, with 3 channels",
    advice="Qwen-Image-Edit needs qwen_image_edit_2511_bf16.safetensors (41 GB) in models/diffusion_models, "
    "qwen_2.5_vl_7b_fp8_scaled.safetensors (9 GB) in models/text_encoders and qwen_image_vae.safetensors (0.3 GB) in "
    f'models/vae, or a diffusers folder in models/diffusers. "{STUDIO}" needs none.',
)


class LoadEditModel(io.ComfyNode):
    """Choose the editor."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        option = io.DynamicCombo.Option(STUDIO, _studio_inputs())
        return io.Schema(
            node_id="LoadEditModel",
            display_name="Load Edit Model",
            category=CATEGORY,
            description="Chooses what edits pictures by words: Qwen-Image-Edit on this machine, or Alibaba's Model "
            "Studio over the internet.",
            search_aliases=["qwen image edit", "model studio", "dashscope", "edit model loader"],
            inputs=[
                io.DynamicCombo.Input(
                    "source",
                    options=[*local_options(EDIT, [_edition_option()]), option],
                    tooltip="Model Studio: no weights and no GPU, but pictures leave this machine and cost money. The "
                    "others: Qwen-Image-Edit, 20 billion parameters, on this machine.",
                )
            ],
            outputs=[EditModel.Output("edit_model", tooltip="For Edit Layer and Edit Image.")],
        )

    @classmethod
    def execute(cls, source: dict[str, Any] | None = None) -> io.NodeOutput:
        choice = chosen("source", source)
        return io.NodeOutput(_studio(choice) if choice["source"] == STUDIO else _load(choice))


def _edition_option() -> Option:
    tooltip = (
        "auto: told from the file or folder, by its contents or its name. Choose one where they say nothing. 2509 and "
        "2511 take up to 3 pictures, the first edition takes one."
    )
    return Option("edition", AUTO, tooltip, choices=(AUTO, *(model.label for model in EDITIONS)))


def _studio_inputs() -> list[io.Input]:
    key_file = (
        "Path of a file with the key in it, one line, mode 600. Empty: the environment variable DASHSCOPE_API_KEY. The "
        "key itself never goes into a workflow."
    )
    base_url = (
        "Instead of a region, the https address of a workspace. Not one of Alibaba's: it must also be in "
        f"the environment variable {BASE_URL}, so that no workflow sends your key elsewhere."
    )
    extend = "Let Model Studio write the instruction out in more words. qwen-image-edit never does."
    return [
        io.Combo.Input("model", options=list(MODELS), tooltip="qwen-image-edit makes one variant at a time."),
        io.Combo.Input("region", options=list(REGIONS), tooltip="Where the key was made: it works in one region only."),
        io.String.Input("key_file", default="", tooltip=key_file),
        io.String.Input("base_url", default="", tooltip=base_url, advanced=True),
        io.Boolean.Input("prompt_extend", default=True, tooltip=extend, advanced=True),
        io.Boolean.Input("watermark", default=False, tooltip='"Qwen-Image" in a corner.', advanced=True),
    ]


def _load(choice: dict[str, Any]) -> Editor:
    from ..qil_core.edit.local import LocalEditor
    from ..qil_core.model.editing import EditModel as Runtime

    editions = tuple(model for model in EDITIONS if choice["edition"] in (AUTO, model.label))
    return LocalEditor(load_runtime(Runtime, choice, EDIT, editions), host.preview)


def _studio(choice: dict[str, Any]) -> Editor:
    key_file = choice["key_file"].strip()
    return ModelStudio(
        choice["model"],
        choice["region"],
        trusted(choice["base_url"].strip()),
        Path(key_file) if key_file else None,
        choice["prompt_extend"],
        choice["watermark"],
    )


def trusted(base_url: str) -> str:
    """An address to which the key may go: Alibaba's, this machine's, or the one in the environment.

    A workflow comes from anybody, so it does not decide alone. Raises QilError; "" is fine.
    """
    if not base_url:
        return base_url
    name = urlsplit(check_base(base_url)).hostname or ""
    own = os.environ.get(BASE_URL, "")
    if ALIBABAS.fullmatch(name) or is_loopback(base_url) or (own and name == urlsplit(check_base(own)).hostname):
        return base_url
    raise QilError(
        f"{name} is no address of Model Studio, so your key is not sent there. If it is meant to be, set the "
        f"environment variable {BASE_URL} to the same address and start ComfyUI again."
    )
