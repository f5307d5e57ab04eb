"""Inputs become jobs, each with a folder for its results."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from batch_fakes import draw

from qil_core.batch.inputs import list_inputs
from qil_core.batch.job import Job
from qil_core.batch.table import Table
from qil_core.errors import QilError


def jobs_of(*inputs: object, output: object = "out") -> list[Job]:
    table = Table()
    list_inputs([str(each) for each in inputs], str(output), table)
    return list(table.pending())


def folders(*inputs: object, output: object = "out") -> list[str]:
    return [job.folder for job in jobs_of(*inputs, output=output)]


def test_a_folder_gives_its_pictures_and_those_below_it_in_order(tmp_path: Path) -> None:
    for name in ("b.png", "a.JPG", "shoes/red/x.png", ".hidden.png", ".cache/y.png"):
        draw(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    assert folders(tmp_path) == ["a", "b", "shoes/red/x"]
    assert jobs_of(tmp_path)[0].input == str(tmp_path / "a.JPG")


def test_results_that_lie_in_an_input_folder_are_no_inputs(tmp_path: Path) -> None:
    draw(tmp_path / "a.png")
    draw(tmp_path / "out" / "a" / "layers" / "00 background.png")
    assert folders(tmp_path, output=tmp_path / "out") == ["a"]


def test_two_pictures_of_one_stem_have_folders_of_their_own(tmp_path: Path) -> None:
    for name in ("one/x.png", "two/x.png", "one/x.jpg", "one/X.webp"):
        draw(tmp_path / name)
    found = folders(tmp_path)
    assert len({folder.casefold() for folder in found}) == 4
    assert {"two/x", "one/x (2)", "one/x (3)"} <= set(found)


def test_several_input_folders_keep_their_names(tmp_path: Path) -> None:
    draw(tmp_path / "one" / "x.png")
    draw(tmp_path / "two" / "x.png")
    assert folders(tmp_path / "one", tmp_path / "two") == ["one/x", "two/x"]


def test_a_pattern_mirrors_what_lies_below_its_fixed_part(tmp_path: Path) -> None:
    for name in ("in/a/x.png", "in/b/x.png", "in/b/y.jpg"):
        draw(tmp_path / name)
    assert folders(tmp_path / "in" / "*" / "*.png") == ["a/x", "b/x"]
    assert folders(tmp_path / "in" / "**" / "*.jpg") == ["b/y"]


def test_a_file_that_is_named_may_have_any_ending(tmp_path: Path) -> None:
    draw(tmp_path / "a.png").rename(tmp_path / "a.scan")
    assert folders(tmp_path / "a.scan") == ["a"]


def test_a_file_url_is_a_path_of_this_machine(tmp_path: Path) -> None:
    draw(tmp_path / "a b.png")
    assert folders((tmp_path / "a b.png").as_uri()) == ["a b"]


@pytest.mark.parametrize(
    ("name", "says"), [("nothing", "There is no file or folder"), ("*.png", "no pictures in"), ("", "no pictures in")]
)
def test_an_input_without_pictures_is_named(tmp_path: Path, name: str, says: str) -> None:
    with pytest.raises(QilError, match=says):
        jobs_of(tmp_path / name)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has file names that are no text")
def test_a_file_name_that_is_no_text_is_listed(tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"odd \xff.png")
    draw(tmp_path / "a.png").rename(odd)
    assert [job.input for job in jobs_of(tmp_path)] == [str(odd)]


def test_a_url_gives_what_lies_below_it() -> None:
    import fsspec

    system = fsspec.filesystem("memory")
    for name in ("/shop/a.png", "/shop/red/b.jpg", "/shop/out/c.png", "/shop/list.txt"):
        system.pipe(name, b"x")
    found = jobs_of("memory://shop", output="memory:///shop/out")
    assert [(job.input, job.folder) for job in found] == [
        ("memory:///shop/a.png", "a"),
        ("memory:///shop/red/b.jpg", "red/b"),
    ]
    assert [job.folder for job in jobs_of("memory://shop/*/*.jpg")] == ["red/b"]
    system.rm("/shop", recursive=True)


def test_a_url_that_nothing_here_can_open_says_what_to_install() -> None:
    with pytest.raises(QilError, match="cannot be opened"):
        jobs_of("nosuchthing://a/b.png")


def test_what_a_file_systems_client_raises_is_an_error_of_the_url(monkeypatch: pytest.MonkeyPatch) -> None:
    from fsspec.implementations.memory import MemoryFileSystem

    class NoCredentials(Exception):
        """As botocore's, which is no OSError."""

    def refuse(*_: object, **__: object) -> None:
        raise NoCredentials("who are you?")

    monkeypatch.setattr(MemoryFileSystem, "isdir", lambda self, path: True)
    monkeypatch.setattr(MemoryFileSystem, "ls", refuse)
    with pytest.raises(QilError, match=r"memory://shop cannot be read: NoCredentials: who are you\?"):
        jobs_of("memory://shop")
