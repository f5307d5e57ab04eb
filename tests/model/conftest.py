"""What tests of the model share: a tiny checkpoint, its parts, and a picture."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from qil_core.checkpoints.folders import Files
from qil_core.model.parts import Parts, load


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A diffusers folder of the layered model's layout, with tiny random weights."""
    import tiny_model

    return tiny_model.build(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def parts(folder: Path) -> Parts:
    return load(Files.of_folder(folder), torch.float32)


@pytest.fixture
def picture() -> torch.Tensor:
    """60 x 80 pixels of coarse noise with alpha."""
    small = torch.rand(1, 4, 6, 8, generator=torch.Generator().manual_seed(1))
    return torch.nn.functional.interpolate(small, scale_factor=10)[0].permute(1, 2, 0).contiguous()
