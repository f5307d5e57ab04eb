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
from PIL import Image

import qil_core
from qil_core.checkpoints.folders import SHIPPED
from qil_core.files.registry import FORMATS

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
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


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


def promised_pythons() -> tuple[str, str]:
    """The lowest and the highest minor version that the README promises."""
    low, high = re.search(r"Python 3\.(\d+)-3\.(\d+)", (ROOT / "README.md").read_text(encoding="utf-8")).groups()  # type: ignore[union-attr]
    return low, high


def test_what_builds_the_documentation_is_pinned_and_no_extra_of_users_asks_for_it() -> None:
    builders = requirements(EXTRAS["docs"])
    pinned = [Requirement(line) for line in lines_of("constraints.txt") if line and not line.startswith("#")]
    for name, wanted in builders.items():
        versions = [part.version for one in pinned if one.name == name for part in one.specifier]
        assert versions, name
        assert all(wanted.specifier.contains(version) for version in versions)
    assert not builders.keys() & (NEEDED | READERS).keys()
    assert "docs" not in Requirement(EXTRAS["test"][0]).extras
    assert '-e ".[docs]"' in (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "\nmake docs\n" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_every_python_that_the_readme_promises_is_in_the_matrix() -> None:
    low, high = promised_pythons()
    promised = " ".join(f"3.{minor}" for minor in range(int(low), int(high) + 1))
    assert f'PROMISED="{promised}"' in (ROOT / ".ci" / "matrix").read_text(encoding="utf-8")
    assert PROJECT["requires-python"] == f">=3.{low}"


def test_configurations_are_installed_with_the_package() -> None:
    (pattern,) = SETTINGS["tool"]["setuptools"]["package-data"]["qil_core"]
    assert {path.parent for path in (ROOT / "qil_core").glob(pattern)} == {SHIPPED}


# The registry, and what is said about the version


COMFY = SETTINGS["tool"]["comfy"]
URLS = PROJECT["urls"]
ICON_MOST = (800, 400)
"""Pixels of an icon, width and height, that ComfyUI's registry takes at the most."""


def test_one_version_is_named_everywhere() -> None:
    version = PROJECT["version"]
    assert qil_core.__version__ == version
    assert f"version: {version}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    released = re.findall(r"^## (\d+\.\d+\.\d+) - (\d{4}-\d\d-\d\d)$", CHANGELOG, re.MULTILINE)
    assert released[0][0] == version
    assert f'date-released: "{released[0][1]}"' in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_the_changelog_has_a_place_for_what_is_not_released_yet() -> None:
    assert CHANGELOG.index("\n## Unreleased\n") < CHANGELOG.index(f"\n## {PROJECT['version']} - ")


def test_every_address_is_in_the_one_repository() -> None:
    addresses = [*URLS.values(), COMFY["Icon"], COMFY["Banner"]]
    assert all(address.startswith(URLS["Repository"]) for address in addresses)
    assert f"repository-code: {URLS['Repository']}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"git clone (\S+)", readme)) == {URLS["Repository"]}


@pytest.mark.parametrize("key", ["Documentation", "Changelog"])
def test_a_page_that_is_named_is_in_the_repository(key: str) -> None:
    assert (ROOT / URLS[key].removeprefix(f"{URLS['Repository']}/blob/main/")).is_file()


def picture(key: str) -> tuple[int, int]:
    """The size of the picture that a key of tool.comfy names."""
    with Image.open(ROOT / COMFY[key].removeprefix(f"{URLS['Repository']}/raw/main/")) as opened:
        return opened.size


def test_the_icon_is_square_and_as_large_as_the_registry_takes() -> None:
    assert picture("Icon") == (min(ICON_MOST), min(ICON_MOST))


def test_the_banner_is_21_to_9() -> None:
    width, height = picture("Banner")
    assert width * 9 == height * 21


def test_the_registry_knows_who_publishes_what_for_which_comfyui() -> None:
    assert COMFY.keys() >= {"PublisherId", "DisplayName", "Icon", "Banner", "requires-comfyui"}
    least = COMFY["requires-comfyui"].removeprefix(">=")
    for page in ("README.md", "docs/install.md"):
        assert f"ComfyUI {least} or newer" in (ROOT / page).read_text(encoding="utf-8")


def test_classifiers_name_the_pythons_of_the_readme() -> None:
    named = {line.rpartition(" :: ")[2] for line in PROJECT["classifiers"] if "Python :: 3." in line}
    low, high = (int(one) for one in promised_pythons())
    assert named == {f"3.{minor}" for minor in range(low, high + 1)}
    assert not [line for line in PROJECT["classifiers"] if line.startswith("License")], "the licence is an expression"


def test_no_gpu_is_demanded_of_people_who_need_none() -> None:
    """The registry takes "Environment ::" for the only accelerators that will do."""
    assert not [line for line in PROJECT["classifiers"] if line.startswith("Environment")]
    assert "Operating System :: OS Independent" in PROJECT["classifiers"]


def test_the_moving_picture_loads_quickly() -> None:
    moving = ROOT / "docs" / "overview.webp"
    assert moving.stat().st_size < 1_500_000
    with Image.open(moving) as opened:
        assert getattr(opened, "n_frames", 1) > 30


# Pages that list what there is


def test_the_page_of_nodes_names_every_node() -> None:
    page = (ROOT / "docs" / "nodes.md").read_text(encoding="utf-8")
    names = re.findall(r'display_name="([^"]+)"', "".join(path.read_text() for path in (ROOT / "nodes").glob("*.py")))
    assert [name for name in names if name not in page] == []
    assert len(names) >= 21


def test_the_page_of_workflows_names_every_workflow_and_no_other() -> None:
    page = (ROOT / "docs" / "workflows.md").read_text(encoding="utf-8")
    titles = {path.stem for path in (ROOT / "workflows").glob("*.json")}
    page = page.partition("## Blueprints")[0]
    assert set(re.findall(r"^\| \*([^*]+)\* \|", page, re.MULTILINE)) == titles
    assert {title.lower().replace(" ", "_") for title in titles} == {
        path.stem for path in (ROOT / "workflows" / "api").glob("*.json")
    }


def test_the_page_of_files_names_every_format() -> None:
    page = (ROOT / "docs" / "files.md").read_text(encoding="utf-8")
    assert [suffix for format in FORMATS.values() for suffix in format.suffixes if suffix not in page.lower()] == []


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
