"""How layers are named in the text of the edits: by fingerprints of their content (fingerprint.py), not by places."""

from __future__ import annotations

import re
from typing import Any

from .reading import refuse

LAYER = re.compile(r"([0-9a-f]{16}(?:\.[1-9]\d{0,3})?|c[1-9]\d{0,3})(?:~([1-9]\d{0,3}))?", re.ASCII)
"""A layer's fingerprint, `.2` where a second layer has the same content; or a thing that was cut out of one (`c1`).
And `~2` for a duplicate made in the panel."""

MERGED = re.compile(r"m[1-9]\d{0,3}", re.ASCII)
"""A layer that was merged of others."""

CUT = re.compile(r"c[1-9]\d{0,3}", re.ASCII)
"""A thing that was cut out of a layer."""


def original_of(layer: str) -> str:
    """The fingerprint of the layer, or the thing, that an id or the id of its duplicate names; itself for a merged
    layer."""
    match = LAYER.fullmatch(layer)
    return match[1] if match else layer


def is_copy(item: str) -> bool:
    """Whether an id is that of a duplicate made in the panel."""
    match = LAYER.fullmatch(item)
    return bool(match and match[2])


def layer_id(where: str, value: Any) -> str:
    """An id of a layer as it was given. Raises QilError."""
    if not isinstance(value, str) or not (LAYER.fullmatch(value) or MERGED.fullmatch(value)):
        refuse(where, "the fingerprint of a layer", value)
    return value
