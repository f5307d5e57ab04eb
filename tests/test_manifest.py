"""A record of finished work survives what cuts a run off."""

from __future__ import annotations

from pathlib import Path

import pytest

from qil_core.errors import QilError
from qil_core.manifest import Manifest, rows


def test_lines_come_back_in_the_order_in_which_they_were_written(tmp_path: Path) -> None:
    with Manifest(tmp_path / "new" / "manifest.jsonl") as manifest:
        manifest.append({"input": "狐.png", "status": "ok"})
        manifest.append({"input": "half \ud83d.png", "status": "failed"})
    assert [row["status"] for row in rows(manifest.path)] == ["ok", "failed"]
    assert next(rows(manifest.path))["input"] == "狐.png"


def test_a_line_that_a_crash_cut_off_is_passed_over_and_then_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    path.write_text('{"input": "a"}\n{"inp')
    assert [row["input"] for row in rows(path)] == ["a"]
    with Manifest(path) as manifest:
        manifest.append({"input": "b"})
    assert [row["input"] for row in rows(path)] == ["a", "b"]


def test_there_is_nothing_in_a_manifest_that_is_not_there(tmp_path: Path) -> None:
    assert list(rows(tmp_path / "manifest.jsonl")) == []


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    path.write_text('{"input": "a"}\n[1]\n')
    with pytest.raises(QilError, match="Line 2 of the manifest"):
        list(rows(path))


def test_a_folder_that_cannot_be_made_is_an_error_for_people(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(QilError, match="cannot be written"):
        Manifest(tmp_path / "file" / "manifest.jsonl")
