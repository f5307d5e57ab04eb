"""Reading layers from files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from comfy_api.latest import io

from ..qil_core.errors import QilError
from ..qil_core.files.loading import SUFFIXES, load
from . import host
from .door import Node
from .sockets import CATEGORY, KEEP, FileChoice, hidden_input, layered_outputs, layered_values

FILE, SEVERAL = "file", "several PNGs"


class LoadLayers(Node):
    """Read a PSD, PSB, ORA or ZIP file, or several PNGs, as a layer stack."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        option = io.DynamicCombo.Option
        file = FileChoice(
            "file", options=host.input_files(SUFFIXES), tooltip="PSD, PSB, ORA, ZIP or PNG in ComfyUI's input folder."
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
                ),
                hidden_input(),
            ],
            outputs=layered_outputs(),
        )

    @classmethod
    def execute(cls, hidden: str, source: dict[str, Any]) -> io.NodeOutput:
        return layered_values(load(_paths(source), hidden == KEEP))

    @classmethod
    def validate_inputs(cls, **kwargs: Any) -> bool | str:
        """A file that was uploaded after the page was loaded is in no list yet, so only its presence counts."""
        try:
            _paths(kwargs.get("source") or {})
        except QilError as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, **kwargs: Any) -> str:
        """Changes when a file does."""
        stats = [path.stat() for path in _paths(kwargs.get("source") or {})]
        return f"{kwargs.get('hidden')} {kwargs.get('source')} {[(stat.st_mtime_ns, stat.st_size) for stat in stats]}"


def _paths(source: dict[str, Any]) -> list[Path]:
    """The files that were chosen."""
    lines = str(source.get("file") or source.get("files") or "").splitlines()
    return [host.input_path(line) for line in lines if line.strip()]
