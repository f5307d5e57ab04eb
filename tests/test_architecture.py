"""The lines that hold the house: who may import whom, and what must not be imported early."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CORE = sorted((ROOT / "qil_core").rglob("*.py"))
NODES = [ROOT / "__init__.py", *sorted((ROOT / "nodes").glob("*.py"))]
HEAVY = ("cv2", "pptx", "psd_tools", "diffusers", "transformers", "accelerate", "scipy", "httpx")
COMFY = ("comfy", "comfy_api", "comfy_execution", "folder_paths", "server", "execution", "nodes")


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Module names that a file imports, with the count of leading dots."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((name.name.split(".")[0], 0) for name in node.names)
        if isinstance(node, ast.ImportFrom):
            yield (node.module or "").split(".")[0], node.level


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.name)
def test_the_core_never_imports_comfyui_or_the_nodes(path: Path) -> None:
    depth = len(path.relative_to(ROOT).parts) - 1
    assert not [name for name, level in imports(path) if level == 0 and name in COMFY]
    assert all(level <= depth for _, level in imports(path)), "an import climbs out of qil_core"


@pytest.mark.parametrize("path", NODES, ids=lambda path: path.name)
def test_root_and_nodes_reach_the_core_by_relative_imports_only(path: Path) -> None:
    assert not [name for name, level in imports(path) if level == 0 and name in ("qil_core", "nodes")]


@pytest.mark.parametrize("path", NODES, ids=lambda path: path.name)
def test_only_host_talks_to_comfyuis_own_modules(path: Path) -> None:
    inner = [name for name, level in imports(path) if level == 0 and name in COMFY and name != "comfy_api"]
    allowed = ("host.py", "memory.py", "native.py")  # native.py drives ComfyUI's own models
    assert not inner or path.name in allowed


def test_importing_everything_the_nodes_use_loads_no_heavy_library() -> None:
    modules = ["composite", "transform", "recolor", "exact", "restore", "sheet", "order", "cli", "decompose.recursive"]
    modules += ["decompose.builtin", "decompose.registry", "files.pptx", "files.png", "files.archive", "files.picture"]
    modules += ["files.psd", "files.psd_reader", "files.ora", "files.loading", "files.document"]
    modules += ["edit.model_studio", "edit.local"]
    everything = ", ".join("qil_core." + module for module in modules)
    code = f"import sys, {everything}; print(*(m for m in {HEAVY} if m in sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == ""
