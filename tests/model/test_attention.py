"""Each model computes attention with its own backend."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("diffusers")

import tiny_model
from diffusers.models.attention_dispatch import _AttentionBackendRegistry as Registry

from qil_core.checkpoints.folders import Files
from qil_core.errors import QilError
from qil_core.model.parts import load
from qil_core.model.pipeline import LayeredModel
from qil_core.progress import silent
from qil_core.request import Request

ASKED = Request(layers=1, steps=1, prompt="a disc", true_cfg_scale=1.0, resolution=128)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model.build(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each of diffusers' backends was called."""
    counted: Counter[str] = Counter()

    def counting(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            counted[name] += 1
            return function(*given, **named)

        return call

    for backend, function in list(Registry._backends.items()):
        monkeypatch.setitem(Registry._backends, backend, counting(backend.value, function))
    return counted


def model(folder: Path) -> LayeredModel:
    return LayeredModel(load(Files.of_folder(folder), torch.float32), torch.device("cpu"))


def test_two_models_with_two_backends_disturb_neither_each_other_nor_diffusers(
    folder: Path, calls: Counter[str]
) -> None:
    before = Registry.get_active_backend()
    plain, mathematical = model(folder), model(folder)
    mathematical.tune("_native_math")
    assert Registry.get_active_backend() == before
    picture = torch.rand(8, 8, 4)
    plain.layers(picture, ASKED, silent)
    assert dict(calls) == {"native": 2}, "one call a block"
    mathematical.layers(picture, ASKED, silent)
    assert dict(calls) == {"native": 2, "_native_math": 2}


def test_a_backend_that_is_not_there_says_so_and_changes_nothing(folder: Path) -> None:
    before = Registry.get_active_backend()
    one = model(folder)
    with pytest.raises(QilError, match=r'The attention backend "nonsense" cannot be used here: .*must be one of'):
        one.tune("nonsense")
    assert Registry.get_active_backend() == before
    assert {block.attn.processor._attention_backend for block in one.parts.transformer.transformer_blocks} == {None}
