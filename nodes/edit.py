"""Editing one layer, or the order of the layers; every other layer keeps its bits."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io

from ..qil_core.color import parse_color
from ..qil_core.order import arrange, find
from ..qil_core.recolor import Adjust, Colorize, HueTurn, Recolor, ReplaceColor, mean_lightness, recolor
from ..qil_core.stack import LayerStack
from ..qil_core.transform import FILTERS, MAX_SCALE, MIN_SCALE, Placement, transform
from .door import Node
from .sockets import CATEGORY, WhichLayer, layers_input, layers_output, names_input, names_output

FAR = 16384.0


def _number(id: str, default: float, low: float, high: float, step: float, tooltip: str) -> io.Float.Input:
    return io.Float.Input(id, default=default, min=low, max=high, step=step, tooltip=tooltip)


class TransformLayer(Node):
    """Move, scale, rotate, flip and fade one layer."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        point = [
            _number("x", 0.0, -FAR, FAR, 1.0, "Pivot, in pixels from the left."),
            _number("y", 0.0, -FAR, FAR, 1.0, "Pivot, in pixels from the top."),
        ]
        return io.Schema(
            node_id="TransformLayer",
            display_name="Transform Layer",
            category=CATEGORY,
            description="Moves, scales, rotates, flips and fades one layer. Whole-pixel moves, flips and quarter "
            "turns are exact copies.",
            search_aliases=["move layer", "resize layer", "rotate layer", "flip layer", "layer opacity"],
            inputs=[
                layers_input(),
                WhichLayer("to transform", group=True),
                _number("dx", 0.0, -FAR, FAR, 1.0, "Move right by this many pixels (negative: left)."),
                _number("dy", 0.0, -FAR, FAR, 1.0, "Move down by this many pixels (negative: up)."),
                _number("scale_x", 1.0, MIN_SCALE, MAX_SCALE, 0.01, "Width factor: 1 leaves it as it is."),
                _number("scale_y", 1.0, MIN_SCALE, MAX_SCALE, 0.01, "Height factor: 1 leaves it as it is."),
                _number("rotation", 0.0, -360.0, 360.0, 0.1, "Degrees, clockwise."),
                io.Combo.Input("flip", options=["none", "horizontal", "vertical", "both"], tooltip="Mirror it."),
                _number("opacity", 1.0, 0.0, 1.0, 0.01, "Multiplies the layer's alpha."),
                io.DynamicCombo.Input(
                    "pivot",
                    options=[
                        io.DynamicCombo.Option("content centre", []),
                        io.DynamicCombo.Option("canvas centre", []),
                        io.DynamicCombo.Option("point", point),
                    ],
                    tooltip="What scaling, rotation and flips keep in place.",
                ),
                io.Combo.Input(
                    "filter",
                    options=list(FILTERS),
                    default="bicubic",
                    tooltip="Resampling, on premultiplied values.",
                    advanced=True,
                ),
                names_input(),
            ],
            outputs=[layers_output(), names_output()],
        )

    @classmethod
    def execute(
        cls,
        layers: torch.Tensor,
        index: int | str,
        flip: str,
        pivot: dict[str, Any],
        names: str = "",
        **numbers: Any,
    ) -> io.NodeOutput:
        stack = LayerStack.from_image(layers, names or "")
        placement = Placement(
            flip_x=flip in ("horizontal", "both"),
            flip_y=flip in ("vertical", "both"),
            pivot=_pivot(pivot),
            **numbers,
        )
        return io.NodeOutput(transform(stack, find(stack, index), placement).pixels, stack.name_text)


def _pivot(choice: dict[str, Any]) -> Any:
    if choice["pivot"] == "point":
        return float(choice["x"]), float(choice["y"])
    return choice["pivot"].split()[0]


class RecolorLayer(Node):
    """Change the colours of one layer, perceptually; its alpha stays."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        option = io.DynamicCombo.Option
        return io.Schema(
            node_id="RecolorLayer",
            display_name="Recolor Layer",
            category=CATEGORY,
            description="Changes the colours of one layer in OKLCh, where equal steps look equal. Alpha stays.",
            search_aliases=["hue", "tint layer", "colorize layer", "replace color", "change color", "layer contrast"],
            inputs=[
                layers_input(),
                WhichLayer("to recolour", group=True),
                io.DynamicCombo.Input(
                    "change",
                    options=[
                        option("hue turn", [_number("degrees", 60.0, -360.0, 360.0, 1.0, "Around the colour circle.")]),
                        option("colorize", cls._colorize()),
                        option("replace color", cls._replace()),
                        option("adjust", cls._adjust()),
                    ],
                    tooltip="hue turn: all hues around the circle. colorize: one colour, with the layer's light and "
                    "dark. replace color: one colour and its shades. adjust: lightness, chroma, contrast, gamma.",
                ),
                _number("strength", 1.0, 0.0, 1.0, 0.01, "Share of the change: 0 leaves the layer as it is."),
                names_input(),
            ],
            outputs=[layers_output(), names_output()],
        )

    @staticmethod
    def _colorize() -> list[io.Input]:
        tooltip = "1 shifts the layer's mean lightness to the colour's; 0 keeps its own."
        return [
            io.Color.Input("color", default="#2f7de1", tooltip="The colour to give to the layer."),
            _number("match_lightness", 1.0, 0.0, 1.0, 0.05, tooltip),
        ]

    @staticmethod
    def _replace() -> list[io.Input]:
        return [
            io.Color.Input("old", default="#ff0000", tooltip="The colour to replace."),
            io.Color.Input("new", default="#2f7de1", tooltip="What to replace it by."),
            _number("tolerance", 0.1, 0.0, 1.0, 0.01, "OKLab distance that still counts; 0.02 is just visible."),
            _number("softness", 0.05, 0.0, 1.0, 0.01, "Further distance over which the change fades out."),
        ]

    @staticmethod
    def _adjust() -> list[io.Input]:
        return [
            _number("lightness", 0.0, -1.0, 1.0, 0.01, "Added to the lightness."),
            _number("chroma", 1.0, 0.0, 4.0, 0.01, "Colourfulness factor: 0 is grey."),
            _number("contrast", 1.0, 0.0, 4.0, 0.01, "Contrast factor about middle grey."),
            _number("gamma", 1.0, 0.1, 10.0, 0.01, "Over 1 darkens the middle tones, under 1 lightens them."),
        ]

    @classmethod
    def execute(
        cls, layers: torch.Tensor, index: int | str, strength: float, change: dict[str, Any], names: str = ""
    ) -> io.NodeOutput:
        stack = LayerStack.from_image(layers, names or "")
        found = find(stack, index)
        recolored = recolor(stack, found, _change(change, stack.pixels[found]), strength)
        return io.NodeOutput(recolored.pixels, recolored.name_text)


def _change(choice: dict[str, Any], layers: torch.Tensor) -> Recolor:
    """What to do with layers (N, H, W, 4), seen as one: they keep their differences of lightness."""
    kind = choice["change"]
    if kind == "hue turn":
        return HueTurn(choice["degrees"])
    if kind == "colorize":
        mean = mean_lightness(layers.flatten(0, 1))
        return Colorize(parse_color(choice["color"]), mean, choice["match_lightness"])
    if kind == "replace color":
        colors = parse_color(choice["old"]), parse_color(choice["new"])
        return ReplaceColor(*colors, choice["tolerance"], choice["softness"])
    return Adjust(choice["lightness"], choice["chroma"], choice["contrast"], choice["gamma"])


class ArrangeLayers(Node):
    """Select, reorder, duplicate, drop, rename and merge layers."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ArrangeLayers",
            display_name="Arrange Layers",
            category=CATEGORY,
            description="Gives the layers of a list, bottom first. Left out is dropped, repeated is duplicated; "
            "new name = layer + layer merges, or renames one.",
            search_aliases=[
                "reorder layers",
                "select layers",
                "delete layer",
                "drop layer",
                "hide layer",
                "rename layer",
                "merge layers",
                "duplicate layer",
                "layer order",
            ],
            inputs=[
                layers_input(),
                io.String.Input(
                    "order",
                    default="",
                    tooltip="Names or indices with commas between them, bottom first: 0, girl/*, title. A star stands "
                    "for any text. Ranges too: 0-3, or 3-0 to reverse. -1 is the topmost. person = girl/* + hat merges "
                    "these layers into one, sunset = sky renames one. Empty: every layer as it is.",
                ),
                names_input(),
            ],
            outputs=[layers_output(), names_output()],
        )

    @classmethod
    def execute(cls, layers: torch.Tensor, order: str, names: str = "") -> io.NodeOutput:
        stack = arrange(LayerStack.from_image(layers, names or ""), order)
        return io.NodeOutput(stack.pixels, stack.name_text)
