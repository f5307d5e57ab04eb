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
from qil_core.model.sources import runtime_options
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


def backends(one: LayeredModel) -> set[Any]:
    return {block.attn.processor._attention_backend for block in one.parts.transformer.transformer_blocks}


def test_two_models_with_two_backends_disturb_neither_each_other_nor_diffusers(
    folder: Path, calls: Counter[str]
) -> None:
    before = Registry.get_active_backend()
    plain, mathematical = model(folder), model(folder)
    mathematical.tune("_native_math")
    assert dict(calls) == {"_native_math": 1}, "it is tried when it is chosen"
    calls.clear()
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
    assert backends(one) == {None}


def test_a_backend_that_fails_on_this_device_is_refused_before_anything_is_made(folder: Path) -> None:
    """A CPU has no cuDNN; diffusers itself finds out at the first step."""
    one = model(folder)
    one.tune("_native_math")
    with pytest.raises(QilError, match=r'The attention backend "_native_cudnn" cannot be used here: .+'):
        one.tune("_native_cudnn")
    assert backends(one) == {"_native_math"}


@pytest.mark.parametrize("name", ["_flash_3", "sage"])
def test_a_package_that_is_missing_is_named(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for flag in ("_CAN_USE_FLASH_ATTN_3", "_CAN_USE_SAGE_ATTN"):
        monkeypatch.setattr(f"diffusers.models.attention_dispatch.{flag}", False)
    package = {"_flash_3": "build FA3 beta release from source", "sage": "install `sageattention>="}[name]
    with pytest.raises(QilError, match=f'"{name}" cannot be used here: .*{package}'):
        model(folder).tune(name)


def test_backends_that_are_downloaded_as_programs_are_refused_and_nothing_is_asked_of_the_internet(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr("diffusers.models.attention_dispatch._maybe_download_kernel_for_backend", asked.append)
    for name in ("_flash_3_hub", "SAGE_HUB"):
        with pytest.raises(QilError, match=f'"{name}" would be downloaded as a program and run.*choose its backend'):
            model(folder).tune(name)
    assert asked == []


def test_a_backend_that_computes_in_fewer_bits_is_called_lossy_in_the_report(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With exact attention in sage's place, as there is no GPU that could compute it."""
    from diffusers.models.attention_dispatch import AttentionBackendName as Name

    monkeypatch.setattr("diffusers.models.attention_dispatch._CAN_USE_SAGE_ATTN", True)
    monkeypatch.setitem(Registry._backends, Name.SAGE, Registry._backends[Name._NATIVE_MATH])
    monkeypatch.setitem(Registry._constraints, Name.SAGE, [])
    one = model(folder)
    said: list[bool] = []
    for name in ("default", "sage"):
        one.tune(name)
        _, run = one.layers(torch.ones(8, 8, 4), ASKED, silent)
        said.append("Attention (lossy): sage computes in 8 bits." in run.notes)
    assert said == [False, True]


def test_the_loaders_option_says_which_backend_is_lossy_and_what_each_needs() -> None:
    [option] = [option for option in runtime_options() if option.name == "attention"]
    assert [name for name in option.choices if name not in option.tooltip] == []
    assert "sage (package sageattention) is lossy" in option.tooltip
    assert "FlashAttention 3, built from source" in option.tooltip
    assert not any("hub" in name for name in option.choices)
