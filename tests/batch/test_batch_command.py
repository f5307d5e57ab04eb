"""`qil batch` as a person meets it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from batch_fakes import draw, draw_many
from PIL import Image

from qil_core.cli import batch, main
from qil_core.decompose.builtin import Builtin

FAKES = Path(__file__).parent.parent / "helpers" / "batch_fakes.py"
ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers in this process: most tests are not about processes."""
    from batch_fakes import in_turn

    monkeypatch.setattr(batch, "default_engine", lambda options: batch.LOCAL)
    monkeypatch.setattr("qil_core.batch.local.run", lambda setup, jobs, workers: in_turn(setup, jobs))


def started(*arguments: object, seconds: float = 0.0) -> subprocess.Popen[str]:
    """The command in a process of its own, with Halves in the place of the built-in decomposer."""
    return subprocess.Popen(
        [sys.executable, str(FAKES), str(seconds), *map(str, arguments), "--engine", "local"],
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{FAKES.parent}", "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def lines_of(output: Path) -> list[dict[str, Any]]:
    path = output / "manifest.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def wait_for(ready: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not ready():
        assert time.monotonic() < end, "nothing happened in a minute"
        time.sleep(0.05)


@pytest.mark.usefixtures("here")
def test_a_folder_of_pictures_is_done_and_what_failed_is_listed_with_its_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw_many(tmp_path / "in", 2)
    (tmp_path / "in" / "bad.png").write_text("broken")
    asked = ["batch", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--layers", "2", "--format", "zip"]
    assert main(asked) == 1
    printed = capsys.readouterr()
    first, failed = printed.out.splitlines()
    assert first == f"2 of 3 pictures done: {tmp_path / 'out'}/manifest.jsonl"
    assert failed.startswith(f"  {tmp_path / 'in' / 'bad.png'} cannot be read as a picture")
    assert "1 of 3 pictures failed" in printed.err
    draw(tmp_path / "in" / "bad.png")
    assert main([*asked, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["total"], said["there"], said["done"], said["failed"], said["stopped"]) == (3, 2, 1, 0, "")


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["{dir}/none"], "There is no file or folder"),
        (["{dir}/empty"], "no pictures in"),
        (["{dir}/in", "--format", "gif"], "Unknown format"),
        (["{dir}/in", "--layers", "11"], "Layers must be 2 to 10"),
        (["{dir}/in", "--set", "depth=3"], "sets nothing that is known"),
        (["{dir}/in", "--model", "{dir}/empty"], "no complete diffusers folder"),
        (["{dir}/in", "--decomposer", "qwen-files"], "is for ComfyUI"),
        (["{dir}/in", "--engine", "local", "--address", "auto"], "are for --engine ray"),
        (["{dir}/in", "--from-report", "{dir}/none.json"], "cannot be read as a report"),
        (["{dir}/in", "--from-report", "{dir}/old.json"], "does not say how its layers were made"),
        (["{dir}/list.csv"], "columns that nobody knows: depth"),
        (["nosuchthing://a"], "cannot be opened"),
    ],
)
def test_what_can_be_known_before_work_begins_ends_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], says: str
) -> None:
    draw(tmp_path / "in" / "x.png")
    (tmp_path / "empty").mkdir()
    (tmp_path / "old.json").write_text('{"decomposer": "Built-in", "layers": 3}')
    (tmp_path / "list.csv").write_text("input,depth\nx.png,1\n")
    with pytest.raises(SystemExit) as ended:
        main(["batch", *(text.format(dir=tmp_path) for text in more), "-o", str(tmp_path / "out")])
    assert ended.value.code == batch.UNDONE == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("qil: ")
    assert says in line


@pytest.mark.parametrize(
    ("more", "installed", "engine"),
    [
        ([], True, "ray"),
        ([], False, "local"),
        (["--address", "auto"], False, "ray"),
        (["--num-gpus", "1"], False, "ray"),
    ],
)
def test_ray_is_the_engine_where_it_is_installed_or_asked_for(
    monkeypatch: pytest.MonkeyPatch, more: list[str], installed: bool, engine: str
) -> None:
    from qil_core.cli import _parser

    monkeypatch.setattr("importlib.util.find_spec", lambda name: object() if installed else None)
    assert batch.default_engine(_parser().parse_args(["batch", "in", "-o", "out", *more])) == engine


def test_ray_that_is_not_installed_is_named_with_what_installs_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SystemExit, match="2"):
        main(["batch", str(draw(tmp_path / "x.png")), "-o", str(tmp_path / "out"), "--engine", "ray"])
    assert "pip install 'comfyui-qwen-layers[cluster]', or use --engine local" in capsys.readouterr().err


def test_an_output_that_cannot_be_written_or_is_nearly_full_ends_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = draw(tmp_path / "x.png")
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit, match="2"):
        main(["batch", str(picture), "-o", str(tmp_path / "file" / "out")])
    assert "Cannot write" in capsys.readouterr().err
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1_000_000))
    with pytest.raises(SystemExit, match="2"):
        main(["batch", str(picture), "-o", str(tmp_path / "out")])
    assert "1.0 MB free, expected at least 8.4 MB" in capsys.readouterr().err


@pytest.mark.usefixtures("here", "nobody_reads")
def test_a_report_repeats_its_layers_to_the_bit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    y, x = np.mgrid[0:96, 0:128]
    pixels = np.stack([2 * x, 2 * y, 255 - x], -1).astype(np.uint8)
    pixels[30:60, 40:90] = (220, 40, 40)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    asked = ["batch", str(tmp_path / "x.png"), "--format", "png"]
    assert main([*asked, "-o", str(tmp_path / "one"), "--layers", "3", "--seed", "5"]) == 0
    report = tmp_path / "one" / "x" / "report.json"
    assert main([*asked, "-o", str(tmp_path / "two"), "--from-report", str(report)]) == 0
    again = json.loads((tmp_path / "two" / "x" / "report.json").read_text())
    assert again["made"] == json.loads(report.read_text())["made"]
    first, second = (sorted((tmp_path / name / "x" / "layers").glob("*.png")) for name in ("one", "two"))
    assert len(first) == 2
    for a, b in zip(first, second, strict=True):
        assert a.name == b.name
        assert np.array_equal(np.array(Image.open(a)), np.array(Image.open(b)))
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("here", "nobody_reads")
def test_a_report_of_other_versions_is_repeated_with_a_warning_and_not_asked_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["batch", str(draw(tmp_path / "x.png")), "--format", "zip"]
    assert main([*asked, "-o", str(tmp_path / "one"), "--layers", "auto"]) == 0
    path = tmp_path / "one" / "x" / "report.json"
    report = json.loads(path.read_text())
    assert report["made"]["automatic"] == {"max_layers": 12, "depth": 1}
    report["made"]["versions"]["torch"] = "1.13"
    del report["made"]["elements"]  # which older versions did not know
    path.write_text(json.dumps(report))
    assert main([*asked, "-o", str(tmp_path / "two"), "--from-report", str(path)]) == 0
    assert "qil: torch 1.13 made it, here is 2." in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main([*asked, "-o", str(tmp_path / "two"), "--from-report", str(path), "--seed", "3"])
    assert "The report says --seed already" in capsys.readouterr().err


@pytest.mark.usefixtures("here")
def test_elements_that_the_decomposer_cannot_take_fail_every_picture_with_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Builtin, "takes_elements", False, raising=False)
    asked = ["batch", str(draw(tmp_path / "x.png")), "--format", "zip"]
    assert main([*asked, "-o", str(tmp_path / "one"), "--elements", "girl"]) == 1
    assert "by a box or by words in quotes" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        main([*asked, "-o", str(tmp_path / "one"), "--elements", "girl at 1,2"])
    assert "Elements, line 1: " in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_a_models_report_names_its_files_and_refuses_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("diffusers")
    import tiny_model

    folder = tiny_model.build(tmp_path / "tiny")
    asked = ["batch", str(draw(tmp_path / "x.png")), "--format", "png", "--device", "cpu"]
    model = ["--model", str(folder), "--layers", "2", "--steps", "1", "--prompt", "a shape", "--seed", "3"]
    assert main([*asked, "-o", str(tmp_path / "one"), *model]) == 0
    report = tmp_path / "one" / "x" / "report.json"
    made = json.loads(report.read_text())["made"]
    assert (made["decomposer"], made["steps"], made["seed"], made["prompt"]) == ("qwen", 1, 3, "a shape")
    assert (made["true_cfg_scale"], made["cfg_normalize"], made["resolution"]) == (4.0, True, 640)
    weights = made["files"]["transformer/diffusion_pytorch_model.safetensors"]
    assert len(weights["header"]) == 64
    assert {"diffusers", "torch", "python", "qil"} <= made["versions"].keys()
    assert main([*asked, "-o", str(tmp_path / "two"), "--from-report", str(report)]) == 0
    for a, b in zip(*(sorted((tmp_path / o / "x" / "layers").glob("*.png")) for o in ("one", "two")), strict=True):
        assert np.array_equal(np.array(Image.open(a)), np.array(Image.open(b)))
    other = tiny_model.build(tmp_path / "other", seed=1)
    with pytest.raises(SystemExit, match="2"):
        main([*asked, "-o", str(tmp_path / "three"), "--from-report", str(report), "--model", str(other)])
    assert "files are not those of the report: text_encoder/" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc what a process does")
def test_a_run_that_was_killed_is_gone_on_with_every_picture_once(tmp_path: Path) -> None:
    draw_many(tmp_path / "in", 12)
    for name in ("004", "009"):
        (tmp_path / "in" / f"{name}.png").write_text("broken")
    asked = [tmp_path / "in", "-o", tmp_path / "out", "--layers", "2", "--format", "zip", "--workers"]
    run = started(*asked, 2, seconds=0.3)
    wait_for(lambda: len(lines_of(tmp_path / "out")) >= 3)
    run.kill()
    run.wait()
    before = lines_of(tmp_path / "out")
    assert 3 <= len(before) < 12
    again = started(*asked, 1)
    out, err = again.communicate(timeout=120)
    assert again.returncode == 1
    assert "10 of 12 pictures done" in out
    assert "2 of 12 pictures failed" in err
    lines = lines_of(tmp_path / "out")
    assert [line["folder"] for line in lines] == [f"{i:03}" for i in range(12)]
    failed = {line["folder"]: line["error"] for line in lines if line["status"] == "failed"}
    assert failed.keys() == {"004", "009"}
    done_before = [line for line in before if line["status"] == "ok"]
    assert all(line in lines for line in done_before)
    assert not list((tmp_path / "out").rglob(".qil-*"))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_ctrl_c_ends_the_run_and_its_workers_with_130(tmp_path: Path) -> None:
    draw_many(tmp_path / "in", 30)
    asked = [tmp_path / "in", "-o", tmp_path / "out", "--layers", "2", "--format", "zip", "--workers", "1"]
    run = started(*asked, seconds=0.3)
    wait_for(lambda: len(lines_of(tmp_path / "out")) >= 2)
    os.killpg(run.pid, signal.SIGINT)
    _, err = run.communicate(timeout=60)  # which ends when no process has the pipe open any more, workers included
    assert run.returncode == 130
    assert err.strip().splitlines()[-1] == "qil: stopped"
    assert "Traceback" not in err


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 10 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=10m", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("no small disk could be mounted (needs root on Linux): a disk that fills up is not tested")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.slow
def test_a_disk_that_fills_up_stops_the_run_with_one_clear_message(small_disk: Path, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    (tmp_path / "in").mkdir()
    for i in range(12):
        Image.fromarray(generator.integers(0, 256, (700, 700, 3), np.uint8)).save(tmp_path / "in" / f"{i:03}.png")
    asked = [tmp_path / "in", "-o", small_disk / "out", "--layers", "2", "--format", "zip", "--workers", "1"]
    run = started(*asked)
    _, err = run.communicate(timeout=120)
    assert run.returncode == 1
    assert "Stopped, " in err
    assert "Free some space on that disk" in err
    lines = lines_of(small_disk / "out")
    good = [line for line in lines if line["status"] == "ok"]
    assert 1 <= len(good) <= 10
    assert len(lines) <= len(good) + 1
    assert {path.parent.name for path in (small_disk / "out").rglob("*.zip")} == {line["folder"] for line in good}
    assert "Traceback" not in err
