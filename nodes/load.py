"""Choosing what takes pictures apart."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from comfy_api.latest import io

from ..qil_core.decompose.registry import DECOMPOSERS, entry, opened
from ..qil_core.errors import QilError
from ..qil_core.model.sources import DOWNLOAD, FOLDER, Wanted, sources
from ..qil_core.options import Option
from ..qil_core.progress import Progress
from . import host
from .door import Node
from .options import dynamic_options
from .sockets import CATEGORY, LayeredModel


class LoadLayeredModel(Node):
    """Choose the decomposer."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LoadLayeredModel",
            display_name="Load Layered Model",
            category=CATEGORY,
            description="Chooses what takes pictures apart into layers: the built-in decomposer, which needs no "
            "weights, Qwen-Image-Layered, or Qwen-Image-Layered-Control for layers that you name.",
            search_aliases=["qwen image layered", "layered control", "layer decomposition model", "layer loader"],
            inputs=[
                io.DynamicCombo.Input(
                    "source",
                    options=dynamic_options({each.label: each.options for each in DECOMPOSERS}),
                    tooltip="built-in: no weights, CPU, seconds; strong on posters, slides, icons and flat art. "
                    "Layered-Control: the layers that you name under elements. The others: Qwen-Image-Layered, 20 "
                    "billion parameters, for any picture.",
                )
            ],
            outputs=[LayeredModel.Output("model", tooltip="For Decompose to Layers and Split Layer.")],
        )

    @classmethod
    def execute(cls, source: dict[str, Any]) -> io.NodeOutput:
        return io.NodeOutput(rated(opened(entry(source["source"]), source, Comfy)))


def local_options(wanted: Wanted, more: Sequence[Option] = ()) -> list[io.DynamicCombo.Option]:
    """The sources of models that run here. more: options of that kind of model alone."""
    return dynamic_options(sources(wanted, more))


def load_runtime(kind: Any, choice: Mapping[str, Any], wanted: Wanted, known: Sequence[Any]) -> Any:
    """A Runtime of this kind, on ComfyUI's device, of the files of a choice among `local_options`.

    known: the models (qil_core.model.models) that the files may be. Raises QilError that says what to put where.
    """
    from ..qil_core.model.kept import runtime_of
    from ..qil_core.model.runtime import Settings
    from .memory import SharedMachine, dtype

    progress = host.progress()
    try:
        files = _files(choice, wanted, progress)
    except host.NotThere as error:
        raise QilError(f"{error} {wanted.advice}") from error
    device = host.device()
    settings = Settings(choice["memory"], choice["attention"], choice["compile"], choice["first_block_cache"])
    return runtime_of(
        kind, files, dtype(device), lambda model: SharedMachine(device, model.label), settings, known, progress
    )


def rated(opened: Any) -> Any:
    """A decomposer or editor, as a node's output: its `patcher` tells ComfyUI's cache that it is a large model."""
    runtime = getattr(opened, "model", None)
    if runtime is not None:
        opened.patcher = runtime.placement.machine.tenant
    return opened


class Comfy:
    """ComfyUI as a Place (qil_core.decompose): its folders, its device, its previews."""

    preview = staticmethod(host.preview)
    runtime = staticmethod(load_runtime)


def _files(choice: Mapping[str, Any], wanted: Wanted, progress: Progress) -> Any:
    """Where the chosen model's files are. Raises QilError that says what to put where."""
    from ..qil_core.checkpoints.download import Origin, download
    from ..qil_core.checkpoints.folders import Files

    loras = tuple(_loras(choice["loras"]))
    if choice["source"] == FOLDER:
        return Files.of_folder(host.model_folder(choice["folder"], wanted.repository), loras)
    if choice["source"] == DOWNLOAD:
        origin = Origin(choice["from"], choice["repository"].strip(), (choice.get("revision") or "").strip())
        rest = Origin(choice["from"], wanted.rest) if wanted.rest else None
        return Files.of_folder(download(origin, host.downloads_folder(), progress, rest), loras)
    kinds = {"transformer": "diffusion_models", "text_encoder": "text_encoders", "vae": "vae"}
    paths = {part: host.model_file(folder, choice[part]) for part, folder in kinds.items()}
    return Files(tokenizer=host.tokenizer_folder(), loras=loras, **paths)


def _loras(text: str) -> list[tuple[Path, float]]:
    """LoRA files and strengths of a text with one a line; a line without a number has strength 1."""
    lines = filter(None, map(str.strip, text.splitlines()))
    matches = (re.fullmatch(r"(.+?)(?:\s+(-?\d+(?:\.\d*)?))?", line) for line in lines)
    return [(host.model_file("loras", match[1]), float(match[2] or 1)) for match in matches if match]
