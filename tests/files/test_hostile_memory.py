"""Small files that would fill the memory, each read by a process of its own: refused before memory is taken.

How long it takes is printed, not asserted (pytest -s).
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hostile_files import HOSTILE, SIDE, ora, png, zeros

from qil_core.errors import QilError
from qil_core.files import limits
from qil_core.files.loading import load

STATUS = Path("/proc/self/status")
"""Where Linux says how much memory a process took at most. getrusage() knows its parent's too."""

PEAK = 500_000_000
"""Bytes that a process may take in all, Python and torch (220 MB) among them."""

CHILD = """
import json, sys, time
from pathlib import Path
from qil_core.errors import QilError
from qil_core.files import limits
from qil_core.files.loading import load
import psd_tools.psd, torch
if int(sys.argv[1]):
    limits.free_ram = lambda: int(sys.argv[1])
for name in sys.argv[2:]:
    began, message = time.perf_counter(), "it was read"
    try:
        load([Path(name)])
    except QilError as error:
        message = str(error)
    seconds = time.perf_counter() - began
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(json.dumps([message, int(line.split()[1]) * 1024, seconds]))
"""


def tried(paths: Sequence[Path], free: int) -> list[tuple[str, int, float]]:
    """A message for each file, the peak in bytes up to then, and its seconds, of a process that reads them in turn.

    free: as if so many bytes of memory were free (0: as it is).
    """
    command = [sys.executable, "-c", CHILD, str(free), *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


@pytest.mark.slow
@pytest.mark.skipif(not STATUS.exists(), reason="NOT CHECKED: peak memory is known on Linux alone")
@pytest.mark.parametrize("free", [0, 1 << 40], ids=["here", "on a machine with a terabyte"])
def test_small_files_that_would_fill_the_memory_are_refused_before_they_do(free: int, tmp_path: Path) -> None:
    paths = [build(tmp_path / name) for name, build in HOSTILE.items()]
    found = tried(paths, free)
    for path, (message, peak, seconds) in zip(paths, found, strict=True):
        print(f"{path.name}: {path.stat().st_size} bytes, {peak / 1e6:.0f} MB, {seconds:.3f} s: {message}")
    assert [message for message, _, _ in found if not message.startswith("Cannot read ")] == []
    assert max(peak for _, peak, _ in found) < PEAK


def test_the_limit_follows_the_memory_that_is_free_and_the_message_states_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = ora(tmp_path / "x.ora", (1000, 1000), png(1000, 1000, zeros(4_001_000)))
    monkeypatch.setattr(limits, "free_ram", lambda: 79_000_000)
    with pytest.raises(QilError, match=r"are 1 megapixels, which take 0.0 GB of memory; now 0.0 GB may be taken .50%"):
        load([path])
    monkeypatch.setattr(limits, "free_ram", lambda: 81_000_000)
    assert load([path]).stack.width == 1000
    monkeypatch.setattr(limits, "addressable", lambda: 79_000_000)
    with pytest.raises(QilError, match="megapixels, which take"):
        load([path])


def test_an_honest_large_picture_is_not_taken_for_a_hostile_one() -> None:
    """A white ground of 14000 x 14000 pixels, as an editor saves it: deflated 1000 times."""
    limits.check_packing(4 * 14_000**2, 4 * 14_000**2 // 1030, Path("ground.ora"))
    with pytest.raises(QilError, match=r"unpack to 1\.2 GB, 1030 times as much, and at most 500 times are taken"):
        limits.check_packing(4 * SIDE**2, 4 * SIDE**2 // 1030, Path("ground.ora"))
