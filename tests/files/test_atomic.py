"""Temporary files and folders: what a killed process leaves goes with the next write, what others write stays."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from qil_core.errors import QilError
from qil_core.files import atomic, folder
from qil_core.files.atomic import atomic_path, atomic_paths
from qil_core.stack import LayerStack

ROOT = Path(__file__).resolve().parents[2]
WRITE = """
import sys, time
from pathlib import Path
from qil_core.files.atomic import atomic_path
with atomic_path(Path(sys.argv[1])) as path:
    path.write_bytes(b"half")
    print("writing", flush=True)
    time.sleep(600)
"""
on_posix = pytest.mark.skipif(os.name != "posix", reason="Windows cannot be asked for a process by its number")


def write(path: Path, data: bytes = b"new") -> None:
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def names(where: Path) -> list[str]:
    return sorted(path.name for path in where.iterdir())


@pytest.fixture
def writing(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process, in the middle of writing a file "theirs" into the folder."""
    command = [sys.executable, "-c", WRITE, str(tmp_path / "theirs")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


@on_posix
def test_what_a_killed_process_left_goes_with_the_next_write(writing: subprocess.Popen[bytes], tmp_path: Path) -> None:
    (left,) = names(tmp_path)
    writing.kill()
    writing.wait()
    write(tmp_path / "ours")
    assert names(tmp_path) == ["ours"]
    assert left.startswith(".")


def test_a_file_that_another_process_is_writing_stays(writing: subprocess.Popen[bytes], tmp_path: Path) -> None:
    (theirs,) = names(tmp_path)
    old = time.time() - 2 * atomic.FORSAKEN
    if os.name == "posix":  # its process can be asked for, so that its age does not matter
        os.utime(tmp_path / theirs, (old, old))
    write(tmp_path / "ours")
    assert names(tmp_path) == sorted([theirs, "ours"])


def test_two_writes_of_one_process_leave_each_other_alone(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "outer") as temporary:
        temporary.write_bytes(b"x")
        write(tmp_path / "inner")
    assert names(tmp_path) == ["inner", "outer"]


@pytest.mark.parametrize(("age", "stays"), [(atomic.FORSAKEN - 60, True), (atomic.FORSAKEN + 60, False)])
def test_what_another_machine_left_goes_after_a_day(age: float, stays: bool, tmp_path: Path) -> None:
    with atomic_path(tmp_path / "x.png") as ours:
        ours.touch()
    theirs = tmp_path / ours.name.replace(ours.name.split("-")[1], "0" * 8)
    theirs.touch()
    os.utime(theirs, (time.time() - age,) * 2)
    write(tmp_path / "ours")
    assert theirs.exists() is stays


@pytest.mark.parametrize("name", [".qil-notes", ".qil-00000000-1-x.png", "qil-00000000-1-" + "0" * 32, ".hidden.png"])
def test_files_that_are_not_ours_stay(name: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    os.utime(tmp_path / name, (0, 0))
    write(tmp_path / "ours")
    assert names(tmp_path) == sorted([name, "ours"])


def test_every_process_has_names_of_its_own(tmp_path: Path) -> None:
    with atomic_paths([tmp_path / "a.png", tmp_path / "b"]) as (one, other):
        assert re.fullmatch(rf"\.qil-[0-9a-f]{{8}}-{os.getpid()}-[0-9a-f]{{32}}\.png", one.name)
        assert other.suffix == ""
        one.touch()
        other.touch()


# --- folders


def test_a_failed_export_leaves_no_folder(tmp_path: Path) -> None:
    def stop(fraction: float, what: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        folder.write(LayerStack.from_image(torch.ones(2, 3, 4, 4)), tmp_path / "a" / "b", progress=stop)
    assert not names(tmp_path)


def test_a_path_that_is_refused_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(QilError, match="shorter"):
        write(tmp_path / "a" / ("x" * 300))
    assert not names(tmp_path)


def test_a_folder_that_was_there_or_is_used_by_others_stays(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()

    def failing() -> None:
        with atomic_path(tmp_path / "there" / "new" / "newer" / "x"):
            (tmp_path / "there" / "new" / "theirs").touch()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    assert names(tmp_path / "there") == ["new"]
    assert names(tmp_path / "there" / "new") == ["theirs"]
