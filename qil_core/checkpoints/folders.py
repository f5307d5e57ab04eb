"""Where a model's files lie, and the configurations that stand beside its weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import QilError
from .packed import refused

PARTS = ("transformer", "text_encoder", "vae", "tokenizer")
"""The folders without which no model runs here. processor and scheduler have published defaults."""

MMPROJ = "mmproj"
"""In the name of the GGUF file that has a text encoder's vision part, as llama.cpp calls it."""

SHIPPED = Path(__file__).parent / "configs"
"""Configurations of the true Qwen-Image-Layered."""


def missing_parts(folder: Path) -> list[str]:
    """Which of PARTS a diffusers folder lacks."""
    return [name for name in PARTS if not (folder / name).is_dir()]


@dataclass(frozen=True)
class Files:
    """Where a model lies: files or diffusers folders of weights, and the folder of a tokenizer.

    loras: files and their strengths. configs: a folder like qil_core/checkpoints/configs, for weights that do not lie
    beside a config.json of their own.
    """

    transformer: Path
    text_encoder: Path
    vae: Path
    tokenizer: Path
    loras: tuple[tuple[Path, float], ...] = ()
    configs: Path = SHIPPED

    @classmethod
    def of_folder(cls, path: Path, loras: tuple[tuple[Path, float], ...] = ()) -> Files:
        """All parts of a diffusers folder. Raises QilError that names those it lacks."""
        path = Path(path)
        if missing := missing_parts(path):
            raise QilError(f"{path} is no complete diffusers folder: it has no {', '.join(missing)} folder.")
        return cls(path / "transformer", path / "text_encoder", path / "vae", path / "tokenizer", loras)

    @property
    def mmproj(self) -> tuple[Path, ...]:
        """GGUF files beside a GGUF text encoder that may have its vision part."""
        if self.text_encoder.suffix.lower() != ".gguf":
            return ()
        return tuple(path for path in sorted(self.text_encoder.parent.glob("*.gguf")) if MMPROJ in path.name.lower())

    def config(self, part: str, settings: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """The configuration of "transformer", "text_encoder" or "vae": config.json beside its weights, or `shipped`.

        Raises QilError where it asks for a quantiser of diffusers, which are not used here. Of a text encoder only the
        weights are asked: transformers' fp8 is read where it has a scale for a whole weight.
        """
        path = getattr(self, part)
        found = self._own_or_shipped(path / "config.json", part, settings)
        asked = found.get("quantization_config")
        if asked and part != "text_encoder":
            raise refused(path, str(asked.get("quant_method") if isinstance(asked, dict) else asked))
        return found

    def scheduler_config(self, settings: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """The configuration of the scheduler: from the transformer's diffusers folder, or the published one."""
        own = self.transformer.parent / "scheduler" / "scheduler_config.json"
        return self._own_or_shipped(own, "scheduler", settings)

    def generation_config(self) -> dict[str, Any]:
        """How captions are written: from the text encoder's folder, or as published, with nothing left to chance."""
        return self._own_or_shipped(self.text_encoder / "generation_config.json", "generation", {})

    def processor_config(self) -> dict[str, Any]:
        """How pictures are cut into patches: from the processor's folder beside the tokenizer's, or as published."""
        own = self.tokenizer.parent / "processor" / "preprocessor_config.json"
        return self._own_or_shipped(own, "image_processor", {})

    def _own_or_shipped(self, own: Path, name: str, settings: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """settings: by the name of a file in configs, what differs for this model from the layered one's there."""
        if own.is_file():
            return read_json(own)
        return {**read_json(self.configs / f"{name}.json"), **settings.get(name, {})}


def read_json(path: Path, *private: str) -> dict[str, Any]:
    """A configuration without the entries that begin with _, but for the ones that are asked for.

    Raises QilError for what is not there, no JSON or no mapping.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise QilError(f"{path} cannot be read as JSON ({error}). Download it again.") from error
    if not isinstance(found, dict):
        raise QilError(f"{path} holds no configuration. Download it again.")
    return {key: value for key, value in found.items() if not key.startswith("_") or key in private}
