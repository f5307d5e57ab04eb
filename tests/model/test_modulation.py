"""Tables of modulation: the layers' own numbers, made once for a schedule, from weights as they are stored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

pytest.importorskip("diffusers")

import tiny_model
from checkpoint_forms import single_files, state, write_gguf

from qil_core.checkpoints.folders import Files
from qil_core.model import modulation
from qil_core.model.modulation import Modulation
from qil_core.model.parts import Parts, load
from qil_core.model.pipeline import LayeredModel
from qil_core.model.plan import STREAMED
from qil_core.model.storage import StoredLinear
from qil_core.model.streaming import StreamedBlocks, weights
from qil_core.progress import silent
from qil_core.request import Request

CPU = torch.device("cpu")
ASKED = Request(layers=1, steps=2, prompt="a disc", true_cfg_scale=1.0, resolution=128)
WIDE, TALL = torch.rand(8, 32, 4), torch.rand(32, 16, 4)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_model.build(tmp_path)


@pytest.fixture
def parts(folder: Path) -> Parts:
    return load(Files.of_folder(folder), torch.float32)


def test_an_aspect_that_was_seen_before_has_no_weight_of_modulation_read_again(parts: Parts) -> None:
    model = LayeredModel(parts, CPU, STREAMED, free=0)
    computed = []
    results = []
    for picture in (WIDE, TALL, WIDE, TALL):
        results.append(model.layers(picture, ASKED, silent)[0])
        computed.append(parts.modulation.computed)
    assert computed == [2, 4, 4, 4], "two blocks a schedule"
    assert torch.equal(results[0], results[2])
    assert torch.equal(results[1], results[3])


def test_each_schedule_has_the_table_that_it_would_have_alone(folder: Path, parts: Parts) -> None:
    model = LayeredModel(parts, CPU)
    model.layers(TALL, ASKED, silent)
    after_another, _ = model.layers(WIDE, ASKED, silent)
    alone, _ = LayeredModel(load(Files.of_folder(folder), torch.float32), CPU).layers(WIDE, ASKED, silent)
    torch.testing.assert_close(after_another, alone, rtol=0, atol=1e-5)
    assert not torch.equal(model.layers(WIDE, replace(ASKED, steps=3), silent)[0], alone)


def test_tables_stay_when_the_model_is_evicted_and_leave_the_device(parts: Parts) -> None:
    model = LayeredModel(parts, CPU)
    want, _ = model.layers(WIDE, ASKED, silent)
    model.placement.release()
    assert all(block.img_mod.rows.numel() == 0 for block in parts.transformer.transformer_blocks)
    computed = parts.modulation.computed
    assert torch.equal(model.layers(WIDE, ASKED, silent)[0], want)
    assert parts.modulation.computed == computed


def test_tables_are_kept_within_a_bound_the_last_used_ones_first(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    of = parts.modulation
    bytes_of_one = 2 * 2 * 1 * 6 * 32 * 4  # two blocks, two streams, one step
    monkeypatch.setattr(modulation, "KEPT_BYTES", 2 * bytes_of_one)
    for key in ("a", "b", "a", "c"):
        if not of.knows(key):
            of.make(key, of.layers, [torch.randn(1, 32)], lambda i: None)
        of.use(key, CPU)
    assert [of.knows(key) for key in "abc"] == [True, False, True]


def test_a_table_that_was_stopped_half_way_is_not_kept(parts: Parts) -> None:
    def stop(i: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        parts.modulation.make("a", parts.modulation.layers, [torch.randn(1, 32)], stop)
    assert not parts.modulation.knows("a")


def test_rows_are_what_the_layer_gives_for_each_condition_and_for_time_0(parts: Parts) -> None:
    of = parts.modulation
    conditions = [torch.randn(2, 32) for _ in range(3)]
    of.make("a", of.layers, conditions, lambda i: None)
    of.use("a", CPU)
    block = parts.transformer.transformer_blocks[1]
    for i, condition in enumerate(conditions):
        of.step.now.fill_(i)
        assert torch.equal(block.img_mod(torch.zeros(1)), of.layers[1]["img_mod"](condition))
        assert torch.equal(block.txt_mod(torch.zeros(1)), of.layers[1]["txt_mod"](condition[:1]))


def test_modulation_of_a_quantised_file_travels_as_it_is_stored(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through slots on a device of its own name, as on a GPU; a quarter of the bytes of floats."""
    path = write_gguf(tmp_path / "q8.gguf", state(folder, "transformer"))
    (tmp_path / "configs").mkdir()
    loaded = load(replace(single_files(folder, tmp_path / "configs"), transformer=path), torch.float32)
    moved: list[int] = []
    rest = StreamedBlocks.rest
    monkeypatch.setattr(StreamedBlocks, "rest", lambda self: moved.append(self.moved) or rest(self))
    LayeredModel(loaded, torch.device("cpu:0"), free=1 << 40).layers(WIDE, ASKED, silent)
    stored = sum(tensor.nbytes for pair in loaded.modulation.layers for tensor in weights(pair))
    floats = sum(4 * layer.in_features * layer.out_features for layer in linears_of(loaded.modulation))
    assert stored < 0.45 * floats
    assert stored <= moved[0] <= 2.1 * stored, "once, and the first ones of a next round, which set out ahead"


def linears_of(of: Modulation) -> list[StoredLinear]:
    return [module for pair in of.layers for module in pair.modules() if isinstance(module, StoredLinear)]
