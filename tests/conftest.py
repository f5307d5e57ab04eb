"""What all tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings
from studio_server import KEY, Studio, running

from qil_core.stack import LayerStack

SLOW = (
    "checkpoints/test_checkpoint_faults.py",
    "checkpoints/test_checkpoints.py",
    "checkpoints/test_edit_checkpoints.py",
    "comfy/",
    "decompose/builtin/test_panels.py",
    "decompose/builtin/test_reading.py",
    "decompose/builtin/test_scenes.py",
    "files/test_other_programs.py",
    "model/test_attention.py",
    "model/test_edit_model.py",
    "model/test_layered_model.py",
    "remote/test_faults.py",
    "test_drawn_scenes.py",
    "test_judging.py",
    "test_parallel.py",
    "test_progress.py",
    "decompose/builtin/test_builtin.py",
    "decompose/builtin/test_progress.py",
)
"""Needs a tiny model, another program or ComfyUI, or takes many pictures apart: `pytest -m "not slow"` leaves it out.

Single tests in other files are marked by themselves."""


HEAVY = (
    "batch/test_cluster.py",
    "comfy/test_comfy_attack.py",
    "comfy/test_comfy_editor_browser.py",
    "comfy/test_comfy_run.py",
    "edit/test_studio_key.py::test_a_thousand_failures",
    "model/test_edit_model.py::test_the_base_model_makes_what_stock_makes_at_full_size",
    "test_gpu_model.py",
    "test_rehearsal.py",
)
"""Takes minutes together: `make test` leaves it out, `make heavy` runs it, and so does CI."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        place = f"{item.path.relative_to(here).as_posix()}::{item.name}"
        if place.startswith(SLOW + HEAVY):
            item.add_marker(pytest.mark.slow)
        if place.startswith(HEAVY):
            item.add_marker(pytest.mark.heavy)


settings.register_profile("steady", deadline=None, derandomize=True, max_examples=40)
settings.load_profile("steady")


@pytest.fixture
def same_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scenes are drawn with Pillow's own font alone, so that they are the same on machines with other fonts."""
    monkeypatch.setattr("benchmarks.scenes.fonts", lambda names: ())


@pytest.fixture
def nobody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the extra `text` is not installed."""
    monkeypatch.setattr("qil_core.ocr.reader", lambda: None)
    monkeypatch.setattr("qil_core.ocr.missing", lambda: "rapidocr")


@pytest.fixture
def random_stack() -> LayerStack:
    """Four layers of noise with every kind of alpha: 0, 1 and between."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.rand(4, 33, 47, 4, generator=generator)
    pixels[..., 3] = (pixels[..., 3] * 2 - 0.5).clamp(0, 1)
    return LayerStack.from_image(pixels)


@pytest.fixture
def studio(monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    """A Model Studio on this machine, and a key for it in the environment."""
    monkeypatch.setenv("DASHSCOPE_API_KEY", KEY)
    with running() as server:
        monkeypatch.setenv("DASHSCOPE_HTTP_BASE_URL", server.url)
        yield server
