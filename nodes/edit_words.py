"""Editing a layer or a picture by words."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io

from ..qil_core.edit import Editor
from ..qil_core.edit.answer import ALPHAS
from ..qil_core.edit.run import edit_image, edit_layer
from ..qil_core.edit.studio_address import check_picture_url
from ..qil_core.edit_request import MAX_SEED, MAX_VARIANTS, SCHEDULES, EditRequest
from ..qil_core.errors import QilError
from ..qil_core.order import find_one
from ..qil_core.progress import part
from ..qil_core.stack import LayerStack
from . import host
from .decompose import with_mask
from .door import Node, only, refusal
from .shown import comparison
from .sockets import CATEGORY, EditModel, WhichLayer, layers_input, names_input

LOCAL = "For models on this machine; Model Studio decides it by itself."


def _model_input() -> io.Input:
    return EditModel.Input("edit_model", tooltip="From Load Edit Model.")


def _instruction_input() -> io.Input:
    tooltip = (
        "What to change, in words: make the shirt light blue. The reference pictures are image 2 and image 3 here. A "
        "list of instructions, as from Create List, is an edit each."
    )
    return io.String.Input("instruction", default="", multiline=True, tooltip=tooltip)


def _asked_inputs() -> list[io.Input]:
    """What becomes an EditRequest, but for the instruction."""
    seed = "The same seed gives the same edit. Variants of a model on this machine take seed, seed + 1 and so on."
    scale = f"True classifier-free guidance. 1 is without, and twice as fast. {LOCAL}"
    negative = "What the result is not. One blank is the default."
    return [
        io.Int.Input("variants", default=1, min=1, max=MAX_VARIANTS, tooltip="How many answers to make."),
        io.Int.Input("seed", default=0, min=0, max=MAX_SEED, control_after_generate=True, tooltip=seed),
        io.Int.Input("steps", default=40, min=2, max=200, tooltip=f"More steps take longer and look better. {LOCAL}"),
        io.Float.Input("true_cfg_scale", default=4.0, min=1.0, max=20.0, step=0.1, tooltip=scale, advanced=True),
        io.String.Input("negative_prompt", default=" ", tooltip=negative, advanced=True),
    ]


def _reference_inputs() -> list[io.Input]:
    tooltip = 'Optional: "{}" of the instruction, a picture or a layer. Not for the first edition of Qwen-Image-Edit.'
    urls = (
        "For Model Studio: https addresses of public pictures, with blanks between them, as further references. Model "
        "Studio reads them; this machine does not. For one variant."
    )
    return [
        io.Image.Input("reference_2", optional=True, tooltip=tooltip.format("image 2")),
        io.Image.Input("reference_3", optional=True, tooltip=tooltip.format("image 3")),
        io.String.Input("picture_urls", default="", optional=True, tooltip=urls, advanced=True),
    ]


def _schedule_input() -> io.Input:
    tooltip = (
        "lightning: for a LoRA of few steps, such as Qwen-Image-Edit-2511-Lightning, which Load Edit Model takes: "
        "shift 3, without guidance. Steps and true_cfg_scale then count for nothing. Not for Model Studio."
    )
    return io.Combo.Input("schedule", options=list(SCHEDULES), optional=True, tooltip=tooltip, advanced=True)


def _references(second: torch.Tensor | None, third: torch.Tensor | None) -> list[torch.Tensor]:
    """The pictures (H, W, 3 or 4) that are linked. Raises QilError for a gap, and for several on one input."""
    if second is None and third is not None:
        raise QilError('reference_3 is linked and reference_2 is not: "image 3" needs an image 2. Link it there.')
    found = [(f"reference_{i}", batch) for i, batch in ((2, second), (3, third)) if batch is not None]
    return [only(batch, name) for name, batch in found]


def _said(instruction: str | None, picture_urls: str | None) -> bool | str:
    """For validate_inputs: what is wrong with the words or the addresses. None: it is linked, or not there."""
    words = refusal(lambda text: EditRequest(text).check(), instruction)
    return refusal(_addresses, picture_urls) if words is True else words


def _addresses(text: str | None) -> tuple[str, ...]:
    """The addresses in a text with blanks or line ends between them. Raises QilError."""
    return tuple(map(check_picture_url, (text or "").split()))


class EditLayer(Node):
    """Edit one layer of a stack by words; it comes back as a layer."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        alpha = (
            "keep: the layer's shape stays. new: it is cut out again. auto: cut out again where the silhouette has "
            "moved; the report says what was done."
        )
        behind = "Show the model the layers below instead of a flat colour, so that light and style fit."
        return io.Schema(
            node_id="EditLayer",
            display_name="Edit Layer",
            category=CATEGORY,
            description="Edits one layer by an instruction. It comes back in its place with soft alpha; what the edit "
            "did not change, and every other layer, keeps its bits.",
            search_aliases=["edit layer by words", "qwen image edit", "edit text", "change layer text", "inpaint"],
            inputs=[
                _model_input(),
                layers_input(),
                WhichLayer("to edit"),
                _instruction_input(),
                io.Combo.Input("alpha", options=list(ALPHAS), tooltip=alpha),
                io.Boolean.Input("behind", default=False, tooltip=behind),
                *_asked_inputs(),
                names_input(),
                *_reference_inputs(),
                _schedule_input(),
            ],
            outputs=[
                io.Image.Output("layers", is_output_list=True, tooltip="A whole stack a variant, bottom layer first."),
                io.String.Output("names", is_output_list=True, tooltip="Layer names of each stack, one a line."),
                io.Image.Output("layer", is_output_list=True, tooltip="The edited layer alone, RGBA, one a variant."),
                io.String.Output("report", tooltip="What was done, and what became of alpha."),
            ],
        )

    @classmethod
    def validate_inputs(cls, instruction: str | None, picture_urls: str | None = "") -> bool | str:
        return _said(instruction, picture_urls)

    @classmethod
    def execute(
        cls,
        edit_model: Editor,
        layers: torch.Tensor,
        index: int | str,
        alpha: Any,
        behind: bool,
        names: str = "",
        reference_2: torch.Tensor | None = None,
        reference_3: torch.Tensor | None = None,
        picture_urls: str | None = "",
        **asked: Any,
    ) -> io.NodeOutput:
        stack = LayerStack.from_image(layers, names or "")
        references = _references(reference_2, reference_3)
        request, show = EditRequest(**asked, picture_urls=_addresses(picture_urls)), host.progress()
        at = find_one(stack, index)
        stacks, report = edit_layer(edit_model, stack, at, request, alpha, references, behind, show)
        edited = [stack.pixels[at : at + 1] for stack in stacks]
        values = [s.pixels for s in stacks], [s.name_text for s in stacks], edited, str(report)
        return io.NodeOutput(*values, ui=comparison(stack, stacks[0]))


class EditImage(Node):
    """Edit pictures by words."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        mask = "Load Image's mask, for transparent pictures: 1 is transparent. Their shape stays."
        return io.Schema(
            node_id="EditImage",
            display_name="Edit Image",
            category=CATEGORY,
            description="Edits pictures by an instruction. They keep their size, and their alpha where they have one.",
            search_aliases=["edit picture by words", "qwen image edit", "instruct image", "model studio"],
            inputs=[
                _model_input(),
                io.Image.Input("image", tooltip="One picture or a batch, RGB or RGBA: each is edited by itself."),
                _instruction_input(),
                *_asked_inputs(),
                io.Mask.Input("mask", optional=True, tooltip=mask),
                *_reference_inputs(),
                _schedule_input(),
            ],
            outputs=[
                io.Image.Output("image", tooltip="Edited pictures, all variants of the first one first."),
                io.Mask.Output("mask", tooltip="1 - alpha, as in Load Image."),
                io.String.Output("report", tooltip="What was done, a part a picture."),
            ],
        )

    @classmethod
    def validate_inputs(cls, instruction: str | None, picture_urls: str | None = "") -> bool | str:
        return _said(instruction, picture_urls)

    @classmethod
    def execute(
        cls,
        edit_model: Editor,
        image: torch.Tensor,
        seed: int,
        mask: torch.Tensor | None = None,
        reference_2: torch.Tensor | None = None,
        reference_3: torch.Tensor | None = None,
        picture_urls: str | None = "",
        **asked: Any,
    ) -> io.NodeOutput:
        pictures, references, show = with_mask(image, mask), _references(reference_2, reference_3), host.progress()
        asked["picture_urls"] = _addresses(picture_urls)
        edited, reports = [], []
        for i, picture in enumerate(pictures):
            request = EditRequest(seed=(seed + i * asked["variants"]) % (MAX_SEED + 1), **asked)
            share = part(show, i / len(pictures), (i + 1) / len(pictures))
            done, report = edit_image(edit_model, picture, request, references, share)
            edited += done
            reports.append(str(report))
        whole = torch.stack(edited)
        alpha = whole[..., 3] if whole.shape[-1] == 4 else torch.ones_like(whole[..., 0])
        return io.NodeOutput(whole, 1 - alpha, "\n\n".join(reports))
