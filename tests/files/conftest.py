"""All tests of files run as on a machine with 16 GB of free memory: what is read at all depends on it."""

from __future__ import annotations

import pytest

from qil_core.files import limits

FREE = 16_000_000_000


@pytest.fixture(autouse=True)
def sixteen_gigabytes_are_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "free_ram", lambda: FREE)
    monkeypatch.setattr(limits, "addressable", lambda: None)
