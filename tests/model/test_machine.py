"""What is asked of the computer, with CUDA's answers on paper."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from qil_core import memory
from qil_core.model import machine
from qil_core.model.machine import PIN_SHARE, UNLIMITED, HostBuffer, Machine

CUDA = torch.device("cuda:0")


class Cudart:
    """Registers host memory until `left` bytes are used up; 2 is cudaErrorMemoryAllocation."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.registered: dict[int, int] = {}

    def cudaHostRegister(self, pointer: int, size: int, flags: int) -> int:
        if size > self.left:
            return 2
        self.left -= size
        self.registered[pointer] = size
        return 0

    def cudaHostUnregister(self, pointer: int) -> int:
        self.left += self.registered.pop(pointer)
        return 0


class AcceleratorError(RuntimeError):
    """As torch raises it at the next launch after a call that CUDA refused."""

    def __init__(self, code: int, text: str = "CUDA error: out of memory") -> None:
        super().__init__(text)
        self.error_code = code


@pytest.fixture
def cudart(monkeypatch: pytest.MonkeyPatch) -> Cudart:
    paper = Cudart(1000)
    monkeypatch.setattr(torch.cuda, "cudart", lambda: paper)
    monkeypatch.setattr(torch, "zeros", lambda *_, **__: None)
    return paper


def test_a_buffer_is_pinned_at_its_own_size_and_given_back(cudart: Cudart) -> None:
    buffer = HostBuffer(432, Machine(CUDA))
    assert buffer.is_pinned
    assert cudart.registered == {buffer.bytes.data_ptr(): 432}
    del buffer
    assert cudart.registered == {}


@pytest.mark.parametrize(("at_the_next_launch", "is_hidden"), [(2, True), (700, False)])
def test_a_refusal_is_no_error_and_leaves_none_for_the_next_launch(
    cudart: Cudart, monkeypatch: pytest.MonkeyPatch, at_the_next_launch: int, is_hidden: bool
) -> None:
    def launch(*_: Any, **__: Any) -> None:
        raise AcceleratorError(at_the_next_launch)

    monkeypatch.setattr(torch, "zeros", launch)
    if is_hidden:
        assert not HostBuffer(1001, Machine(CUDA)).is_pinned
    else:
        with pytest.raises(AcceleratorError):
            HostBuffer(1001, Machine(CUDA))
    assert cudart.registered == {}


@pytest.mark.parametrize(("limit", "left"), [("1000\n", 1000 - 700 + 250), ("max\n", None), ("", None)])
def test_a_container_has_the_memory_of_its_limit_and_files_in_it_count_as_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, left: int | None
) -> None:
    import psutil

    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=2000))
    monkeypatch.setattr(machine, "CGROUP", tmp_path)
    (tmp_path / "memory.max").write_text(limit)
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.stat").write_text("anon 400\nfile 250\n")
    assert memory.left_in_container(tmp_path) == left
    assert Machine(CUDA).free_ram() == (left or 2000)
    assert memory.left_in_container(tmp_path / "nothing here") is None


def test_a_gpu_without_a_number_is_the_current_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else what is on it would be taken for what is elsewhere: tensors say "cuda:1", never "cuda"."""
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    assert Machine(torch.device("cuda")).device == torch.device("cuda:1")
    assert Machine(CUDA).device == CUDA


def test_a_share_of_free_memory_may_be_pinned_and_none_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    import psutil

    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=1000))
    monkeypatch.setattr(machine, "CGROUP", Path("nothing here"))
    assert Machine(CUDA).pinnable() == 1000 * PIN_SHARE
    cpu = Machine(torch.device("cpu"))
    assert (cpu.pinnable(), cpu.pin(torch.empty(1)), cpu.make_room(None, 1)) == (0, False, UNLIMITED)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "is_oom"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"), True),
        (AcceleratorError(2), True),
        (AcceleratorError(700, "CUDA error: an illegal memory access was encountered"), False),
        (MemoryError(), False),
        (RuntimeError("cannot pin: out of memory of the host"), False),
    ],
)
def test_only_the_devices_own_memory_counts_as_out_of_memory(error: BaseException, is_oom: bool) -> None:
    assert Machine(CUDA).is_oom(error) == is_oom
