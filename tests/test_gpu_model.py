"""The visits to a GPU machine, in small on the CPU: every section runs, and nothing that goes wrong is lost."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import gpu_model, gpu_model_results
from benchmarks.gpu_model_bench import Bench
from benchmarks.gpu_model_results import OutOfTime, Results, Row, limited, new_path, run_sections
from benchmarks.gpu_model_weights import FULL, TINY, Tokens, make_transformer
from qil_core.model import modulation
from qil_core.model.sources import ATTENTION

CPU = torch.device("cpu")
ROOT = Path(__file__).resolve().parent.parent


def visited(name: str, folder: Path) -> dict[str, Any]:
    """What is in the file after a visit."""
    results = Results(folder / f"{name}.json", 600)
    gpu_model.visit(name, Bench(TINY, CPU), results)
    return json.loads(results.path.read_text())


def rows(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {f"{row['section']}: {row['row']}": row for row in found["rows"]}


@pytest.fixture(autouse=True)
def in_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Qwen-Image-Edit works at 1024 px only, and a compiler takes minutes."""
    monkeypatch.setattr("qil_core.model.editing.RESOLUTION", 64)
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))


@pytest.mark.slow
def test_all_that_is_resident_is_measured_and_is_as_stock_has_it(tmp_path: Path) -> None:
    found = visited("resident", tmp_path)
    assert found["failed"] == found["skipped"] == []
    assert {row["section"] for row in found["rows"]} == {"speeds", "stock", "ours", "coding", "edit"}
    measured = rows(found)
    for size in ("64 px, 3 layers", "64 px, 2 layers", "96 px, 3 layers"):
        assert measured[f"ours: {size}"]["equal bits"], size
    assert measured["ours: caption"]["tokens a second"] > 0
    assert measured["ours: first-block cache, only the first step computed"]["notes"][0].startswith("First block cache")
    assert measured["coding: 64 px, 3 layers, ours"]["relative difference"] < 1e-5
    for backend in ATTENTION[1:]:
        assert backend in measured[f"ours: 64 px, 3 layers, {backend}"]["not here"], "a CPU has none of them"


@pytest.mark.slow
def test_all_that_is_streamed_is_measured_and_is_as_stock_has_it(tmp_path: Path) -> None:
    found = visited("streamed", tmp_path)
    assert found["failed"] == found["skipped"] == []
    measured = rows(found)
    assert measured["streamed: 64 px, 3 layers, 100% pinned"]["equal bits"]
    assert measured["offload: stock group offload, 64 px, 3 layers"]["equal bits"]
    assert [row["equal"] for row in found["rows"] if "equality" in row["row"]] == [20, 20, 20]
    assert "Memory: streamed" in measured["streamed: auto, 1 GB"]["notes"][0]
    assert all(0 < row["relative difference"] < 0.01 for name, row in measured.items() if "lossy" in name)
    assert {"unpacking: nf4", "unpacking: Q4_K"} <= measured.keys()


@pytest.mark.slow
def test_compiled_blocks_are_measured_and_nothing_stays_compiled(tmp_path: Path) -> None:
    found = visited("compiled", tmp_path)
    assert found["failed"] == found["skipped"] == []
    measured = rows(found)
    assert measured["ours compiled: 64 px, 3 layers, compiled"]["graphs"] >= 1
    calls = measured["ours compiled: compiled, one call after another"]
    assert calls["same again: first step s"] > 0
    assert calls["same again: graphs"] == calls["first call: graphs"], "another aspect, layers, steps: nothing anew"


def test_the_command_writes_what_it_found_beside_what_it_was_found_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["resident", "--out", str(tmp_path), "--tiny", "--device", "cpu", "--only", "large product"]
    gpu_model.main(asked)
    gpu_model.main(asked)
    for name in ("resident.json", "resident-2.json"):
        found = json.loads((tmp_path / name).read_text())
        assert [row["row"] for row in found["rows"]] == ["large product"]
        assert found["machine"]["torch"] == torch.__version__
    assert "1 rows, 0 failed" in capsys.readouterr().out


def test_without_a_gpu_the_full_sizes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_model, "default_device", lambda: CPU)
    with pytest.raises(SystemExit, match="--tiny"):
        gpu_model.main(["resident", "--out", str(tmp_path)])


WITHOUT = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[1].split(","):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
sys.argv = ["", "gpu_model", "streamed", "--tiny", "--device", "cpu", "--only", "lossy", "--out", sys.argv[2]]
import runpy
runpy.run_module("benchmarks", run_name="__main__")
"""


@pytest.mark.slow
def test_no_package_is_needed_beyond_those_that_are_listed(tmp_path: Path) -> None:
    others = ("cv2", "scipy", "pptx", "psd_tools", "gguf", "httpx", "threadpoolctl", "rapidocr", "onnxruntime", "lxml")
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, ",".join(others), str(tmp_path)], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "3 rows, 0 failed" in done.stdout, done.stdout[-2000:]


class Nothing:
    """A bench that only counts how often it is reset."""

    resets = 0

    def reset(self) -> None:
        self.resets += 1


def test_a_row_that_fails_is_kept_with_its_place_and_the_next_ones_run(tmp_path: Path) -> None:
    def good(bench: Nothing) -> Iterator[Row]:
        yield "one", lambda: {"answer": 42.0}
        yield "two", lambda: {"answer": 1 // 0}
        yield "three", lambda: {"answer": 43.0}

    def bad(bench: Nothing) -> Iterator[Row]:
        raise MemoryError("no room for weights")
        yield

    results, nothing = Results(tmp_path / "a" / "out.json", 600), Nothing()
    run_sections(results, {"bad": bad, "good": good}, nothing)
    found = json.loads(results.path.read_text())
    assert [row["answer"] for row in found["rows"]] == [42.0, 43.0]
    assert [(row["section"], row["row"]) for row in found["failed"]] == [("bad", "preparing"), ("good", "two")]
    assert found["failed"][1]["error"].startswith("ZeroDivisionError")
    assert "1 // 0" in "".join(found["failed"][1]["end"])
    assert nothing.resets == 5  # before every row and after every section


def test_a_sections_networks_are_gone_before_the_next_section_makes_its_own(tmp_path: Path) -> None:
    class Network:
        def measure(self) -> dict[str, Any]:
            return {}

    made: list[weakref.ref[Network]] = []

    def section(bench: Nothing) -> Iterator[Row]:
        assert not [network for network in made if network() is not None]
        network = Network()
        made.append(weakref.ref(network))
        yield "row", network.measure
        yield "failing", lambda: network.missing  # type: ignore[attr-defined]

    results = Results(tmp_path / "out.json", 600)
    run_sections(results, {"one": section, "two": section}, Nothing())
    assert [row["row"] for row in results.failed] == ["failing", "failing"]


def test_every_row_is_on_the_disk_before_the_next_one_begins(tmp_path: Path) -> None:
    results = Results(tmp_path / "out.json", 600)
    seen: list[int] = []

    def section(bench: Nothing) -> Iterator[Row]:
        yield "one", lambda: {}
        seen.append(len(json.loads(results.path.read_text())["rows"]))
        yield "two", lambda: {}

    run_sections(results, {"section": section}, Nothing())
    assert seen == [1]


def test_when_the_time_is_used_up_what_remains_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def section(bench: Nothing) -> Iterator[Row]:
        yield "one", lambda: time.sleep(0.3) or {}  # type: ignore[func-returns-value]
        yield "two", lambda: {}

    monkeypatch.setattr(gpu_model_results, "LEAST", 0.2)
    results = Results(tmp_path / "out.json", 0.4)
    run_sections(results, {"first": section, "second": section}, Nothing())
    found = json.loads(results.path.read_text())
    assert [row["row"] for row in found["rows"]] == ["one"]
    assert found["skipped"] == ["first: two, and what comes after it there", "second"]


def test_a_row_that_takes_too_long_is_stopped() -> None:
    with pytest.raises(OutOfTime), limited(0.05):
        time.sleep(5)
    with limited(0.05):
        pass
    time.sleep(0.06)  # nothing rings afterwards


def test_an_earlier_visits_results_are_kept(tmp_path: Path) -> None:
    for name in ("resident.json", "resident-2.json", "resident-3.json"):
        assert new_path(tmp_path, "resident").name == name
        (tmp_path / name).touch()


def test_the_full_sizes_are_the_published_ones() -> None:
    from diffusers import QwenImageTransformer2DModel

    build: Any = QwenImageTransformer2DModel
    with torch.device("meta"):
        model = build(**FULL.transformer)
    assert sum(weight.numel() for weight in model.parameters()) == pytest.approx(20.43e9, rel=1e-3)
    dropped = sum(weight.numel() for name, weight in model.named_parameters() if modulation.is_modulation(name))
    assert dropped * 2 == pytest.approx(13.6e9, rel=1e-2)


def test_two_networks_of_one_kind_have_the_same_weights() -> None:
    one, other = (make_transformer(TINY.transformer, CPU, torch.float32).state_dict() for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_prompt_has_as_many_tokens_as_it_is_to_have() -> None:
    from benchmarks.gpu_model_calls import prompt

    assert len(Tokens(TINY.text_encoder)(prompt(300)).input_ids) == 299
    ids = Tokens(TINY.text_encoder)(["a <|vision_start|><|image_pad|><|image_pad|>"]).input_ids[0].tolist()
    assert ids[2:] == [3, 1, 1]
