"""The stages that both engines take a picture through."""

from __future__ import annotations

import errno
import json
import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import fsspec
import pytest
from batch_fakes import draw, in_turn, no_weights, setup

from qil_core.batch import stages
from qil_core.batch.job import Job, Work
from qil_core.batch.stages import Setup
from qil_core.exact import recomposition
from qil_core.files import archive
from qil_core.files.editable import EDITABLE
from qil_core.files.format import Options
from qil_core.files.picture import load_picture
from qil_core.files.svg_elements import tag


def one(setup: Setup, picture: object, **asked: Any) -> Work:
    (work,) = in_turn(setup, [Job(0, str(picture), "a/x", **asked)])
    return work


def test_what_is_asked_to_be_editable_is_found_before_it_is_written(tmp_path: Path) -> None:
    picture = draw(tmp_path / "x.png", (3, 77, 201))
    asked = setup(tmp_path / "out", formats=("svg", "png"), asked=Options(shapes=EDITABLE))
    decomposed = stages.Decompose(asked)(stages.before(Work(Job(0, str(picture), "a/x"))))
    assert [len(each.shapes.shapes) for each in decomposed.found if each.shapes] == [1, 1]
    work = stages.after(asked, pickle.loads(pickle.dumps(decomposed)))
    assert (work.error, work.found) == ("", ())
    root = ElementTree.parse(tmp_path / "out" / "a" / "x" / "x.svg").getroot()
    assert len(list(root.iter(tag("rect")))) == 2
    assert json.loads((tmp_path / "out" / "a" / "x" / "report.json").read_text())["editable"] == [
        "2 shapes in 2 layers"
    ]


@pytest.fixture
def shop() -> Iterator[Any]:
    system = fsspec.filesystem("memory")
    yield system
    system.rm("/shop", recursive=True)


def test_a_picture_becomes_files_that_composite_back_to_it(tmp_path: Path) -> None:
    picture = draw(tmp_path / "x.png", (3, 77, 201))
    work = one(setup(tmp_path / "out"), picture)
    assert work.error == ""
    assert work.outputs == ("a/x/x.zip", "a/x/contact_sheet.png", "a/x/report.json")
    stack = archive.FORMAT.read(tmp_path / "out" / "a" / "x" / "x.zip").stack
    assert recomposition(stack, load_picture(picture)).max_error <= 1
    assert set(work.seconds) == {"read", "decode", "decompose", "write"}
    assert len(work.sha256) == 64


def test_a_url_is_read_and_results_go_below_a_url_report_last(shop: Any, tmp_path: Path) -> None:
    shop.pipe("/shop/in/x.png", draw(tmp_path / "x.png").read_bytes())
    work = one(replace(setup("memory://shop/out"), formats=("png",)), "memory://shop/in/x.png")
    assert work.error == ""
    assert work.outputs == ("a/x/layers", "a/x/contact_sheet.png", "a/x/report.json")
    there = [name.removeprefix("/shop/out/a/x/") for name in shop.find("/shop/out")]
    assert sorted(there) == [
        "contact_sheet.png", "layers/00 whole.png", "layers/01 left.png", "layers/layers.json", "report.json",
    ]  # fmt: skip
    assert work.state is not None


def test_what_a_list_says_of_a_picture_comes_before_what_is_said_of_all(tmp_path: Path) -> None:
    work = one(setup(tmp_path / "out"), draw(tmp_path / "x.png"), layers="3", prompt="a fox", seed=7)
    made = json.loads((tmp_path / "out" / "a" / "x" / "report.json").read_text())["made"]
    assert (made["layers"], made["prompt"], made["seed"]) == (3, "a fox", 7)
    assert work.report is not None
    assert work.report.made["seed"] == 7


@pytest.mark.parametrize("bad", ["truncated", "text", "missing", "empty", "folder"])
def test_a_picture_that_cannot_be_read_says_why_and_stops_nothing(tmp_path: Path, bad: str) -> None:
    picture = draw(tmp_path / "x.png")
    if bad == "missing":
        picture.unlink()
    elif bad == "folder":
        picture.unlink()
        picture.mkdir()
    else:
        data = picture.read_bytes()
        picture.write_bytes({"truncated": data[: len(data) // 2], "text": b"not a picture", "empty": b""}[bad])
    work = one(setup(tmp_path / "out"), picture)
    assert str(picture) in work.error
    assert not work.stops
    assert not (tmp_path / "out").exists()


def test_an_error_that_nobody_foresaw_is_the_pictures_own(tmp_path: Path) -> None:
    def broken(work: Work) -> Work:
        raise ZeroDivisionError("by \x1bnought")

    work = stages.guarded("decompose", broken, Work(Job(0, "x.png", "x")))
    assert work.error == "ZeroDivisionError: by \\x1bnought"
    assert stages.guarded("write", broken, work).seconds.keys() == {"decompose"}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_a_full_disk_concerns_all_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def full(*_: object) -> int:
        raise OSError(number, "no room")

    monkeypatch.setattr(Path, "replace", full)
    work = one(setup(tmp_path / "out"), draw(tmp_path / "x.png"))
    assert work.stops
    assert "Cannot write" in work.error
    assert not list((tmp_path / "out").rglob("*.zip"))


def test_a_decomposer_that_cannot_be_opened_concerns_all_pictures(tmp_path: Path) -> None:
    work = one(replace(setup(tmp_path / "out"), open=no_weights), draw(tmp_path / "x.png"))
    assert (work.error, work.stops) == ("The model has no weights.", True)


def test_what_goes_between_machines_can_be_pickled(tmp_path: Path) -> None:
    given = setup(tmp_path / "out")
    assert pickle.loads(pickle.dumps(given)).output == given.output
    work = one(given, draw(tmp_path / "x.png"))
    assert pickle.loads(pickle.dumps(work)).outputs == work.outputs
