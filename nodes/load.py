"""Choosing what takes pictures apart."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from comfy_api.latest import io

from ..qil_core.decompose import Decomposer
from ..qil_core.decompose.builtin import Builtin
from ..qil_core.errors import QilError
from ..qil_core.model.placement import MODES
from ..qil_core.progress import Progress
from . import host
from .door import Node
from .sockets import CATEGORY, LayeredModel

BUILTIN, FOLDER, FILES, DOWNLOAD = "built-in (no weights)", "diffusers folder", "ComfyUI files", "download"
ATTENTION = ("default", "_native_cudnn", "flash", "_flash_3", "sage", "xformers")


class Wanted(NamedTuple):
    """A kind of model that runs here, in the words of its loader.

    repository: where it is downloaded from; its last part is the name of its folder. size: of the download.
    transformer, vae: what their files are called. advice: what goes where, for somebody who has no weights yet.
    """

    repository: str
    size: str
    transformer: str
    vae: str
    advice: str


LAYERED = Wanted(
    repository="Qwen/Qwen-Image-Layered",
    size="58 GB",
    transformer="qwen_image_layered_bf16, fp8 or GGUF",
    vae="qwen_image_layered_vae, with 4 channels",
    advice="Qwen-Image-Layered needs qwen_image_layered_bf16.safetensors (41 GB) in models/diffusion_models, "
    "qwen_2.5_vl_7b_fp8_scaled.safetensors (9 GB) in models/text_encoders and qwen_image_layered_vae.safetensors "
    '(0.3 GB) in models/vae, or a diffusers folder in models/diffusers. "built-in (no weights)" needs none.',
)


class LoadLayeredModel(Node):
    """Choose the decomposer."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LoadLayeredModel",
            display_name="Load Layered Model",
            category=CATEGORY,
            description="Chooses what takes pictures apart into layers: the built-in decomposer, which needs no "
            "weights, or Qwen-Image-Layered.",
            search_aliases=["qwen image layered", "layer decomposition model", "layer loader"],
            inputs=[
                io.DynamicCombo.Input(
                    "source",
                    options=[
                        io.DynamicCombo.Option(BUILTIN, []),
                        *local_options(LAYERED),
                    ],
                    tooltip="built-in: no weights, CPU, seconds; strong on posters, slides, icons and flat art. The "
                    "others: Qwen-Image-Layered, 20 billion parameters, for any picture.",
                )
            ],
            outputs=[LayeredModel.Output("model", tooltip="For Decompose to Layers and Split Layer.")],
        )

    @classmethod
    def execute(cls, source: dict[str, Any]) -> io.NodeOutput:
        return io.NodeOutput(Builtin() if source["source"] == BUILTIN else _load(source))


def local_options(wanted: Wanted, more: Sequence[io.Input] = ()) -> list[io.DynamicCombo.Option]:
    """The sources of models that run here. more: inputs of that kind of model alone."""
    option = io.DynamicCombo.Option
    return [
        option(FOLDER, [_folder_input(wanted), *more, *_runtime_inputs()]),
        option(FILES, [*_file_inputs(wanted), *more, *_runtime_inputs()]),
        option(DOWNLOAD, [*_download_inputs(wanted), *more, *_runtime_inputs(), _revision_input()]),
    ]


def _folder_input(wanted: Wanted) -> io.Input:
    tooltip = (
        "A folder in models/diffusers, or the path of one, with transformer, text_encoder, vae and tokenizer in it."
    )
    return io.String.Input("folder", default=wanted.repository.rpartition("/")[2], tooltip=tooltip)


def _file_inputs(wanted: Wanted) -> list[io.Input]:
    return [
        io.Combo.Input(
            "transformer",
            options=host.model_files("diffusion_models"),
            tooltip=f"{wanted.transformer}, in models/diffusion_models.",
        ),
        io.Combo.Input(
            "text_encoder",
            options=host.model_files("text_encoders"),
            tooltip="qwen_2.5_vl_7b, bf16, fp8_scaled or GGUF, in models/text_encoders.",
        ),
        io.Combo.Input("vae", options=host.model_files("vae"), tooltip=f"{wanted.vae}, in models/vae."),
    ]


def _download_inputs(wanted: Wanted) -> list[io.Input]:
    tooltip = f"Repository id: owner/name. About {wanted.size} go to models/diffusers/owner/name unless they are there."
    return [
        io.String.Input("repository", default=wanted.repository, tooltip=tooltip),
        io.Combo.Input("from", options=["huggingface", "modelscope"], tooltip="Where the repository is."),
    ]


def _revision_input() -> io.Input:
    """The last one, and optional: graphs from before it was there stay valid."""
    tooltip = "A branch, tag or commit of the repository, in a folder of its own. Empty: the main one."
    return io.String.Input("revision", default="", optional=True, tooltip=tooltip, advanced=True)


def _runtime_inputs() -> list[io.Input]:
    loras = "LoRAs from models/loras, one a line, with a strength: my_lora.safetensors 0.8"
    memory = (
        "auto: the first lossless mode that fits the free memory, from all on the GPU to streamed from host memory, "
        "which needs about 8 GB. Storage in fp8, int8 or nf4 (4 bits) is lossy."
    )
    compiled = "Compile the transformer's blocks: faster steps after a first run that takes minutes longer."
    cached = (
        "Lossy when above 0: a step whose first block does nearly what it did before reuses the work of the others. "
        "0.1 skips about half of the steps; 0 computes all."
    )
    return [
        io.String.Input("loras", default="", multiline=True, tooltip=loras),
        io.Combo.Input("memory", options=list(MODES), tooltip=memory),
        io.Combo.Input("attention", options=list(ATTENTION), tooltip="Attention backend; checked when it is loaded."),
        io.Boolean.Input("compile", default=False, tooltip=compiled),
        io.Float.Input("first_block_cache", default=0.0, min=0.0, max=1.0, step=0.01, tooltip=cached, advanced=True),
    ]


def _load(choice: dict[str, Any]) -> Decomposer:
    from ..qil_core.decompose.qwen import Qwen
    from ..qil_core.model import models
    from ..qil_core.model.pipeline import LayeredModel as Runtime

    return Qwen(load_runtime(Runtime, choice, LAYERED, (models.LAYERED,)), host.preview)


def load_runtime(kind: Any, choice: dict[str, Any], wanted: Wanted, known: Sequence[Any]) -> Any:
    """A Runtime of this kind, on ComfyUI's device, of the files of a choice among `local_options`.

    known: the models (qil_core.model.models) that the files may be. Raises QilError that says what to put where.
    """
    from ..qil_core.model.parts import load
    from .memory import Tenant

    progress = host.progress()
    try:
        files = _files(choice, wanted, progress)
    except host.NotThere as error:
        raise QilError(f"{error} {wanted.advice}") from error
    parts = load(files, torch.bfloat16, progress, known)
    device = host.device()
    runtime = kind(parts, device, choice["memory"], make_room=Tenant(device, parts.model.label).make_room)
    runtime.tune(choice["attention"], choice["compile"], choice["first_block_cache"])
    return runtime


def _files(choice: dict[str, Any], wanted: Wanted, progress: Progress) -> Any:
    """Where the chosen model's files are. Raises QilError that says what to put where."""
    from ..qil_core.checkpoints.download import Origin, download
    from ..qil_core.checkpoints.folders import Files

    loras = tuple(_loras(choice["loras"]))
    if choice["source"] == FOLDER:
        return Files.of_folder(host.model_folder(choice["folder"], wanted.repository), loras)
    if choice["source"] == DOWNLOAD:
        origin = Origin(choice["from"], choice["repository"].strip(), (choice.get("revision") or "").strip())
        return Files.of_folder(download(origin, host.downloads_folder(), progress), loras)
    kinds = {"transformer": "diffusion_models", "text_encoder": "text_encoders", "vae": "vae"}
    paths = {part: host.model_file(folder, choice[part]) for part, folder in kinds.items()}
    return Files(tokenizer=host.tokenizer_folder(), loras=loras, **paths)


def _loras(text: str) -> list[tuple[Path, float]]:
    """LoRA files and strengths of a text with one a line; a line without a number has strength 1."""
    lines = filter(None, map(str.strip, text.splitlines()))
    matches = (re.fullmatch(r"(.+?)(?:\s+(-?\d+(?:\.\d*)?))?", line) for line in lines)
    return [(host.model_file("loras", match[1]), float(match[2] or 1)) for match in matches if match]
