"""The lines that hold the house: who may import whom, and what must not be imported early.

Imports inside functions count like all others: they hide a circle, they do not break it.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CORE = sorted((ROOT / "qil_core").rglob("*.py"))
NODES = [ROOT / "__init__.py", *sorted((ROOT / "nodes").glob("*.py"))]
FOLDERS = sorted(path for path in (ROOT / "qil_core").rglob("*") if path.is_dir() and (path / "__init__.py").is_file())
HEAVY = (
    "cv2",
    "pptx",
    "psd_tools",
    "diffusers",
    "transformers",
    "accelerate",
    "scipy",
    "httpx",
    "websocket",
    "rapidocr",
    "onnxruntime",
    "ray",
    "pyarrow",
    "fsspec",
)
COMFY = ("comfy", "comfy_api", "comfy_execution", "folder_paths", "server", "execution", "nodes")


def module_name(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


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


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert circle(import_graph(CORE, lambda module: module)) == []


@pytest.mark.parametrize("folder", ["qil_core", *(module_name(path, ROOT) for path in FOLDERS)])
def test_the_rooms_of_a_folder_import_each_other_one_way_only(folder: str) -> None:
    """A room is a file or a sub-folder. Where imports run one way there is a bottom and a top, so none leads upward."""
    assert circle(import_graph(CORE, lambda module: room(module, folder))) == []


def test_an_upward_import_and_a_circle_are_found(tmp_path: Path) -> None:
    house = tmp_path / "qil_core"
    (house / "files").mkdir(parents=True)
    for name, code in {
        "__init__": "",
        "stack": "def late():\n    from .files import psd",
        "files/__init__": "",
        "files/psd": "from ..stack import late",
    }.items():
        (house / f"{name}.py").write_text(code)
    graph = import_graph(sorted(house.rglob("*.py")), lambda module: module, tmp_path)
    assert set(circle(graph)) == {"qil_core.stack", "qil_core.files.psd"}


def import_graph(files: list[Path], room_of: Callable[[str], str], root: Path = ROOT) -> dict[str, set[str]]:
    """Room -> the other rooms that its files import, for the modules of the package alone."""
    modules = {module_name(path, root): path for path in files}
    graph: dict[str, set[str]] = {}
    for module, path in modules.items():
        found = {room_of(other) for other in imported_modules(path, module, set(modules))}
        graph.setdefault(room_of(module), set()).update(found - {room_of(module)})
    graph.pop("", None)
    return {name: others - {""} for name, others in graph.items()}


def imported_modules(path: Path, module: str, known: set[str]) -> Iterator[str]:
    """Modules of the package that a file imports, each by its full name."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name in known)
        if isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            base = ".".join([*parts[: len(parts) - node.level + 1], *([node.module] if node.module else [])])
            source = base if node.level else node.module or ""
            full = (f"{source}.{name.name}" for name in node.names)
            yield from (name if name in known else source for name in full if name in known or source in known)


def room(module: str, folder: str) -> str:
    """The child of a folder in which a module lies; "" outside the folder and for the folder's own __init__."""
    if not module.startswith(folder + "."):
        return ""
    return module.removeprefix(folder + ".").split(".")[0]


def circle(graph: dict[str, set[str]]) -> list[str]:
    """The names of one circle, or nothing where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_importing_everything_the_nodes_use_loads_no_heavy_library() -> None:
    modules = [
        "ocr",
        "composite",
        "transform",
        "recolor",
        "exact",
        "restore",
        "sheet",
        "order",
        "cli",
        "decompose.recursive",
        "cli.batch",
        "batch.cluster",
    ]
    modules += ["decompose.builtin", "decompose.registry", "files.pptx", "files.png", "files.archive", "files.picture"]
    modules += ["files.psd", "files.psd_reader", "files.ora", "files.loading", "files.document"]
    modules += ["edit.model_studio", "edit.local", "ocr", "editor.apply", "editor.previews"]
    everything = ", ".join("qil_core." + module for module in modules)
    code = f"import sys, {everything}; print(*(m for m in {HEAVY} if m in sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == ""
