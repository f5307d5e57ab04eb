"""`qil run` against servers of the test's own, with little patience."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from run_shell import QUICK, Shell

from qil_core.remote.preflight import connect


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.delenv("COMFY_BASE_URL", raising=False)
    monkeypatch.setattr("qil_core.cli.run.connect", partial(connect, patience=QUICK))
    return Shell(tmp_path)


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """What went to stderr since the last call."""
    return lambda: capsys.readouterr().err
