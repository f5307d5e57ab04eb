"""What all tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from hypothesis import settings
from studio_server import KEY, Studio, running

from qil_core.stack import LayerStack

settings.register_profile("steady", deadline=None, derandomize=True, max_examples=40)
settings.load_profile("steady")


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
