"""The rehearsal's files are those of the true model in small, and its run ends with nothing left on the disk."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from checkpoint_forms import single_files
from tiny_model import TRANSFORMER, build

from benchmarks import rehearsal, rehearsal_files
from benchmarks.rehearsal_memory import Watch, limited
from qil_core.checkpoints.folders import SHIPPED, read_json
from qil_core.checkpoints.readers import open_readers
from qil_core.checkpoints.recognize import Kind, recognize

WIDE = {**TRANSFORMER, "attention_head_dim": 128, "axes_dims_rope": [16, 56, 56]}
"""256 wide, so that Q4_K's super-blocks fit its rows."""

ROOT = Path(__file__).parents[1]
LARGE = "transformer_blocks.1.attn.to_q.weight"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model's tokenizer, and configurations like the shipped ones."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "configs").mkdir()
    single_files(build(folder / "tiny"), folder / "configs")
    (folder / "configs" / "transformer.json").write_text(json.dumps(WIDE))
    return folder


def arguments(small: Path, folder: Path, kinds: str) -> list[str]:
    places = ["--tokenizer", str(small / "tiny" / "tokenizer"), "--configs", str(small / "configs")]
    return [str(folder), *places, "--kinds", kinds, "--limit", "4"]


def shipped(part: str) -> dict[str, Any]:
    return read_json(SHIPPED / f"{part}.json")


@pytest.fixture(params=rehearsal_files.KINDS)
def written(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / rehearsal_files.FILE_NAMES[request.param]
    rehearsal_files.write(path, rehearsal_files.transformer(WIDE, request.param))
    return path


def value(found: Any) -> torch.Tensor:
    """A weight as numbers."""
    weight = found()
    return getattr(weight, "value", weight).float()


def test_every_kind_is_a_layered_transformer_with_sane_weights(written: Path) -> None:
    readers = open_readers(written)
    assert recognize(readers) is Kind.LAYERED_TRANSFORMER
    large = value(readers[LARGE])
    assert large.shape == (256, 256)
    assert large.std().item() == pytest.approx(0.02, rel=0.15)
    assert large.mean().item() == pytest.approx(0, abs=0.002)
    assert (value(readers["txt_norm.weight"]) == 1).all()
    assert not torch.equal(large, value(readers[LARGE.replace("to_q", "to_k")]))


def test_large_weights_begin_at_a_page_so_that_file_systems_can_share_them(written: Path) -> None:
    kind = next(kind for kind, name in rehearsal_files.FILE_NAMES.items() if name == written.name)
    large = rehearsal_files.transformer(WIDE, kind).large
    begins = rehearsal_files.block(large[0].type, sum(entry.size for entry in large))[:512]
    assert written.read_bytes().index(begins) % rehearsal_files.PAGE == 0


def test_large_weights_are_stored_as_the_kind_says() -> None:
    for kind, type in rehearsal_files.TYPES.items():
        large = rehearsal_files.transformer(WIDE, kind).large
        assert {entry.type for entry in large} == {type}
        assert sum(entry.name.endswith(LARGE) for entry in large) == 1


def test_files_of_the_shipped_configurations_have_the_true_sizes() -> None:
    sizes = {
        kind: rehearsal_files.transformer(shipped("transformer"), kind).size / 1e9 for kind in rehearsal_files.KINDS
    }
    assert sizes == pytest.approx({"bf16": 40.9, "fp8": 20.5, "q4_k": 11.6}, abs=0.1)
    words = {kind: rehearsal_files.text_encoder(shipped("text_encoder"), kind).size / 1e9 for kind in ("bf16", "fp8")}
    assert words == pytest.approx({"bf16": 16.6, "fp8": 9.4}, abs=0.1)


@pytest.mark.parametrize("kind", rehearsal_files.WORDS)
def test_every_kind_of_text_encoder_has_sane_weights_stored_as_the_kind_says(
    small: Path, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / rehearsal_files.WORDS[kind]
    rehearsal_files.write(path, rehearsal_files.text_encoder(read_json(small / "configs" / "text_encoder.json"), kind))
    readers = open_readers(path)
    assert recognize(readers) is Kind.TEXT_ENCODER
    types = {name: readers[name].dtype for name in ("model.layers.0.mlp.up_proj.weight", "model.embed_tokens.weight")}
    assert list(types.values()) == [rehearsal_files.TYPES[kind], "BF16"]
    for name in types:
        assert value(readers[name]).std().item() == pytest.approx(0.02, rel=0.15)


def test_a_weight_that_is_longer_than_the_block_of_random_bytes_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rehearsal_files, "UNITS", 1)
    path = tmp_path / "long.safetensors"
    rehearsal_files.write(path, rehearsal_files.transformer(WIDE, "bf16"))
    readers = open_readers(path)
    flat = value(readers["transformer_blocks.0.img_mod.1.weight"]).flatten()
    length = rehearsal_files.UNIT // 2
    assert torch.equal(flat[:length], flat[length : 2 * length])
    assert flat.std().item() == pytest.approx(0.02, rel=0.1)
    assert (value(readers["txt_norm.weight"]) == 1).all()


def test_a_file_without_room_is_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearsal_files.shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    monkeypatch.setattr(rehearsal_files, "_share", lambda *places: False)
    with pytest.raises(OSError, match=r"are needed, 0\.0 GB are free"):
        rehearsal_files.write(tmp_path / "a.safetensors", rehearsal_files.transformer(WIDE, "bf16"))
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_fails_leaves_no_file_behind(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> bool:
        assert {path.name for path in tmp_path.iterdir()} > {rehearsal_files.WORDS["bf16"], rehearsal.VAE}
        raise KeyboardInterrupt

    monkeypatch.setattr(rehearsal, "_whole_run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        rehearsal.main(arguments(small, tmp_path, "bf16"))
    assert list(tmp_path.iterdir()) == []


def test_a_child_s_memory_is_counted_and_limited() -> None:
    """Of 200 MB that it wants it gets 50 at the most: it is killed, or told that there is no more."""
    program = (
        "import sys; from benchmarks.rehearsal_memory import enter; enter(sys.argv[1] or None, 50_000_000); "
        "print('in', flush=True); bytearray(b'x' * 200_000_000)"
    )
    with limited(50_000_000) as limit:
        command = [sys.executable, "-c", program, str(limit.procs or "")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT, text=True) as child:
            watch = Watch(child)
            while child.poll() is None:
                watch.look()
        assert child.stdout
        assert child.returncode != 0
        assert 0 < watch.highest < 150_000_000


@pytest.mark.slow
def test_a_whole_rehearsal_in_small_ends_well_and_leaves_nothing(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rehearsal.main(arguments(small, tmp_path, "q4_k")) == 0
    said = capsys.readouterr().out
    assert said.count("it did its work") == 2
    assert "cut_off_qwen_image_layered_Q4_K.gguf is incomplete or damaged" in said
    assert "cut_off_qwen_2.5_vl_7b.safetensors is incomplete or damaged" in said
    assert "full disk, PSD: Cannot write" in said
    assert "written all the same" not in said
    assert "left behind" not in said
    assert list(tmp_path.iterdir()) == []
