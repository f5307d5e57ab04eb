"""What is asked of devices of every kind. None of them is here: their answers are on paper, and the CPU plays them."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny_model
import torch

from qil_core.checkpoints.folders import Files
from qil_core.checkpoints.stored import Stored
from qil_core.errors import QilError
from qil_core.model import attention, devices
from qil_core.model.machine import UNLIMITED, HostBuffer, Machine
from qil_core.model.parts import load
from qil_core.model.pipeline import LayeredModel
from qil_core.model.plan import GIB, STREAMED, Free, Sizes, choose
from qil_core.model.storage import StoredEmbedding, StoredLinear, leave_fp8, unpack_rows
from qil_core.progress import silent
from qil_core.request import Request

ROOT = Path(__file__).resolve().parents[2]
CPU, MPS, XPU, CUDA = (torch.device(name) for name in ("cpu", "mps", "xpu:0", "cuda:0"))
OTHER = torch.device("privateuseone:0")
NEED = Sizes(28 * GIB, GIB * 28 // 60, 60, 16 * GIB, GIB // 2, 28, GIB)


def test_only_what_deals_with_pinned_memory_names_a_kind_of_gpu() -> None:
    allowed = {"devices.py", "machine.py", "streaming.py"}
    files = [*(ROOT / "qil_core").rglob("*.py"), *(ROOT / "nodes").glob("*.py")]
    named = {path.name for path in files if re.search(r"torch\.(cuda|mps|xpu)\b", path.read_text(encoding="utf-8"))}
    assert named == allowed


def test_a_device_without_a_number_is_the_one_that_tensors_there_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.xpu, "current_device", lambda: 1)
    for name, whole in (("mps", "mps:0"), ("xpu", "xpu:1"), ("xpu:0", "xpu:0"), ("cpu", "cpu")):
        assert Machine(torch.device(name)).device == torch.device(whole)


@pytest.fixture
def apple(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Mac with 20 GiB of 32 free, of which the system recommends 21 for the GPU, 2 of them in use."""
    monkeypatch.setattr(torch.mps, "recommended_max_memory", lambda: 21 * GIB)
    monkeypatch.setattr(torch.mps, "driver_allocated_memory", lambda: 2 * GIB)
    monkeypatch.setattr(Machine, "free_ram", lambda self: 20 * GIB)


def test_apples_free_memory_is_the_hosts_within_what_the_system_recommends(
    apple: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Machine(MPS).make_room(None, 1) == 19 * GIB  # type: ignore[arg-type]  # nobody to be asked to leave
    monkeypatch.setattr(Machine, "free_ram", lambda self: 6 * GIB)
    assert Machine(MPS).make_room(None, 1) == 6 * GIB  # type: ignore[arg-type]


@pytest.mark.parametrize("device", [MPS, XPU, OTHER, CPU], ids=str)
def test_nothing_is_pinned_where_no_device_would_read_it(device: torch.device) -> None:
    assert Machine(device).pinnable() == 0
    assert not HostBuffer(16, Machine(device)).is_pinned


def test_an_integrated_gpu_pins_nothing_and_has_no_more_than_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(is_integrated=1))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (90 * GIB, 120 * GIB))
    monkeypatch.setattr(Machine, "free_ram", lambda self: 60 * GIB)
    assert devices.is_unified(CUDA)
    assert Machine(CUDA).pinnable() == 0
    assert Machine(CUDA).make_room(None, 1) == 60 * GIB  # type: ignore[arg-type]


def test_a_device_that_says_nothing_of_its_memory_is_counted_on_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Machine(CPU).make_room(None, 1) == UNLIMITED  # type: ignore[arg-type]
    free = Machine(OTHER).make_room(None, 1)  # type: ignore[arg-type]
    assert free == 0
    assert choose("auto", Free(free, 64 * GIB), NEED).mode == STREAMED


def test_in_unified_memory_what_stays_on_the_device_is_lost_to_the_file() -> None:
    apart, one = (choose(STREAMED, Free(20 * GIB, 16 * GIB, 0, unified), NEED).why for unified in (False, True))
    assert "which stays in RAM" in apart
    assert "from the disk: RAM does not hold them" in one


OUT_OF_MEMORY = (
    "MPS backend out of memory (MPS allocated: 18.13 GB)",
    "HIP error: out of memory",
    "Native API failed. Native API returns: 39 (UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY)",
    "Could not allocate tensor with 9 bytes. There is not enough GPU video memory available!",
)


@pytest.mark.parametrize("text", OUT_OF_MEMORY)
def test_every_kind_of_device_may_say_in_its_own_words_that_memory_is_used_up(text: str) -> None:
    assert Machine(MPS).is_oom(RuntimeError(text))
    assert not Machine(MPS).is_oom(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not Machine(MPS).is_oom(ValueError(text))


def test_bf16_is_for_devices_that_compute_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "hip", None)
    for major, wanted in ((7, torch.float32), (8, torch.bfloat16), (12, torch.bfloat16)):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device, major=major: (major, 0))
        assert devices.usual_dtype(CUDA) == wanted
    for newer, wanted in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(torch.backends.mps, "is_macos_or_newer", lambda *_, newer=newer: newer)
        assert devices.usual_dtype(MPS) == wanted
    assert devices.usual_dtype(CPU) == torch.bfloat16
    assert devices.usual_dtype(OTHER) == torch.float32


def test_the_gpu_that_is_there_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("cuda", "xpu", "mps"):
        monkeypatch.setattr(getattr(torch, kind), "is_available", lambda: False)
    assert devices.default_device() == CPU
    monkeypatch.setattr(torch.mps, "is_available", lambda: True)
    assert devices.default_device() == torch.device("mps")
    monkeypatch.setattr(torch.xpu, "is_available", lambda: True)
    assert devices.default_device() == torch.device("xpu")


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "mps"])
def test_a_device_that_is_not_there_is_named_with_those_that_are(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if devices._is_there(name.partition(":")[0]):
        pytest.skip("it is there")
    with pytest.raises(QilError, match=rf'The device "{name}" cannot be used here .* There is: .*cpu\.') as info:
        devices.device_of(name)
    assert "\n" not in str(info.value)
    assert devices.device_of("cpu") == CPU


CUDA_ONLY = (
    "cudart", "Event", "Stream", "stream", "current_stream", "synchronize", "empty_cache", "mem_get_info",
    "get_device_properties", "reset_peak_memory_stats", "max_memory_allocated", "set_device",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("memory", ["auto", STREAMED, "int8 storage (lossy)"])
def test_a_device_with_nothing_of_cudas_gives_the_very_layers(
    memory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is called cpu:0, which torch takes for another device than cpu; there are no complex numbers on it."""

    def forbidden(*args: Any, **more: Any) -> Any:
        raise AssertionError("this is CUDA's alone")

    picture = torch.rand(64, 64, 4, generator=torch.Generator().manual_seed(1))
    asked = Request(layers=2, steps=2, prompt="a red disc", seed=7, resolution=64)
    parts = load(Files.of_folder(tiny_model.build(tmp_path)), torch.float32)
    truth = LayeredModel(parts, CPU, memory).layers(picture, asked, silent)[0]
    for name in CUDA_ONLY:
        monkeypatch.setattr(torch.cuda, name, forbidden)
    monkeypatch.setattr(attention, "has_complex", lambda device: False)
    monkeypatch.setattr(devices, "is_unified", lambda device: True)
    there = torch.device("cpu:0")
    layers, run = LayeredModel(parts, there, memory, free=4 * GIB).layers(picture, asked, silent)
    assert (layers - truth).abs().max() < 1e-5, "copies that are aligned otherwise may differ in the last bit"
    assert not [note for note in run.notes if "pinned memory" in note and "0 in pinned memory" not in note]


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "factor"), [(torch.bfloat16, 1), (torch.float32, 2)])
def test_float32_is_expected_to_take_twice_the_working_memory(dtype: torch.dtype, factor: int, tmp_path: Path) -> None:
    class Seen(Exception):
        pass

    def stop(fraction: float, what: str) -> None:
        raise Seen

    model = LayeredModel(load(Files.of_folder(tiny_model.build(tmp_path)), dtype), CPU)
    with pytest.raises(Seen):
        model.layers(torch.rand(1024, 1024, 4), Request(layers=10, resolution=1024, prompt="", steps=1), stop)
    assert model.placement._tokens == factor * (12 * 64 * 64 + 512)


@pytest.fixture
def no_fp8(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "has_fp8", lambda device: False)


@pytest.mark.parametrize("kind", [torch.float8_e4m3fn, torch.float8_e5m2])
def test_fp8_files_run_on_devices_without_fp8_to_the_bit(kind: torch.dtype) -> None:
    weight = torch.randn(6, 8, generator=torch.Generator().manual_seed(0)).to(kind)
    stored = Stored((weight, torch.tensor(0.5)), unpack_rows)
    layer = StoredLinear(stored, None, (6, 8))
    truth = layer.weight
    leave_fp8(torch.nn.ModuleList([layer]))
    assert torch.equal(layer.weight, truth)
    assert all(buffer.dtype in (torch.uint8, torch.float32) for buffer in layer.buffers())
    assert layer.stored0.data_ptr() == weight.data_ptr(), "nothing was copied"
    words = StoredEmbedding(stored, torch.float32)
    words.leave_fp8()
    assert torch.equal(words(torch.tensor([4, 1])), truth[[4, 1]])


@pytest.mark.slow
def test_lossy_modes_without_fp8_store_the_text_encoder_in_int8_or_refuse(tmp_path: Path, no_fp8: None) -> None:
    parts = load(Files.of_folder(tiny_model.build(tmp_path)), torch.float32)
    with pytest.raises(QilError, match=r"has no fp8\. Use int8"):
        LayeredModel(parts, CPU, "fp8 storage (lossy)")
    model = LayeredModel(parts, CPU, "nf4 storage (lossy)")
    with model.placement.words() as encoder:
        assert {buffer.dtype for layer in encoder.model.language_model.layers for buffer in layer.buffers()} >= {
            torch.int8
        }
    with pytest.raises(QilError, match="has no fp8"):
        model.placement.use("fp8 storage (lossy)")
