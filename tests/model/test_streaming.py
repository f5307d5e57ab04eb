"""The order in which streamed blocks travel, wait, compute and make room for the next ones."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from qil_core.model import streaming
from qil_core.model.streaming import StreamedBlocks

CPU = torch.device("cpu")
Log = list[str]


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    """What happens to slots, in order: "a < 0" is block 0's copy to slot a, "a?" the wait for it, "a!" its release."""
    happened: Log = []
    names = iter("abcdefgh")

    class Slot(streaming._Slot):
        def __init__(self, size: int, device: torch.device) -> None:
            super().__init__(size, device)
            self.name = next(names)

        def fill(self, host: Tensor, stream: Any) -> None:
            happened.append(f"{self.name} < {int(host.view(torch.float32)[0])}")
            super().fill(host, stream)

        def wait(self) -> None:
            happened.append(f"{self.name}?")
            super().wait()

        def release(self) -> None:
            happened.append(f"{self.name}!")
            super().release()

    monkeypatch.setattr(streaming, "_Slot", Slot)
    return happened


def numbered(count: int) -> list[nn.Module]:
    """Blocks whose only weight is their number."""
    blocks: list[nn.Module] = [nn.Module() for _ in range(count)]
    for i, block in enumerate(blocks):
        block.weight = nn.Parameter(torch.full((1,), float(i)), requires_grad=False)
    return blocks


def run(streamed: StreamedBlocks, log: Log, count: int = 100) -> None:
    """A round, or the first `count` blocks of one: "= 1" is block 1 computing with the weight that it then has."""
    rounds = iter(streamed)
    for block in rounds:
        log.append(f"= {int(block.weight)}")
        count -= 1
        if not count:
            break
    rounds.close()  # type: ignore[attr-defined]


def test_a_block_is_used_while_it_is_there_and_only_then_the_next_one_takes_its_place(
    log: Log,
) -> None:
    streamed = StreamedBlocks(numbered(4), CPU)
    run(streamed, log)
    assert log[:2] == ["a < 0", "b < 1"], "the first blocks set out together"
    assert log[2:] == [
        *("a?", "= 0", "a!", "a < 2"),
        *("b?", "= 1", "b!", "b < 3"),
        *("a?", "= 2", "a!", "a < 0"),
        *("b?", "= 3", "b!", "b < 1"),
    ]
    log.clear()
    run(streamed, log)
    assert log[:4] == ["a?", "= 0", "a!", "a < 2"], "what set out at the end of a round is not sent again"


def test_an_odd_round_goes_on_in_the_other_slot(log: Log) -> None:
    streamed = StreamedBlocks(numbered(3), CPU)
    run(streamed, log)
    log.clear()
    run(streamed, log)
    assert log == ["b?", "= 0", "b!", "b < 2", "a?", "= 1", "a!", "a < 0", "b?", "= 2", "b!", "b < 1"]


def test_blocks_that_stay_take_no_part(log: Log) -> None:
    run(StreamedBlocks(numbered(4), CPU, stay={1}), log)
    assert log == [
        *("a < 0", "b < 2"),
        *("a?", "= 0", "a!", "a < 3", "= 1"),
        *("b?", "= 2", "b!", "b < 0"),
        *("a?", "= 3", "a!", "a < 2"),
    ]


def test_after_a_round_that_was_cut_short_the_first_blocks_are_sent_again(log: Log) -> None:
    streamed = StreamedBlocks(numbered(4), CPU)
    run(streamed, log, count=2)
    log.clear()
    run(streamed, log)
    assert log[:6] == ["a < 0", "b < 1", "a?", "= 0", "a!", "a < 2"]
    assert [entry for entry in log if entry.startswith("=")] == ["= 0", "= 1", "= 2", "= 3"]


class Clock:
    """In place of a CUDA event and of a stream: writes down what was in the slot when it was asked."""

    def __init__(self, name: str, log: Log, content: Callable[[], int]) -> None:
        self.name, self._log, self._content = name, log, content

    def _note(self, what: str) -> None:
        self._log.append(f"{what}, slot holds {self._content()}")

    def record(self, stream: Clock) -> None:
        self._note(f"{stream.name} marks {self.name}")

    def wait_event(self, event: Clock) -> None:
        self._note(f"{self.name} waits for {event.name}")


def test_on_a_gpu_a_copy_waits_for_the_slot_and_says_when_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    log: Log = []
    slot = streaming._Slot(1, CPU)
    slot.buffer.fill_(0)

    def clock(name: str) -> Any:
        return Clock(name, log, lambda: int(slot.buffer[0]))

    slot._arrived, slot._free = clock("arrival"), clock("free")
    copying, computing = clock("copying"), clock("computing")
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: computing)
    slot.fill(torch.tensor([7], dtype=torch.uint8), copying)
    slot.wait()
    slot.release()
    assert log == [
        "copying waits for free, slot holds 0",
        "copying marks arrival, slot holds 7",
        "computing waits for arrival, slot holds 7",
        "computing marks free, slot holds 7",
    ]
