"""`qil run` with 40 jobs on one ComfyUI server, on two, and on two of which one is killed in the middle.

The servers are real, on this machine, with one thread each, as if each had a device of its own; they take pictures
apart with the built-in decomposer. Each run has pictures of its own, for ComfyUI remembers the results of equal graphs.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.request import ProxyHandler, build_opener

from PIL import Image, ImageDraw

from qil_core.cli import main
from qil_core.manifest import rows

ROOT = Path(__file__).resolve().parent.parent
WORKFLOW = ROOT / "workflows" / "api" / "decompose_to_pptx.json"
JOBS = 40
KILLED_AFTER = 8
"""Jobs that the server which is killed has done by then: about half of its share."""

SIZE = (720, 480)
WAIT = 0.5
"""Seconds that the servers which only wait take for a prompt."""

THREADS = {"OMP_NUM_THREADS": "1"}
_open = build_opener(ProxyHandler({})).open


@dataclass(frozen=True)
class Comfy:
    """A running server."""

    url: str
    process: subprocess.Popen[bytes]

    def history(self) -> dict[str, Any]:
        with _open(f"{self.url}/history", timeout=60) as answer:
            return dict(json.load(answer))


@dataclass(frozen=True)
class Turn:
    """One run: wall time in seconds, the manifest's last lines, and the share of it that servers were at work."""

    seconds: float
    rows: list[dict[str, Any]]
    busy: float

    def __str__(self) -> str:
        done = Counter(row["status"] for row in self.rows)
        return f"{self.seconds:6.1f} s, {done['ok']} of {JOBS} done, servers at work {self.busy:.0%} of the time"


def run() -> None:
    sys.path[:0] = [str(ROOT / "tests" / "comfy"), str(ROOT / "tests" / "helpers")]
    from finder import PLACES, find_checkout

    _waiting_servers()
    checkout = find_checkout()
    if checkout is None:
        print(f"  left out: no ComfyUI in {PLACES}")
        return
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        base = Path(folder)
        one, two = (stack.enter_context(_started(checkout, base / name)) for name in ("first", "second"))
        for server in (one, two):
            _turn([server], base / f"warm {server.process.pid}", 2)
        alone = _turn([one], base / "one")
        both = _turn([one, two], base / "two")
        print(f"  one server   {alone}")
        print(f"  two servers  {both}: {alone.seconds / both.seconds:.2f}x")
        _killed(one, two, base / "killed")


def _waiting_servers() -> None:
    """What the client itself costs: servers that only wait, so that they do not share this machine's cores."""
    from fake_comfy import GRAPH, serving

    with tempfile.TemporaryDirectory() as folder, serving(seconds=WAIT) as one, serving(seconds=WAIT) as two:
        base = Path(folder)
        (base / "work.json").write_text(json.dumps(GRAPH))
        _draw(base / "pictures", JOBS)
        seconds = [
            _run(base / "work.json", urls, base / "pictures", base / name)
            for name, urls in (("one", [one.url]), ("two", [one.url, two.url]))
        ]
    one_server, two_servers = seconds
    more = one_server / (JOBS * WAIT) - 1
    print(f"  servers that only wait {WAIT:g} s a job: one {one_server:.1f} s, {more:.1%} above the waiting itself;")
    print(f"    two {two_servers:.1f} s: {one_server / two_servers:.2f}x")


def _run(workflow: Path, urls: list[str], pictures: Path, out: Path) -> float:
    """Wall time in seconds of the command."""
    where = [part for url in urls for part in ("--server", url)]
    began = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        main(["run", str(workflow), *where, "--each", f"Your picture.image={pictures}", "-o", str(out)])
    return time.perf_counter() - began


def _killed(staying: Comfy, doomed: Comfy, folder: Path) -> None:
    """The run in which a server is killed, and how often each picture was taken apart."""
    before, found, over = len(doomed.history()), Counter[str](), threading.Event()

    def kill() -> None:
        while len(history := doomed.history()) < before + KILLED_AFTER:
            if over.wait(0.1):
                return
        found.update(_pictures(history))
        doomed.process.kill()

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    turn = _turn([doomed, staying], folder)
    over.set()
    killer.join()
    found.update(_pictures(staying.history()))
    names = [f"qil-{row['name']}-{row['inputs'][0]['sha256'][:16]}.png" for row in turn.rows]
    twice = sum(found[name] > 1 for name in names)
    servers = Counter(row["server"] for row in turn.rows)
    print(f"  one killed   {turn}")
    print(f"    by the killed one {servers[doomed.url]}, by the other {servers[staying.url]}; finished twice: {twice}")


def _pictures(history: dict[str, Any]) -> Counter[str]:
    return Counter(entry["prompt"][2]["1"]["inputs"]["image"] for entry in history.values())


def _turn(servers: list[Comfy], folder: Path, jobs: int = JOBS) -> Turn:
    """Run the workflow on pictures of its own."""
    _draw(folder / "pictures", jobs)
    before = {server.url: set(server.history()) for server in servers}
    seconds = _run(WORKFLOW, [server.url for server in servers], folder / "pictures", folder / "out")
    alive = [server for server in servers if server.process.poll() is None]
    at_work = sum(_at_work(server, before[server.url]) for server in alive)
    return Turn(seconds, list(rows(folder / "out" / "manifest.jsonl")), at_work / (seconds * len(alive)))


def _at_work(server: Comfy, before: set[str]) -> float:
    """Seconds that a server spent on prompts which it did not have before."""
    total = 0.0
    for key, entry in server.history().items():
        times = {kind: data["timestamp"] for kind, data in entry["status"]["messages"]}
        if key not in before and "execution_success" in times:
            total += (times["execution_success"] - times["execution_start"]) / 1000
    return total


def _draw(folder: Path, count: int) -> None:
    """Pictures of a disc, a box and a triangle that all differ."""
    folder.mkdir(parents=True)
    turn = int.from_bytes(os.urandom(2), "big")
    for i in range(count):
        picture = Image.new("RGB", SIZE, (250 - i, 246 - turn % 50, 235 - turn // 50 % 50))
        draw = ImageDraw.Draw(picture)
        draw.ellipse((90, 90 + i, 270, 270 + i), fill=(40, 90, 200))
        draw.rectangle((390, 225, 600, 405), fill=(220, 60, 50))
        draw.polygon(((450, 60), (540, 180), (360 + i, 180)), fill=(60, 160, 80))
        picture.save(folder / f"p{i:02}.png")


@contextlib.contextmanager
def _started(checkout: Any, base: Path) -> Iterator[Comfy]:
    """A server for as long as the block runs, or until it is killed."""
    from comfy_server import Server, _command, _stop, _wait, free_port, make_base

    make_base(base)
    server = Server(f"127.0.0.1:{free_port()}", base, base / "server.log")
    with server.log.open("wb") as log, mock.patch.dict(os.environ, THREADS):
        process = subprocess.Popen(_command(checkout, server), cwd=checkout.folder, stdout=log, stderr=log)
        try:
            _wait(server, process)
            yield Comfy(server.url, process)
        finally:
            _stop(process)
