"""The stock pipelines of diffusers over a tiny model's own tensors, and a counter of calls."""

from __future__ import annotations

import copy
import functools
from pathlib import Path
from typing import Any

import pytest

from qil_core.model import modulation
from qil_core.model.parts import Parts


def stock_pipeline(folder: Path, parts: Parts) -> Any:
    """The stock pipeline over the very same tensors: a copy that is aligned otherwise can differ in the last bit."""
    from diffusers import AutoencoderKLQwenImage, QwenImageLayeredPipeline

    transformer = copy.deepcopy(parts.transformer, {id(p): p for p in parts.transformer.parameters()})
    for block, layers in zip(transformer.transformer_blocks, parts.modulation.layers, strict=True):
        for stream in modulation.STREAMS:
            setattr(block, stream, layers[stream])
    return QwenImageLayeredPipeline(
        scheduler=copy.deepcopy(parts.scheduler),
        vae=AutoencoderKLQwenImage.from_pretrained(folder / "vae"),
        text_encoder=parts.text_encoder,
        tokenizer=parts.tokenizer,
        processor=None,
        transformer=transformer,
    )


class Spy:
    """Counts the calls of a module's forward (and generate)."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
        self.calls = 0
        original = getattr(owner, name)

        @functools.wraps(original)
        def counted(*args: Any, **more: Any) -> Any:
            self.calls += 1
            return original(*args, **more)

        monkeypatch.setattr(owner, name, counted)
