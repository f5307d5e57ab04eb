"""The layer editor: a panel in the node, whose edits are a text in the workflow and are applied here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from comfy_api.latest import io

from ..qil_core.editor.apply import Edited, apply_edits
from ..qil_core.editor.cutting import cut_sheets
from ..qil_core.editor.fingerprint import fingerprints
from ..qil_core.editor.items import known_cuts
from ..qil_core.editor.previews import Preview, preview, preview_size, small
from ..qil_core.editor.state import Edits, parse_edits
from ..qil_core.parallel import each
from ..qil_core.progress import Progress, part
from ..qil_core.stack import LayerStack, check_image
from . import host, picking
from .door import Node, refusal
from .sockets import CATEGORY, LayerLook, LongText, layers_input, layers_output, names_input, names_output

WIDGET = "QIL_LAYER_EDITOR"
"""The type of the panel's widget (web/layer_editor.js)."""

SUBFOLDER = "qil_layer_editor"
"""Of ComfyUI's temp folder, for the panel's previews."""

PREVIEWS_SHARE = 0.5
"""Of the progress bar: writing small PNGs takes about as long as placing layers."""

MOST_SEEN = 2000
"""Layers whose previews are remembered; each takes a few hundred bytes."""

_seen: dict[str, dict[str, Any]] = {}
"""By fingerprint, what the panel was given of a layer: after an edit only what is new is made and written."""


class LayerEditor(Node):
    """Move, scale, rotate, hide, rename, reorder, merge and recolour layers by hand."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LayerEditor",
            display_name="Layer Editor",
            category=CATEGORY,
            description="Edits layers by hand in a panel: pick, drag, scale, rotate, hide, rename, reorder, group, "
            "merge and recolour them, and see the picture at once. Run it once to fill the panel.",
            search_aliases=[
                "hide layer",
                "move layer",
                "rename layer",
                "delete layer",
                "reorder layers",
                "group layers",
                "merge layers",
                "change color",
                "photoshop",
                "canvas",
            ],
            is_output_node=True,
            inputs=[
                layers_input(),
                LongText(
                    "edits",
                    WIDGET,
                    default="",
                    optional=True,
                    tooltip="The edits as a JSON text; the panel writes it. It names layers by their content, so it "
                    "can be sent with an API request and used again on the same layers.",
                ),
                names_input(),
                io.Image.Input(
                    "original", optional=True, tooltip="Optional: the picture the layers came from, to compare with."
                ),
            ],
            outputs=[
                layers_output(),
                names_output(),
                io.Image.Output("image", tooltip="The picture as the panel shows it, RGB."),
                io.Mask.Output("mask", tooltip="1 - alpha, as in Load Image."),
                LayerLook.Output(
                    "look",
                    tooltip="Which layers are hidden, their opacity and blend modes: link it to where the layers go, "
                    "or hidden layers show there.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, edits: str | None = None) -> bool | str:
        return refusal(parse_edits, edits)

    @classmethod
    def execute(
        cls, layers: torch.Tensor, edits: str = "", names: str = "", original: torch.Tensor | None = None
    ) -> io.NodeOutput:
        stack, progress = LayerStack.from_image(layers, names or ""), host.progress()
        wanted, keys = parse_edits(edits), fingerprints(stack)
        picking.remember(stack, keys)
        shown = _panel(stack, keys, original, part(progress, 0, PREVIEWS_SHARE))
        edited = apply_edits(stack, wanted, part(progress, PREVIEWS_SHARE, 1), picking.cutter)
        shown["cuts"] = _cuts(stack, keys, wanted)
        return _outputs(edited, shown)


def _outputs(edited: Edited, shown: dict[str, Any]) -> io.NodeOutput:
    layered = edited.layered()
    flat = layered.composite()[None]
    pixels, names = layered.stack.pixels, layered.stack.name_text
    return io.NodeOutput(pixels, names, flat[..., :3], 1 - flat[..., 3], layered.look, ui={"layer_editor": [shown]})


def _panel(stack: LayerStack, keys: list[str], original: torch.Tensor | None, progress: Progress) -> dict[str, Any]:
    """What the panel needs of a stack: the size of its canvas and of the small one, and its layers, bottom first."""
    layers = each(
        range(len(stack)), lambda i: _layer(stack, i, keys[i]), stack.pixels.device, progress, "Showing the layers"
    )
    shown: dict[str, Any] = {
        "canvas": [stack.width, stack.height],
        "small": preview_size(stack.width, stack.height),
        "layers": layers,
    }
    if original is not None:
        picture = small(check_image(original)[0])
        shown["original"] = host.temp_picture(SUBFOLDER, picture)
    return shown


def _cuts(stack: LayerStack, keys: list[str], edits: Edits) -> list[Any]:
    """The cuts of the edits for the panel; all of them have just been made."""
    cuts = known_cuts(edits.cut, keys)
    return picking.shown_cuts(cuts, cut_sheets(stack, keys, cuts), _remembered)


def _layer(stack: LayerStack, index: int, key: str) -> dict[str, Any]:
    """One layer for the panel: id, name, the box of its content on the canvas, its preview and the place of that."""
    own = key.partition(".")[0]  # layers of the same content share a preview
    return {"id": key, "name": stack.names[index], **_remembered(own, lambda: preview(stack, index))}


def _remembered(key: str, make: Callable[[], Preview]) -> dict[str, Any]:
    """What the panel is given of a layer, made and written when it is not there yet."""
    seen = _seen.get(key)
    if seen is None or not host.is_there(seen.get("picture")):
        if len(_seen) >= MOST_SEEN:
            _seen.clear()
        seen = _seen[key] = _picture(make())
    return seen


def _picture(found: Preview) -> dict[str, Any]:
    """Where a layer's preview is; nothing for an empty layer."""
    if found.content is None or not found.pixels.numel():
        return {}
    picture = host.temp_picture(SUBFOLDER, found.pixels)
    return {"box": found.content, "at": [found.left, found.top], "picture": picture}


picking.add_routes(_remembered)
