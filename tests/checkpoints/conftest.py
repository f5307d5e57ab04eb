"""A tiny model with the true layout, as a diffusers folder and as single files."""

from __future__ import annotations

from pathlib import Path

import pytest
from checkpoint_forms import single_files
from tiny_model import build

from qil_core.checkpoints.folders import Files


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("checkpoints") / "tiny")


@pytest.fixture(scope="module")
def files(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Files:
    return single_files(tiny, tmp_path_factory.mktemp("configs"))
