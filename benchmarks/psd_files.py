"""Files that designers have: how many of psd-tools' test files are read, by what is done with the unsupported; and what
small files that claim gigabytes cost before they are refused.

Set QIL_PSD_FILES to the folder tests/psd_files of a psd-tools checkout (github.com/psd-tools/psd-tools, 273 files).
"""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from qil_core.errors import QilError
from qil_core.files import psd
from qil_core.files.format import UNSUPPORTED

FILES = Path(os.environ.get("QIL_PSD_FILES", "nowhere"))
HELPERS = Path(__file__).parent.parent / "tests" / "helpers"
QUOTED = re.compile(r'"[^"]*"')

CHILD = """
import sys, time
from pathlib import Path
from qil_core.errors import QilError
from qil_core.files.loading import load
import psd_tools.psd
began, message = time.perf_counter(), "READ"
try:
    load([Path(sys.argv[1])])
except QilError as error:
    message = str(error)
seconds = time.perf_counter() - began
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]
print(f"{int(peak) / 1000:6.0f} MB  {seconds:6.3f} s  {message.replace(sys.argv[1], 'it')[:90]}")
"""


def run() -> None:
    """Print both tables."""
    _hostile()
    _designers()


def _hostile() -> None:
    """Each in a process of its own: all its memory at most (Python and torch take 230 MB), and the time of reading."""
    sys.path.insert(0, str(HELPERS))
    from hostile_files import HOSTILE

    print("small files that claim gigabytes: size, peak memory, time, and what is said")
    with tempfile.TemporaryDirectory() as folder:
        for name, build in HOSTILE.items():
            path = build(Path(folder) / name)
            command = [sys.executable, "-c", CHILD, str(path)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            print(f"  {name:26} {path.stat().st_size:8} B  {done.stdout.rstrip()}")


def _designers() -> None:
    paths = sorted(path for kind in ("psd", "psb") for path in FILES.rglob(f"*.{kind}"))
    if not paths:
        print("psd-tools' files: NOT MEASURED, QIL_PSD_FILES names no folder of them")
        return
    logging.disable(logging.ERROR)  # psd-tools tells of each effect that it does not draw
    for unsupported in UNSUPPORTED:
        notes, why = Counter[str](), Counter[str]()
        for path in paths:
            try:
                document = psd.read(path, hidden=False, unsupported=unsupported)
            except QilError as error:
                why[_kind(str(error).replace(str(path), "it"))] += 1
            else:
                notes.update(_kind(note) for note in document.notes)
        read = len(paths) - why.total()
        print(f"\n--unsupported {unsupported}: {read} of {len(paths)} files read ({read / len(paths):.1%})")
        for title, found in (("not read", why), ("notes", notes)):
            for what, count in found.most_common():
                print(f"  {title:8} {count:4}  {what}")


def _kind(text: str) -> str:
    """A message or a note without the names in it."""
    return QUOTED.sub("X", text).split(". ")[0][:110]
