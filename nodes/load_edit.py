"""Choosing what edits pictures by words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from comfy_api.latest import io

from ..qil_core.edit import Editor
from ..qil_core.edit.model_studio import ModelStudio
from ..qil_core.edit.studio_address import ENVIRONMENT, REGIONS
from ..qil_core.edit.studio_request import DEFAULT_MODEL, MODELS, Options
from ..qil_core.model.models import EDITIONS
from ..qil_core.model.sources import Wanted
from ..qil_core.options import Option
from . import host
from .door import Node, check_typed, refusal
from .load import load_runtime, local_options, rated
from .sockets import CATEGORY, EditModel

STUDIO, AUTO = "Model Studio", "auto"

EDIT = Wanted(
    repository="Qwen/Qwen-Image-Edit-2511",
    size="58 GB",
    transformer="qwen_image_edit_2511, 2509 or the first qwen_image_edit, bf16, fp8 or GGUF",
    vae="qwen_image_vae, with 3 channels",
    advice="Qwen-Image-Edit needs qwen_image_edit_2511_bf16.safetensors (41 GB) in models/diffusion_models, "
    "qwen_2.5_vl_7b_fp8_scaled.safetensors (9 GB) in models/text_encoders and qwen_image_vae.safetensors (0.3 GB) in "
    f'models/vae, or a diffusers folder in models/diffusers. "{STUDIO}" needs none.',
)


class LoadEditModel(Node):
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
    def validate_inputs(cls, source: dict[str, Any] | None = None, **kwargs: Any) -> bool | str:
        """All that can be known before anything runs: above all the key. What is linked is None here."""
        return refusal(lambda given: _check_source(cls.define_schema(), given), source)

    @classmethod
    def execute(cls, source: dict[str, Any]) -> io.NodeOutput:
        return io.NodeOutput(_studio(source) if source["source"] == STUDIO else rated(_load(source)))


def _check_source(schema: io.Schema, source: dict[str, Any]) -> None:
    check_typed(schema, {"source": source})
    if source["source"] == STUDIO:
        editor = _studio(source)
        if source["key_file"] is not None:
            editor.check_key()


def _edition_option() -> Option:
    tooltip = (
        "auto: told from the file or folder, by its contents or its name. Choose one where they say nothing. 2509 and "
        "2511 take up to 3 pictures, the first edition takes one."
    )
    return Option("edition", AUTO, tooltip, choices=(AUTO, *(model.label for model in EDITIONS)))


def _studio_inputs() -> list[io.Input]:
    model = f"Known are {', '.join(MODELS)}. Others are asked for too: Model Studio says whether it has them."
    key_file = (
        "Path of a file with the key in it, one line, mode 600. Empty: the environment variable DASHSCOPE_API_KEY. The "
        "key itself never goes into a workflow."
    )
    base_url = (
        "Instead of a region, the https address of a workspace. Not one of Alibaba's: it must also be in "
        f"the environment variable {ENVIRONMENT}, so that no workflow sends your key elsewhere."
    )
    extend = "Let Model Studio write the instruction out in more words. qwen-image-edit never does."
    size = (
        "Pixels of the answer. auto: about 1024 x 1024 in the picture's aspect. One side such as 1536: as many pixels "
        "as that square, in the picture's aspect. 1536*1024: just that. Each 512 to 2048, for one variant only."
    )
    return [
        io.String.Input("model", default=DEFAULT_MODEL, tooltip=model),
        io.Combo.Input("region", options=list(REGIONS), tooltip="Where the key was made: it works in one region only."),
        io.String.Input("key_file", default="", tooltip=key_file),
        io.String.Input("base_url", default="", tooltip=base_url, advanced=True),
        io.Boolean.Input("prompt_extend", default=True, tooltip=extend, advanced=True),
        io.Boolean.Input("watermark", default=False, tooltip='"Qwen-Image" in a corner.', advanced=True),
        io.String.Input("size", default="auto", tooltip=size, advanced=True, optional=True),
    ]


def _load(choice: dict[str, Any]) -> Editor:
    from ..qil_core.edit.local import LocalEditor
    from ..qil_core.model.editing import EditModel as Runtime

    editions = tuple(model for model in EDITIONS if choice["edition"] in (AUTO, model.label))
    return LocalEditor(load_runtime(Runtime, choice, EDIT, editions), host.preview)


def _studio(choice: dict[str, Any]) -> ModelStudio:
    """The client of a choice; what is None in it, since it is linked or from an older workflow, is the default."""
    choice = {name: value for name, value in choice.items() if value is not None}
    key_file = choice.get("key_file", "").strip()
    return ModelStudio(
        Options(
            choice.get("model", DEFAULT_MODEL).strip(),
            choice.get("size", "auto"),
            choice.get("prompt_extend", True),
            choice.get("watermark", False),
        ),
        choice.get("region", next(iter(REGIONS))),
        choice.get("base_url", "").strip(),
        Path(key_file) if key_file else None,
    )
