"""What is installed with the package, beside what others have installed already."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import venv
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from qil_core.checkpoints.folders import SHIPPED

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = SETTINGS["project"]
EXTRAS = PROJECT["optional-dependencies"]
COMFYUIS_OWN = {"numpy", "pillow", "transformers", "safetensors", "tqdm", "psutil"}
"""Packages that ComfyUI installs itself: another version may break it or others' nodes."""


def requirements(lines: list[str]) -> dict[str, Requirement]:
    found = (Requirement(line) for line in lines if line and not line.startswith("#"))
    return {requirement.name: requirement for requirement in found}


def lines_of(name: str) -> list[str]:
    return (ROOT / name).read_text(encoding="utf-8").splitlines()


REQUIRED = requirements(lines_of("requirements.txt"))
NEEDED = requirements([*PROJECT["dependencies"], *EXTRAS["model"], *EXTRAS["gguf"]])
READERS = requirements(EXTRAS["text"])


def floor(requirement: Requirement) -> str:
    return next(part.version for part in requirement.specifier if part.operator == ">=")


def test_requirements_hold_all_that_the_model_needs_but_torch_and_opencv() -> None:
    assert REQUIRED.keys() == NEEDED.keys() - {"torch", "opencv-python-headless"}
    assert {name: floor(one) for name, one in REQUIRED.items()} == {name: floor(NEEDED[name]) for name in REQUIRED}


def test_no_major_version_comes_unseen_but_comfyuis_own_choice_stands() -> None:
    capped = {name for name, one in REQUIRED.items() if any(part.operator == "<" for part in one.specifier)}
    assert capped == REQUIRED.keys() - COMFYUIS_OWN
    assert {name for name, one in NEEDED.items() if "<" not in str(one.specifier)} == {"torch"}


def test_what_reads_text_is_left_to_who_wants_it_for_it_brings_an_opencv_of_its_own() -> None:
    assert requirements(EXTRAS["text"]).keys() == {"rapidocr", "onnxruntime"}
    assert not requirements(EXTRAS["text"]).keys() & REQUIRED.keys()
    assert "text" in Requirement(EXTRAS["test"][0]).extras
    assert '-e ".[text]"' in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_what_is_tested_is_within_what_users_may_have() -> None:
    for line in lines_of("constraints.txt"):
        if line and not line.startswith("#"):
            pinned = Requirement(line)
            (version,) = (part.version for part in pinned.specifier)
            if wanted := (NEEDED | READERS).get(pinned.name):
                assert wanted.specifier.contains(version), line


def test_every_python_that_the_readme_promises_is_in_the_matrix() -> None:
    low, high = re.search(r"Python 3\.(\d+)-3\.(\d+)", (ROOT / "README.md").read_text(encoding="utf-8")).groups()  # type: ignore[union-attr]
    promised = " ".join(f"3.{minor}" for minor in range(int(low), int(high) + 1))
    assert f'PROMISED="{promised}"' in (ROOT / ".ci" / "matrix").read_text(encoding="utf-8")
    assert PROJECT["requires-python"] == f">=3.{low}"


def test_configurations_are_installed_with_the_package() -> None:
    (pattern,) = SETTINGS["tool"]["setuptools"]["package-data"]["qil_core"]
    assert {path.parent for path in (ROOT / "qil_core").glob(pattern)} == {SHIPPED}


# OpenCV


def installed_by(python: Path, *more: str) -> str:
    """What install.py would do with this Python."""
    done = subprocess.run([python, ROOT / "install.py", "--dry-run", *more], capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with nothing in it."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    return folder


def python_of(environment: Path) -> Path:
    return environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def put(environment: Path, *files: str) -> None:
    where = [python_of(environment), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    packages = Path(subprocess.run(where, capture_output=True, text=True, check=True).stdout.strip())
    for file in files:
        (packages / file).parent.mkdir(exist_ok=True)
        (packages / file).write_text("")


def test_opencv_is_installed_where_there_is_none(environment: Path) -> None:
    assert re.search(r"-m pip install opencv-python-headless>=4\.8,<6\n", installed_by(python_of(environment)))


def test_no_second_opencv_is_installed_beside_one_of_any_distribution(environment: Path) -> None:
    put(environment, "cv2/__init__.py")
    assert installed_by(python_of(environment)) == "OpenCV is there already.\n"


def test_the_reader_is_installed_without_the_opencv_that_it_names(environment: Path) -> None:
    put(environment, "cv2/__init__.py")
    needs, reader = installed_by(python_of(environment), "--text").splitlines()[1:]
    assert "opencv" not in needs
    assert reader.endswith("-m pip install --no-deps rapidocr>=3.10,<4")


def test_the_reader_gets_all_else_that_it_names() -> None:
    pytest.importorskip("rapidocr", reason="the extra `text` is not installed")
    named = (Requirement(line) for line in metadata.requires("rapidocr") or [])
    wanted = {canonicalize_name(one.name) for one in named if one.marker is None} - {"opencv-python-headless"}
    given = {canonicalize_name(Requirement(line).name) for line in install_script().READER_NEEDS}
    assert wanted - given <= {"numpy", "pillow", "tqdm"}, "these three are in requirements.txt"


def test_install_and_pyproject_name_the_same_packages() -> None:
    script = install_script()
    assert Requirement(script.OPENCV) == NEEDED["opencv-python-headless"]
    assert Requirement(script.READER) == READERS["rapidocr"]
    assert Requirement(script.READER_NEEDS[0]) == READERS["onnxruntime"]


def install_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("install", ROOT / "install.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
