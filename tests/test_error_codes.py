"""Codes of errors: every module that raises one has a code, and every code is explained in every language."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from qil_core.cli import main
from qil_core.edit.studio_key import read_key
from qil_core.error_codes import OTHER, PARTS, code_of, code_of_module, told
from qil_core.errors import QilError

ROOT = Path(__file__).resolve().parent.parent
CODES = [*PARTS, OTHER]
PAGES = ["errors.md", "errors.zh.md", "errors.zh-TW.md", "errors.ja.md"]
RAISES = re.compile(
    r"^\s*(?:raise|return) (?:QilError|JobFailed|ServerLost|Unsupported|DiskFault|NotThere|LayersGone)\(", re.M
)
RAISING = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for folder in ("qil_core", "nodes")
    for path in (ROOT / folder).rglob("*.py")
    if RAISES.search(path.read_text(encoding="utf-8"))
)


@pytest.mark.parametrize("module", RAISING)
def test_every_module_that_raises_an_error_has_a_code(module: str) -> None:
    assert code_of_module(module) != OTHER


def test_every_part_that_has_a_code_is_there() -> None:
    """A module that was renamed would lose its code, which people may have written down."""
    places = [name if name.startswith("nodes.") else f"qil_core.{name}" for parts in PARTS.values() for name in parts]
    paths = [ROOT / place.replace(".", "/") for place in places]
    assert not [path for path in paths if not path.is_dir() and not path.with_suffix(".py").is_file()]


@pytest.mark.parametrize("page", PAGES)
def test_every_code_is_explained_in_every_language(page: str) -> None:
    sections = re.findall(r"^## (.+)\n\n(.+)", (ROOT / "docs" / page).read_text(encoding="utf-8"), re.M)
    assert [code for code, _ in sections] == CODES
    assert all(len(text) > 20 for _, text in sections)


def test_the_longest_name_that_fits_decides() -> None:
    assert code_of_module("qil_core.edit.answer") == "QIL-EDIT"
    assert code_of_module("qil_core.edit.studio_key") == "QIL-KEY"
    assert code_of_module("qil_core.editor.picks") == "QIL-PANEL"
    assert code_of_module("qil_core.edit_request") == "QIL-INPUT"


def test_it_does_not_matter_in_which_package_the_module_was_loaded() -> None:
    assert code_of_module("custom_nodes.some-folder.qil_core.edit.studio_key") == "QIL-KEY"
    assert code_of_module("/path/of/custom_nodes/some_x_folder.nodes.door") == "QIL-INPUT"
    assert code_of_module("elsewhere.files") == OTHER


def caught(act: Callable[[], object]) -> QilError:
    with pytest.raises(QilError) as found:
        act()
    return found.value


def test_the_code_is_that_of_the_place_where_the_error_was_raised(tmp_path: Path) -> None:
    error = caught(lambda: read_key(tmp_path / "none"))
    assert code_of(error) == "QIL-KEY"
    assert told(error) == f"{error} [QIL-KEY]"


def test_an_error_of_nobody_here_is_an_other_one() -> None:
    assert code_of(QilError("never raised")) == OTHER


def test_the_command_prints_the_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decompose", str(tmp_path / "none.png"), "-o", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err.rstrip().endswith("[QIL-FILE]")
