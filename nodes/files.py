"""Reading layers from files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from comfy_api.latest import io

from ..qil_core.error_codes import told
from ..qil_core.errors import QilError
from ..qil_core.files.format import MERGED, REFUSE, SKIP
from ..qil_core.files.loading import kinds, load, state, suffixes
from . import host
from .door import Node
from .sockets import CATEGORY, KEEP, FileChoice, hidden_input, layered_outputs, layered_values

FILE, SEVERAL = "file", "several PNGs"

REFUSING = "refuse"
CHOICES = {REFUSING: REFUSE, "skip and say so": SKIP, "merged picture": MERGED}
"""What people choose where a file holds what layers cannot show, and what the core calls it."""


class LoadLayers(Node):
    """Read a PSD, PSB, ORA or ZIP file, or several PNGs, as a layer stack."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        option = io.DynamicCombo.Option
        file = FileChoice(
            "file", options=host.input_files(suffixes()), tooltip=f"{kinds()} file in ComfyUI's input folder."
        )
        files = io.String.Input(
            "files",
            multiline=True,
            default="",
            tooltip="PNG files of one size in ComfyUI's input folder, one a line, bottom layer first.",
        )
        return io.Schema(
            node_id="LoadLayers",
            display_name="Load Layers",
            category=CATEGORY,
            description="Reads the layers of a Photoshop or OpenRaster file, of a ZIP that Export Layers wrote, or of "
            "several PNGs. Masks and opacity go into alpha; what separate layers cannot show is merged.",
            search_aliases=["open psd", "import psd", "photoshop", "openraster", "ora", "load psd"],
            inputs=[
                io.DynamicCombo.Input(
                    "source",
                    options=[option(FILE, [file]), option(SEVERAL, [files])],
                    tooltip="One file that holds layers, or a picture a layer.",
                    extra_dict={"accept": suffixes()},  # for the upload button (web/upload.js)
                ),
                hidden_input(),
                io.Combo.Input(
                    "unsupported",
                    options=list(CHOICES),
                    default=REFUSING,
                    optional=True,  # workflows from before it go on working
                    tooltip="What layers cannot show, such as an adjustment or an effect: an error that names it, the "
                    "rest with each skipped thing in the notes, or the file's merged picture as one layer.",
                ),
            ],
            outputs=[
                *layered_outputs(),
                io.String.Output(
                    "notes", tooltip="What was left out, converted or assumed, one a line; empty where nothing was."
                ),
            ],
        )

    @classmethod
    def execute(cls, hidden: str, source: dict[str, Any], unsupported: str = REFUSING) -> io.NodeOutput:
        layered = load(_paths(source), hidden == KEEP, CHOICES.get(unsupported, unsupported))
        return io.NodeOutput(*layered_values(layered).args, "\n".join(layered.notes))

    @classmethod
    def validate_inputs(cls, **kwargs: Any) -> bool | str:
        """A file that was uploaded after the page was loaded is in no list yet, so only its presence counts."""
        try:
            _paths(kwargs.get("source") or {})
        except QilError as error:
            return told(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, **kwargs: Any) -> str | float:
        """Changes when a file does. Where that is not known it is NaN, which equals nothing: the file is read again."""
        files = state(_paths(kwargs.get("source") or {}))
        # A new one each time: ComfyUI compares with what was there before, and one object equals itself.
        if files is None:
            return float("nan")
        return f"{kwargs.get('hidden')} {kwargs.get('unsupported')} {kwargs.get('source')} {files}"


def _paths(source: dict[str, Any]) -> list[Path]:
    """The files that were chosen."""
    lines = str(source.get("file") or source.get("files") or "").splitlines()
    return [host.input_path(line) for line in lines if line.strip()]
