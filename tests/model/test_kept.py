"""A model is loaded once: settings, names and workflows change, files are not read again."""

from __future__ import annotations

import gc
import os
import shutil
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("diffusers")

import tiny_model
from checkpoint_forms import QUERY, lora_file
from stock import Spy

from qil_core.checkpoints import identity
from qil_core.checkpoints.folders import Files
from qil_core.errors import QilError
from qil_core.model import kept
from qil_core.model.machine import Machine
from qil_core.model.models import EDITIONS, LAYERED, named
from qil_core.model.parts import load
from qil_core.model.pipeline import LayeredModel
from qil_core.model.plan import ALL, LEAVES, STREAMED
from qil_core.model.runtime import Settings
from qil_core.progress import silent
from qil_core.request import Request

CPU = torch.device("cpu")
ASKED = Request(layers=1, steps=1, prompt="a disc", true_cfg_scale=1.0, resolution=128)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_model.build(tmp_path / "first")


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    kept._kept.clear()
    yield
    kept._kept.clear()


def asked(files: Files | Path, settings: Settings | None = None, **more: Any) -> LayeredModel:
    files = files if isinstance(files, Files) else Files.of_folder(files)
    return kept.runtime_of(
        LayeredModel, files, torch.float32, lambda model: Machine(CPU), settings or Settings(), (LAYERED,), **more
    )


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of files that were opened."""
    names: list[str] = []
    real = Path.open

    def counting(self: Path, *given: Any, **named: Any) -> Any:
        names.append(self.name)
        return real(self, *given, **named)

    monkeypatch.setattr(Path, "open", counting)
    return names


def test_other_settings_read_no_file_and_load_nothing(folder: Path, opened: list[str]) -> None:
    first = asked(folder)
    assert "diffusion_pytorch_model.safetensors" in opened
    opened.clear()
    for settings in (Settings(STREAMED), Settings(LEAVES), Settings(reuse=0.1), Settings(attention="_native_math")):
        assert asked(folder, settings).parts is first.parts
    assert opened == []


def test_settings_count_for_those_who_asked_for_them_and_for_nobody_else(folder: Path) -> None:
    pictures, notes = [], []
    views = [asked(folder, Settings(ALL)), asked(folder, Settings(STREAMED, "_native_math"))]
    for turn in range(4):
        picture, run = views[turn % 2].layers(torch.ones(8, 8, 4), ASKED, silent)
        pictures.append(picture)
        notes.append(run.notes[0])
        backends = {block.attn.processor._attention_backend for block in views[0].parts.transformer.transformer_blocks}
        assert [str(backend.value) if backend else None for backend in backends] == [[None], ["_native_math"]][turn % 2]
    assert notes == 2 * [f"Memory: {ALL}.", f"Memory: {STREAMED}."]
    assert torch.equal(pictures[0], pictures[2])
    assert torch.equal(pictures[1], pictures[3])
    assert (pictures[0] - pictures[1]).abs().max() < 1e-4


def test_what_a_lossy_text_encoder_read_is_not_taken_for_what_a_lossless_one_reads(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    caption = replace(ASKED, prompt="")
    fresh = LayeredModel(load(Files.of_folder(folder), torch.float32), CPU, ALL)
    lossy, lossless = asked(folder, Settings("nf4 storage (lossy)")), asked(folder, Settings(ALL))
    for request in (ASKED, caption):
        different, _ = lossy.layers(torch.ones(8, 8, 4), request, silent)
        same, _ = lossless.layers(torch.ones(8, 8, 4), request, silent)
        want, _ = fresh.layers(torch.ones(8, 8, 4), request, silent)
        assert not torch.equal(different, want)
        assert torch.allclose(same, want, atol=1e-5)
    spy = Spy(monkeypatch, lossless.parts.text_encoder.model, "forward")
    lossless.layers(torch.ones(8, 8, 4), caption, silent)
    assert spy.calls == 0


def test_compiled_blocks_are_as_before_once_nobody_compiles(folder: Path) -> None:
    blocks = asked(folder, Settings(compile=True)).parts.transformer.transformer_blocks
    assert all(block._compiled_call_impl is not None for block in blocks)
    asked(folder)
    assert all(block._compiled_call_impl is None for block in blocks)


def test_a_backend_that_is_not_there_leaves_the_kept_model_as_it_was(folder: Path) -> None:
    first = asked(folder)
    with pytest.raises(QilError, match='The attention backend "nonsense" cannot be used here'):
        asked(folder, Settings(attention="nonsense"))
    assert asked(folder).parts is first.parts
    first.layers(torch.ones(8, 8, 4), ASKED, silent)


def test_a_file_is_known_by_what_is_in_it(folder: Path, tmp_path: Path) -> None:
    first = asked(folder)
    elsewhere = tmp_path / "second"
    shutil.copytree(folder, elsewhere)  # with the times of the files
    assert asked(elsewhere).parts is first.parts
    os.rename(folder, tmp_path / "third")
    assert asked(tmp_path / "third").parts is first.parts
    tiny_model.build(elsewhere, seed=1)
    assert asked(elsewhere).parts is not first.parts


def test_a_change_that_no_sample_sees_is_seen_by_its_time(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(bytes(1 << 20))
    before = identity._of_file(path)
    with path.open("r+b") as file:
        file.seek(6000)
        file.write(b"x")
    os.utime(path, ns=(1, 2))
    assert identity._of_file(path)[2] == before[2]
    assert identity._of_file(path) != before


def test_loras_and_their_strengths_make_another_model(folder: Path, tmp_path: Path) -> None:
    lora = lora_file(tmp_path / "lora.safetensors", f"{QUERY}.lora_B.weight")
    models = [asked(Files.of_folder(folder, loras)) for loras in ((), ((lora, 1.0),), ((lora, 0.5),))]
    assert len({id(model.parts) for model in models}) == 3


def test_the_oldest_is_dropped_before_another_is_loaded(folder: Path, tmp_path: Path) -> None:
    alive: list[int] = []
    parts = []
    for seed in range(3):

        def counting(fraction: float, what: str) -> None:
            if fraction == 1:
                gc.collect()
                alive.append(sum(one() is not None for one in parts))

        at = tiny_model.build(tmp_path / str(seed), seed=seed)
        parts.append(weakref.ref(asked(at, progress=counting).parts))
    gc.collect()
    assert max(alive) == kept.KEPT - 1, "while one is loaded there is one other"
    assert [one() is not None for one in parts] == [False, True, True]


def test_editions_that_only_their_name_tells_are_not_mixed_up() -> None:
    names = [
        named(Path(name)) for name in ("qwen_image_edit_2509_fp8.safetensors", "qwen_image_edit_2511.gguf", "a.gguf")
    ]
    assert names == [EDITIONS[1].label, EDITIONS[2].label, None]
