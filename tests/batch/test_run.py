"""A run: the manifest, going on where one was stopped, trying again what killed its worker."""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import pytest
from batch_fakes import draw, draw_many, in_turn, setup

from qil_core.batch.inputs import list_inputs
from qil_core.batch.job import Job, Work
from qil_core.batch.run import NAME, PARQUET, Run, Summary, settings_key
from qil_core.batch.stages import Setup
from qil_core.batch.table import Table
from qil_core.elements import parse_elements
from qil_core.errors import QilError
from qil_core.files.editable import EDITABLE
from qil_core.files.format import Options
from qil_core.manifest import rows


class Engine:
    """in_turn, which remembers what it was given. It loses pictures, as workers that die do, and may be stopped."""

    def __init__(self, setup: Setup, dies: Iterable[str] = (), tries: int = 9, silent: bool = False) -> None:
        """dies: stems of pictures whose worker dies, in the first so many tries. silent: they do not come back."""
        self.setup, self.dies, self.tries, self.silent = setup, set(dies), tries, silent
        self.given: list[str] = []

    def __call__(self, jobs: Iterable[Job], again: bool) -> Generator[Work, None, None]:
        for job in jobs:
            self.given.append(job.stem)
            if job.stem in self.dies and self.given.count(job.stem) <= self.tries:
                if not self.silent:
                    yield Work(job, error="Its worker died of SIGSEGV.", died=True)
                continue
            yield from in_turn(self.setup, [job])


def run(folder: object, engine: Engine, key: str = "") -> Summary:
    table = Table()
    list_inputs([str(folder)], str(engine.setup.output), table)
    key = key or settings_key(engine.setup, {})
    return Run(table, engine.setup.output, key, lambda *_: None).do(engine)


def manifest(output: Path) -> list[dict[str, Any]]:
    return list(rows(output / NAME))


def test_the_manifest_has_a_line_for_each_input_in_their_order(tmp_path: Path) -> None:
    draw_many(tmp_path / "in", 4)
    (tmp_path / "in" / "002.png").write_text("broken")
    summary = run(tmp_path / "in", Engine(setup(tmp_path / "out"), dies=["000"], tries=1))
    lines = manifest(tmp_path / "out")
    assert [Path(line["input"]).stem for line in lines] == ["000", "001", "002", "003"]
    assert [line["status"] for line in lines] == ["ok", "ok", "failed", "ok"]
    assert "cannot be read as a picture" in lines[2]["error"]
    assert lines[0]["outputs"] == ["000/000.zip", "000/contact_sheet.png", "000/report.json"]
    assert lines[0]["report"] == "000/report.json"
    assert (summary.done, summary.failed, summary.there) == (3, 1, 0)


def test_the_manifest_is_a_parquet_table_too(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="manifest.parquet needs pyarrow, of the extra `cluster`")
    draw_many(tmp_path / "in", 2)
    (tmp_path / "in" / "001.png").write_text("broken")
    assert run(tmp_path / "in", Engine(setup(tmp_path / "out"))).parquet
    table = parquet.read_table(tmp_path / "out" / PARQUET).to_pylist()
    for line, row in zip(manifest(tmp_path / "out"), table, strict=True):
        assert {name: line[name] for name in row} == row


def test_nothing_is_done_twice_and_what_failed_is_tried_again(tmp_path: Path) -> None:
    draw_many(tmp_path / "in", 3)
    (tmp_path / "in" / "001.png").write_text("broken")
    run(tmp_path / "in", Engine(setup(tmp_path / "out")))
    draw(tmp_path / "in" / "001.png")
    draw(tmp_path / "in" / "0005.png")
    again = Engine(setup(tmp_path / "out"))
    assert run(tmp_path / "in", again).there == 2
    assert again.given == ["0005", "001"]
    assert [line["status"] for line in manifest(tmp_path / "out")] == ["ok"] * 4


@pytest.mark.parametrize("change", ["picture", "settings", "output", "touched"])
def test_a_picture_is_done_again_when_it_its_settings_or_its_results_changed(tmp_path: Path, change: str) -> None:
    picture = draw(tmp_path / "in" / "x.png")
    given = setup(tmp_path / "out")
    run(tmp_path / "in", Engine(given))
    if change == "picture":
        draw(picture, (1, 2, 3))
    elif change == "settings":
        given = replace(given, request=replace(given.request, layers=3))
    elif change == "output":
        (tmp_path / "out" / "x" / "x.zip").unlink()
    else:  # the time of change alone: the content is the same
        os.utime(picture, (1, 1))
    engine = Engine(given)
    run(tmp_path / "in", engine)
    assert engine.given == ([] if change == "touched" else ["x"])


def test_a_line_that_was_cut_off_and_a_run_without_an_end_are_gone_on_with(tmp_path: Path) -> None:
    draw_many(tmp_path / "in", 3)
    engine = Engine(setup(tmp_path / "out"))
    run(tmp_path / "in", engine)
    path = tmp_path / "out" / NAME
    lines = path.read_text().splitlines()
    path.write_text(lines[2] + "\n" + lines[0] + "\n" + lines[1][:20])
    again = Engine(engine.setup)
    run(tmp_path / "in", again)
    assert again.given == ["001"]
    assert [json.loads(line)["folder"] for line in path.read_text().splitlines()] == ["000", "001", "002"]


def test_lines_of_other_inputs_of_the_same_output_stay(tmp_path: Path) -> None:
    draw_many(tmp_path / "one", 2)
    draw(tmp_path / "two" / "z.png")
    run(tmp_path / "one", Engine(setup(tmp_path / "out")))
    run(tmp_path / "two", Engine(setup(tmp_path / "out")))
    assert [line["folder"] for line in manifest(tmp_path / "out")] == ["z", "000", "001"]


@pytest.mark.parametrize("silent", [False, True])
def test_what_kills_its_worker_is_tried_once_more_and_then_named(tmp_path: Path, silent: bool) -> None:
    draw_many(tmp_path / "in", 3)
    engine = Engine(setup(tmp_path / "out"), dies=["001"], silent=silent)
    summary = run(tmp_path / "in", engine)
    assert engine.given == ["000", "001", "002", "001"]
    line = manifest(tmp_path / "out")[1]
    assert line["status"] == "failed"
    assert line["error"].startswith("Its worker died." if silent else "Its worker died of SIGSEGV.")
    assert "tried 2 times" in line["error"]
    assert (summary.done, summary.failed) == (2, 1)


@pytest.mark.parametrize("silent", [False, True])
def test_a_run_whose_workers_all_die_is_stopped(tmp_path: Path, silent: bool) -> None:
    draw_many(tmp_path / "in", 15)
    engine = Engine(setup(tmp_path / "out"), dies=[f"{i:03}" for i in range(15)], silent=silent)
    summary = run(tmp_path / "in", engine)
    assert "So did the 9 before: is there memory enough" in summary.stopped
    assert len(engine.given) == (15 if silent else 10)
    assert (summary.done, summary.failed) == (0, 0)


def test_what_concerns_all_pictures_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw_many(tmp_path / "in", 5)
    engine = Engine(setup(tmp_path / "out"))
    real = type(engine.setup.output).deliver

    def deliver(self: Any, folder: str, make: Any) -> Any:
        if folder == "002":
            raise OSError(28, "No space left on device")
        return real(self, folder, make)

    monkeypatch.setattr(type(engine.setup.output), "deliver", deliver)
    summary = run(tmp_path / "in", engine)
    assert engine.given == ["000", "001", "002"]
    assert "No space left" in summary.stopped
    assert (summary.done, summary.failed) == (2, 1)
    monkeypatch.undo()
    assert run(tmp_path / "in", engine).done == 3
    assert [line["status"] for line in manifest(tmp_path / "out")] == ["ok"] * 5


def test_ctrl_c_leaves_a_manifest_in_order_and_the_rest_for_later(tmp_path: Path) -> None:
    draw_many(tmp_path / "in", 4)
    given = setup(tmp_path / "out")

    class Stopped(Engine):
        def __call__(self, jobs: Iterable[Job], again: bool) -> Generator[Work, None, None]:
            first, second, *_ = list(jobs)
            yield from in_turn(self.setup, [second, first])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "in", Stopped(given))
    assert [line["folder"] for line in manifest(tmp_path / "out")] == ["000", "001"]
    engine = Engine(given)
    run(tmp_path / "in", engine)
    assert engine.given == ["002", "003"]


def test_a_manifest_that_is_no_manifest_is_named_before_work(tmp_path: Path) -> None:
    draw(tmp_path / "in" / "x.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / NAME).write_text("[1]\n")
    with pytest.raises(QilError, match="Line 1 of the manifest"):
        run(tmp_path / "in", Engine(setup(tmp_path / "out")))


def test_a_run_into_a_bucket_leaves_its_manifest_there_and_goes_on_from_it(tmp_path: Path) -> None:
    draw_many(tmp_path / "in", 2)
    system = fsspec.filesystem("memory")
    given = setup("memory://bucket/out")
    assert run(tmp_path / "in", Engine(given)).done == 2
    lines = system.cat("/bucket/out/manifest.jsonl").decode().splitlines()
    assert [json.loads(line)["folder"] for line in lines] == ["000", "001"]
    again = Engine(given)
    assert run(tmp_path / "in", again).there == 2
    assert again.given == []
    system.rm("/bucket", recursive=True)


def test_a_batch_that_an_older_version_began_goes_on_and_what_is_new_is_made_anew(tmp_path: Path) -> None:
    asked = setup(tmp_path)
    assert settings_key(asked, {}) == "068755db2268fdbc", "as before there were elements and samplers"
    plan = replace(asked, request=replace(asked.request, elements=parse_elements("girl")))
    live = replace(asked, asked=Options(shapes=EDITABLE))
    assert len({settings_key(each, {}) for each in (asked, plan, _with_heun(asked), live)}) == 4


def _with_heun(asked: Setup) -> Setup:
    return replace(asked, request=replace(asked.request, sampler="heun"))
