"""Taking pictures and single layers apart."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import torch
from comfy_api.latest import io

from ..qil_core.decompose import MAX_LAYERS, MIN_LAYERS, Decomposer, Request
from ..qil_core.decompose.automatic import MAX_DEPTH, Limits, decompose_automatically
from ..qil_core.decompose.recursive import split
from ..qil_core.decompose.run import Report, decompose
from ..qil_core.elements import parse_elements
from ..qil_core.errors import QilError
from ..qil_core.order import find_one
from ..qil_core.progress import Progress, part
from ..qil_core.request import LANGUAGES, MAX_TOTAL, SAMPLERS
from ..qil_core.stack import LayerStack, check_image
from . import host
from .door import Node, refusal
from .remember import remembered
from .shown import in_short
from .sockets import CATEGORY, LayeredModel, WhichLayer, layers_input, layers_output, names_input, names_output

SEEDS = 2**64
FIXED = "fixed"
"""ControlAfterGenerate.fixed, which comfy_api has since 0.13; older front ends take the text for "yes"."""


def _count_input(id: str, tooltip: str) -> io.Int.Input:
    return io.Int.Input(id, default=4, min=MIN_LAYERS, max=MAX_LAYERS, tooltip=tooltip)


def _seed_input() -> io.Int.Input:
    tooltip = "The same seed gives the same layers, bit for bit. The built-in decomposer does not use it."
    return io.Int.Input("seed", default=0, min=0, max=SEEDS - 1, control_after_generate=FIXED, tooltip=tooltip)


def _auto_inputs() -> list[io.Input]:
    return [
        io.Int.Input("max_layers", default=12, min=2, max=MAX_TOTAL, tooltip="Never more layers than this."),
        io.Int.Input(
            "depth",
            default=1,
            min=0,
            max=MAX_DEPTH,
            tooltip="How often a part may be split again; not used by the built-in one.",
        ),
    ]


def _model_inputs() -> list[io.Input]:
    """What only a model uses; the built-in decomposer does not look at it."""
    prompt = (
        "Describes the whole picture, hidden parts too. Empty: the model captions it. Not used by the built-in one."
    )
    option = io.DynamicCombo.Option
    return [
        io.String.Input("prompt", default="", multiline=True, optional=True, tooltip=prompt),
        io.DynamicCombo.Input(
            "sampling",
            options=[option("default", []), option("custom", _sampling_inputs())],
            optional=True,
            tooltip="default: 640 pixels, 50 steps, true CFG 4, as the model's authors recommend.",
        ),
    ]


def _sampling_inputs() -> list[io.Input]:
    scale = "True classifier-free guidance. 1 is without, and twice as fast."
    sampler = (
        "euler: as the model's authors have it. heun: second order, nearly twice the time; the LoRA Stable-Layers "
        "wants it, with true_cfg_scale 1."
    )
    return [
        io.Combo.Input("resolution", options=["640", "1024"], tooltip="Side of the square that the model sees."),
        io.Int.Input("steps", default=50, min=1, max=200, tooltip="More steps take longer and look better."),
        io.Float.Input("true_cfg_scale", default=4.0, min=1.0, max=20.0, step=0.1, tooltip=scale),
        io.Boolean.Input("cfg_normalize", default=True, tooltip="Keep the length of the conditional prediction."),
        io.String.Input("negative_prompt", default=" ", tooltip="What the picture is not. One blank is the default."),
        io.Combo.Input("language", options=list(LANGUAGES), tooltip="Of the automatic caption."),
        io.Combo.Input("sampler", options=list(SAMPLERS), optional=True, tooltip=sampler),
    ]


def _elements_input(where: str) -> io.Input:
    tooltip = (
        f"The layers that are wanted, one a line, bottom first: girl, or: the red car at 120,40,380,300 (left, top, "
        f"right, bottom in pixels of {where}). Words in quotes are a text. For decomposers that can; the number of "
        "layers is then theirs. Empty: the decomposer decides."
    )
    return io.String.Input("elements", default="", multiline=True, optional=True, tooltip=tooltip)


def _request(layers: int, seed: int, prompt: str, sampling: dict[str, Any] | None, elements: str | None) -> Request:
    custom = {name: value for name, value in (sampling or {}).items() if name != "sampling"}
    if "resolution" in custom:
        custom["resolution"] = int(custom["resolution"])
    return Request(layers, seed, prompt or "", elements=parse_elements(elements or ""), **custom)


class DecomposeToLayers(Node):
    """Take pictures apart into RGBA layers that composite back to them exactly."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DecomposeToLayers",
            display_name="Decompose to Layers",
            category=CATEGORY,
            description="Takes a picture apart into RGBA layers that composite back to it to within 1/255. "
            "A batch of pictures becomes a list of stacks, one a picture.",
            search_aliases=[
                "image to layers",
                "split image",
                "qwen image layered",
                "separate layers",
                "separate objects",
                "segment",
                "remove background",
                "transparent",
                "cutout",
            ],
            inputs=[
                LayeredModel.Input("model", tooltip="From Load Layered Model."),
                io.Image.Input("image", tooltip="One picture or a batch, RGB or RGBA, any size."),
                _count_input("layers", "How many layers at the most, background included."),
                _seed_input(),
                io.DynamicCombo.Input(
                    "count",
                    options=[io.DynamicCombo.Option("fixed", []), io.DynamicCombo.Option("auto", _auto_inputs())],
                    optional=True,
                    tooltip="fixed: as many as asked for. auto: as many as the picture has. The built-in decomposer "
                    "counts them; with a model, empty and repeated layers are dropped and large ones split again where "
                    "it pays, which takes a run for each.",
                ),
                *_model_inputs(),
                io.Mask.Input(
                    "mask", optional=True, tooltip="Load Image's mask, for transparent pictures: 1 is transparent."
                ),
                _elements_input("the picture"),
            ],
            outputs=[
                io.Image.Output("layers", is_output_list=True, tooltip="RGBA, bottom first."),
                io.String.Output("names", is_output_list=True, tooltip="Layer names, one a line, bottom first."),
                io.Mask.Output("masks", is_output_list=True, tooltip="1 - alpha a layer, as in Load Image."),
                io.String.Output("report", is_output_list=True, tooltip="What was done, and the measured error."),
                io.String.Output("prompt", is_output_list=True, tooltip="The prompt, or the model's own caption."),
            ],
        )

    @classmethod
    def validate_inputs(cls, elements: str | None = None, count: Any = None, sampling: Any = None) -> bool | str:
        """The elements, before anything runs. ComfyUI always adds the dynamic combos."""
        return refusal(parse_elements, elements)

    @classmethod
    def execute(
        cls,
        model: Decomposer,
        image: torch.Tensor,
        layers: int,
        seed: int,
        count: dict[str, Any] | None = None,
        prompt: str = "",
        sampling: dict[str, Any] | None = None,
        mask: torch.Tensor | None = None,
        elements: str = "",
    ) -> io.NodeOutput:
        pictures = with_mask(image, mask)
        request = _request(layers, seed, prompt, sampling, elements)
        show = host.progress()
        results = []
        for i, picture in enumerate(pictures):
            share = part(show, i / len(pictures), (i + 1) / len(pictures))
            each = replace(request, seed=(seed + i) % SEEDS)
            results.append(_decompose(model, picture, each, count, share))
            share(1, "done")  # a remembered result reports nothing by itself
        stacks = [stack for stack, _ in results]
        host.say(in_short([report for _, report in results]))
        return io.NodeOutput(
            [stack.pixels for stack in stacks],
            [stack.name_text for stack in stacks],
            [1 - stack.pixels[..., 3] for stack in stacks],
            [str(report) for _, report in results],
            [report.prompt for _, report in results],
        )


def _decompose(
    model: Decomposer, picture: torch.Tensor, request: Request, count: dict[str, Any] | None, show: Progress
) -> tuple[LayerStack, Report]:
    if count is None or count["count"] == "fixed":
        return remembered(model, request, ["decompose", picture], lambda: decompose(model, picture, request, show))
    limits = Limits(count["max_layers"], count["depth"])
    automatically = partial(decompose_automatically, model, picture, request, limits, show)
    return remembered(model, request, ["automatically", picture, limits], automatically)


def with_mask(image: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """Pictures (B, H, W, 3 or 4) with a LoadImage mask (B or 1, H, W; 1 = transparent) put into their alpha.

    LoadImage gives 64 x 64 zeros for a picture without alpha: a mask without any transparency is left aside.
    """
    image = check_image(image)
    if mask is None or not mask.any():
        return image
    if mask.shape[-2:] != image.shape[1:3] or mask.shape[0] not in (1, len(image)):
        raise QilError(
            f"The mask is {tuple(mask.shape)} and the image is {tuple(image.shape)}: "
            "use the mask of the same Load Image."
        )
    alpha = (1 - mask.clamp(0, 1))[..., None].to(image).expand(len(image), -1, -1, -1)
    return torch.cat([image[..., :3], alpha], dim=-1)


class SplitLayer(Node):
    """Take one layer apart into layers of its own."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="SplitLayer",
            display_name="Split Layer",
            category=CATEGORY,
            description="Replaces one layer by its own sub-layers. The picture does not change by more than 1/255; "
            "the names become a group: girl -> girl/hair, girl/dress.",
            search_aliases=["recursive decomposition", "decompose layer", "sub-layers"],
            inputs=[
                LayeredModel.Input("model", tooltip="From Load Layered Model."),
                layers_input(),
                WhichLayer("to split"),
                _count_input("count", "Into how many layers at the most."),
                _seed_input(),
                names_input(),
                *_model_inputs(),
                _elements_input("the stack's canvas"),
            ],
            outputs=[
                layers_output(),
                names_output(),
                io.String.Output("report", tooltip="What was done, and the measured error."),
            ],
        )

    @classmethod
    def validate_inputs(cls, elements: str | None = None, sampling: Any = None) -> bool | str:
        """As Decompose to Layers has it."""
        return refusal(parse_elements, elements)

    @classmethod
    def execute(
        cls,
        model: Decomposer,
        layers: torch.Tensor,
        index: int | str,
        count: int,
        seed: int,
        names: str = "",
        prompt: str = "",
        sampling: dict[str, Any] | None = None,
        elements: str = "",
    ) -> io.NodeOutput:
        stack = LayerStack.from_image(layers, names or "")
        request, show = _request(count, seed, prompt, sampling, elements), host.progress()
        at = find_one(stack, index)
        given = ["split", stack.pixels, stack.names, at]
        result, report = remembered(model, request, given, lambda: split(model, stack, at, request, show))
        host.say(in_short([report]))
        return io.NodeOutput(result.pixels, result.name_text, str(report))
