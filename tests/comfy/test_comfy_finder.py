"""Finding ComfyUI, and saying so when there is none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from finder import REPO, Checkout, find_checkout

HERE = Path(__file__).parent


@pytest.fixture
def comfyui(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty checkout in $COMFYUI_DIR."""
    folder = tmp_path / "work" / "ComfyUI"
    (folder / "comfy").mkdir(parents=True)
    (folder / "main.py").touch()
    monkeypatch.setenv("COMFYUI_DIR", str(folder))
    monkeypatch.delenv("COMFYUI_PYTHON", raising=False)
    return folder


def environment(folder: Path) -> Path:
    (folder / "bin").mkdir(parents=True)
    python = folder / "bin" / "python"
    python.touch()
    return python


def test_comfyui_dir_comes_first_and_needs_no_virtual_environment(comfyui: Path) -> None:
    assert find_checkout() == Checkout(comfyui, Path(sys.executable))


def test_an_environment_inside_wins_over_one_beside(comfyui: Path) -> None:
    beside = environment(comfyui.parent / "env")
    assert find_checkout() == Checkout(comfyui, beside)
    inside = environment(comfyui / ".venv")
    assert find_checkout() == Checkout(comfyui, inside)


def test_comfyui_python_wins_over_all(comfyui: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment(comfyui / "venv")
    monkeypatch.setenv("COMFYUI_PYTHON", "/opt/python")
    assert find_checkout() == Checkout(comfyui, Path("/opt/python"))


def test_without_a_checkout_the_tests_are_skipped_with_a_loud_line(tmp_path: Path) -> None:
    if (REPO.parent.parent / "main.py").exists():
        pytest.skip("this package is installed inside a ComfyUI")
    env = {**os.environ, "HOME": str(tmp_path), "COMFYUI_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(HERE / "test_comfy_running.py")]
    done = subprocess.run(command, cwd=REPO, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "!!! ComfyUI tests SKIPPED: no checkout in $COMFYUI_DIR" in done.stdout
    assert "4 skipped" in done.stdout
