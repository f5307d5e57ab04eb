"""The order in which streamed blocks travel, wait, compute and make room for the next ones."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from qil_core.model import streaming
from qil_core.model.machine import HostBuffer, Machine
from qil_core.model.streaming import StreamedBlocks, weights

CPU = torch.device("cpu")
Log = list[str]


class AtOnce:
    """A thread that has always just finished."""

    def __init__(self, *_: Any) -> None:
        pass

    def submit(self, work: Callable[..., None], *given: Any) -> Future[None]:
        done: Future[None] = Future()
        try:
            done.set_result(work(*given))
        except Exception as error:
            done.set_exception(error)
        return done


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    """What happens to slots, in order: "a < 0" is block 0's way to slot a, "a?" the wait for it, "a!" its release."""
    happened: Log = []
    names = iter("abcdefgh")
    carry = streaming._Conveyor._carry

    class Slot(streaming._Slot):
        name = ""

        def __init__(self, size: int, device: torch.device) -> None:
            super().__init__(size, device)
            self.name = next(names)

        def wait(self) -> None:
            happened.append(f"{self.name}?")
            super().wait()

        def release(self) -> None:
            if self.name:
                happened.append(f"{self.name}!")
            super().release()

    def carried(self: Any, block: Any, slot: Slot) -> None:
        happened.append(f"{slot.name} < {number(block)}")
        carry(self, block, slot)

    monkeypatch.setattr(streaming, "_Slot", Slot)
    monkeypatch.setattr(streaming._Conveyor, "_carry", carried)
    monkeypatch.setattr(streaming, "ThreadPoolExecutor", AtOnce)
    return happened


def numbered(count: int) -> list[nn.Module]:
    """Blocks whose only weight is their number."""
    blocks: list[nn.Module] = [nn.Module() for _ in range(count)]
    for i, block in enumerate(blocks):
        block.weight = nn.Parameter(torch.full((1,), float(i)), requires_grad=False)
    return blocks


def number(block: Any) -> int:
    """Of a block on its way: the weight that lies at home."""
    return int(block._places[0][1])


def streamed_on_cpu(count: int, **more: Any) -> StreamedBlocks:
    return StreamedBlocks(numbered(count), Machine(CPU), **more)


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
    streamed = streamed_on_cpu(4)
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
    streamed = streamed_on_cpu(3)
    run(streamed, log)
    log.clear()
    run(streamed, log)
    assert log == ["b?", "= 0", "b!", "b < 2", "a?", "= 1", "a!", "a < 0", "b?", "= 2", "b!", "b < 1"]


def test_blocks_that_stay_take_no_part(log: Log) -> None:
    run(streamed_on_cpu(4, stay={1}), log)
    assert log == [
        *("a < 0", "b < 2"),
        *("a?", "= 0", "a!", "a < 3", "= 1"),
        *("b?", "= 2", "b!", "b < 0"),
        *("a?", "= 3", "a!", "a < 2"),
    ]


def test_after_a_round_that_was_cut_short_the_first_blocks_are_sent_again(log: Log) -> None:
    streamed = streamed_on_cpu(4)
    run(streamed, log, count=2)
    log.clear()
    run(streamed, log)
    assert log[:6] == ["a < 0", "b < 1", "a?", "= 0", "a!", "a < 2"]
    assert [entry for entry in log if entry.startswith("=")] == ["= 0", "= 1", "= 2", "= 3"]


def test_a_round_that_was_cut_short_in_its_first_block_goes_on_with_it(log: Log) -> None:
    streamed = streamed_on_cpu(3)
    run(streamed, log, count=1)
    log.clear()
    run(streamed, log)
    assert log[:4] == ["a?", "= 0", "a!", "a < 2"]


def test_weights_lie_where_they_lay_before_and_after_each_blocks_turn() -> None:
    blocks = numbered(3)
    homes = [block.weight.data_ptr() for block in blocks]
    for i, block in enumerate(StreamedBlocks(blocks, Machine(CPU))):
        assert block.weight.data_ptr() not in homes
        assert all(other.weight.data_ptr() == homes[j] for j, other in enumerate(blocks) if j != i)
    assert [block.weight.data_ptr() for block in blocks] == homes


def test_what_goes_wrong_while_a_block_is_read_is_raised_once_in_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    streamed = streamed_on_cpu(3)
    broken = [True]
    read = streaming._Block.read_into

    def reading(self: Any, buffer: Tensor) -> None:
        if self is streamed._order[1] and broken:  # a thread of another test may still be reading
            broken.pop()
            raise OSError("the disk is gone")
        read(self, buffer)

    monkeypatch.setattr(streaming._Block, "read_into", reading)
    with pytest.raises(OSError, match="the disk is gone"):
        list(streamed)
    assert streamed.held == 0
    assert [int(block.weight) for block in streamed] == [0, 1, 2]
    streamed.rest()  # no thread reads any more when `reading` is taken away


# A GPU's streams, on paper


class Event:
    """In place of a CUDA event."""

    made = 0

    def __init__(self) -> None:
        Event.made += 1
        self.name = f"event {Event.made}"

    def record(self, stream: Stream) -> None:
        PAPER.append(f"{stream.name} marks {self.name}")

    def synchronize(self) -> None:
        PAPER.append(f"thread waits for {self.name}")


class Stream:
    """In place of a CUDA stream."""

    def __init__(self, name: Any = None) -> None:
        self.name = name if isinstance(name, str) else "copying"

    def wait_event(self, event: Event) -> None:
        PAPER.append(f"{self.name} waits for {event.name}")

    def synchronize(self) -> None:
        pass


PAPER: Log = []


class Pinning(Machine):
    """A machine that pins up to `limit` buffers, and counts."""

    def __init__(self, limit: int = 1000) -> None:
        super().__init__(CPU)
        self.limit, self.now, self.most = limit, 0, 0

    def pin(self, buffer: Tensor) -> bool:
        if self.now >= self.limit:
            return False
        self.now += 1
        self.most = max(self.most, self.now)
        return True

    def unpin(self, buffer: Tensor) -> None:
        self.now -= 1


@pytest.fixture
def paper(monkeypatch: pytest.MonkeyPatch) -> Iterator[Log]:
    """Everything that a GPU is told about order, while the CPU plays one."""
    monkeypatch.setattr(streaming, "has_pinning", lambda device: True)
    monkeypatch.setattr(streaming, "ThreadPoolExecutor", AtOnce)
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: Stream("computing"))
    PAPER.clear()
    Event.made = 0
    yield PAPER
    PAPER.clear()


def test_a_copy_waits_for_the_slot_even_the_first_and_its_users_wait_for_it(paper: Log) -> None:
    slot = streaming._Slot(1, CPU)  # event 1: something arrived, event 2: the slot is free
    slot.fill(torch.tensor([7], dtype=torch.uint8), Stream("copying"))  # type: ignore[arg-type]
    slot.wait()
    slot.release()
    assert slot.buffer.tolist() == [7]
    assert paper == [
        "computing marks event 2",  # its memory may be what kernels that still run have given back
        "copying waits for event 2",
        "copying marks event 1",
        "computing waits for event 1",
        "computing marks event 2",
    ]


def test_a_stage_is_filled_again_only_after_its_last_copy_has_arrived(paper: Log) -> None:
    streamed = StreamedBlocks(numbered(3), Pinning())
    assert [int(block.weight) for block in streamed] == [0, 1, 2]
    waits = [line for line in paper if line.startswith("thread waits")]
    assert waits == 2 * ["thread waits for event 5", "thread waits for event 6"] + ["thread waits for event 5"]
    first, second = [i for i, line in enumerate(paper) if line == "thread waits for event 5"][:2]
    assert "copying marks event 5" in paper[first:second]


def test_no_more_is_pinned_than_the_stages_and_what_the_plan_has(paper: Log) -> None:
    for planned in (0, 3):
        machine = Pinning()
        streamed = StreamedBlocks(numbered(6), machine, stay={5}, pinned=planned)
        for _ in range(2):
            assert [int(block.weight) for block in streamed] == [0, 1, 2, 3, 4, 5]
        assert machine.most == streaming.STAGES + planned
        assert streamed.pinned == planned * streaming.ALIGN
        streamed.rest()
        assert machine.now == planned, "the stages are given back when the blocks leave the device"
        del streamed
        assert machine.now == 0


def test_kept_blocks_are_read_from_the_file_once(paper: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    original = streaming._Block.read_into
    monkeypatch.setattr(streaming._Block, "read_into", lambda self, to: read.append(number(self)) or original(self, to))
    streamed = StreamedBlocks(numbered(4), Pinning(), pinned=2)
    for _ in range(3):
        list(streamed)
    assert [read.count(i) for i in range(4)] == [1, 4, 1, 3], "blocks 0 and 1 are ahead of a fourth round"


def test_pinned_memory_that_the_system_refuses_is_said_and_costs_nothing_but_time(paper: Log) -> None:
    streamed = StreamedBlocks(numbered(3), Pinning(limit=0), pinned=3)
    assert [int(block.weight) for block in streamed] == [0, 1, 2]
    assert streamed.pinned == 0
    assert streamed.note.startswith("The system gave no pinned memory")
    assert StreamedBlocks(numbered(3), Pinning()).note == ""


def test_a_host_buffer_has_the_size_that_was_asked_for_and_is_unpinned_when_it_is_dropped() -> None:
    machine = Pinning()
    buffer = HostBuffer(432, machine)
    assert (buffer.bytes.nbytes, buffer.is_pinned, machine.now) == (432, True, 1)
    del buffer
    assert machine.now == 0


def test_weights_are_all_that_must_be_where_a_module_computes() -> None:
    module = nn.BatchNorm1d(2)
    assert len(weights(module)) == 5
