"""Choosing what takes pictures apart."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..qil_core.decompose.builtin import Builtin
from .sockets import CATEGORY, LayeredModel, chosen

BUILTIN = "built-in (no weights)"


class LoadLayeredModel(io.ComfyNode):
    """Choose the decomposer."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LoadLayeredModel",
            display_name="Load Layered Model",
            category=CATEGORY,
            description="Chooses what takes pictures apart into layers.",
            search_aliases=["qwen image layered", "layer decomposition model", "layer loader"],
            inputs=[
                io.DynamicCombo.Input(
                    "source",
                    options=[io.DynamicCombo.Option(BUILTIN, [])],
                    tooltip="built-in: no weights, CPU, seconds. Strong on posters, slides, icons and flat art; "
                    "photos are cut only roughly.",
                )
            ],
            outputs=[LayeredModel.Output("model", tooltip="For Decompose to Layers and Split Layer.")],
        )

    @classmethod
    def execute(cls, source: dict[str, Any] | None = None) -> io.NodeOutput:
        chosen("source", source)
        return io.NodeOutput(Builtin())
