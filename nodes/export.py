"""Handing layers over as files."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io, ui

from ..qil_core.composite import modes_for
from ..qil_core.errors import QilError
from ..qil_core.files import pptx
from ..qil_core.files.editable import PICTURES, WAYS
from ..qil_core.files.format import Dpi, Format, Options
from ..qil_core.files.layered import PLAIN, Layered, Look
from ..qil_core.files.registry import FORMATS
from ..qil_core.stack import LayerStack, check_image
from . import host
from .door import Node, refusal
from .sockets import CATEGORY, layers_input, look_input, modes_input, names_input, prefix_input, with_modes

ONE, BUILD_UP = "one a stack", "build-up"


def _dpi_input(dpi: Dpi, tooltip: str) -> io.Float.Input:
    return io.Float.Input("dpi", default=dpi.usual, min=dpi.least, max=dpi.most, step=1.0, tooltip=tooltip)


WAY_TIPS = {
    "text": "editable: text that is read surely in the layers becomes text in fonts that every program has; the "
    "pixels stay beneath as hidden pictures. Needs the extra for text: install.py --text.",
    "shapes": "editable: simple shapes of one colour or gradient become true shapes with fills and shadows; the "
    "pixels stay hidden below them.",
}
"""What can be editable in a file, and what that means."""


def _way_input(name: str) -> io.Combo.Input:
    return io.Combo.Input(name, options=list(WAYS), optional=True, tooltip=WAY_TIPS[name])


class ExportPPTX(Node):
    """Write layers as a PowerPoint deck, one slide a stack."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ExportPPTX",
            display_name="Export PPTX",
            category=CATEGORY,
            description="Writes a PowerPoint file: every layer a picture of its own, cropped, named and in place. "
            "A list of stacks makes one deck, a slide each.",
            search_aliases=["powerpoint", "slides", "presentation", "save layers"],
            is_input_list=True,
            is_output_node=True,
            inputs=[
                layers_input(),
                prefix_input("layers/deck"),
                _dpi_input(
                    pptx.DPI, "Pixels an inch. A slide side is 1 to 56 inches: larger pictures are scaled down."
                ),
                io.Combo.Input(
                    "slides",
                    options=[ONE, BUILD_UP],
                    optional=True,
                    tooltip="build-up: a slide for every layer that is added, so that the picture grows as one pages.",
                ),
                names_input(),
                io.String.Input(
                    "notes",
                    multiline=True,
                    optional=True,
                    default="",
                    force_input=True,
                    tooltip="Optional text for the notes of each slide, such as the report of Decompose to Layers.",
                ),
                io.Image.Input(
                    "original",
                    optional=True,
                    tooltip="Optional: the picture the layers came from, put hidden under them on the slide.",
                ),
                look_input(),
                *map(_way_input, WAY_TIPS),
            ],
            outputs=[
                io.String.Output("path", tooltip="The file that was written."),
                io.String.Output(
                    "report", tooltip="Slide size, pictures, layers left out, and what became text and shapes."
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, filename_prefix: list[str | None]) -> bool | str:
        return refusal(host.check_prefix, filename_prefix[0])

    @classmethod
    def execute(
        cls,
        layers: list[torch.Tensor],
        filename_prefix: list[str],
        dpi: list[float],
        slides: list[str] | None = None,
        names: list[str] | None = None,
        notes: list[str] | None = None,
        original: list[torch.Tensor] | None = None,
        look: list[Look | None] | None = None,
        text: list[str] | None = None,
        shapes: list[str] | None = None,
    ) -> io.NodeOutput:
        stacks = _slides(layers, names or [""])
        path, saved = host.output_path(filename_prefix[0], ".pptx", stacks[0].width, stacks[0].height)
        options = Options(
            dpi[0],
            notes=_notes(notes, len(stacks)),
            originals=_originals(original or [], len(stacks)),
            build_up=(slides or [ONE])[0] == BUILD_UP,
            text=(text or [PICTURES])[0],
            shapes=(shapes or [PICTURES])[0],
        )
        looks = _looks(look, stacks)
        report = pptx.write_deck(stacks, path, options, host.progress(), looks)
        shown: dict[str, Any] = _preview(stacks, looks)
        return io.NodeOutput(str(path), str(report), ui={**shown, "files": [saved]})


def _notes(notes: list[str] | None, count: int) -> tuple[str, ...]:
    """A text a slide: one alone serves all; none where nothing is linked or all is empty."""
    given = [text or "" for text in notes or []]
    return tuple(given * count if len(given) == 1 else given) if any(given) else ()


def _originals(pictures: list[torch.Tensor], count: int) -> tuple[torch.Tensor, ...]:
    """The pictures of all batches, (H, W, 3|4) each: one a slide, or one for all slides."""
    given = [picture for batch in pictures for picture in check_image(batch)]
    return tuple(given * count if len(given) == 1 else given)


def _slides(layers: list[torch.Tensor], names: list[str]) -> list[LayerStack]:
    """One stack a slide; a single names text serves every slide."""
    given = names * len(layers) if len(names) == 1 else names
    if len(given) != len(layers):
        raise QilError(f"{len(names)} names texts were given for {len(layers)} stacks: give one each, or one for all.")
    return [LayerStack.from_image(image, text or "") for image, text in zip(layers, given, strict=True)]


def _looks(given: list[Look | None] | None, stacks: list[LayerStack]) -> list[Look]:
    """One look a stack, written out; a single one serves every stack."""
    looks = given or [None]
    looks = looks * len(stacks) if len(looks) == 1 else looks
    if len(looks) != len(stacks):
        raise QilError(f"{len(looks)} looks were given for {len(stacks)} stacks: give one each, or one for all.")
    return [(look or PLAIN).of(len(stack)) for look, stack in zip(looks, stacks, strict=True)]


def _preview(stacks: list[LayerStack], looks: list[Look]) -> dict[str, Any]:
    flats = [Layered(stack, look).composite() for stack, look in zip(stacks, looks, strict=True)]
    return {"images": [image for flat in flats for image in ui.PreviewImage(flat[None]).as_dict()["images"]]}


def _inputs_of(format: Format) -> list[io.Input]:
    """What is asked of this format alone."""
    dpi = [_dpi_input(format.dpi, "Pixels an inch when printed.")] if format.dpi else []
    return [*dpi, *(_way_input(name) for name in WAY_TIPS if name in format.extras)]


class ExportLayers(Node):
    """Write a layer stack in one of the formats that there are."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        options = [io.DynamicCombo.Option(format.name, _inputs_of(format)) for format in FORMATS.values()]
        return io.Schema(
            node_id="ExportLayers",
            display_name="Export Layers",
            category=CATEGORY,
            description="Writes layers for Photoshop (PSD; PSB above 30000 pixels), for Krita and GIMP (OpenRaster), "
            "for PowerPoint, for Inkscape and browsers (SVG), or as PNGs, with names, groups and blend modes.",
            search_aliases=[
                "save psd",
                "photoshop",
                "openraster",
                "ora",
                "krita",
                "gimp",
                "save layers",
                "zip",
                "pptx",
                "svg",
                "inkscape",
            ],
            is_output_node=True,
            inputs=[
                layers_input(),
                prefix_input("layers/layers"),
                io.DynamicCombo.Input(
                    "format",
                    options=options,
                    tooltip="ZIP and PNG files hold a full-size picture a layer and a layers.json. PowerPoint has no "
                    "blend modes; Export PPTX makes decks of several stacks.",
                ),
                names_input(),
                modes_input(),
                look_input(),
            ],
            outputs=[io.String.Output("path", tooltip="The file that was written; for PNG files their folder.")],
        )

    @classmethod
    def validate_inputs(cls, filename_prefix: str | None, format: Any = None) -> bool | str:
        """ComfyUI always adds the dynamic combo."""
        return refusal(host.check_prefix, filename_prefix)

    @classmethod
    def execute(
        cls,
        layers: torch.Tensor,
        filename_prefix: str,
        format: dict[str, Any],
        names: str = "",
        modes: str = "",
        look: Look | None = None,
    ) -> io.NodeOutput:
        stack = LayerStack.from_image(layers, names or "")
        look = with_modes(look, modes_for(modes or "", len(stack)), len(stack))
        (chosen,) = (one for one in FORMATS.values() if one.name == format["format"])
        path, saved = host.output_path(filename_prefix, chosen.suffix(stack), stack.width, stack.height)
        text, shapes = (format.get(name) or PICTURES for name in ("text", "shapes"))
        chosen.write(stack, path, look, Options(format.get("dpi"), text=text, shapes=shapes), host.progress())
        shown = ui.PreviewImage(Layered(stack, look).composite()[None]).as_dict()
        return io.NodeOutput(str(path), ui={**shown, "files": [saved] if chosen.suffixes else []})
