"""Codes of errors: which part of the package refused. In docs/errors.md people can look them up in their language.

The message of a QilError is in English and says what is wrong; ComfyUI has no way to translate it. The code depends on
the module that raised the error. It is put behind the message where people read it: by the nodes, and by `qil`.
"""

from __future__ import annotations

import re

from .errors import QilError

PARTS = {
    "QIL-INPUT": (
        *("nodes.door", "nodes.decompose", "nodes.edit_words", "nodes.export", "cli"),
        *("blend", "color", "edit_request", "elements", "options", "order", "recolor", "request", "transform"),
    ),
    "QIL-LAYERS": ("stack", "composite", "exact", "restore", "metrics", "nodes.restore"),
    "QIL-DECOMPOSE": ("decompose",),
    "QIL-MODEL": ("checkpoints", "model", "nodes.load", "nodes.native"),
    "QIL-MEMORY": tuple(f"model.{part}" for part in ("runtime", "plan", "placement", "devices", "attention")),
    "QIL-DOWNLOAD": ("checkpoints.download",),
    "QIL-EDIT": ("edit", "model.editing", "model.denoise", "model.words"),
    "QIL-STUDIO": tuple(
        f"edit.{part}" for part in ("model_studio", "sent", "studio_pictures", "studio_reply", "studio_request")
    ),
    "QIL-KEY": ("edit.studio_key", "edit.studio_address"),
    "QIL-FILE": ("files", "manifest", "nodes.host"),
    "QIL-PANEL": ("editor", "nodes.picking"),
    "QIL-EXTRA": ("opencv", "typography", "ocr_tesseract"),
    "QIL-BATCH": ("batch", "cli.batch", "cli.decompose"),
    "QIL-SERVER": ("remote", "cli.run"),
}
"""By code: modules and packages, without `qil_core.` before them. The longest name that fits a module decides."""

OTHER = "QIL-OTHER"
"""Of an error that was not raised by a module of PARTS, such as one that was never raised."""

_MODULE = re.compile(r"(?:^|\.)(?:qil_core\.|(?=nodes\.))([\w.]+)$")


def code_of_module(module: str) -> str:
    """The code for a module's full name, such as "qil_core.edit.studio_key", whatever package it was loaded in."""
    found = _MODULE.search(module)
    name = f"{found[1]}." if found else ""
    fits = {part: code for code, parts in PARTS.items() for part in parts if name.startswith(f"{part}.")}
    return fits[max(fits, key=len)] if fits else OTHER


def code_of(error: QilError) -> str:
    """The code of an error that was caught: that of the module where it was raised."""
    trace, module = error.__traceback__, ""
    while trace is not None:
        module, trace = trace.tb_frame.f_globals.get("__name__", ""), trace.tb_next
    return code_of_module(module)


def told(error: QilError) -> str:
    """The message of an error that was caught, with its code behind it."""
    return f"{error} [{code_of(error)}]"
