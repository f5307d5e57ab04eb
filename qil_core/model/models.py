"""The models that run here. Their networks are the same but for a few settings, so one runtime serves them all."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..checkpoints.folders import read_json
from ..checkpoints.recognize import Kind, Shapes
from ..errors import QilError


@dataclass(frozen=True)
class Model:
    """What sets a model apart from the others.

    label: for people. stock: diffusers' pipeline for it, which has its prompt template. settings: what differs from
    the shipped configurations, which are Qwen-Image-Layered's, by the name of their file. pictures: taken at the most.
    sight: side of the square with as many pixels as the text encoder sees of each picture beside the prompt; 0: none.
    """

    label: str
    stock: str
    transformer: Kind
    vae: Kind
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    pictures: int = 1
    sight: int = 0


LAYERED = Model("Qwen-Image-Layered", "QwenImageLayeredPipeline", Kind.LAYERED_TRANSFORMER, Kind.LAYERED_VAE)

CONTROL = Model("Qwen-Image-Layered-Control", "QwenImageLayeredPipeline", Kind.LAYERED_TRANSFORMER, Kind.LAYERED_VAE)
"""The same network as LAYERED's, with weights of the same names and shapes: only the file's name may tell which."""


def _edit(label: str, stock: str, pictures: int, sight: int, zero_cond_t: bool = False) -> Model:
    settings: dict[str, dict[str, Any]] = {
        "transformer": {"use_additional_t_cond": False, "use_layer3d_rope": False, "zero_cond_t": zero_cond_t},
        "vae": {"input_channels": 3},
        "scheduler": {"time_shift_type": "exponential", "shift_terminal": 0.02},
    }
    return Model(label, stock, Kind.QWEN_IMAGE, Kind.RGB_VAE, settings, pictures, sight)


EDIT = _edit("Qwen-Image-Edit", "QwenImageEditPipeline", pictures=1, sight=1024)
EDIT_2509 = _edit("Qwen-Image-Edit-2509", "QwenImageEditPlusPipeline", pictures=3, sight=384)
EDIT_2511 = _edit("Qwen-Image-Edit-2511", "QwenImageEditPlusPipeline", pictures=3, sight=384, zero_cond_t=True)
EDITIONS = (EDIT, EDIT_2509, EDIT_2511)

TIMESTEP_ZERO = "__index_timestep_zero__"
"""An empty weight by which ComfyUI's files of 2511 say that conditions are modulated as at time 0 (zero_cond_t)."""

NAMES = (("2511", EDIT_2511), ("2509", EDIT_2509), (r"edit(?!.*2[5-9]\d\d)", EDIT))
"""What an edition's file is called; the first pattern that fits counts. A month that is not listed here fits none."""


LAYERED_NAMES = ((r"layered[-_ ]?control", CONTROL), (r"image[-_ ]?layered", LAYERED))
"""What files of the layered model and of the control model are called; the first pattern that fits counts."""


def edition(weights: Shapes, config: Mapping[str, Any], stock: str | None, name: str) -> Model | None:
    """Which edition of Qwen-Image-Edit a transformer is; None when nothing says so.

    All editions, and plain Qwen-Image that makes pictures of words alone, have weights of the same names and shapes.
    These decide, in this order: zero_cond_t in the folder's config, or ComfyUI's mark for it; stock, which is the
    pipeline that the folder's model_index.json names; the name of the file or folder.
    """
    if TIMESTEP_ZERO in weights or config.get("zero_cond_t"):
        return EDIT_2511
    if stock is not None:
        return next((model for model in (EDIT_2509, EDIT) if model.stock == stock), None)
    return _called(name, NAMES)


def _called(name: str, patterns: Sequence[tuple[str, Model]]) -> Model | None:
    """The model of the first pattern that fits a name; None where none does."""
    return next((model for pattern, model in patterns if re.search(pattern, name.lower())), None)


def _name(transformer: Path) -> str:
    return transformer.parent.name if transformer.is_dir() else transformer.name


def named(transformer: Path) -> str | None:
    """The edition that a transformer's file or folder is called by: where its content does not say it, this counts."""
    found = _called(_name(transformer), NAMES)
    return found.label if found else None


def check_layered_name(transformer: Path, model: Model) -> None:
    """QilError when a file is called by the one of LAYERED and CONTROL that was not chosen: each gives noise, or the
    wrong layers, in the other's place, and the weights do not tell.
    """
    found = _called(_name(transformer), LAYERED_NAMES)
    if model in (LAYERED, CONTROL) and found not in (model, None):
        makes = {LAYERED.label: "all layers of a picture", CONTROL.label: "the elements that are named"}
        raise QilError(
            f"{transformer} is called {found.label}, which makes {makes[found.label]}; chosen was {model.label}, which "
            f"makes {makes[model.label]}. Choose a source for {found.label} in Load Layered Model, another file, or "
            "rename this one if it is called wrongly."
        )


def edition_of(path: Path, weights: Shapes) -> Model:
    """The edition of Qwen-Image-Edit that a transformer's file or folder is. Raises QilError when nothing says so."""
    folder = path.parent if path.is_dir() else None
    stock = _class_name(folder / "model_index.json") if folder else None
    config = read_json(path / "config.json") if folder and (path / "config.json").is_file() else {}
    found = edition(weights, config, stock, folder.name if folder else path.name)
    if found is None:
        what = f"belongs to a {stock}" if stock else "has no edition of Qwen-Image-Edit in its name"
        raise QilError(
            f"{path} {what}, and its weights do not tell it from plain Qwen-Image, which edits nothing. If it is an "
            f"edit model, choose its edition: {', '.join(model.label for model in EDITIONS)}."
        )
    return found


def _class_name(index: Path) -> str | None:
    return read_json(index, "_class_name").get("_class_name") if index.is_file() else None
