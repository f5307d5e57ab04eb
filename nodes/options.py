"""Options as plain data (qil_core.options), made into ComfyUI's inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from comfy_api.latest import io

from ..qil_core.options import Option
from . import host


def dynamic_options(choices: Mapping[str, Sequence[Option]]) -> list[io.DynamicCombo.Option]:
    """The options of a dynamic combo: by the label of each choice, what can be set with it."""
    return [io.DynamicCombo.Option(label, [input_of(option) for option in own]) for label, own in choices.items()]


def input_of(option: Option) -> io.Input:
    """The input for an option, by the type of its default."""
    if option.files or option.choices:
        offered = host.model_files(option.files) if option.files else list(option.choices)
        return io.Combo.Input(option.name, options=offered, tooltip=option.tooltip)
    common: dict[str, Any] = {"default": option.default, "tooltip": option.tooltip}
    common |= {name: True for name in ("advanced", "optional") if getattr(option, name)}
    if isinstance(option.default, bool):
        return io.Boolean.Input(option.name, **common)
    if isinstance(option.default, str):
        return io.String.Input(option.name, multiline=option.multiline, **common)
    number = io.Float if isinstance(option.default, float) else io.Int
    return number.Input(option.name, min=option.low, max=option.high, step=option.step, **common)
