"""Models that have been loaded, kept for whoever asks for the same files again, with whatever settings."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import torch

from ..checkpoints.folders import Files
from ..checkpoints.identity import identity_of
from ..progress import Progress, silent
from .machine import Machine
from .models import Model, named
from .parts import load
from .runtime import Runtime, Settings

KEPT = 2
"""One that takes pictures apart and one that edits them. Their weights lie in mapped files: kept, they take little."""

_kept: OrderedDict[tuple[object, ...], Runtime] = OrderedDict()


def runtime_of(
    kind: type[Any],
    files: Files,
    dtype: torch.dtype,
    machine: Callable[[Model], Machine],
    settings: Settings,
    models: Sequence[Model],
    progress: Progress = silent,
) -> Any:
    """A Runtime of this kind with these settings. Files that are loaded already, by content, are not read again.

    machine: made for a model that is loaded now. models: see `parts.load`. Raises QilError.
    """
    labels = tuple(model.label for model in models)
    key = (kind, labels, named(files.transformer), dtype, identity_of(files))
    if key not in _kept:
        while len(_kept) >= KEPT:
            _kept.popitem(last=False)[1].placement.release()
        parts = load(files, dtype, progress, models)
        its = machine(parts.model)
        _kept[key] = kind(parts, its.device, settings.memory, machine=its)
    _kept.move_to_end(key)
    return _kept[key].with_settings(settings)
