"""What the site does with our pages: links that leave docs/, and pages that its navigation does not name."""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
URL = "https://github.com/owner/name"


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("site_hooks", ROOT / ".ci" / "site_hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def config(tmp_path: Path) -> dict[str, Any]:
    """A repository with a page, a page in a folder, and something beside docs/."""
    (tmp_path / "docs" / "api").mkdir(parents=True)
    (tmp_path / "core").mkdir()
    for name in ("docs/index.md", "docs/late.md", "docs/api/one.md", "core/a.py"):
        (tmp_path / name).write_text("")
    nav = [{"Start": "index.md"}, {"Python": ["api/one.md"]}]
    return {
        "docs_dir": str(tmp_path / "docs"),
        "config_file_path": str(tmp_path / "mkdocs.yml"),
        "repo_url": URL,
        "nav": nav,
    }


def shown(hooks: ModuleType, config: dict[str, Any], text: str, page: str = "index.md") -> str:
    return str(hooks.on_page_markdown(text, SimpleNamespace(file=SimpleNamespace(src_uri=page)), config, None))


def test_a_page_that_nobody_named_stands_under_more(hooks: ModuleType, config: dict[str, Any]) -> None:
    assert hooks.on_config(config)["nav"][2:] == [{"More": ["late.md"]}]


def test_where_all_pages_are_named_there_is_no_more(hooks: ModuleType, config: dict[str, Any]) -> None:
    config["nav"].append("late.md")
    assert hooks.on_config(config)["nav"][2:] == ["late.md"]


@pytest.mark.parametrize(
    ("page", "text", "expected"),
    [
        ("index.md", "[a](../core/a.py)", f"[a]({URL}/blob/main/core/a.py)"),
        ("index.md", "[a](../core)", f"[a]({URL}/tree/main/core)"),
        ("api/one.md", "[a](../../core/a.py#here)", f"[a]({URL}/blob/main/core/a.py#here)"),
        ("api/one.md", "[a](../index.md#here)", "[a](../index.md#here)"),
        ("index.md", "[a](late.md)", "[a](late.md)"),
    ],
)
def test_a_link_that_leaves_the_pages_leads_to_the_repository(
    hooks: ModuleType, config: dict[str, Any], page: str, text: str, expected: str
) -> None:
    assert shown(hooks, config, text, page) == expected


def test_a_link_to_what_is_not_there_is_a_warning_and_so_an_error_of_a_strict_build(
    hooks: ModuleType, config: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="mkdocs.hooks.site"):
        shown(hooks, config, "[a](../core/gone.py)")
    assert "core/gone.py" in caplog.text
